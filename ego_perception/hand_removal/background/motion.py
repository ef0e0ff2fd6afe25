"""Camera motion from corners of the background that are followed from image to image and whose inverse depth is known.

Least squares over the six degrees of freedom with robust weights (Huber, Robust Statistics; the projection's derivatives as in
Kerl et al., ICRA 2013).
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, make_transform

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_NUM_CORNERS, _CORNER_QUALITY, _CORNER_GAP_PX = 300, 0.005, 6
_TRACK_WINDOW, _TRACK_LEVELS = (15, 15), 4
_TRACK_ENDS: Final = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 10, 0.03)  # more steps change nothing
_CLEARANCE_PX = 3  # from a hole, within which edges of hands disturb tracking
MIN_POINTS = 12
_MIN_INLIER_SHARE = 0.25
_INLIER_PX, _SETTLED_PX = 1.5, 0.7
_STILL_PX = 0.15
_COARSE_STEPS = 3
_PULL = 1e-3  # of the translation's curvature
_STILL = 1e-5  # radians and baselines; hundredths of a pixel
_DAMPING = 1e-3  # of the mean curvature: what the points leave open stays as it was


class Motion(NamedTuple):
    """Motion between two cameras, (4, 4) from the older camera's frame to the newer one's, and (N,) errors in pixels."""

    T_now_older: Array
    error_px: Array

    @property
    def is_sound(self) -> bool:
        """True when enough of the points agree."""
        return len(self.error_px) >= MIN_POINTS and float((self.error_px < _INLIER_PX).mean()) >= _MIN_INLIER_SHARE


def follow(grey: Grey, older: Grey, hole: Mask, older_hole: Mask) -> tuple[Array, Array]:
    """Corners of the visible background: (N, 2) places in the newer image and (N, 2) in the older one, pixels."""
    none = np.zeros((0, 2))
    corners = cv2.goodFeaturesToTrack(grey, _NUM_CORNERS, _CORNER_QUALITY, _CORNER_GAP_PX, mask=clear_of(hole))
    if corners is None or len(corners) < MIN_POINTS:
        return none, none
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        grey, older, corners, corners.copy(), winSize=_TRACK_WINDOW, maxLevel=_TRACK_LEVELS, criteria=_TRACK_ENDS
    )
    now, then = corners.reshape(-1, 2), found.reshape(-1, 2)
    at = np.round(then).astype(np.int64)
    h, w = hole.shape
    good = (status.ravel() == 1) & (at[:, 0] >= 0) & (at[:, 0] < w) & (at[:, 1] >= 0) & (at[:, 1] < h)
    good[good] = ~older_hole[at[good, 1], at[good, 0]]
    return now[good].astype(np.float64), then[good].astype(np.float64)


def solve_motion(
    rays: Array, inverse_depth: Array, pixels: Array, weight: Array, camera: PinholeCamera, start: Array, num_steps: int = 10
) -> Motion:
    """Find the motion that takes points of the older camera to their pixels in the newer one.

    Args:
        rays: (N, 3) directions in the older camera with z = 1.
        inverse_depth: (N,) along the optical axis.
        pixels: (N, 2) where they are seen now.
        weight: (N,) of each.
        start: (4, 4) first guess.
    """
    T, k = start, np.array([[camera.fx], [camera.fy]])
    goal, rays = camera.normalise(pixels).T, np.ascontiguousarray(rays.T)
    for step in range(num_steps):
        place, z = _places(T, rays, inverse_depth)
        residual = goal - place
        error = np.abs(residual * k).max(axis=0)
        scale = max(1.0, 1.5 * _middle(error)) if step < _COARSE_STEPS else _SETTLED_PX
        robust = weight / (1 + (error / scale) ** 2) ** 2
        J = _derivative(place, inverse_depth / z)
        weighted = (J * robust).reshape(6, -1)
        A = weighted @ J.reshape(6, -1).T
        A[np.arange(6), np.arange(6)] += _DAMPING * np.trace(A) / 6 + 1e-9
        slope = weighted @ residual.ravel()
        # Of motions that explain the points nearly as well the one with the least translation: errors must not feed themselves.
        pull = _PULL * np.trace(A[3:, 3:]) / 3
        A[np.arange(3, 6), np.arange(3, 6)] += pull
        slope[3:] -= pull * T[:3, 3]
        delta = np.linalg.solve(A, slope)
        T = make_transform(cv2.Rodrigues(delta[:3])[0], delta[3:]) @ T
        if np.abs(delta).max() < _STILL:
            break
    T = composed(T)
    return Motion(T, reprojection_error(T, rays.T, inverse_depth, pixels, camera))


def _middle(values: Array) -> float:
    """The median, the upper one of two."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def composed(*transforms: Array) -> Array:
    """Product of rigid transforms, exactly rigid: rounding errors of long chains would grow with every inversion."""
    T = functools.reduce(np.matmul, transforms)
    R = T[:3, :3]
    return make_transform(R @ (1.5 * np.eye(3) - 0.5 * R.T @ R), T[:3, 3])  # Newton's step to the nearest rotation


def is_still(now_xy: Array, older_xy: Array) -> bool:
    """True when the corners show no motion at all, beyond what tracking errs."""
    return bool(np.percentile(np.abs(now_xy - older_xy).max(axis=1), 90) < _STILL_PX)


def reprojection_error(T: Array, rays: Array, inverse_depth: Array, pixels: Array, camera: PinholeCamera) -> Array:
    """(N,) larger of the two coordinates' errors, pixels."""
    place, _ = _places(T, rays.T, inverse_depth)
    return np.asarray(np.abs((camera.normalise(pixels).T - place) * np.array([[camera.fx], [camera.fy]])).max(axis=0))


def _places(T: Array, rays: Array, inverse_depth: Array) -> tuple[Array, Array]:
    """Normalised image places (2, N) of points on (3, N) rays, and how much their depth grows (N,)."""
    q = T[:3, :3] @ rays + T[:3, 3:] * inverse_depth
    z = np.maximum(q[2], 1e-3)
    return q[:2] / z, z


def _derivative(place: Array, nearness: Array) -> Array:
    """(6, 2, N): of normalised image places, columns and rows, by rotation and translation."""
    x, y = place
    J = np.zeros((6, 2, len(x)))
    J[0, 0], J[1, 0], J[2, 0] = -x * y, 1 + x * x, -y
    J[0, 1], J[1, 1], J[2, 1] = -(1 + y * y), x * y, x
    J[3, 0] = J[4, 1] = nearness
    J[5] = -nearness * place
    return J


def clear_of(hole: Mask) -> Grey:
    """255 where no hole is near."""
    size = 2 * _CLEARANCE_PX + 1
    return np.asarray(255 - 255 * cv2.dilate(hole.astype(np.uint8), np.ones((size, size), np.uint8)), np.uint8)
