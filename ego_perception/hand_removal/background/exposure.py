"""Follows the camera's exposure and white balance, so that remembered pixels fit the image they are put into."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP = 4
_DARK, _BRIGHT = 16, 239
_LIMIT = 1.25
_MIN_PIXELS = 50


def gain_between(
    rgb: NDArray[np.uint8], older: NDArray[np.uint8], flow: NDArray[np.float32], hidden: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Brightness of an image relative to an older one, per channel.

    Args:
        rgb, older: (H, W, 3) uint8.
        flow: (h, w, 2) from `rgb` to `older` at working size.
        hidden: (h, w) True where the background is hidden in either; asked at a pixel's place in each of them.

    Returns:
        (3,) median ratios of well exposed background pixels; 1 where too few are seen. A step beyond 25 % is cut off.
    """
    h, w = hidden.shape
    new, old = (_resized(image, (w, h)).reshape(-1, 3) for image in (rgb, older))
    here = np.flatnonzero(~hidden[::_STEP, ::_STEP])
    rows, cols = (_STEP * axis for axis in np.divmod(here, -(-w // _STEP)))
    there = np.rint(flow[rows, cols] + np.stack([cols, rows], axis=1)).astype(np.int64)
    inside = np.flatnonzero((there[:, 0] >= 0) & (there[:, 0] < w) & (there[:, 1] >= 0) & (there[:, 1] < h))
    at = there[inside, 1] * w + there[inside, 0]
    seen = ~hidden.ravel()[at]
    a, b = new[(rows * w + cols)[inside[seen]]].T, old[at[seen]].T
    good = (np.minimum(a, b) > _DARK) & (np.maximum(a, b) < _BRIGHT)
    gains = np.ones(3, np.float32)
    for channel in range(3):
        said = good[channel]
        if said.sum() >= _MIN_PIXELS:
            gains[channel] = np.median(a[channel, said].astype(np.float32) / b[channel, said])
    return np.clip(gains, 1 / _LIMIT, _LIMIT)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    same = image.shape[1::-1] == size
    return image if same else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
