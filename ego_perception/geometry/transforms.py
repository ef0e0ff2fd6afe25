"""Rigid transforms as 4x4 matrices, named right to left: `T_world_cam` maps camera points to world."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

R_FLU_OPTICAL: Final[Array] = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation taking optical axes (x right, y down, z forward) to body axes (x forward, y left, z up), REP-103."""


def make_transform(R: ArrayLike, t: ArrayLike) -> Array:
    """Assemble a 4x4 transform.

    Args:
        R: (3, 3) rotation.
        t: (3,) translation, metres.

    Returns:
        (4, 4) float64.
    """
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = t
    return T


def invert(T: Array) -> Array:
    """Invert rigid transforms of shape (..., 4, 4) without a general matrix inverse."""
    out = np.zeros_like(T)
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    out[..., :3, :3] = Rt
    out[..., :3, 3] = -(Rt @ T[..., :3, 3, None])[..., 0]
    out[..., 3, 3] = 1.0
    return out


def transform_points(T: Array, points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Apply a (4, 4) transform to points of shape (..., 3); the dtype of the points is kept."""
    R = T[:3, :3].astype(points.dtype)
    return points @ R.T + T[:3, 3].astype(points.dtype)


def quat_xyzw_from_matrix(R: ArrayLike) -> Array:
    """Convert (..., 3, 3) rotations to unit quaternions (..., 4), order x, y, z, w, with w >= 0."""
    q: Array = Rotation.from_matrix(np.asarray(R, dtype=np.float64)).as_quat()
    return np.where(q[..., 3:] < 0, -q, q)


def matrix_from_quat_xyzw(quat_xyzw: ArrayLike) -> Array:
    """Convert quaternions (..., 4), order x, y, z, w, to rotations (..., 3, 3); the norm need not be one."""
    out: Array = Rotation.from_quat(np.asarray(quat_xyzw, dtype=np.float64)).as_matrix()
    return out


def so3_exp(rotvec: ArrayLike) -> Array:
    """Exponential map: rotation vectors (..., 3) in radians to rotations (..., 3, 3)."""
    out: Array = Rotation.from_rotvec(np.asarray(rotvec, dtype=np.float64)).as_matrix()
    return out


def so3_log(R: ArrayLike) -> Array:
    """Logarithm map: rotations (..., 3, 3) to rotation vectors (..., 3) in radians."""
    out: Array = Rotation.from_matrix(np.asarray(R, dtype=np.float64)).as_rotvec()
    return out
