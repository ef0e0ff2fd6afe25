"""The training task of the depth network: samples, losses, scores on held-out rooms, calibration, weight files."""

from __future__ import annotations

import dataclasses
import logging
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
from ego_perception.nn.look import change_look
from ego_perception.parameters import Apply, group, param, to_dict
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
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig, network_size
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.store import save_weights

_log = logging.getLogger(__name__)

WEIGHTS_NAME: Final = "model.safetensors"
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


class DepthTrainTask:
    """Learns from the clips in `data/train`, scores on those in `data/val`.

    Args:
        network: sizes.
        config: of the run.
        data: folder with `train` and `val`.
    """

    def __init__(self, network: NetworkConfig, config: DepthTrainConfig, data: Path) -> None:
        self.network, self.config, self.data = network, config, data
        self.seed = config.trainer.seed
        self.dataset = DepthDataset(data / "train")
        self.sampler = EpochSampler(self.dataset, self.seed)
        self.validation = held_out_batches(DepthDataset(data / "val"), network.area, config.validation_images)

    def build_model(self) -> DepthNetwork:
        """Make the network with starting weights of the seed; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "weights"))
            return DepthNetwork(self.network)

    def batch(self, step: int, workplace: Workplace) -> DepthBatch:
        """Draw this process's share of the images of `step`, and change them on its device."""
        trainer = self.config.trainer
        indices = self.sampler.next(trainer.batch_size)[workplace.rank :: workplace.world]
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

    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        """Calibrate on one half of the held-out rooms, score on the other, and write `model.safetensors`."""
        assert isinstance(model, DepthNetwork)
        half = len(self.validation) // 2 or len(self.validation)
        calibrate(model, self.validation[:half])
        scores = score(model, self.validation[half:] or self.validation)
        info = WeightsInfo(
            kind=KIND,
            version=VERSION,
            config=dataclasses.asdict(self.network),
            training={
                "parameters": to_dict(self.config),
                "steps": step,
                "images": step * self.config.trainer.batch_size,
                "rooms": len(self.dataset.names),
            },
            metrics={name: round(value, 4) for name, value in scores.items()},
        )
        save_weights(out / WEIGHTS_NAME, model.state_dict(), info, half=True)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """The clips in the order they were found, and the position in the epoch."""
        return {"names": self.dataset.names, "epoch": self.sampler.epoch, "position": self.sampler.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the same blocks in the same order, and go to the position."""
        self.dataset = DepthDataset(self.data / "train", list(state["names"]))
        self.sampler = EpochSampler(self.dataset, self.seed)
        self.sampler.restore(state["epoch"], state["position"])


def held_out_batches(dataset: DepthDataset, area: int, limit: int, size: int = 30) -> list[DepthBatch]:
    """Up to `limit` unchanged images spread evenly over the dataset, in network size."""
    count = min(limit, len(dataset))
    indices = torch.linspace(0, len(dataset) - 1, count).round().long()
    target = network_size(*dataset.image_size, area)
    batches = []
    for part in indices.split(size):
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
