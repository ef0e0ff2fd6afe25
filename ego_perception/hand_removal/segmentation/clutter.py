"""Training images with foreign things in them: pieces of other pictures around the hands, prints on sleeves, grain on skin.

The simulator's rooms are tidy and few. Pieces that belong nowhere keep a network from learning rooms instead of hands
(Tobin et al., "Domain randomization for transferring deep neural networks", IROS 2017).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.segmentation.sizes import HandClass

_CLUTTERED_SHARE: Final = 0.4  # of the images
_COVERED: Final = (0.08, 0.45)  # share of such an image that foreign pieces cover
_ANGULAR_SHARE: Final = 0.5  # of the cluttered images; the others have round pieces
_ZOOM: Final = (0.15, 1.0)  # part of another picture that is seen in pieces and prints
_GRAIN: Final = ((9, 12, 0.10), (48, 64, 0.05))  # rows, columns and strength of what makes skin uneven


def scatter(images: Tensor, labels: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Lay pieces of other pictures over some images, everywhere but on hands, arms and what they hold.

    Args:
        images: (B, 3, H, W) in 0..1.
        labels: (B, H, W) `HandClass`.
        others: (B, 3, H, W) pictures without the wearer's hands.
    """
    count, height, width = labels.shape
    chosen = torch.rand(count, 1, 1, 1, generator=generator) < _CLUTTERED_SHARE
    pieces = _pieces(count, (height, width), generator) & chosen & (labels == HandClass.NONE).cpu()[:, None]
    alpha = functional.avg_pool2d(pieces.float(), 3, 1, 1, count_include_pad=False).to(images.device)
    # At the outline of a hand the hand stays as it was: the mean over neighbours would bleed into it.
    alpha = alpha * (labels == HandClass.NONE)[:, None]
    return torch.lerp(images, zoomed(others, generator), alpha)


def zoomed(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Part of each picture, turned any way, as large as the whole."""
    count, aspect = len(pictures), pictures.shape[3] / pictures.shape[2]
    low, high = (math.log(zoom) for zoom in _ZOOM)
    zoom = (low + (high - low) * torch.rand(count, generator=generator)).exp()
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    shift = (1 - zoom)[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
    across = torch.stack([zoom * angle.cos(), -zoom * angle.sin() / aspect, shift[:, 0]], 1)
    down = torch.stack([zoom * angle.sin() * aspect, zoom * angle.cos(), shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([across, down], 1), list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid.to(pictures.device), padding_mode="reflection", align_corners=False)


def grain(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, 1, H, W) factors around 1, coarse and fine: skin is no smooth plastic."""
    factor = torch.ones(count, 1, *size)
    for rows, columns, strength in _GRAIN:
        noise = functional.interpolate(torch.randn(count, 1, rows, columns, generator=generator), size, mode="bilinear")
        factor += strength * torch.rand(count, 1, 1, 1, generator=generator) * noise
    return factor.clamp(0.4, 1.6)


def _pieces(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, 1, H, W) bool, random parts of the image: hills of a noise, or cells of a skewed board."""
    coarse = torch.rand(count, 1, 5, 7, generator=generator)
    hills = functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    skew = torch.eye(2)[None] + 0.35 * torch.randn(count, 2, 2, generator=generator)
    grid = functional.affine_grid(torch.cat([skew, torch.zeros(count, 2, 1)], 2), [count, 1, *size], align_corners=False)
    board = functional.grid_sample(coarse, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    heights = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < _ANGULAR_SHARE, board, hills)
    covered = _COVERED[0] + (_COVERED[1] - _COVERED[0]) * torch.rand(count, generator=generator)
    limits = [torch.quantile(one[0, ::4, ::4], 1 - float(share)) for one, share in zip(heights, covered, strict=True)]
    return heights > torch.stack(limits)[:, None, None, None]
