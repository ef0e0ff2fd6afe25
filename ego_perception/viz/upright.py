"""Finds which way is up in a reconstruction, so that viewpoints, grid and plots stand level.

The world of a reconstruction has the axes of its first camera, which a head carries tilted. Floors, tables and ceilings share
one normal, so the commonest surface direction near the cameras' own up is taken. This serves display alone: no stored pose
changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ego_perception.geometry import PinholeCamera

_MAX_TILT_RAD: Final = np.deg2rad(55)
_BIN_RAD: Final = np.deg2rad(8)
_MIN_SUPPORT: Final = 0.02


def surface_normals(depth: NDArray[np.float32], camera: PinholeCamera, step: int = 4) -> NDArray[np.float32]:
    """Unit normals (N, 3) in camera axes from depth differences over `step` pixels, facing the camera; only valid ones."""
    points = (camera.rays() * depth[..., None])[::step, ::step]
    right, down = points[:-1, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, :-1]
    normals = np.cross(down, right).reshape(-1, 3)
    length = np.linalg.norm(normals, axis=1)
    valid = np.isfinite(length) & (length > 1e-9)
    return (normals[valid] / length[valid, None]).astype(np.float32)


def find_up(views: Iterable[tuple[NDArray[np.float32], PinholeCamera, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Estimate the direction away from gravity.

    Args:
        views: depth (H, W) in metres, its camera, and the camera's (4, 4) camera-to-world pose.

    Returns:
        (3,) unit vector in the world; world z where too few surfaces agree.
    """
    normals, ups = [], []
    for depth, camera, T_world_cam in views:
        normals.append(surface_normals(depth, camera) @ T_world_cam[:3, :3].T.astype(np.float32))
        ups.append(-T_world_cam[:3, 1])
    fallback = np.array([0.0, 0.0, 1.0])
    if not ups:
        return fallback
    guess = np.mean(ups, axis=0)
    guess = guess / max(float(np.linalg.norm(guess)), 1e-9)
    every = np.concatenate(normals).astype(np.float64)
    # A ceiling's normal points down: fold it over.
    every = np.where((every @ guess)[:, None] < 0, -every, every)
    near = every[every @ guess > np.cos(_MAX_TILT_RAD)]
    if len(near) < max(50, _MIN_SUPPORT * len(every)):
        return fallback
    return _mode(near)


def level_rotation(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotation (3, 3) that takes `up` to world z."""
    rotation, _ = Rotation.align_vectors(np.array([[0.0, 0.0, 1.0]]), up[None])
    matrix: NDArray[np.float64] = rotation.as_matrix()
    return matrix


def _mode(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction that most others agree with, refined by their mean."""
    candidates = directions[:: max(1, len(directions) // 400)]
    agreeing = candidates @ directions.T > np.cos(_BIN_RAD)
    best = candidates[int(np.argmax(agreeing.sum(axis=1)))]
    for _ in range(3):
        best = directions[directions @ best > np.cos(_BIN_RAD)].mean(axis=0)
        best = best / np.linalg.norm(best)
    return best
