"""Training images put together anew: hands moved with their picture, or laid over another one that shows none.

An arm enters the picture at its border, always. So hands are enlarged and turned about the place where they cross it
(Ghiasi et al., "Simple copy-paste is a strong data augmentation method", CVPR 2021, made to suit a wearer's hands).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.segmentation.sizes import MIRRORED, HandClass

_OWN_SHARE: Final = 0.55  # pictures as they are, moved
_PASTED_SHARE: Final = 0.33  # hands laid over another picture; the rest shows no hands of the wearer
_FOREIGN_SHARE: Final = 0.33  # of the rest: somebody else's hands reach in from above
_ZOOM: Final = (0.28, 1.05)  # part of a moved picture that is seen: real hands often fill far more than the simulator's
_SCALE: Final = (0.6, 5.0)  # of pasted hands
_COVERED: Final = (0.02, 0.6)  # share of the picture that pasted hands cover
_LEAST_COVERED: Final = 0.004  # share from which hands are worth pasting
_CROPPED: Final = (0.75, 1.0)  # part of a picture left as it is that is seen
_ROLL_RAD: Final = math.radians(20)
_HAND_ROLL_RAD: Final = math.radians(50)  # of pasted hands: the simulator's wearer reaches from few directions
_STRETCH: Final = math.log(1.35)  # of pasted hands, along one side of the image at the cost of the other


class Layout(NamedTuple):
    """What becomes of each image of a batch, (B,) bool: its own picture stays, or none of the hands are the wearer's."""

    is_own: Tensor
    is_bare: Tensor
    is_foreign: Tensor


def draw_layout(count: int, generator: torch.Generator) -> Layout:
    """Choose for each image."""
    lot = torch.rand(count, generator=generator)
    is_own = lot < _OWN_SHARE
    is_bare = lot >= _OWN_SHARE + _PASTED_SHARE
    return Layout(is_own, is_bare, is_bare & (lot >= 1 - _FOREIGN_SHARE * (1 - _OWN_SHARE - _PASTED_SHARE)))


class Composed(NamedTuple):
    """New pictures (B, 3, H, W), what hands they show (B, H, W) int64, and where these are not the wearer's, (B,) bool."""

    images: Tensor
    labels: Tensor
    is_bare: Tensor


def compose(images: Tensor, labels: Tensor, backgrounds: Tensor, generator: torch.Generator) -> Composed:
    """Make new pictures of old ones.

    Args:
        images: (B, 3, H, W) in 0..1.
        labels: (B, H, W) int64 `HandClass`.
        backgrounds: (B, 3, H, W) pictures without the wearer's hands.
    """
    device, aspect = images.device, images.shape[3] / images.shape[2]
    layout = Layout(*(flags.to(device) for flags in draw_layout(len(images), generator)))
    donors = donors_of(labels, layout.is_own, generator)
    images, labels = images[donors], labels[donors]
    own, anchored = whole_moves(labels, aspect, generator), hand_moves(labels, aspect, layout.is_foreign, generator)
    mirrored = torch.where(layout.is_own, own.mirrored.to(device), anchored.mirrored.to(device))
    matrix = torch.where(layout.is_own[:, None, None], own.matrix.to(device), anchored.matrix.to(device))
    front, front_labels = warp(images, labels, matrix, mirrored)
    behind, _ = warp(backgrounds, None, whole_moves(torch.zeros_like(labels), aspect, generator).matrix.to(device), mirrored)
    shown = front_labels * (~layout.is_bare | layout.is_foreign)[:, None, None]
    alpha = functional.avg_pool2d((shown != HandClass.NONE).float()[:, None], 3, 1, 1, count_include_pad=False)
    alpha = torch.where(layout.is_own[:, None, None, None], 1.0, alpha)
    return Composed(torch.lerp(behind, front, alpha), shown, layout.is_bare)


def donors_of(labels: Tensor, is_own: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) whose hands each image gets: its own, or, where these are too few to paste, those of a random other one."""
    rows = torch.arange(len(labels), device=labels.device)
    worth = rows[_covered(labels) >= _LEAST_COVERED]
    if len(worth) == 0:
        return rows
    others = worth[torch.randint(len(worth), (len(labels),), generator=generator).to(labels.device)]
    return torch.where(is_own | torch.isin(rows, worth), rows, others)


class Moves(NamedTuple):
    """Where the pixels of each image come from: (B, 2, 3) as `affine_grid` takes it, and which images are mirrored, (B,)."""

    matrix: Tensor
    mirrored: Tensor


def whole_moves(labels: Tensor, aspect: float, generator: torch.Generator) -> Moves:
    """Zoom into a part of the picture, most often where the hands are, roll it, mirror it."""
    count = len(labels)
    mirrored = torch.rand(count, generator=generator) < 0.5
    is_zoomed = torch.rand(count, generator=generator) < 0.75
    low, high = (math.log(zoom) for zoom in _ZOOM)
    zoom = torch.where(is_zoomed, _uniform(low, high, count, generator).exp(), torch.ones(count))
    linear = _linear(zoom, _uniform(-_ROLL_RAD, _ROLL_RAD, count, generator), mirrored, aspect)
    slack = (1 - zoom).clamp(min=0)[:, None]
    anywhere = slack * (2 * torch.rand(count, 2, generator=generator) - 1)
    near = (hand_middle(labels).cpu() + 0.3 * torch.randn(count, 2, generator=generator)).clamp(-slack, slack)
    shift = torch.where(
        (_covered(labels).cpu() > 0)[:, None] & (torch.rand(count, 1, generator=generator) < 0.8), near, anywhere
    )
    return Moves(torch.cat([linear, shift[:, :, None]], dim=2), mirrored)


def crops(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Show most of each picture, half of them mirrored, and nothing else changed; the same shapes as `compose`."""
    count, aspect = len(images), images.shape[3] / images.shape[2]
    zoom, mirrored = _uniform(*_CROPPED, count, generator), torch.rand(count, generator=generator) < 0.5
    shift = (1 - zoom)[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
    matrix = torch.cat([_linear(zoom, torch.zeros(count), mirrored, aspect), shift[:, :, None]], dim=2)
    return warp(images, labels, matrix.to(images.device), mirrored.to(images.device))


def hand_middle(labels: Tensor) -> Tensor:
    """(B, 2) middle of hands and arms, x and y in -1..1; 0 where there are none."""
    mask = (labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)
    return torch.stack([_weighted_middle(mask.sum(1)), _weighted_middle(mask.sum(2))], 1)


def hand_moves(labels: Tensor, aspect: float, upside_down: Tensor, generator: torch.Generator) -> Moves:
    """Enlarge and turn hands about the place where one of them crosses the border, and slide them along it.

    Args:
        labels: (B, H, W).
        aspect: width of the image by its height.
        upside_down: (B,) bool, hands that shall come from the opposite border.
    """
    count, device = len(labels), labels.device
    mirrored = torch.rand(count, generator=generator) < 0.5
    side = torch.where(torch.rand(count, generator=generator) < 0.5, HandClass.LEFT_HAND, HandClass.RIGHT_HAND).to(device)
    anchor = border_crossing(labels, side)
    low, high = (math.log(share) for share in _COVERED)
    wanted = _uniform(low, high, count, generator).exp()
    scale = (wanted / _covered(labels).cpu().clamp(min=1e-4)).sqrt().clamp(*_SCALE)
    roll = _uniform(-_HAND_ROLL_RAD, _HAND_ROLL_RAD, count, generator)
    stretch = _uniform(-_STRETCH, _STRETCH, count, generator).exp()
    linear = _linear(1 / scale, roll, mirrored, aspect, stretch).to(device)
    linear = torch.where(upside_down[:, None, None], linear * linear.new_tensor([1.0, -1.0]), linear)
    sign = torch.stack([torch.where(mirrored, -1.0, 1.0).to(device), torch.where(upside_down, -1.0, 1.0)], 1)
    along = torch.stack([(anchor[:, 1].abs() == 1).float(), (anchor[:, 0].abs() == 1).float()], 1)
    slide = along * (torch.rand(count, 2, generator=generator) - 0.5).to(device)
    target = (anchor * sign + slide).clamp(-1, 1)
    shift = anchor - (linear @ target[:, :, None])[:, :, 0]
    return Moves(torch.cat([linear, shift[:, :, None]], dim=2), mirrored)


def border_crossing(labels: Tensor, side: Tensor) -> Tensor:
    """Find where hand or arm of a side (else of the other) meets the bottom, left or right border.

    Args:
        labels: (B, H, W).
        side: (B,) `LEFT_HAND` or `RIGHT_HAND`.

    Returns:
        (B, 2) x and y in -1..1; the middle of the bottom where none meets a border.
    """
    chosen = (labels == side[:, None, None]) | (labels == side[:, None, None] + 2)
    either = (labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)
    mask = torch.where(_border(chosen).any(1)[:, None, None], chosen, either)
    anchor = torch.stack([torch.zeros(len(labels)), torch.ones(len(labels))], 1).to(labels.device)
    for column, border in ((-1, 1.0), (0, -1.0)):
        y, is_met = _middle(mask[:, :, column])
        anchor = torch.where(is_met[:, None], torch.stack([torch.full_like(y, border), y], 1), anchor)
    x, is_met = _middle(mask[:, -1])
    return torch.where(is_met[:, None], torch.stack([x, torch.ones_like(x)], 1), anchor)


def _covered(labels: Tensor) -> Tensor:
    return ((labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)).float().mean((1, 2))


def _border(mask: Tensor) -> Tensor:
    return torch.cat([mask[:, -1], mask[:, :, 0], mask[:, :, -1]], dim=1)


def _middle(line: Tensor) -> tuple[Tensor, Tensor]:
    """Mean place, in -1..1, of what is set in (B, N), and whether anything is."""
    return _weighted_middle(line), line.any(1)


def _weighted_middle(weights: Tensor) -> Tensor:
    places = torch.linspace(-1, 1, weights.shape[1], device=weights.device)
    return (weights * places).sum(1) / weights.sum(1).clamp(min=1)


def _linear(zoom: Tensor, roll: Tensor, mirrored: Tensor, aspect: float, stretch: Tensor | float = 1.0) -> Tensor:
    """(B, 2, 2) from places in the new image to places in the old one."""
    across, down = torch.where(mirrored, -1.0, 1.0) * zoom * stretch, zoom / stretch
    rows = [
        torch.stack([across * roll.cos(), -down * roll.sin() / aspect], 1),
        torch.stack([across * roll.sin() * aspect, down * roll.cos()], 1),
    ]
    return torch.stack(rows, 1)


def warp(images: Tensor, labels: Tensor | None, matrix: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
    """Move images and labels; sides change places in a mirrored image; what lies outside goes on like the border."""
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    if labels is None:
        return moved, torch.zeros(0)
    values = labels[:, None].to(images.dtype)
    picked = functional.grid_sample(values, grid, mode="nearest", padding_mode="border", align_corners=False)[:, 0].long()
    swapped = torch.tensor(MIRRORED, device=labels.device)[picked]
    return moved, torch.where(mirrored[:, None, None], swapped, picked)


def _uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)
