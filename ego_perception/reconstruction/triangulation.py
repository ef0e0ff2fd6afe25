"""Linear triangulation of points seen in two views, with the checks that make the result usable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction import pinhole
from ego_perception.reconstruction.pnp import Pose

Array = NDArray[np.float64]

MIN_ANGLE_RAD = np.radians(0.8)
MAX_ERROR_PX = 2.0
_MIN_DEPTH_M = 0.05


def triangulate(first: Pose, second: Pose, x_first: Array, x_second: Array) -> tuple[Array, Array]:
    """Intersect rays in the least-squares sense (linear, inhomogeneous form).

    Args:
        first, second: camera-from-world poses.
        x_first, x_second: (N, 2) points on the plane z = 1.

    Returns:
        (N, 3) world points and (N,) angles between the two rays, radians.
    """
    equations = []
    for (R, t), x in ((first, x_first), (second, x_second)):
        P = np.concatenate([R, t[:, None]], axis=1)
        equations += [x[:, :1] * P[2] - P[0], x[:, 1:] * P[2] - P[1]]
    A = np.stack(equations, axis=1)  # (N, 4, 4)
    M = np.einsum("nki,nkj->nij", A[..., :3], A[..., :3]) + 1e-12 * np.eye(3)
    b = -np.einsum("nki,nk->ni", A[..., :3], A[..., 3])
    X = np.linalg.solve(M, b[..., None])[..., 0]
    from_first = X + first[0].T @ first[1]
    from_second = X + second[0].T @ second[1]
    cosine = (from_first * from_second).sum(1) / np.maximum(
        np.linalg.norm(from_first, axis=1) * np.linalg.norm(from_second, axis=1), 1e-12
    )
    return X, np.arccos(np.clip(cosine, -1.0, 1.0))


def triangulate_checked(
    camera: PinholeCamera, first: Pose, second: Pose, uv_first: Array, uv_second: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Triangulate (N, 2) pixels; also say which points lie in front, at a sufficient angle and project where they should."""
    X, angle = triangulate(first, second, pinhole.rays(camera, uv_first)[:, :2], pinhole.rays(camera, uv_second)[:, :2])
    good = angle > MIN_ANGLE_RAD
    for (R, t), uv in ((first, uv_first), (second, uv_second)):
        projection = pinhole.project(camera, X @ R.T + t)
        good &= (projection.points[:, 2] > _MIN_DEPTH_M) & (np.linalg.norm(projection.uv - uv, axis=1) < MAX_ERROR_PX)
    return X, good
