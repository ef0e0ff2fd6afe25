"""The window around a hole in which the fill network works, and its input planes; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.plate import Background
from ego_perception.hand_removal.fill.sizes import AGE_SCALE_S, LAST_PLANES, STRIDE

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

AnyT = TypeVar("AnyT", bound=np.generic)

_SURROUND: Final = 0.3  # of the hole's size, on each side
_MIN_SIDE: Final = 96
_NEVER_S: Final = 60.0  # age of what was never seen
_CONTINUE_PX: Final = 3  # radius of the first guess where nothing was ever seen; larger ones cost time and gain nothing here


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
        return self.shrink(self.cut(image))

    def shrink(self, part: NDArray[np.generic]) -> Array:
        """Bring what was cut out to the network's size by averaging, float32."""
        pixels = np.asarray(part, np.float32)
        return np.asarray(cv2.resize(pixels, self.size, interpolation=cv2.INTER_AREA), np.float32)

    def average(self, part: Image, valid: Mask) -> tuple[Array, Array]:
        """The same over valid pixels only, (height, width): the image (h, w, 3) and the share of valid pixels (h, w)."""
        # OpenCV takes a twentieth of the time that numpy takes to multiply colours by a mask.
        masked, share = cv2.bitwise_and(part, part, mask=valid.view(np.uint8)), self.shrink(valid)
        return np.asarray(self.shrink(masked) / np.maximum(share, 1e-3)[..., None], np.float32), share


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
        last, last_valid: output for the frame before, carried to this one, and where there is one, in the window only,
            (height, width, 3) and (height, width); None at the start.
    """
    if last is None or last_valid is None:
        before = np.zeros((LAST_PLANES, *window.size[::-1]), np.float32)
    else:
        before = last_planes(last, last_valid, window)
    return np.concatenate([scene_planes(rgb, hole, background, window), before])


def scene_planes(rgb: Image, hole: Mask, background: Background, window: Window) -> Array:
    """The input planes that do not depend on earlier outputs, (10, h, w); see `input_planes`."""
    # Colours are averaged over visible pixels only, so that nothing of a hand bleeds into the rim.
    live = ~window.cut(hole)
    visible, outside = window.average(window.cut(rgb), live)
    remembered, seen = window.average(window.cut(background.rgb), window.cut(background.observed) | live)
    known = seen > 0.5
    age_s = window.cut(background.age_s)
    age = window.shrink(np.where(np.isnan(age_s), np.float32(_NEVER_S), age_s))
    planes = [
        *np.moveaxis((visible / 127.5 - 1) * (outside > 0.5)[..., None], -1, 0),
        *np.moveaxis(_continued(remembered, known) / 127.5 - 1, -1, 0),
        window.take(background.confidence) * known,
        1 - outside,
        1 - seen,
        1 - np.exp(-age / AGE_SCALE_S),
    ]
    return np.ascontiguousarray(np.stack(planes), dtype=np.float32)


def last_planes(last: Image, valid: Mask, window: Window) -> Array:
    """The planes of the last output, carried to this frame, and of where there is one, (4, h, w); see `input_planes`."""
    previous, share = window.average(last, valid)
    colours = np.moveaxis((previous / 127.5 - 1) * (share > 0.5)[..., None], -1, 0)
    return np.concatenate([colours, share[None]]).astype(np.float32)


def _continued(picture: Array, known: Mask) -> Array:
    """Continue a picture (h, w, 3) of 0..255 smoothly to where it is not known: what the network starts from."""
    if known.all():
        return picture
    if not known.any():
        return np.full_like(picture, 127.5)
    levels = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    smooth = cv2.inpaint(levels, (~known).astype(np.uint8), _CONTINUE_PX, cv2.INPAINT_NS)
    return np.where(known[..., None], picture, np.asarray(smooth, np.float32))
