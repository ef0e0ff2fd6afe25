"""Follows the camera's exposure and white balance, so that remembered pixels fit the image they are put into."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP = 4
_DARK, _BRIGHT = 16, 239
_LIMIT = 1.25


def gain_between(
    rgb: NDArray[np.uint8], older: NDArray[np.uint8], flow: NDArray[np.float32], hidden: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Brightness of an image relative to an older one, per channel.

    Args:
        rgb, older: (H, W, 3) uint8.
        flow: (h, w, 2) from `rgb` to `older` at working size.
        hidden: (h, w) True where the background is hidden in either.

    Returns:
        (3,) median ratios of well exposed background pixels; 1 where too few are seen. A step beyond 25 % is cut off.
    """
    h, w = hidden.shape
    new, old = (cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA) for image in (rgb, older))
    rows, cols = (index.ravel() for index in np.mgrid[0:h:_STEP, 0:w:_STEP])
    at = np.round(np.stack([cols, rows], axis=1) + flow[rows, cols]).astype(np.int64)
    keep = (at[:, 0] >= 0) & (at[:, 0] < w) & (at[:, 1] >= 0) & (at[:, 1] < h) & ~hidden[rows, cols]
    a = new[rows[keep], cols[keep]].astype(np.float32)
    b = old[at[keep, 1], at[keep, 0]].astype(np.float32)
    gains = np.ones(3, np.float32)
    for channel in range(3):
        good = (a[:, channel] > _DARK) & (a[:, channel] < _BRIGHT) & (b[:, channel] > _DARK) & (b[:, channel] < _BRIGHT)
        if good.sum() >= 50:
            gains[channel] = np.median(a[good, channel] / b[good, channel])
    return np.clip(gains, 1 / _LIMIT, _LIMIT)
