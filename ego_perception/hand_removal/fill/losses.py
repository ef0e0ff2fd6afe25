"""What the fill network is trained for: right pixels in the hole, right structure, a gate that knows when memory lies, calm."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.fill.model import FillOutput

_OBSERVED, _UNOBSERVED = 1.0, 0.7
_SQUARES, _PAINTED, _STRUCTURE, _DETAIL, _GATE, _CALM = 1.0, 0.5, 0.5, 0.1, 0.1, 0.2
_GATE_SOFTNESS = 0.08  # difference of colour, of 0..2, at which the remembered and the painted pixel are about as good


def fill_losses(output: FillOutput, planes: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Compare with the truth inside the hole, and what nobody saw with the last output.

    Args:
        planes: (B, 14, H, W) the network's input; target: (B, 3, H, W) in -1..1.

    The picture before gating is held to the truth everywhere in the hole, so that it is good where the gate closes.
    """
    hole, unseen = planes[:, 7:8], planes[:, 8:9]
    weight = hole * (_OBSERVED * (1 - unseen) + _UNOBSERVED * unseen)
    pixels = _mean(_distance(output.filled - target), weight)
    painted = _mean(_distance(output.painted - target), weight)
    # Structure is compared in the whole picture with the truth outside the hole, so that seams count.
    picture = torch.lerp(target, output.filled, hole)
    structure = _mean(1 - ssim_map(grey(picture), grey(target)), hole)
    detail = sum((_mean(gradient_difference(picture, target, axis), hole) for axis in (2, 3)), torch.zeros(()))
    calm = _mean((output.filled - planes[:, 10:13]).abs(), hole * unseen * planes[:, 13:14])
    gate = _gate_loss(output, planes, target)
    total = pixels + _PAINTED * painted + _STRUCTURE * structure + _DETAIL * detail + _GATE * gate + _CALM * calm
    return {
        "pixels": pixels,
        "painted": painted,
        "structure": structure,
        "detail": detail,
        "gate": gate,
        "calm": calm,
        "total": total,
    }


def _distance(difference: Tensor) -> Tensor:
    """Absolute and squared: the first for sharpness, the second because signal to noise counts large errors."""
    return difference.abs() + _SQUARES * difference.square()


def _gate_loss(output: FillOutput, planes: Tensor, target: Tensor) -> Tensor:
    """The gate should be open where the remembered pixel is no worse than the painted one."""
    seen = planes[:, 7:8] * (planes[:, 6:7] > 0)
    with torch.no_grad():
        remembered_error = (planes[:, 3:6] - target).abs().mean(1, keepdim=True)
        painted_error = (output.painted - target).abs().mean(1, keepdim=True)
        wanted = torch.sigmoid((painted_error - remembered_error) / _GATE_SOFTNESS + 1)
    return _mean(functional.binary_cross_entropy(output.gate.clamp(1e-4, 1 - 1e-4), wanted, reduction="none"), seen)


def grey(picture: Tensor) -> Tensor:
    """Mean of the channels, (B, 1, H, W)."""
    return picture.mean(1, keepdim=True)


def ssim_map(a: Tensor, b: Tensor, radius: int = 3) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 2004) of (B, C, H, W) images in -1..1, box windows, (B, C, H, W)."""
    kernel, channels = 2 * radius + 1, a.shape[1]
    moments = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    mean = functional.avg_pool2d(moments, kernel, 1, radius, count_include_pad=False).split(channels, dim=1)
    mu_a, mu_b = mean[0], mean[1]
    var_a, var_b, cov = mean[2] - mu_a * mu_a, mean[3] - mu_b * mu_b, mean[4] - mu_a * mu_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a * mu_a + mu_b * mu_b + c1) * (var_a + var_b + c2))


def gradient_difference(a: Tensor, b: Tensor, axis: int) -> Tensor:
    """Absolute difference of the images' first differences along an axis, padded to the same shape."""
    difference = (torch.diff(a, dim=axis) - torch.diff(b, dim=axis)).abs()
    return functional.pad(difference, (0, 1, 0, 0) if axis == 3 else (0, 0, 0, 1))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.expand_as(values).sum() + 1e-6)
