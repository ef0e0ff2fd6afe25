"""Free-form holes for training, beside hand-shaped ones: brush strokes and boxes.

The distributions are LaMa's (Suvorov et al., WACV 2022, appendix) with the amounts that VIDM trained with at 256 pixels.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_STROKES_SHARE: Final = 1.0 / 1.3  # of draws; the rest are boxes
_STROKES: Final = (4, 6)
_SEGMENTS: Final = (1, 5)  # of a stroke
_ANGLES: Final = 4  # 0.01, 1.01, ... radians
_LENGTH_PX: Final = (10, 109)
_BRUSH_PX: Final = (5, 54)
_BOXES: Final = (1, 5)
_BOX_PX: Final = (10, 50)


def free_form_mask(rng: np.random.Generator, height: int = 256, width: int = 256) -> NDArray[np.bool_]:
    """Draw one mask (height, width): either strokes or boxes."""
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < _STROKES_SHARE:
        for index in range(_between(rng, _STROKES)):
            _stroke(mask, rng, is_mirrored=index % 2 == 0)
    else:
        for _ in range(_between(rng, _BOXES)):
            _box(mask, rng)
    return mask > 0


def _stroke(mask: NDArray[np.uint8], rng: np.random.Generator, *, is_mirrored: bool) -> None:
    height, width = mask.shape
    x, y = int(rng.integers(width)), int(rng.integers(height))
    for _ in range(_between(rng, _SEGMENTS)):
        angle = 0.01 + int(rng.integers(_ANGLES))
        angle = 2 * math.pi - angle if is_mirrored else angle
        length, brush = _between(rng, _LENGTH_PX), _between(rng, _BRUSH_PX)
        next_x = min(max(int(x + length * math.sin(angle)), 0), width)
        next_y = min(max(int(y + length * math.cos(angle)), 0), height)
        cv2.line(mask, (x, y), (next_x, next_y), 1, brush)
        x, y = next_x, next_y


def _box(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = mask.shape
    box_width, box_height = min(_between(rng, _BOX_PX), width), min(_between(rng, _BOX_PX), height)
    left, top = int(rng.integers(width - box_width + 1)), int(rng.integers(height - box_height + 1))
    mask[top : top + box_height, left : left + box_width] = 1


def _between(rng: np.random.Generator, limits: tuple[int, int]) -> int:
    return int(rng.integers(limits[0], limits[1] + 1))
