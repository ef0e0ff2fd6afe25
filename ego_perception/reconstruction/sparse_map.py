"""The sparse map: keyframes and landmarks, in bounded memory.

A landmark is a row of a fixed table. Tracks and keyframes name landmarks by row; a row is given away again only when
neither refers to it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.reconstruction.pnp import Pose

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(eq=False)
class Keyframe:
    """A frame kept in the map.

    Attributes:
        serial: running number in the map.
        stamp_ns: of the frame.
        grey: (H, W) uint8 at tracking size.
        small: (h, w) uint8 at the size of dense depth.
        R, t: camera-from-world pose.
        rows: (n,) landmarks seen, sorted.
        uv: (n, 2) float32 their pixels in `grey`.
        descriptors: (n, 32) uint8 binary descriptors of them for relocalisation.
    """

    serial: int
    stamp_ns: int
    grey: NDArray[np.uint8]
    small: NDArray[np.uint8]
    R: Array
    t: Array
    rows: Rows
    uv: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @property
    def centre(self) -> Array:
        """(3,) camera position in the world, metres."""
        return -self.R.T @ self.t

    @property
    def pose(self) -> Pose:
        """Camera-from-world."""
        return self.R, self.t

    def positions(self, rows: Rows) -> NDArray[np.float64]:
        """(N, 2) pixels of landmarks in this keyframe, NaN where it does not see them."""
        if len(self.rows) == 0:
            return np.full((len(rows), 2), np.nan)
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        out = self.uv[at].astype(np.float64)
        out[self.rows[at] != rows] = np.nan
        return out

    def drop(self, rows: Rows) -> None:
        """Forget that this keyframe saw some landmarks."""
        keep = ~np.isin(self.rows, rows)
        self.rows, self.uv, self.descriptors = self.rows[keep], self.uv[keep], self.descriptors[keep]


@dataclass(eq=False)
class SparseMap:
    """Keyframes in order of time, and the landmark table.

    Attributes:
        X: (capacity, 3) world points, metres.
        sigma: (capacity,) standard deviation of log depth along the ray of first sight.
        anchor: (capacity,) serial of the keyframe of first sight.
        origin: (capacity, 3) its position, metres.
        prior_log_depth, prior_sigma: (capacity,) what the network said of the depth there, in the scale of this map.
        alive: (capacity,) rows in use.
    """

    capacity: int = 16384
    max_keyframes: int = 60
    keyframes: list[Keyframe] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = self.capacity
        self.X = np.zeros((n, 3))
        self.sigma = np.ones(n)
        self.anchor = np.full(n, -1)
        self.origin = np.zeros((n, 3))
        self.prior_log_depth = np.zeros(n)
        self.prior_sigma = np.ones(n)
        self.alive = np.zeros(n, bool)
        self.next_serial = 0

    def allocate(self, count: int) -> Rows:
        """Take up to `count` free rows; fewer when the table is full."""
        rows = np.flatnonzero(~self.alive)[:count]
        self.alive[rows] = True
        return rows

    def spread(self, rows: Rows) -> Array:
        """(N, 3) one standard deviation of each point along its first ray, metres, world axes."""
        return (self.X[rows] - self.origin[rows]) * self.sigma[rows, None]

    def add(self, keyframe: Keyframe) -> None:
        """Append a keyframe."""
        self.keyframes.append(keyframe)
        self.next_serial = keyframe.serial + 1

    def thin(self, protect_newest: int) -> None:
        """Remove the most redundant old keyframes until the limit holds; the first one stays as the origin."""
        while len(self.keyframes) > self.max_keyframes:
            candidates = range(1, max(2, len(self.keyframes) - protect_newest))
            del self.keyframes[min(candidates, key=self._isolation)]

    def _isolation(self, i: int) -> float:
        """How much view is lost without keyframe i: the distance between its neighbours, a radian counting as a metre."""
        before, after = self.keyframes[i - 1], self.keyframes[min(i + 1, len(self.keyframes) - 1)]
        turn = np.arccos(np.clip(before.R[2] @ after.R[2], -1.0, 1.0))
        return float(np.linalg.norm(before.centre - after.centre) + turn)

    def forget(self, rows: Rows) -> None:
        """Remove landmarks from every keyframe and free their rows."""
        if len(rows) == 0:
            return
        for keyframe in self.keyframes:
            keyframe.drop(rows)
        self.alive[rows] = False

    def collect(self, tracked: Rows) -> None:
        """Free rows that no keyframe and no track refers to."""
        used = np.zeros(self.capacity, bool)
        used[tracked] = True
        for keyframe in self.keyframes:
            used[keyframe.rows] = True
        self.alive &= used

    def window(self, newest: int, anchors: int) -> tuple[list[Keyframe], int]:
        """Keyframes for bundle adjustment: fixed ones first, then the newest.

        The fixed ones are those older keyframes that share most landmarks with the newest, so that returning to a known
        place ties the window to it. The map's first keyframe is never adjusted.

        Returns:
            The keyframes and how many of them are fixed.
        """
        recent = self.keyframes[-newest:]
        older = self.keyframes[: -len(recent)]
        if not older:
            return recent, 1
        seen = np.zeros(self.capacity, bool)
        for keyframe in recent:
            seen[keyframe.rows] = True
        shared = [int(seen[k.rows].sum()) for k in older]
        order = sorted(range(len(older)), key=lambda i: (-shared[i], -i))[:anchors]
        fixed = [older[i] for i in sorted(order) if shared[i] > 0] or [older[-1]]
        return fixed + recent, len(fixed)

    def rebase(self, homography: Array, size: tuple[int, int], small_size: tuple[int, int]) -> None:
        """Re-draw every keyframe for a new camera or image size; `homography` maps old pixels to new ones."""
        for keyframe in self.keyframes:
            keyframe.grey = np.asarray(cv2.warpPerspective(keyframe.grey, homography, size), np.uint8)
            keyframe.small = np.asarray(cv2.resize(keyframe.grey, small_size, interpolation=cv2.INTER_AREA), np.uint8)
            keyframe.uv = map_pixels(homography, keyframe.uv)

    @property
    def points(self) -> NDArray[np.float32]:
        """(N, 3) float32 landmarks whose depth is known to a quarter or better, world axes of the map."""
        return self.X[self.alive & (self.sigma < 0.25)].astype(np.float32)


def map_pixels(homography: Array, uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply a (3, 3) homography to (N, 2) pixels."""
    mapped = uv @ homography[:2, :2].T + homography[:2, 2]
    return (mapped / (uv @ homography[2:, :2].T + homography[2, 2])).astype(np.float32)
