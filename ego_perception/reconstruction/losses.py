"""Losses of the depth network; pure functions on tensors."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from ego_perception.reconstruction.model import DepthOutput

VARIANCE_FOCUS: Final = 0.85  # lambda of the scale-invariant error: how much of a global offset is forgiven
GRADIENT_STEPS: Final = (1, 2, 4, 8)
GRADIENT_WEIGHT: Final = 0.25
DEPTH_SCALE_WEIGHT: Final = 0.1
FOCAL_WEIGHT: Final = 0.3


def scale_invariant_log_error(error: Tensor) -> Tensor:
    """Root of the mean square minus lambda times the squared mean, averaged over images.

    Eigen et al., "Depth map prediction from a single image", NeurIPS 2014, eq. 4, with the root of AdaBins (CVPR 2021, eq. 4).

    Args:
        error: (B, H, W) predicted minus true log depth.
    """
    variance: Tensor = error.square().mean((1, 2)) - VARIANCE_FOCUS * error.mean((1, 2)).square()
    return (variance + 1e-6).sqrt().mean()


def gradient_error(error: Tensor) -> Tensor:
    """Mean absolute difference of the error between pixels 1, 2, 4 and 8 apart (MegaDepth, CVPR 2018, eq. 4), summed.

    Args:
        error: (B, H, W) predicted minus true log depth.
    """
    total = error.new_zeros(())
    for step in GRADIENT_STEPS:
        across = (error[:, :, step:] - error[:, :, :-step]).abs().mean()
        down = (error[:, step:] - error[:, :-step]).abs().mean()
        total = total + across + down
    return total


def laplace_nll(error: Tensor, log_scale: Tensor) -> Tensor:
    """Mean negative log likelihood of errors under zero-mean Laplace distributions, without its constant log 2."""
    return (error.abs() * (-log_scale).exp() + log_scale).mean()


def depth_losses(output: DepthOutput, log_depth: Tensor, log_focal: Tensor) -> dict[str, Tensor]:
    """All terms by name; "total" is their weighted sum.

    The scale heads learn from detached errors: a likelihood that also moved the depth would neglect whatever is hard.

    Args:
        log_depth: (B, h, w) true canonical log depth at the output's size.
        log_focal: (B,) true logarithm of the focal ratio.
    """
    error = output.log_depth - log_depth
    focal_error = output.log_focal - log_focal
    terms = {
        "silog": scale_invariant_log_error(error),
        "gradient": gradient_error(error),
        "depth_nll": laplace_nll(error.detach(), output.log_depth_scale),
        "focal": focal_error.abs().mean(),
        "focal_nll": laplace_nll(focal_error.detach(), output.log_focal_scale),
    }
    weights = {
        "gradient": GRADIENT_WEIGHT,
        "depth_nll": DEPTH_SCALE_WEIGHT,
        "focal": FOCAL_WEIGHT,
        "focal_nll": DEPTH_SCALE_WEIGHT,
    }
    total = torch.stack([weights.get(name, 1.0) * value for name, value in terms.items()]).sum()
    return {"total": total, **terms}
