"""The training task of the segmenter: samples, losses, scores on held-out rooms, weight files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.sampling import EpochSampler
from ego_perception.engine.seeding import derived_seed, generator_for
from ego_perception.hand_removal.segmentation.data import HandBatch, HandDataset, vary
from ego_perception.hand_removal.segmentation.losses import segmentation_losses
from ego_perception.hand_removal.segmentation.model import HandSegmenter
from ego_perception.hand_removal.segmentation.sizes import KIND, VERSION, HandClass, SegmenterConfig, input_size
from ego_perception.parameters import Apply, group, param, to_dict
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.store import save_weights

WEIGHTS_NAME: Final = "model.safetensors"
_ASPECT: Final = (4, 3)
_BATCH: Final = 32


@dataclass(frozen=True)
class SegmenterTrainConfig:
    """How the segmenter is trained."""

    trainer: TrainerConfig = group(TrainerConfig)
    coarse_share: float = param(
        0.5, "Share of the steps that use images of half the size, for speed.", ge=0.0, le=1.0, apply=Apply.READ_ONLY
    )
    validation_images: int = param(600, "Held-out images scored at every checkpoint.", ge=1, apply=Apply.LIVE)


class SegmenterTrainTask:
    """Learns from the data set `data/train`, scores on `data/val`.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    def __init__(self, network: SegmenterConfig, config: SegmenterTrainConfig, data: Path) -> None:
        self.network, self.config, self.data = network, config, data
        self.seed = config.trainer.seed
        self.size = input_size(*_ASPECT, network.width)
        self.dataset = HandDataset(data / "train", self.size)
        self.sampler = EpochSampler(self.dataset, self.seed)
        held_out = HandDataset(data / "val", self.size)
        count = min(config.validation_images, len(held_out))
        indices = torch.linspace(0, len(held_out) - 1, count).round().long()
        self.validation = [held_out.gather(part) for part in indices.split(_BATCH)]

    def build_model(self) -> HandSegmenter:
        """Make the network with starting weights of the seed; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "weights"))
            return HandSegmenter(self.network)

    def batch(self, step: int, workplace: Workplace) -> HandBatch:
        """Draw this process's share of the images of `step`, and change them on its device."""
        trainer = self.config.trainer
        indices = self.sampler.next(trainer.batch_size)[workplace.rank :: workplace.world]
        generator = generator_for(self.seed, "augment", step, workplace.rank)
        images, labels = self.dataset.gather(indices)
        if step < self.config.coarse_share * trainer.steps:
            images, labels = nn.functional.avg_pool2d(images, 2), labels[:, ::2, ::2]
        return vary(images.to(workplace.device), labels.to(workplace.device), generator)

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""
        images, before, labels = self.batch(step, workplace)
        return segmentation_losses(model(images.contiguous(memory_format=torch.channels_last), before), labels)

    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        """Score without a mask before, and write `model.safetensors`."""
        assert isinstance(model, HandSegmenter)
        scores = score(model, self.validation)
        info = WeightsInfo(
            kind=KIND,
            version=VERSION,
            config=dataclasses.asdict(self.network),
            training={
                "parameters": to_dict(self.config),
                "steps": step,
                "images": step * self.config.trainer.batch_size,
                "clips": len(self.dataset.names),
            },
            metrics={name: round(value, 4) for name, value in scores.items()},
        )
        save_weights(out / WEIGHTS_NAME, model.state_dict(), info, half=True)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """The clips in the order they were found, and the position in the epoch."""
        return {"names": self.dataset.names, "epoch": self.sampler.epoch, "position": self.sampler.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the same clips in the same order, and go to the position."""
        self.dataset = HandDataset(self.data / "train", self.size, list(state["names"]))
        self.sampler = EpochSampler(self.dataset, self.seed)
        self.sampler.restore(state["epoch"], state["position"])


@torch.no_grad()
def score(model: HandSegmenter, batches: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Intersection over union on held-out images, pooled over pixels, each image alone (no mask before).

    Returns:
        iou_hand_arm: hands and arms of both sides as one; iou_hands, iou_arms, iou_held; side: share of the pixels found as
        hand or arm whose side is right.
    """
    device = next(model.parameters()).device
    groups = {
        "iou_hand_arm": (HandClass.LEFT_HAND, HandClass.RIGHT_HAND, HandClass.LEFT_ARM, HandClass.RIGHT_ARM),
        "iou_hands": (HandClass.LEFT_HAND, HandClass.RIGHT_HAND),
        "iou_arms": (HandClass.LEFT_ARM, HandClass.RIGHT_ARM),
        "iou_held": (HandClass.HELD_OBJECT,),
    }
    both, either = dict.fromkeys(groups, 0), dict.fromkeys(groups, 0)
    right_side, found = 0, 0
    for images, labels in batches:
        before = torch.zeros(len(images), 1, *images.shape[2:])
        guess = model(images.to(device), before.to(device)).argmax(1).cpu()
        for name, members in groups.items():
            a, b = (torch.isin(x, torch.tensor(members)) for x in (guess, labels))
            both[name] += int((a & b).sum())
            either[name] += int((a | b).sum())
        hands = torch.isin(guess, torch.tensor(groups["iou_hand_arm"])) & torch.isin(
            labels, torch.tensor(groups["iou_hand_arm"])
        )
        found += int(hands.sum())
        right_side += int((hands & (guess % 2 == labels % 2)).sum())
    scores = {name: both[name] / max(either[name], 1) for name in groups}
    return scores | {"side": right_side / max(found, 1)}
