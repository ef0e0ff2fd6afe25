"""Feature tracks: corners found on a grid-like spread and followed from image to image (Lucas-Kanade, both ways)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.reconstruction.config import TrackingConfig

Points = NDArray[np.float32]
Grey = NDArray[np.uint8]

_BORDER_PX = 5
_QUALITY = 0.003  # of the strongest corner; low, so that dim parts of a room get features too


def follow(
    config: TrackingConfig, source: Grey, target: Grey, points: Points, guess: Points, max_return_error_px: float | None = None
) -> tuple[Points, NDArray[np.bool_]]:
    """Track points from one image to another and back.

    Args:
        source, target: (H, W) images of one size.
        points: (N, 2) pixels in `source`.
        guess: (N, 2) expected pixels in `target`.
        max_return_error_px: overrides the configured limit.

    Returns:
        (N, 2) pixels in `target`, and which of them tracked back to their start and lie inside the image.
    """
    if len(points) == 0:
        return points.copy(), np.zeros(0, bool)
    limit = config.max_return_error_px if max_return_error_px is None else max_return_error_px
    settings: dict[str, Any] = {
        "winSize": (config.patch_px, config.patch_px),
        "maxLevel": config.pyramid_levels,
        "criteria": (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.02),
        "minEigThreshold": 1e-3,
        "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    }
    found, ok_there, _ = cv2.calcOpticalFlowPyrLK(source, target, points, guess.astype(np.float32).copy(), **settings)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(target, source, found, points.copy(), **settings)
    height, width = target.shape
    inside = (found > _BORDER_PX).all(axis=1) & (found[:, 0] < width - _BORDER_PX) & (found[:, 1] < height - _BORDER_PX)
    returned = np.linalg.norm(back - points, axis=1) < limit
    good = (ok_there.ravel() > 0) & (ok_back.ravel() > 0) & returned & inside & np.isfinite(found).all(axis=1)
    return found.astype(np.float32), good


def detect(config: TrackingConfig, image: Grey, taken: Points, count: int, ignore: NDArray[np.bool_] | None = None) -> Points:
    """Find up to `count` corners away from `taken` points, from the border and from ignored pixels; (M, 2) float32."""
    if count <= 0:
        return np.zeros((0, 2), np.float32)
    mask = np.full(image.shape, 255, np.uint8)
    mask[:_BORDER_PX] = mask[-_BORDER_PX:] = 0
    mask[:, :_BORDER_PX] = mask[:, -_BORDER_PX:] = 0
    for x, y in taken:
        cv2.circle(mask, (round(float(x)), round(float(y))), int(config.min_distance_px), 0, -1)
    if ignore is not None:
        mask[ignore] = 0
    found = cv2.goodFeaturesToTrack(image, count, _QUALITY, config.min_distance_px, mask=mask, blockSize=5)
    return np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2).astype(np.float32)
