"""What the fill network is trained for: right pixels in the hole, right structure, and a gate that knows when memory lies."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.fill.model import FillOutput

_OBSERVED, _UNOBSERVED = 1.0, 0.7
_STRUCTURE, _DETAIL, _PAINTED, _GATE = 0.3, 0.1, 0.5, 0.1
_GATE_SOFTNESS = 0.08  # difference of colour, of 0..2, at which the remembered and the painted pixel are about as good


def fill_losses(output: FillOutput, planes: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Compare with the truth inside the hole.

    Args:
        planes: (B, 14, H, W) the network's input; target: (B, 3, H, W) in -1..1.

    The picture before gating is held to the truth everywhere in the hole, so that it is good where the gate closes.
    """
    hole, unseen = planes[:, 7:8], planes[:, 8:9]
    weight = hole * (_OBSERVED * (1 - unseen) + _UNOBSERVED * unseen)
    pixels = _mean((output.filled - target).abs(), weight)
    painted = _mean((output.painted - target).abs(), weight)
    # Structure is compared in the whole picture with the truth outside the hole, so that seams count.
    picture = torch.lerp(target, output.filled, hole)
    structure = _mean(1 - ssim_map(picture, target), functional.max_pool2d(hole, 11, 1, 5))
    detail = sum((_mean(gradient_difference(picture, target, axis), hole) for axis in (2, 3)), torch.zeros(()))
    seen = hole * (planes[:, 6:7] > 0)
    remembered_error = (planes[:, 3:6] - target).abs().mean(1, keepdim=True)
    painted_error = (output.painted.detach() - target).abs().mean(1, keepdim=True)
    wanted = torch.sigmoid((painted_error - remembered_error) / _GATE_SOFTNESS + 1)
    gate = _mean(functional.binary_cross_entropy(output.gate.clamp(1e-4, 1 - 1e-4), wanted, reduction="none"), seen)
    total = pixels + _PAINTED * painted + _STRUCTURE * structure + _DETAIL * detail + _GATE * gate
    return {"pixels": pixels, "painted": painted, "structure": structure, "detail": detail, "gate": gate, "total": total}


def ssim_map(a: Tensor, b: Tensor, radius: int = 3) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 2004) of (B, C, H, W) images in -1..1, box windows, (B, C, H, W)."""
    kernel = 2 * radius + 1

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, kernel, 1, radius, count_include_pad=False)

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a * mu_a, mean(b * b) - mu_b * mu_b, mean(a * b) - mu_a * mu_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a * mu_a + mu_b * mu_b + c1) * (var_a + var_b + c2))


def gradient_difference(a: Tensor, b: Tensor, axis: int) -> Tensor:
    """Absolute difference of the images' first differences along an axis, padded to the same shape."""
    difference = (torch.diff(a, dim=axis) - torch.diff(b, dim=axis)).abs()
    return functional.pad(difference, (0, 1, 0, 0) if axis == 3 else (0, 0, 0, 1))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.expand_as(values).sum() + 1e-6)
