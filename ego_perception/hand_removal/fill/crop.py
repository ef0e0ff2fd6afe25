"""The window around a hole in which the fill network works, and its input planes; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.plate import Background
from ego_perception.hand_removal.fill.sizes import AGE_SCALE_S, STRIDE

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

AnyT = TypeVar("AnyT", bound=np.generic)

_SURROUND: Final = 0.3  # of the hole's size, on each side
_MIN_SIDE: Final = 96


@dataclass(frozen=True)
class Window:
    """A part of an image, pixels, and the size (width, height) at which the network sees it."""

    x: int
    y: int
    width: int
    height: int
    size: tuple[int, int]

    def cut(self, image: NDArray[AnyT]) -> NDArray[AnyT]:
        """A view of the window in an image."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def take(self, image: NDArray[np.generic]) -> Array:
        """Cut the window out of an image and bring it to the network's size by averaging, float32."""
        part = np.asarray(self.cut(image), np.float32)
        return np.asarray(cv2.resize(part, self.size, interpolation=cv2.INTER_AREA), np.float32)

    def average(self, image: Image, valid: Mask) -> tuple[Array, Array]:
        """The same over valid pixels only: the image (h, w, 3) and the share of valid pixels (h, w)."""
        part, share = self.cut(image) * self.cut(valid)[..., None], self.take(valid)
        total = np.asarray(cv2.resize(part.astype(np.float32), self.size, interpolation=cv2.INTER_AREA), np.float32)
        return np.asarray(total / np.maximum(share, 1e-3)[..., None], np.float32), share


def window_around(hole: Mask, longest: int) -> Window | None:
    """The window around all of a hole with some of its surroundings; None without a hole.

    Args:
        hole: (H, W).
        longest: longer side of the network's input at most, pixels, a multiple of 32.
    """
    rows, cols = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if not len(rows):
        return None
    height, width = hole.shape
    spans = []
    for low, high, limit in ((cols[0], cols[-1] + 1, width), (rows[0], rows[-1] + 1, height)):
        side = min(limit, max(_MIN_SIDE, round((high - low) * (1 + 2 * _SURROUND))))
        start = min(max(0, round((low + high - side) / 2)), limit - side)
        spans.append((int(start), int(side)))
    (x, w), (y, h) = spans
    scale = min(1.0, longest / max(w, h))
    size = (max(STRIDE, round(w * scale / STRIDE) * STRIDE), max(STRIDE, round(h * scale / STRIDE) * STRIDE))
    return Window(x, y, w, h, (min(size[0], longest), min(size[1], longest)))


def input_planes(
    rgb: Image, hole: Mask, background: Background, last: Image | None, last_valid: Mask | None, window: Window
) -> Array:
    """Stack the network's input, (14, h, w).

    Args:
        rgb: (H, W, 3) the image; its pixels in the hole are not used.
        last, last_valid: output for the frame before, carried to this one, and where there is one; None at the start.
    """
    # Colours are averaged over visible pixels only, so that nothing of a hand bleeds into the rim.
    visible, outside = window.average(rgb, ~hole)
    remembered, seen = window.average(background.rgb, background.observed | ~hole)
    confidence = window.take(background.confidence)
    age = window.take(np.nan_to_num(background.age_s, nan=60.0))
    if last is None or last_valid is None:
        previous, valid = np.zeros((*window.size[::-1], 3), np.float32), np.zeros(window.size[::-1], np.float32)
    else:
        previous, valid = window.average(last, last_valid)
    planes = [
        *np.moveaxis((visible / 127.5 - 1) * (outside > 0.5)[..., None], -1, 0),
        *np.moveaxis((remembered / 127.5 - 1) * (seen > 0.5)[..., None], -1, 0),
        confidence * (seen > 0.5),
        1 - outside,
        1 - seen,
        1 - np.exp(-age / AGE_SCALE_S),
        *np.moveaxis((previous / 127.5 - 1) * (valid > 0.5)[..., None], -1, 0),
        valid,
    ]
    return np.ascontiguousarray(np.stack(planes), dtype=np.float32)
