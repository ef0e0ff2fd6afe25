"""Learning rate over the run, weight decay by parameter, and averaging of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ego_perception.engine.config import TrainerConfig


def learning_rate(step: int, config: TrainerConfig) -> float:
    """Linear warm-up, then half a cosine down to `final_rate` of the peak at the last step."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    progress = min(1.0, step / max(1, config.steps - 1))
    cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.peak_rate * warm * (config.final_rate + (1.0 - config.final_rate) * cosine)


def make_optimizer(model: nn.Module, config: TrainerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, ICLR 2019) that decays matrices and kernels, and norms and biases only where asked to."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1 or config.decay_vectors]
    others = [p for p in trained if p.ndim <= 1 and not config.decay_vectors]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.peak_rate, fused=True)


class WeightAverage:
    """Exponential moving average of everything in a state dict; counters and flags are copied."""

    def __init__(self, state: dict[str, Tensor], decay: float, warmup: int = 20) -> None:
        self.decay, self.warmup = decay, warmup
        self.state = {name: value.detach().clone() for name, value in state.items()}

    @torch.no_grad()
    def update(self, state: dict[str, Tensor], step: int) -> None:
        """Move towards `state`; early steps average over a shorter past, so that the random start is forgotten."""
        decay = min(self.decay, (step + 1) / (step + self.warmup))
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[n] for n in floats], [state[n].detach() for n in floats], 1.0 - decay)
        for name, value in state.items():
            if not value.is_floating_point():
                self.state[name].copy_(value)
