"""Parameters of the training loop, common to all tasks."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ego_perception.parameters import Apply, param


class Precision(enum.Enum):
    """Arithmetic of the forward pass."""

    AUTO = "auto"  # bfloat16 on CUDA, float32 on CPU
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how fast and how carefully to train."""

    steps: int = param(16000, "Number of optimiser steps.", ge=1, apply=Apply.READ_ONLY)
    batch_size: int = param(16, "Images per batch, over all processes.", ge=1, apply=Apply.READ_ONLY)
    accumulation: int = param(1, "Batches whose gradients are averaged for one step.", ge=1, apply=Apply.READ_ONLY)
    learning_rate: float = param(2e-3, "Peak learning rate of AdamW.", ge=0.0, apply=Apply.READ_ONLY)
    rate_per_image: float = param(
        0.0, "Peak learning rate for each image of a step; replaces `learning_rate` where it is not 0.", ge=0.0
    )
    final_rate: float = param(0.01, "Learning rate at the last step, as a share of the peak.", ge=0.0, le=1.0)
    warmup_steps: int = param(200, "Steps over which the learning rate rises linearly from zero.", ge=0)
    weight_decay: float = param(0.02, "Decoupled weight decay of matrices and kernels.", ge=0.0)
    decay_vectors: bool = param(False, "Decay norms and biases as well.")
    clip_norm: float = param(1.0, "Largest norm of the whole gradient; 0 sets no limit.", ge=0.0)
    ema_decay: float = param(0.999, "Decay per step of the averaged weights that are evaluated and shipped.", ge=0.0, le=1.0)
    ema_warmup: int = param(20, "The decay of step n is at most (n + 1) / (n + this).", ge=1)
    checkpoint_interval_s: float = param(120.0, "Time between checkpoints.", unit="s", ge=0.0, apply=Apply.LIVE)
    log_interval: int = param(100, "Steps between progress lines.", ge=1, apply=Apply.LIVE)
    precision: str = param("auto", "Arithmetic of the forward pass.", choices=tuple(p.value for p in Precision))
    num_threads: int = param(0, "CPU threads of torch; 0 keeps its own choice.", ge=0, apply=Apply.LIVE)
    seed: int = param(0, "Seed of weights, order of samples and augmentation.", ge=0, apply=Apply.READ_ONLY)

    @property
    def peak_rate(self) -> float:
        """Learning rate after the warm-up."""
        return self.rate_per_image * self.batch_size * self.accumulation or self.learning_rate
