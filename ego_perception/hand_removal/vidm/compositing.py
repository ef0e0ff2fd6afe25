"""Putting the generated pixels into the frame: only inside the hole, and without a visible seam.

The seam is closed from outside: how the generated image differs from the frame in a ring around the hole is spread into
the hole and fades with distance. Nothing inside the hole is read from the frame, so no trace of a hand can come back.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

RING_PX: Final = 12  # width of the ring around the hole in which colours are compared
FEATHER_PX: Final = 5  # over which the remaining difference at the border fades
_MIN_RING: Final = 64  # pixels; fewer do not say what the colours are
_GAIN_RANGE: Final = (0.8, 1.25)
_MIN_DEVIATION: Final = 4.0  # grey levels; a flatter ring tells an offset but no gain


def paste(frame: NDArray[np.uint8], fill: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The published composite: a hard edge."""
    return np.where(hole[..., None], fill, frame)


def blend(
    frame: NDArray[np.uint8], fill: NDArray[np.uint8], hole: NDArray[np.bool_], feather_px: int = FEATHER_PX
) -> NDArray[np.uint8]:
    """Composite with colours matched around the hole and a seam that fades inwards.

    Args:
        frame, fill: (H, W, 3); `fill` shows the whole scene, as the decoder gives it.
        hole: (H, W); pixels outside are the frame's, bit by bit.
        feather_px: 0 leaves the edge hard.
    """
    if not hole.any() or hole.all():
        return paste(frame, fill, hole)
    matched = match_colours(frame, fill, hole)
    if feather_px > 0:
        matched = matched + _seam(frame.astype(np.float32) - matched, hole, feather_px)
    return paste(frame, np.clip(np.rint(matched), 0, 255).astype(np.uint8), hole)


def match_colours(frame: NDArray[np.uint8], fill: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scale and shift each channel of the fill so that it agrees with the frame in a ring around the hole.

    Median and median absolute deviation, so that a moving thing in the ring does not tint the hole.
    """
    side = 2 * RING_PX + 1
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & ~hole
    result = fill.astype(np.float32)
    if ring.sum() < _MIN_RING:
        return result
    ours, theirs = fill[ring].astype(np.float32), frame[ring].astype(np.float32)
    our_middle, middle = np.median(ours, axis=0), np.median(theirs, axis=0)
    our_deviation = np.median(np.abs(ours - our_middle), axis=0)
    deviation = np.median(np.abs(theirs - middle), axis=0)
    is_flat = np.minimum(our_deviation, deviation) < _MIN_DEVIATION
    gain = np.where(is_flat, 1.0, np.clip(deviation / np.maximum(our_deviation, 1e-6), *_GAIN_RANGE))
    return np.asarray((result - our_middle) * gain + middle, np.float32)


def _seam(difference: NDArray[np.float32], hole: NDArray[np.bool_], feather_px: int) -> NDArray[np.float32]:
    """The difference at the border, carried into the hole from the visible side and faded to nothing over `feather_px`."""
    visible = (~hole).astype(np.float32)
    outside = cv2.GaussianBlur(difference * visible[..., None], (0, 0), feather_px / 2)
    share = cv2.GaussianBlur(visible, (0, 0), feather_px / 2)
    distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    fade = np.clip(1.0 - distance / (feather_px + 1.0), 0.0, 1.0) * (share > 1e-3)
    return np.asarray(outside * (fade / np.maximum(share, 1e-3))[..., None], np.float32)
