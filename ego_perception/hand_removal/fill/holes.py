"""Holes for training that are laid over pictures without hands: real hands' of another time and size, and strokes."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.vidm.free_form import free_form_mask

Mask = NDArray[np.bool_]

_FREE_FORM_SHARE: Final = 0.2
_SCALE: Final = (0.8, 2.5)
_SHIFT: Final = 0.25  # of the image's side, along the border the hands come from
_LARGEST: Final = 0.4  # of the image; hands that come close to the camera cover about a quarter
_DRIFT_PX: Final = 2.0  # per frame, of a free-form hole


def foreign_holes(holes: list[Mask], rng: np.random.Generator) -> list[Mask]:
    """Make a sequence of holes as long as the given one.

    Args:
        holes: (H, W) each, of the hands of a clip.

    Returns:
        Mostly those holes played backwards, scaled about the place where the hands enter the image, moved along that border and
        mirrored; else a free-form hole that drifts.
    """
    if rng.random() < _FREE_FORM_SHARE:
        return _drifting(holes, rng)
    total = np.sum([hole.astype(np.int32) for hole in holes], axis=0)
    largest = max(float(hole.mean()) for hole in holes)
    scale = math.exp(rng.uniform(math.log(_SCALE[0]), math.log(_SCALE[1])))
    scale = min(scale, max(_SCALE[0], math.sqrt(_LARGEST / max(largest, 1e-6))))
    matrix = _about_the_entry(total, scale, float(rng.uniform(-_SHIFT, _SHIFT)))
    is_mirrored = rng.random() < 0.5
    moved = [_warped(hole, matrix) for hole in reversed(holes)]
    return [np.ascontiguousarray(hole[:, ::-1]) for hole in moved] if is_mirrored else moved


def _about_the_entry(total: NDArray[np.int32], scale: float, shift: float) -> NDArray[np.float64]:
    """Affine map (2, 3) that scales about where most of a sum of holes meets the border, and moves along that border."""
    height, width = total.shape
    sides = {"bottom": total[-1], "top": total[0], "left": total[:, 0], "right": total[:, -1]}
    side = max(sides, key=lambda name: int(sides[name].sum()))
    along = float(np.average(np.arange(len(sides[side])), weights=sides[side] + 1e-9))
    if side in ("bottom", "top"):
        x, y, move = along, (height - 1.0) * (side == "bottom"), (shift * width, 0.0)
    else:
        x, y, move = (width - 1.0) * (side == "right"), along, (0.0, shift * height)
    return np.array([[scale, 0, x - scale * x + move[0]], [0, scale, y - scale * y + move[1]]])


def _warped(hole: Mask, matrix: NDArray[np.float64]) -> Mask:
    height, width = hole.shape
    moved = cv2.warpAffine(hole.astype(np.uint8) * 255, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(moved > 127)


def _drifting(holes: list[Mask], rng: np.random.Generator) -> list[Mask]:
    height, width = holes[0].shape
    while (mask := free_form_mask(rng, height, width)).mean() > _LARGEST:
        pass
    velocity = rng.uniform(-_DRIFT_PX, _DRIFT_PX, 2)
    middle = (len(holes) - 1) / 2
    steps = [velocity * (k - middle) for k in range(len(holes))]
    return [_warped(mask, np.array([[1, 0, dx], [0, 1, dy]], np.float64)) for dx, dy in steps]
