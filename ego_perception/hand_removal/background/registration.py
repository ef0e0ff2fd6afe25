"""Where each pixel of an image comes from in another one, for the background only, also behind the hands.

A homography is fitted to the flow of the visible background; what it does not explain (parallax, bending) is measured where it
can be and continued smoothly behind the hands.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.pull_push import pull_push

Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]

_GRID = 6  # every n-th pixel goes into the fit
_RANSAC_PX = 1.5
_MIN_INLIERS = 12
_MAX_RESIDUAL_PX = 12.0
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
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._dis.setUseSpatialPropagation(True)

    def register(
        self,
        grey: NDArray[np.uint8],
        older: NDArray[np.uint8],
        hole: Mask,
        older_hole: Mask,
        start: NDArray[np.float64] | None = None,
    ) -> Registration | None:
        """Register `grey` to `older`; None where too little background is seen in both.

        Args:
            grey, older: (h, w) uint8.
            hole, older_hole: (h, w) True where the background is hidden.
            start: (3, 3) homography from the image to the older one, where they are far apart.
        """
        base = _homography_flow(start, grey.shape) if start is not None else None
        aligned = older if base is None else sample(older, base)
        flow = np.asarray(self._dis.calc(grey, aligned, np.zeros((*grey.shape, 2), np.float32)), np.float32)
        if base is not None:
            flow = _compose(flow, base)
        visible = ~hole & (sample(older_hole.astype(np.uint8), flow) == 0) & inside(flow)
        H, inliers = _fit(flow, visible)
        if H is None:
            return None
        smooth = _homography_flow(H, grey.shape)
        error = np.abs(sample(older, flow).astype(np.float32) - grey)
        residual = flow - smooth
        trust = visible & (error < 2 * _CONTRAST) & (np.abs(residual).max(axis=2) < _MAX_RESIDUAL_PX)
        weight = trust.astype(np.float32) / (1 + (error / _CONTRAST) ** 2)
        completed = pull_push(np.where(trust[..., None], residual, 0), weight)
        error = pull_push(np.where(visible, error, 0), visible.astype(np.float32))
        return Registration(np.where(hole[..., None], smooth + completed, flow), error, inliers)


def sample(image: NDArray[np.uint8], flow: Flow, interpolation: int = cv2.INTER_LINEAR) -> NDArray[np.uint8]:
    """The older image as seen from the newer one; 0 outside."""
    map_xy = _grid(image.shape) + flow
    return np.asarray(
        cv2.remap(image, map_xy[..., 0], map_xy[..., 1], interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=0), np.uint8
    )


def inside(flow: Flow) -> Mask:
    """True where a pixel's origin lies in the older image."""
    xy = _grid(flow.shape) + flow
    h, w = flow.shape[:2]
    return (xy[..., 0] >= 0) & (xy[..., 0] <= w - 1) & (xy[..., 1] >= 0) & (xy[..., 1] <= h - 1)


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


def _fit(flow: Flow, visible: Mask) -> tuple[NDArray[np.float64] | None, float]:
    """A homography through the flow of the visible pixels, and the share of them that follow it."""
    rows, cols = np.nonzero(visible[::_GRID, ::_GRID])
    if len(rows) < _MIN_INLIERS:
        return None, 0.0
    start = np.stack([cols * _GRID, rows * _GRID], axis=1).astype(np.float32)
    end = start + flow[rows * _GRID, cols * _GRID]
    cv2.setRNGSeed(0)
    H, kept = cv2.findHomography(start, end, cv2.USAC_MAGSAC, _RANSAC_PX, maxIters=300, confidence=0.99)
    if H is None or not np.isfinite(H).all() or kept.sum() < _MIN_INLIERS or not 0.2 < np.linalg.det(H[:2, :2]) < 5:
        return None, 0.0
    return np.asarray(H, np.float64), float(kept.mean())
