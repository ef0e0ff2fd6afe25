"""Random changes of how images look, so that a network does not learn the looks of a simulator by heart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def change_look(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change colours, contrast, shading, sharpness and noise at random.

    Args:
        images: (B, 3, H, W) in 0..1.
        generator: on the CPU, wherever the images are, so that every device sees the same changes.
    """
    count, size, device = len(images), images.shape[-2:], images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *(shape or (1, 1, 1)), generator=generator).to(device)

    def chance(share: float) -> Tensor:
        return (torch.rand(count, 1, 1, 1, generator=generator) < share).float().to(device)

    def smooth(low: float, high: float, channels: int) -> Tensor:
        return functional.interpolate(uniform(low, high, channels, 3, 4), size, mode="bicubic", align_corners=False)

    if float(torch.rand(1, generator=generator)) < 0.25:
        images = images[:, torch.randperm(3, generator=generator)]
    images = (images + 1e-3) ** uniform(0.6, 1.6)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.0, 1.4)
    images = images * uniform(0.75, 1.3, 3, 1, 1) * smooth(0.7, 1.3, 1)
    images = images + smooth(0.0, 0.25, 3) * uniform(0.0, 1.0)
    blurred = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = torch.lerp(images, blurred, uniform(0.0, 1.0) * chance(0.5))
    if float(torch.rand(1, generator=generator)) < 0.2:  # a cheap lens or a small picture enlarged
        small = functional.avg_pool2d(images, 2)
        images = torch.lerp(images, functional.interpolate(small, size, mode="bilinear", align_corners=False), chance(0.6))
    noise = torch.randn(images.shape, generator=generator).to(device) * uniform(0.0, 0.25).square()
    return (images + noise).clamp(0.0, 1.2)
