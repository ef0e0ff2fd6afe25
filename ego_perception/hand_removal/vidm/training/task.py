"""The fine-tune as a task of the training loop: starting weights, samples, loss, held-out loss, weight files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.network_task import WEIGHTS_NAME, spread_batches
from ego_perception.engine.sampling import EpochSampler
from ego_perception.engine.seeding import derived_seed, generator_for
from ego_perception.errors import ConfigError, WeightsError
from ego_perception.hand_removal.vidm.diffusion import NUM_TIMES
from ego_perception.hand_removal.vidm.importer import vidm_from_single_frame
from ego_perception.hand_removal.vidm.sizes import CELL, IMAGE_SIZE, KIND, LDM_KIND, PUBLISHED, VERSION, VidmSizes
from ego_perception.hand_removal.vidm.training.dataset import WindowConfig, WindowDataset
from ego_perception.hand_removal.vidm.training.model import TrainedVidm, noise_loss
from ego_perception.hand_removal.vidm.training.samples import HoleConfig
from ego_perception.nn.frames import FrameJoin
from ego_perception.parameters import Apply, param, to_dict
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.store import save_weights

_log = logging.getLogger(__name__)

RAW_NAME: Final = "raw.safetensors"
SIZES: Final = {
    "paper": PUBLISHED,
    "tiny": VidmSizes(width=32, multipliers=(1, 2), attention=(2,), first_stage_widths=(32, 32, 32), codes=16),
}
_VALIDATED_AT_ONCE: Final = 8


def published_trainer() -> TrainerConfig:
    """The published loop: 4 processes of 48 images, constant 1e-6 per image, no clipping; its length is not published."""
    return TrainerConfig(
        steps=50000,
        batch_size=192,
        rate_per_image=1e-6,
        final_rate=1.0,
        warmup_steps=0,
        weight_decay=0.01,
        decay_vectors=True,
        clip_norm=0.0,
        ema_decay=0.9999,
        ema_warmup=10,
        checkpoint_interval_s=1800.0,
        precision="float32",
    )


@dataclass(frozen=True)
class VidmTrainConfig:
    """How the diffusion model is fine-tuned; the defaults are the published way."""

    trainer: TrainerConfig = field(default_factory=published_trainer)
    size: str = param("paper", "Of the model; tiny only tries out a run.", choices=tuple(SIZES), apply=Apply.READ_ONLY)
    image_size: int = param(IMAGE_SIZE, "Side of the samples.", unit="px", ge=32, le=1024, apply=Apply.READ_ONLY)
    join: str = param(
        "target",
        "How the layer that joins the frames begins: as a copy of the target frame, or at random as published.",
        choices=("target", "random"),
        apply=Apply.READ_ONLY,
    )
    corner_mask: bool = param(False, "Reduce masks to latent cells by one corner pixel, as published.", apply=Apply.READ_ONLY)
    checkpoint_attention: bool = param(True, "Compute attention again in the backward pass: slower, much less memory.")
    hand_free_repeats: int = param(
        8, "Times that hand-free windows are seen for each time that others are.", ge=1, apply=Apply.READ_ONLY
    )
    visor_spacing: int = param(36, "VISOR annotations from one frame of a window to the next.", ge=1, apply=Apply.READ_ONLY)
    ego4d_spacing: int = param(1, "Packed Ego4D frames from one frame of a window to the next.", ge=1, apply=Apply.READ_ONLY)
    clip_spacing: int = param(
        7, "Frames of a simulated clip from one frame of a window to the next.", ge=1, apply=Apply.READ_ONLY
    )
    free_form: float = param(0.5, "Share of samples with free-form holes beside the hands.", ge=0.0, le=1.0)
    same_free_form: float = param(0.25, "Share of these in which all frames have the same.", ge=0.0, le=1.0)
    validation_windows: int = param(64, "Held-out windows scored at every checkpoint.", ge=1, apply=Apply.LIVE)
    loader_threads: int = param(4, "Threads that read and decode samples.", ge=1, le=64, apply=Apply.LIVE)


class VidmTrainTask:
    """Learns from `data/train`, scores on `data/val`.

    Args:
        config: of the run.
        data: folder with `train` and `val`; see `WindowDataset` for what they hold.

    Raises:
        ConfigError: an image size that the model cannot take.
        SourceError: nothing to learn from.
    """

    def __init__(self, config: VidmTrainConfig, data: Path) -> None:
        self.config, self.sizes, self.data = config, SIZES[config.size], data
        if config.image_size % self.sizes.reduction:
            raise ConfigError(f"image_size is {config.image_size}; it must be a multiple of {self.sizes.reduction}")
        self.seed = config.trainer.seed
        self._has_start = False
        self._trained: nn.Module | None = None
        self._take(None)
        self._held_out = self._open("val", None)

    def _open(self, split: str, names: list[str] | None) -> WindowDataset:
        c = self.config
        windows = WindowConfig(self.sizes.frames, c.visor_spacing, c.ego4d_spacing, c.clip_spacing, c.hand_free_repeats)
        holes = HoleConfig(c.image_size, c.free_form, c.same_free_form)
        if split == "val":  # as many of each kind as there are
            windows = replace(windows, repeats=1)
        return WindowDataset(self.data / split, windows, holes, names, c.loader_threads)

    def _take(self, names: list[str] | None) -> None:
        self.dataset = self._open("train", names)
        self.sampler = EpochSampler(self.dataset, self.seed)

    def build_model(self) -> TrainedVidm:
        """Make the model with starting weights of the seed; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "weights"))
            c = self.config
            return TrainedVidm(self.sizes, checkpoint_attention=c.checkpoint_attention, corner_mask=c.corner_mask)

    def starting_tensors(self, tensors: Mapping[str, Tensor], info: WeightsInfo, path: Path) -> Mapping[str, Tensor]:
        """Begin with the single-frame model, which the four-frame one grows from, or go on from a four-frame one.

        Raises:
            WeightsError: another kind of weights, or of another size.
        """
        if info.kind not in (KIND, LDM_KIND) or info.version != VERSION:
            raise WeightsError(
                f"{path} holds '{info.kind}' weights, version {info.version}; begin with '{LDM_KIND}' or '{KIND}'"
            )
        wanted = replace(self.sizes, frames=1) if info.kind == LDM_KIND else self.sizes
        if VidmSizes.from_dict(info.config, path) != wanted:
            raise WeightsError(f"{path} holds a model of other sizes than '{self.config.size}'; choose another size or file")
        self._has_start = True
        if info.kind == KIND:
            return tensors
        begin = vidm_from_single_frame(tensors, self.sizes)
        if self.config.join == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derived_seed(self.seed, "join"))
                fresh = FrameJoin(self.sizes.width, self.sizes.frames).state_dict()
            begin |= {f"unet.join.{name}": value for name, value in fresh.items()}
        return begin

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`; samples, times and noise depend on the batch alone, not on how many processes share it.

        Raises:
            ConfigError: a published-size run from random weights, or processes that cannot share a batch evenly.
        """
        c = self.config.trainer
        if self.config.size == "paper" and not self._has_start:
            raise ConfigError(
                "a first stage of random weights cannot be fine-tuned; give --start FILE, see `ego weights import`"
            )
        if c.batch_size % workplace.world:
            raise ConfigError(f"batch_size is {c.batch_size} for {workplace.world} processes; use a multiple of these")
        self._trained = model.module if isinstance(model, DistributedDataParallel) else model
        share = slice(workplace.rank, None, workplace.world)
        batch = self.dataset.gather(self.sampler.next(c.batch_size)[share], self.seed, "sample", step)
        times, noise = self._diffusion(c.batch_size, self.seed, "noise", step)
        place = workplace.device
        batch, times, noise = batch.to(place), times[share].to(place), noise[share].to(place)
        return {"total": noise_loss(model(batch, times, noise), noise, batch.counts)}

    def _diffusion(self, count: int, *seed: int | str) -> tuple[Tensor, Tensor]:
        """Times, uniform over all steps, and noise for a batch."""
        generator, side = generator_for(*seed), self.config.image_size // CELL
        times = torch.randint(NUM_TIMES, (count,), generator=generator)
        return times, torch.randn(count, self.sizes.code_width, side, side, generator=generator)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        """Score the averaged weights; write them as `model.safetensors` and the raw ones as `raw.safetensors`."""
        scores = {"loss": self._held_out_loss(model)}
        self._write(out / WEIGHTS_NAME, model, "moving average", step, scores)
        if self._trained is not None:
            self._write(out / RAW_NAME, self._trained, "raw", step, {})
        return scores

    def _held_out_loss(self, model: nn.Module) -> float:
        """Of always the same windows, holes, times and noise."""
        device, total, count = next(model.parameters()).device, 0.0, 0
        for part, indices in enumerate(spread_batches(len(self._held_out), self.config.validation_windows, _VALIDATED_AT_ONCE)):
            batch = self._held_out.gather(indices, "validation").to(device)
            times, noise = (value.to(device) for value in self._diffusion(len(indices), "validation", part))
            total += len(indices) * float(noise_loss(model(batch, times, noise), noise, batch.counts))
            count += len(indices)
        return total / count

    def _write(self, path: Path, model: nn.Module, weights: str, step: int, scores: Mapping[str, float]) -> None:
        c = self.config.trainer
        training = {
            "parameters": to_dict(self.config),
            "weights": weights,
            "steps": step,
            "images": step * c.batch_size * c.accumulation,
            "videos": len(self.dataset.names),
        }
        metrics = {name: round(value, 5) for name, value in scores.items()}
        save_weights(path, model.state_dict(), WeightsInfo(KIND, VERSION, self.sizes.to_dict(), training, metrics))

    def state_dict(self) -> dict[str, Any]:
        """The videos, the position in the epoch, and whether the run began with given weights."""
        place = {"epoch": self.sampler.epoch, "position": self.sampler.position}
        return {"names": self.dataset.names, **place, "has_start": self._has_start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the same videos, and go to the position."""
        self._take(list(state["names"]))
        self.sampler.restore(state["epoch"], state["position"])
        self._has_start = bool(state["has_start"])
