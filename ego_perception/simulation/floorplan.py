"""Where one can walk: an occupancy grid of the floor and shortest paths that keep away from furniture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from ego_perception.errors import SimulationError
from ego_perception.simulation.room import Room

CELL_M = 0.1
SPACING_M = 0.04
BODY_RADIUS_M = 0.28
_MIN_AREA_M2 = 0.8
_LOW_M = 0.05  # one steps over what is lower, such as a rug

Array = NDArray[np.float64]


class FloorPlan:
    """The largest connected piece of free floor of a room.

    Raises:
        SimulationError: on construction, where no piece is large enough to walk on.
    """

    def __init__(self, room: Room, radius: float = BODY_RADIUS_M) -> None:
        self._origin = np.array([-room.half[0], -room.half[1]])
        shape = tuple(math.ceil(2 * h / CELL_M) for h in room.half)
        centers = [self._origin[k] + (np.arange(shape[k]) + 0.5) * CELL_M for k in (0, 1)]
        x, y = np.meshgrid(*centers, indexing="ij")
        free = (np.abs(x) < room.half[0] - radius) & (np.abs(y) < room.half[1] - radius)
        for o in room.obstacles:
            if not o.is_walkable and o.height > _LOW_M:
                r = o.rect.grown(radius)
                free &= ~((x > r.x0) & (x < r.x1) & (y > r.y0) & (y < r.y1))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
        areas = stats[1:, cv2.CC_STAT_AREA] if count > 1 else np.zeros(1)
        if areas.max() * CELL_M**2 < _MIN_AREA_M2:
            raise SimulationError(
                f"the room of {2 * room.half[0]:.1f} x {2 * room.half[1]:.1f} m has no free floor of {_MIN_AREA_M2} m2 "
                "to walk on; choose a larger room_size_m or another seed"
            )
        self.free: NDArray[np.bool_] = labels == 1 + int(areas.argmax())
        padded = np.pad(self.free.astype(np.uint8), 1)
        self._clearance = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5), np.float64)[1:-1, 1:-1] * CELL_M
        self._cells = np.argwhere(self.free)
        self._index = np.full(shape, -1, np.int64)
        self._index[self.free] = np.arange(len(self._cells))
        self._graph = self._edges()

    @property
    def points(self) -> Array:
        """(N, 2) centres of the free cells, metres."""
        return self._origin + (self._cells + 0.5) * CELL_M

    def is_free(self, points: Array) -> NDArray[np.bool_]:
        """Whether each of (..., 2) floor points lies in a free cell."""
        cell = np.floor((points - self._origin) / CELL_M).astype(int)
        inside = ((cell >= 0) & (cell < self.free.shape)).all(axis=-1)
        cell = np.clip(cell, 0, np.array(self.free.shape) - 1)
        return inside & self.free[cell[..., 0], cell[..., 1]]

    def path(self, start: int, goal: int) -> Array:
        """The (N, 2) way from one free cell to another, both given as rows of `points`; wide passages are preferred."""
        _, before = dijkstra(self._graph, indices=start, return_predecessors=True)
        way = [goal]
        while way[-1] != start:
            way.append(int(before[way[-1]]))
        return self.points[way[::-1]]

    def nearest(self, xy: Array) -> int:
        """Row of `points` nearest to a floor point."""
        return int(np.linalg.norm(self.points - np.asarray(xy), axis=1).argmin())

    def way(self, start: Array, goal: Array) -> Array:
        """A way with round corners between two floor points that may lie a little outside the free cells, (N, 2), metres.

        Corners are rounded as far as the furniture allows.
        """
        cells = self.path(self.nearest(start), self.nearest(goal))
        raw = np.concatenate([[start], cells[1:-1], [goal]])
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(raw, axis=0), axis=1))])
        if along[-1] < 2 * SPACING_M:
            return np.array([start, goal], dtype=np.float64)
        at = np.linspace(0.0, along[-1], max(3, round(along[-1] / SPACING_M)))
        fine = np.stack([np.interp(at, along, raw[:, k]) for k in (0, 1)], axis=1)
        share = np.linspace(0.0, 1.0, len(fine))[:, None]
        allowed = self.is_free(fine)
        for sigma_m in (0.35, 0.25, 0.18, 0.12):
            smooth = gaussian_filter1d(fine, sigma_m / SPACING_M, axis=0, mode="nearest")
            # Smoothing draws the ends inwards; give the difference back along the way.
            smooth += (1 - share) * (fine[0] - smooth[0]) + share * (fine[-1] - smooth[-1])
            if (self.is_free(smooth) | ~allowed).all():
                return smooth
        return fine

    def _edges(self) -> csr_array:
        """Eight-neighbour graph; a step costs its length, and more where it is narrow."""
        rows, cols, costs = [], [], []
        weight = 1.0 + 0.15 / self._clearance[self.free]
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            near = self._cells + np.array([dx, dy])
            inside = ((near >= 0) & (near < self.free.shape)).all(axis=1)
            a = np.flatnonzero(inside)
            b = self._index[near[a, 0], near[a, 1]]
            a, b = a[b >= 0], b[b >= 0]
            rows.append(a)
            cols.append(b)
            costs.append(CELL_M * math.hypot(dx, dy) * 0.5 * (weight[a] + weight[b]))
        n = len(self._cells)
        return csr_array((np.concatenate(costs * 2), (np.concatenate(rows + cols), np.concatenate(cols + rows))), shape=(n, n))
