"""Runs of triangles with their bounding boxes, so that what a camera cannot see is not drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Chunks:
    """A cut of a list of triangles into runs.

    Attributes:
        ranges: (C, 2) first triangle and how many.
        members: vertex numbers, run by run; `starts` (C,) is where each run's begin.
    """

    ranges: NDArray[np.int64]
    members: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, triangles: NDArray[np.integer], counts: list[int]) -> Chunks:
        """Cut (F, 3) triangles into runs of these lengths, none of them 0."""
        firsts = np.cumsum([0, *counts[:-1]])
        members = [np.unique(triangles[first : first + count]) for first, count in zip(firsts, counts, strict=True)]
        starts = np.cumsum([0, *(len(m) for m in members[:-1])])
        ranges = np.stack([firsts, counts], axis=1).astype(np.int64)
        return cls(ranges, np.concatenate(members).astype(np.int64), starts.astype(np.int64))

    def boxes(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """(C, 2, 3) lower and upper corners around the runs, for vertices (V, 3)."""
        at = positions[self.members]
        low, high = np.minimum.reduceat(at, self.starts, axis=0), np.maximum.reduceat(at, self.starts, axis=0)
        return np.stack([low, high], axis=1).astype(np.float64)


def in_view(boxes: NDArray[np.float64], clip_from_world: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(C,) False for boxes (C, 2, 3) that lie wholly outside one side of what a (4, 4) projection shows."""
    middle, half = boxes.mean(axis=1), 0.5 * (boxes[:, 1] - boxes[:, 0])
    x, y, z, w = clip_from_world
    planes = np.stack([w + x, w - x, w + y, w - y, w + z, w - z])
    reach = middle @ planes[:, :3].T + planes[:, 3] + half @ np.abs(planes[:, :3]).T
    return np.asarray((reach >= 0).all(axis=1))


def joined(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same triangles with neighbouring ranges (C, 2) in one."""
    if len(ranges) == 0:
        return ranges
    ends = ranges.sum(axis=1)
    is_first = np.concatenate([[True], ranges[1:, 0] != ends[:-1]])
    is_last = np.concatenate([is_first[1:], [True]])
    return np.stack([ranges[is_first, 0], ends[is_last] - ranges[is_first, 0]], axis=1)
