"""Projection of map points with the derivatives that pose fitting and bundle adjustment share.

Poses here are camera-from-world pairs (R, t): y = R x + t. A pose is perturbed on the left, y' = exp(w) y + v, and its
six numbers are ordered (w, v).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera

Array = NDArray[np.float64]

MIN_DEPTH_M = 1e-2
"""Points nearer than this, or behind the camera, are projected as if they were at this depth."""


class Projection(NamedTuple):
    """N projected points.

    Attributes:
        uv: (N, 2) pixels.
        points: (N, 3) in camera axes, metres.
        jacobian: (N, 2, 3) derivative of `uv` by `points`.
    """

    uv: Array
    points: Array
    jacobian: Array

    @property
    def pose_jacobian(self) -> Array:
        """(N, 2, 6) derivative of `uv` by the left perturbation (w, v): d uv = J (w x y) + J v = (y x J) w + J v."""
        J = self.jacobian
        x, y, z = (self.points[:, i, None] for i in range(3))
        out = np.empty((len(J), 2, 6))
        out[..., 0] = y * J[..., 2] - z * J[..., 1]
        out[..., 1] = z * J[..., 0] - x * J[..., 2]
        out[..., 2] = x * J[..., 1] - y * J[..., 0]
        out[..., 3:] = J
        return out


def project(camera: PinholeCamera, points: Array) -> Projection:
    """Project (N, 3) points in camera axes."""
    z = np.maximum(points[:, 2], MIN_DEPTH_M)
    u, v = points[:, 0] / z, points[:, 1] / z
    J = np.zeros((len(points), 2, 3))
    J[:, 0, 0] = camera.fx / z
    J[:, 1, 1] = camera.fy / z
    J[:, 0, 2] = -camera.fx * u / z
    J[:, 1, 2] = -camera.fy * v / z
    uv = np.stack([camera.fx * u + camera.cx, camera.fy * v + camera.cy], axis=1)
    return Projection(uv, points, J)


def rays(camera: PinholeCamera, uv: NDArray[np.floating]) -> Array:
    """(N, 3) directions with z = 1 of (N, 2) undistorted pixels."""
    return np.concatenate([camera.normalise(uv.astype(np.float64)), np.ones((len(uv), 1))], axis=1)
