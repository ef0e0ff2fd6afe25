"""Where each pixel of an image comes from in another one, for the background only, also behind the hands.

A homography is fitted to tracked corners of the visible background. Dense flow measures what it does not explain (parallax,
bending) between the aligned images, whose holes are filled alike first, so that moving hands do not drag their surroundings
along; it is continued smoothly behind the hands.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry.flow import DenseFlow
from ego_perception.hand_removal.background.pull_push import pull_push

Flow = NDArray[np.float32]
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_NUM_CORNERS, _CORNER_QUALITY, _CORNER_GAP_PX = 300, 0.005, 6
_TRACK_WINDOW = (15, 15)
_CLEARANCE_PX = 3  # from a hole, within which edges of hands disturb tracking
_RANSAC_PX = 1.5
_MIN_INLIERS, _MIN_INLIER_SHARE = 12, 0.25
_MAX_RESIDUAL_PX = 12.0
_USUAL_RESIDUAL_PX = 2.0  # background moves less than this beyond the homography; more is likely something that moves itself
_CONTRAST = 16.0  # grey levels of photometric error that halve the trust, roughly


@dataclass(frozen=True, eq=False)
class Registration:
    """Result of registering an image to an older one, at working size.

    Attributes:
        flow: (h, w, 2) float32: pixel p of the image lies at p + flow[p] in the older one.
        error: (h, w) float32 photometric error in grey levels, continued smoothly behind the hands.
        inliers: share of the visible background that the homography explains, 0..1.
    """

    flow: Flow
    error: NDArray[np.float32]
    inliers: float


class Registrar:
    """Registers pairs of grey images of one size; keeps the flow estimator's buffers."""

    def __init__(self) -> None:
        self._flow = DenseFlow(spatial_propagation=True)

    def register(
        self, grey: Grey, older: Grey, hole: Mask, older_hole: Mask, start: NDArray[np.float64] | None = None
    ) -> Registration | None:
        """Register `grey` to `older`; None where too little background is seen in both.

        Args:
            grey, older: (h, w) uint8; what fills the older one's hole is taken for its background.
            hole, older_hole: (h, w) True where the background is hidden.
            start: (3, 3) homography from the image to the older one, where they are far apart; found by tracking if None.
        """
        H, inliers = (start, 1.0) if start is not None else _track(grey, older, hole, older_hole)
        if H is None:
            return None
        smooth = _homography_flow(H, grey.shape)
        aligned = sample(older, smooth, border=cv2.BORDER_REPLICATE)
        filled = np.where(hole, aligned, grey)
        residual = self._flow.between(filled, aligned)
        flow = _compose(residual, smooth)
        visible = ~hole & (sample(older_hole.astype(np.uint8), flow) == 0) & inside(flow)
        if visible.sum() < _MIN_INLIERS:
            return None
        error = np.abs(sample(older, flow).astype(np.float32) - grey)
        residual = flow - smooth
        length = np.abs(residual).max(axis=2)
        trust = visible & (error < 2 * _CONTRAST) & (length < _MAX_RESIDUAL_PX)
        weight = trust / ((1 + (error / _CONTRAST) ** 2) * (1 + (length / _USUAL_RESIDUAL_PX) ** 2))
        completed = pull_push(np.where(trust[..., None], residual, 0), weight.astype(np.float32))
        error = pull_push(np.where(visible, error, 0), visible.astype(np.float32))
        return Registration(np.where(hole[..., None], smooth + completed, flow), error, inliers)


def sample(image: Grey, flow: Flow, interpolation: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_CONSTANT) -> Grey:
    """The older image as seen from the newer one; 0 outside, unless another border is asked for."""
    map_xy = _grid(image.shape) + flow
    return np.asarray(
        cv2.remap(image, map_xy[..., 0], map_xy[..., 1], interpolation, borderMode=border, borderValue=0), np.uint8
    )


def inside(flow: Flow) -> Mask:
    """True where a pixel's origin lies in the older image."""
    xy = _grid(flow.shape) + flow
    h, w = flow.shape[:2]
    return np.asarray((xy[..., 0] >= 0) & (xy[..., 0] <= w - 1) & (xy[..., 1] >= 0) & (xy[..., 1] <= h - 1))


def _grid(shape: tuple[int, ...]) -> NDArray[np.float32]:
    h, w = shape[:2]
    return np.stack(np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)), axis=-1)


def _homography_flow(H: NDArray[np.float64], shape: tuple[int, ...]) -> Flow:
    grid = _grid(shape)
    moved = np.asarray(cv2.perspectiveTransform(grid.reshape(1, -1, 2), H))
    return np.asarray(moved.reshape(grid.shape) - grid, np.float32)


def _compose(fine: Flow, base: Flow) -> Flow:
    """Flow of "first `fine`, then `base` at the place reached"."""
    xy = _grid(fine.shape) + fine
    there = cv2.remap(base, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(there, np.float32) + fine


def _track(grey: Grey, older: Grey, hole: Mask, older_hole: Mask) -> tuple[NDArray[np.float64] | None, float]:
    """The homography of the visible background from the image to the older one, and the share of corners that follow it."""
    corners = cv2.goodFeaturesToTrack(grey, _NUM_CORNERS, _CORNER_QUALITY, _CORNER_GAP_PX, mask=_clear(hole))
    if corners is None or len(corners) < _MIN_INLIERS:
        return None, 0.0
    found, status, _ = cv2.calcOpticalFlowPyrLK(grey, older, corners, corners.copy(), winSize=_TRACK_WINDOW, maxLevel=4)
    start, end = corners.reshape(-1, 2), found.reshape(-1, 2)
    at = np.round(end).astype(np.int64)
    h, w = hole.shape
    good = (status.ravel() == 1) & (at[:, 0] >= 0) & (at[:, 0] < w) & (at[:, 1] >= 0) & (at[:, 1] < h)
    good[good] = ~older_hole[at[good, 1], at[good, 0]]
    start, end = start[good], end[good]
    if len(start) < _MIN_INLIERS:
        return None, 0.0
    cv2.setRNGSeed(0)
    H, kept = cv2.findHomography(start, end, cv2.USAC_MAGSAC, _RANSAC_PX, maxIters=300, confidence=0.99)
    if H is None or not np.isfinite(H).all() or not 0.2 < np.linalg.det(H[:2, :2]) < 5:
        return None, 0.0
    is_weak = kept.sum() < _MIN_INLIERS or kept.mean() < _MIN_INLIER_SHARE
    return (None, 0.0) if is_weak else (np.asarray(H, np.float64), float(kept.mean()))


def _clear(hole: Mask) -> Grey:
    """255 where no hole is near."""
    size = 2 * _CLEARANCE_PX + 1
    return np.asarray(255 - 255 * cv2.dilate(hole.astype(np.uint8), np.ones((size, size), np.uint8)), np.uint8)
