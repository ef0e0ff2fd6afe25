"""Which hidden pixels had been seen before, by exact depth and poses: the truth against which provenance is scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, transform_points

Mask = NDArray[np.bool_]

_TOLERANCE_M, _TOLERANCE_SHARE = 0.03, 0.02


@dataclass(frozen=True, eq=False)
class _View:
    depth: NDArray[np.float32]
    hole: Mask
    T_cam_world: NDArray[np.float64]


class SeenBefore:
    """Remembers what each frame of a clip showed of the static background.

    Args:
        camera: without distortion, of all frames.
    """

    def __init__(self, camera: PinholeCamera) -> None:
        self._camera = camera
        self._views: list[_View] = []

    def add(self, depth: NDArray[np.float32], hole: Mask, T_world_cam: NDArray[np.float64]) -> Mask:
        """Take the next frame; return (H, W) where in its hole the background had been seen in an earlier one.

        Args:
            depth: (H, W) metres of the background, as if nobody were there.
            hole: (H, W) where the background is hidden.
        """
        seen = np.zeros(hole.shape, np.bool_)
        rows, cols = np.nonzero(hole & (depth > 0))
        points = transform_points(T_world_cam, (self._camera.rays()[rows, cols] * depth[rows, cols, None]).astype(np.float64))
        left = np.arange(len(rows))
        for view in reversed(self._views):
            if not len(left):
                break
            shown = self._shows(view, points[left])
            seen[rows[left[shown]], cols[left[shown]]] = True
            left = left[~shown]
        self._views.append(_View(depth, hole, invert(T_world_cam)))
        return seen

    def _shows(self, view: _View, points: NDArray[np.floating]) -> Mask:
        """Which (N, 3) world points a view shows."""
        c, there = self._camera, transform_points(view.T_cam_world, points)
        z = np.maximum(there[:, 2], 1e-6)
        u, v = c.fx * there[:, 0] / z + c.cx, c.fy * there[:, 1] / z + c.cy
        inside = (there[:, 2] > 0.03) & (u > -0.5) & (u < c.width - 0.5) & (v > -0.5) & (v < c.height - 0.5)
        col, row = np.where(inside, np.round(u), 0).astype(np.intp), np.where(inside, np.round(v), 0).astype(np.intp)
        is_surface = np.abs(view.depth[row, col] - z) < _TOLERANCE_M + _TOLERANCE_SHARE * z
        return np.asarray(inside & is_surface & ~view.hole[row, col])
