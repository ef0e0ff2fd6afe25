"""Joins what is remembered, what is painted and what was painted before, so that no borders show between them.

All of it is a matter of few pixels: the painted picture is drawn towards the memory beside it, the memory gives way over some
pixels to where nothing is remembered, and what was made up before stays only where it still fits.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_SEAM_PX: Final = 1.5  # of the network's picture, standard deviation: as far as a difference at a border is continued
_FULL_SHARE: Final = 0.25  # of the neighbourhood that is known; from there on the whole difference is made up for
_LEAST: Final = 1e-3
_SOFT_PX: Final = 3  # side of the square whose known pixels say how much is remembered around one
_ALIKE: Final = 20.0  # grey levels by which old and new may differ to be mixed half as much as if they were equal
_ALIKE_PX: Final = 9  # side of the square in which they are compared
_LEVELS: Final = np.arange(256, dtype=np.float32)
_SOFTNESS: Final = np.clip(2 * _LEVELS / 255 - 1, 0, 1)
_ALIKENESS: Final = np.asarray(1 / (1 + (_LEVELS / np.float32(_ALIKE)) ** 2), np.float32)


def seamless(painted: Array, remembered: Array, say: Array) -> Array:
    """Draw a painted picture towards the memory where they meet: their difference, continued over a few pixels.

    Args:
        painted: (3, h, w) as the network gives it.
        remembered: (3, h, w) what is known in the same unit; only where `say` is above 0.
        say: (h, w) in 0..1, how far that can be trusted.

    Returns:
        (h, w, 3), the picture with colours last.
    """
    share = _spread(np.ascontiguousarray(say, np.float32))
    weight = np.minimum(share / np.float32(_FULL_SHARE), 1) / np.maximum(share, np.float32(_LEAST))
    planes = zip(painted, (remembered - painted) * say, strict=True)
    return np.asarray(cv2.merge([plane + _spread(missing) * weight for plane, missing in planes]), np.float32)


def _spread(plane: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _SEAM_PX), np.float32)


def softness(known: Mask) -> Array:
    """(H, W) in 0..1: 1 where all pixels around one are known, falling towards those that are not; 0 at lone pixels."""
    share = cv2.blur(known.view(np.uint8) * np.uint8(255), (_SOFT_PX, _SOFT_PX))
    return np.asarray(cv2.LUT(share, _SOFTNESS), np.float32)


def calmed(part: Image, last: Image, persistence: float) -> Image:
    """Mix what was made up before into what is made up now, (H, W, 3) each, the less the more they differ around a pixel.

    Noise and small changes are calmed so; where the old picture was carried to the wrong place it lets go at once.
    """
    red, green, blue = cv2.split(cv2.blur(cv2.absdiff(part, last), (_ALIKE_PX, _ALIKE_PX)))
    old = cv2.LUT(cv2.max(cv2.max(red, green), blue), np.float32(persistence) * _ALIKENESS)
    return np.asarray(cv2.blendLinear(last, part, old, 1 - old), np.uint8)
