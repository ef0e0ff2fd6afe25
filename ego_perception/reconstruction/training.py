"""The training task of the depth network: samples, losses, scores on held-out rooms, calibration, weight files."""

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
from ego_perception.nn.look import change_look
from ego_perception.parameters import Apply, group, param
from ego_perception.reconstruction.data import (
    FAR_M,
    NEAR_M,
    DepthBatch,
    DepthDataset,
    cut,
    random_crop,
    whole_image,
)
from ego_perception.reconstruction.losses import depth_losses
from ego_perception.reconstruction.model import DepthNetwork, DepthOutput
from ego_perception.reconstruction.network import DEPTH_NETWORK
from ego_perception.reconstruction.sizes import NetworkConfig, network_size

ASPECTS: Final = ((4 / 3, 0.75), (16 / 9, 0.25))  # shapes of training images and their shares


@dataclass(frozen=True)
class DepthTrainConfig:
    """How the depth network is trained."""

    trainer: TrainerConfig = group(TrainerConfig)
    coarse_share: float = param(
        0.5, "Share of the steps that use small images, for speed.", ge=0.0, le=1.0, apply=Apply.READ_ONLY
    )
    coarse_area: int = param(96 * 72, "Pixels of the small images.", unit="px", ge=1024, apply=Apply.READ_ONLY)
    validation_images: int = param(600, "Held-out images scored at every checkpoint.", ge=1, apply=Apply.LIVE)


class DepthTrainTask(NetworkTask[DepthTrainConfig, DepthDataset, DepthNetwork]):
    """Learns from the clips in `data/train`, scores on those in `data/val`.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    clips = "rooms"

    def __init__(self, network: NetworkConfig, config: DepthTrainConfig, data: Path) -> None:
        self.data = data
        super().__init__(DEPTH_NETWORK, network, config)
        self.validation = held_out_batches(DepthDataset(data / "val"), network.area, config.validation_images)

    def open_dataset(self, names: list[Any] | None) -> DepthDataset:
        """See `NetworkTask`."""
        return DepthDataset(self.data / "train", names)

    def batch(self, step: int, workplace: Workplace) -> DepthBatch:
        """Draw this process's share of the images of `step`, and change them on its device."""
        trainer = self.config.trainer
        indices = self.draw(workplace)
        generator = generator_for(self.seed, "augment", step, workplace.rank)
        is_coarse = step < self.config.coarse_share * trainer.steps
        area = self.config.coarse_area if is_coarse else self.network.area
        # All processes draw the same shape for a step.
        draw = float(torch.rand(1, generator=generator_for(self.seed, "aspect", step)))
        aspect = ASPECTS[0][0] if draw < ASPECTS[0][1] else ASPECTS[1][0]
        size = network_size(round(1000 * aspect), 1000, area)
        images, depth, focal = self.dataset.gather(indices)
        crop = random_crop(len(images), self.dataset.image_size, size[0] / size[1], generator)
        sample = cut(images.to(workplace.device), depth.to(workplace.device), focal, crop, size)
        return sample._replace(images=change_look(sample.images, generator))

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""
        images, log_depth, log_focal = self.batch(step, workplace)
        output = model(images.contiguous(memory_format=torch.channels_last))
        return depth_losses(output, log_depth, log_focal)

    def finish(self, model: DepthNetwork) -> dict[str, float]:
        """Calibrate on one half of the held-out rooms, score on the other."""
        half = len(self.validation) // 2 or len(self.validation)
        calibrate(model, self.validation[:half])
        return score(model, self.validation[half:] or self.validation)


def held_out_batches(dataset: DepthDataset, area: int, limit: int, size: int = 30) -> list[DepthBatch]:
    """Up to `limit` unchanged images spread evenly over the dataset, in network size."""
    target = network_size(*dataset.image_size, area)
    batches = []
    for part in spread_batches(len(dataset), limit, size):
        images, depth, focal = dataset.gather(part)
        batches.append(cut(images, depth, focal, whole_image(len(part), dataset.image_size), target))
    return batches


@torch.no_grad()
def calibrate(model: DepthNetwork, batches: list[DepthBatch]) -> None:
    """Set the gains of both uncertainties to their maximum-likelihood values: the mean of |error| / scale becomes one."""
    model.depth_gain.fill_(1.0)
    model.focal_gain.fill_(1.0)
    depth, focal = [], []
    for batch in batches:
        output = predict_batch(model, batch)
        depth.append(((output.log_depth - batch.log_depth).abs() / output.log_depth_scale.exp()).flatten())
        focal.append((output.log_focal - batch.log_focal).abs() / output.log_focal_scale.exp())
    model.depth_gain.copy_(torch.cat(depth).mean())
    model.focal_gain.copy_(torch.cat(focal).mean())


@torch.no_grad()
def score(model: DepthNetwork, batches: list[DepthBatch]) -> dict[str, float]:
    """Score on held-out images with the camera known, pooled over pixels, no scale fitted unless named.

    Returns:
        abs_rel, delta1: metric depth against truth; abs_rel_scaled: after the median ratio of each image;
        coverage: share of pixels within one Laplace scale, 0.632 when calibrated; focal: median relative error.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in ("abs_rel", "delta1", "abs_rel_scaled", "coverage", "focal")}
    for batch in batches:
        output = predict_batch(model, batch)
        near, far = (torch.tensor(limit).log() - batch.log_focal[:, None, None] for limit in (NEAR_M, FAR_M))
        error = torch.minimum(torch.maximum(output.log_depth, near), far) - batch.log_depth
        median = error.flatten(1).median(dim=1).values[:, None, None]
        rows["abs_rel"].append((error.exp() - 1).abs().mean((1, 2)))
        rows["delta1"].append((error.abs() < torch.tensor(1.25).log()).float().mean((1, 2)))
        rows["abs_rel_scaled"].append(((error - median).exp() - 1).abs().mean((1, 2)))
        inside = (output.log_depth - batch.log_depth).abs() < output.log_depth_scale.exp()
        rows["coverage"].append(inside.float().mean((1, 2)))
        rows["focal"].append((output.log_focal - batch.log_focal).abs())
    means = {name: float(torch.cat(values).mean()) for name, values in rows.items()}
    means["focal"] = float(torch.cat(rows["focal"]).median())
    return means


def predict_batch(model: DepthNetwork, batch: DepthBatch) -> DepthOutput:
    """Run the network where it lives and bring the output to the CPU."""
    device = next(model.parameters()).device
    output = model(batch.images.to(device, memory_format=torch.channels_last))
    return DepthOutput(*(t.cpu() for t in output))
