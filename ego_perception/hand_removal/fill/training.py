"""The training task of the fill network: samples, losses, scores on held-out rooms, weight files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ego_perception.data.clips import ClipDataset
from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.sampling import EpochSampler
from ego_perception.engine.seeding import derived_seed, generator_for
from ego_perception.hand_removal.fill.data import FillDataset, pack, vary, windows_name
from ego_perception.hand_removal.fill.losses import fill_losses
from ego_perception.hand_removal.fill.model import FillNetwork
from ego_perception.hand_removal.fill.sizes import KIND, VERSION, FillConfig
from ego_perception.parameters import Apply, param, to_dict
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.store import save_weights

WEIGHTS_NAME: Final = "model.safetensors"
_PARTS: Final = ("classes", "clean_shadowed")
_BATCH: Final = 16


@dataclass(frozen=True)
class FillTrainConfig:
    """How the fill network is trained."""

    trainer: TrainerConfig = dataclasses.field(
        default_factory=lambda: TrainerConfig(steps=12000, batch_size=8, learning_rate=4e-4)
    )
    stride: int = param(4, "Every n-th frame of a clip becomes a window.", ge=1, apply=Apply.READ_ONLY)
    validation_windows: int = param(200, "Held-out windows scored at every checkpoint.", ge=1, apply=Apply.LIVE)


class FillTrainTask:
    """Learns from the data set `data/train`, scores on `data/val`; both are packed into windows beside them first.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    def __init__(self, network: FillConfig, config: FillTrainConfig, data: Path) -> None:
        self.network, self.config = network, config
        self.seed = config.trainer.seed
        self.folder, held_out_folder = (data / f"{split}_{windows_name(config.stride)}" for split in ("train", "val"))
        self._clips, held_out_clips = (ClipDataset(data / split, parts=_PARTS) for split in ("train", "val"))
        self._pack()
        self.dataset = FillDataset(self.folder, refresh=self._pack)
        self.sampler = EpochSampler(self.dataset, self.seed)
        pack(held_out_clips, held_out_folder, config.stride)
        held_out = FillDataset(held_out_folder)
        count = min(config.validation_windows, len(held_out))
        indices = torch.linspace(0, len(held_out) - 1, count).round().long()
        self.validation = [held_out.gather(part) for part in indices.split(_BATCH)]

    def _pack(self) -> None:
        pack(self._clips, self.folder, self.config.stride)

    def build_model(self) -> FillNetwork:
        """Make the network with starting weights of the seed; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "weights"))
            return FillNetwork(self.network)

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""
        indices = self.sampler.next(self.config.trainer.batch_size)[workplace.rank :: workplace.world]
        planes, targets = self.dataset.gather(indices)
        planes, targets = vary(planes, targets, generator_for(self.seed, "augment", step, workplace.rank))
        planes, targets = planes.to(workplace.device, memory_format=torch.channels_last), targets.to(workplace.device)
        return fill_losses(model(planes), planes, targets)

    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        """Score, and write `model.safetensors`."""
        assert isinstance(model, FillNetwork)
        scores = score(model, self.validation)
        info = WeightsInfo(
            kind=KIND,
            version=VERSION,
            config=dataclasses.asdict(self.network),
            training={
                "parameters": to_dict(self.config),
                "steps": step,
                "windows": step * self.config.trainer.batch_size,
                "clips": len(self.dataset.names),
            },
            metrics={name: round(value, 4) for name, value in scores.items()},
        )
        save_weights(out / WEIGHTS_NAME, model.state_dict(), info, half=True)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """The files in the order they were found, and the position in the epoch."""
        return {"names": self.dataset.names, "epoch": self.sampler.epoch, "position": self.sampler.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the same files in the same order, and go to the position."""
        self.dataset = FillDataset(self.folder, list(state["names"]), self._pack)
        self.sampler = EpochSampler(self.dataset, self.seed)
        self.sampler.restore(state["epoch"], state["position"])


@torch.no_grad()
def score(model: FillNetwork, batches: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Signal to noise in the hole, dB, pooled over pixels, at the size the network sees.

    Returns:
        psnr_observed, psnr_unobserved: of the filled picture; psnr_memory: of the remembered background alone, where observed.
    """
    device = next(model.parameters()).device
    square, count = (
        dict.fromkeys(("observed", "unobserved", "memory"), 0.0),
        dict.fromkeys(("observed", "unobserved", "memory"), 0.0),
    )
    for planes, targets in batches:
        filled = model(planes.to(device)).filled.cpu()
        hole, seen = planes[:, 7:8] > 0.5, planes[:, 6:7] > 0
        for name, picture, where in (
            ("observed", filled, hole & seen),
            ("unobserved", filled, hole & ~seen),
            ("memory", planes[:, 3:6], hole & seen),
        ):
            square[name] += float(((picture - targets).square() * where).sum())
            count[name] += 3 * float(where.sum())
    return {f"psnr_{n}": 10 * math.log10(4 * max(count[n], 1.0) / max(square[n], 1e-9)) for n in square}
