"""The training task of the segmenter: samples, losses, scores on held-out rooms, weight files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.network_task import NetworkTask, spread_batches
from ego_perception.engine.seeding import generator_for
from ego_perception.hand_removal.segmentation.data import HandBatch, HandDataset, vary
from ego_perception.hand_removal.segmentation.losses import segmentation_losses
from ego_perception.hand_removal.segmentation.model import HandSegmenter
from ego_perception.hand_removal.segmentation.network import HAND_SEGMENTER
from ego_perception.hand_removal.segmentation.sizes import HandClass, SegmenterConfig, input_size
from ego_perception.parameters import Apply, group, param

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


class SegmenterTrainTask(NetworkTask[SegmenterTrainConfig, HandDataset, HandSegmenter]):
    """Learns from the data set `data/train`, scores on `data/val`.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    def __init__(self, network: SegmenterConfig, config: SegmenterTrainConfig, data: Path) -> None:
        self.data, self.size = data, input_size(*_ASPECT, network.width)
        super().__init__(HAND_SEGMENTER, network, config)
        held_out = HandDataset(data / "val", self.size)
        parts = spread_batches(len(held_out), config.validation_images, _BATCH)
        self.validation = [held_out.gather(part) for part in parts]

    def open_dataset(self, names: list[Any] | None) -> HandDataset:
        """See `NetworkTask`."""
        return HandDataset(self.data / "train", self.size, names)

    def batch(self, step: int, workplace: Workplace) -> HandBatch:
        """Draw this process's share of the images of `step`, and change them on its device."""
        generator = generator_for(self.seed, "augment", step, workplace.rank)
        images, labels = self.dataset.gather(self.draw(workplace))
        backgrounds = self.dataset.backgrounds(len(images), generator)
        if step < self.config.coarse_share * self.config.trainer.steps:
            images, backgrounds = nn.functional.avg_pool2d(images, 2), nn.functional.avg_pool2d(backgrounds, 2)
            labels = labels[:, ::2, ::2]
        device = workplace.device
        return vary(images.to(device), labels.to(device), backgrounds.to(device), generator)

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""
        images, labels = self.batch(step, workplace)
        return segmentation_losses(pixel_scores(model, images.contiguous(memory_format=torch.channels_last)), labels)

    def finish(self, model: HandSegmenter) -> dict[str, float]:
        """Score on the held-out images."""
        return score(model, self.validation)


def pixel_scores(model: nn.Module, images: Tensor) -> Tensor:
    """Class scores (B, 6, H, W) of every pixel."""
    return nn.functional.interpolate(model(images), size=images.shape[-2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def score(model: HandSegmenter, batches: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Intersection over union on held-out images, pooled over pixels.

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
        guess = pixel_scores(model, images.to(device)).argmax(1).cpu()
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
