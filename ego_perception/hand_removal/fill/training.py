"""The training task of the fill network: samples, losses, scores on held-out rooms, weight files."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ego_perception.data.clips import ClipDataset
from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.network_task import NetworkTask, spread_batches
from ego_perception.engine.seeding import generator_for
from ego_perception.hand_removal.fill.augment import last_output, vary
from ego_perception.hand_removal.fill.data import Batch, FillDataset, pack, windows_name
from ego_perception.hand_removal.fill.losses import fill_losses
from ego_perception.hand_removal.fill.model import FillNetwork
from ego_perception.hand_removal.fill.network import FILL_NETWORK
from ego_perception.hand_removal.fill.sizes import LAST_PLANES, FillConfig
from ego_perception.parameters import Apply, param

_PARTS: Final = ("classes", "clean_shadowed")
_BATCH: Final = 16
_STREAM_STARTS: Final = 0.5  # share of batches without a last output: the start of a stream


@dataclass(frozen=True)
class FillTrainConfig:
    """How the fill network is trained."""

    trainer: TrainerConfig = dataclasses.field(
        default_factory=lambda: TrainerConfig(steps=12000, batch_size=8, learning_rate=4e-4)
    )
    stride: int = param(4, "Every n-th frame of a clip becomes a window.", ge=1, apply=Apply.READ_ONLY)
    validation_windows: int = param(200, "Held-out windows scored at every checkpoint.", ge=1, apply=Apply.LIVE)


class FillTrainTask(NetworkTask[FillTrainConfig, FillDataset, FillNetwork]):
    """Learns from the data set `data/train`, scores on `data/val`; both are packed into windows beside them first.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    items = "windows"

    def __init__(self, network: FillConfig, config: FillTrainConfig, data: Path) -> None:
        self._stride = config.stride
        self.folder, held_out_folder = (data / f"{split}_{windows_name(config.stride)}" for split in ("train", "val"))
        self._clips, held_out_clips = (ClipDataset(data / split, parts=_PARTS) for split in ("train", "val"))
        self._pack()
        super().__init__(FILL_NETWORK, network, config)
        pack(held_out_clips, held_out_folder, config.stride)
        held_out = FillDataset(held_out_folder)
        parts = spread_batches(len(held_out), config.validation_windows, _BATCH)
        self.validation = [held_out.gather(part) for part in parts]

    def _pack(self) -> None:
        pack(self._clips, self.folder, self._stride)

    def open_dataset(self, names: list[Any] | None) -> FillDataset:
        """See `NetworkTask`."""
        return FillDataset(self.folder, names, self._pack)

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""
        generator = generator_for(self.seed, "augment", step, workplace.rank)
        batch = vary(self.dataset.gather(self.draw(workplace)), generator).to(workplace.device)
        is_start = float(torch.rand(1, generator=generator)) < _STREAM_STARTS
        planes = _input(model, batch, is_start=is_start)
        return fill_losses(model(planes), planes, batch.target)

    def finish(self, model: FillNetwork) -> dict[str, float]:
        """Score."""
        return score(model, self.validation)


def _input(model: nn.Module, batch: Batch, *, is_start: bool) -> Tensor:
    """Input planes (B, 14, H, W), with the network's own last output unless a stream starts."""
    last = torch.zeros_like(batch.scene[:, :LAST_PLANES]) if is_start else last_output(model, batch)
    return torch.cat([batch.scene, last], dim=1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def score(model: FillNetwork, batches: list[Batch]) -> dict[str, float]:
    """Signal to noise in the hole, dB, pooled over pixels, at the size the network sees.

    Returns:
        psnr_observed, psnr_unobserved: of the filled picture; psnr_memory, psnr_continued: of what the network starts from.
    """
    device = next(model.parameters()).device
    names = ("observed", "unobserved", "memory", "continued")
    square, count = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for batch in batches:
        planes = _input(model, batch.to(device), is_start=False)
        filled, start = model(planes).filled.cpu(), batch.scene[:, 3:6]
        hole, seen = batch.scene[:, 7:8] > 0.5, batch.scene[:, 6:7] > 0
        for name, picture, where in (
            ("observed", filled, hole & seen),
            ("unobserved", filled, hole & ~seen),
            ("memory", start, hole & seen),
            ("continued", start, hole & ~seen),
        ):
            square[name] += float(((picture - batch.target).square() * where).sum())
            count[name] += 3 * float(where.sum())
    return {f"psnr_{n}": 10 * math.log10(4 * max(count[n], 1.0) / max(square[n], 1e-9)) for n in names}
