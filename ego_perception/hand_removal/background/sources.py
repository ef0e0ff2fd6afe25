"""From which remembered images the pixels of a view are drawn: where they lie in them, how sure that is, and their colours.

All pixels are sorted by image first, so that each image is gone through once, over contiguous arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.memory import SnapshotStore
from ego_perception.hand_removal.background.structure import sampled
from ego_perception.hand_removal.background.tracker import View

Index = NDArray[np.integer]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_NEAREST = 1e-3  # depths below this are taken for it
_FOLD = 4096  # pixels in a row of a map; OpenCV limits its sides to 32767


class Traced(NamedTuple):
    """Pixels that have a source, sorted by it.

    Attributes:
        order: (M,) which of the pixels that were asked for.
        bounds: (K + 1,) where each of the K snapshots begins.
        xy: (M, 2) place in the snapshot, working pixels.
    """

    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    xy: Map


class Sources:
    """The snapshots to which the places of one view point.

    Args:
        view: whose pixels are drawn.
        ids: (h, w) snapshot of each of its working pixels, -1 for none; later changes of it are not seen.
    """

    def __init__(self, store: SnapshotStore, view: View, ids: NDArray[np.int32]) -> None:
        self._view = view
        known = np.flatnonzero(ids != -1)
        values, which = np.unique(ids.ravel()[known], return_inverse=True)
        is_there = np.array([value in store for value in values], np.bool_)
        self._snapshots = [store[int(value)] for value in values[is_there]]
        self._number = np.full(ids.size, len(self._snapshots), np.uint16)
        self._number[known] = np.where(is_there, np.cumsum(is_there) - 1, len(self._snapshots))[which]
        T = [snapshot.T_cam_world @ view.T_world_cam for snapshot in self._snapshots]
        self._holes: Mask | None = None
        self._T = np.array(T, np.float32).reshape(-1, 4, 4)[:, :3]

    def trace(self, asked: Index, at: Index, x: Map, y: Map) -> Traced:
        """Find places of the view in the snapshots.

        Args:
            asked: (N,) flat working pixels whose snapshots are meant.
            at: (N,) flat working pixels whose depth the places have.
            x, y: (N,) the places, working pixels.
        """
        order, bounds, uv, _ = self._project(asked, at, x, y)
        c = self._view.camera
        focal, centre = np.array([c.fx, c.fy], np.float32), np.array([c.cx, c.cy], np.float32)
        return Traced(order, bounds, uv * focal + centre)

    def doubt_px(self, at: Index, x: Map, y: Map) -> Map:
        """(N,) standard deviation of the places by what is not known of their depth, working pixels; 0 without a source."""
        order, bounds, uv, scale = self._project(at, at, x, y)
        t = np.repeat(self._T[:, :, 3], np.diff(bounds), axis=0)
        c, spread = self._view.camera, np.sqrt(self._view.structure.information.ravel()[at[order]])
        out = np.zeros(len(at), np.float32)
        along = (t[:, :2] - uv * t[:, 2:]) * np.array([c.fx, c.fy], np.float32)
        out[order] = np.hypot(along[:, 0], along[:, 1]) * scale / spread
        return out

    def colours(self, traced: Traced, gain: NDArray[np.float32]) -> tuple[NDArray[np.float32], Mask]:
        """Sample the snapshots.

        Args:
            gain: (3,) brightness of the camera now.

        Returns:
            Colours (M, 3) as the camera would see them now, not rounded, and (M,) whether the snapshot showed background at
            that place: coordinates that were carried from frame to frame drift, and must not end on a hand.
        """
        if not len(traced.order):
            return np.zeros((0, 3), np.float32), np.zeros(0, np.bool_)
        first = self._snapshots[0]
        (height, width), (h, w) = first.rgb.shape[:2], first.hole.shape
        scale = np.array([width / w, height / h], np.float32)
        xy = (traced.xy + np.float32(0.5)) * scale - np.float32(0.5)
        colours = np.empty((len(xy), 3), np.float32)
        for k, snapshot in enumerate(self._snapshots):
            part = slice(traced.bounds[k], traced.bounds[k + 1])
            if part.start < part.stop:
                np.multiply(_sample(snapshot.rgb, xy[part]), gain / snapshot.gain, out=colours[part], dtype=np.float32)
        return colours, self._is_clear(traced, xy, scale)

    def _is_clear(self, traced: Traced, xy: Map, scale: NDArray[np.float32]) -> Mask:
        """Whether a cubic sample at each of (N, 2) places lies in the image and nothing hid the 4x4 pixels that it reads."""
        if self._holes is None:
            # With each pixel its right and lower neighbours: what lies between two corners is asked with them.
            self._holes = np.stack([_with_next(snapshot.hole) for snapshot in self._snapshots])
        count, h, w = self._holes.shape
        corner, last = np.floor(xy) + np.float32(0.5), np.array([w - 1, h - 1], np.float32)
        is_inside = ((xy >= -scale) & (xy <= last * scale + (2 * scale - 1))).all(axis=1)
        low, high = ((corner + np.float32(reach)) / scale for reach in (-1, 2))
        for edge in (low, high):
            np.minimum(np.maximum(edge, 0, out=edge), last, out=edge)
        (left, above), (right, below) = (edge.T.astype(np.int64) for edge in (low, high))
        right, below = np.maximum(right - 1, left), np.maximum(below - 1, above)
        image = np.repeat(np.arange(count) * h, np.diff(traced.bounds))
        holes, above, below = self._holes.ravel(), (above + image) * w, (below + image) * w
        is_hidden = holes[above + left] | holes[above + right] | holes[below + left] | holes[below + right]
        return np.asarray(is_inside & ~is_hidden)

    def _project(self, asked: Index, at: Index, x: Map, y: Map) -> tuple[NDArray[np.int64], NDArray[np.int64], Map, Map]:
        """Order and bounds as in `Traced`, normalised image places (M, 2) and one over their depth's growth (M,)."""
        number, count = self._number[asked], len(self._snapshots)
        bounds = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=count + 1))[:count]]).astype(np.int64)
        order = np.argsort(number, kind="stable")[: bounds[-1]].astype(np.int64)  # sixteen bits are sorted in linear time
        c, points = self._view.camera, np.empty((len(order), 1, 3), np.float32)
        points[:, 0, 0] = (x[order] - np.float32(c.cx)) * np.float32(1 / c.fx)
        points[:, 0, 1] = (y[order] - np.float32(c.cy)) * np.float32(1 / c.fy)
        points[:, 0, 2] = self._view.structure.inverse.ravel()[at[order]]
        moved = np.empty((len(order), 3), np.float32)
        for k, T in enumerate(self._T):
            part = slice(bounds[k], bounds[k + 1])
            if part.start < part.stop:
                # Rays have z = 1 and are divided by their depth: its inverse multiplies the translation.
                moved[part] = cv2.transform(points[part], T[:, [0, 1, 3, 2]])[:, 0]
        scale = np.asarray(1 / np.maximum(moved[:, 2], np.float32(_NEAREST)), np.float32)
        return order, bounds, np.asarray(moved[:, :2] * scale[:, None], np.float32), scale


def _with_next(mask: Mask) -> Mask:
    return np.asarray(cv2.dilate(mask.view(np.uint8), np.ones((2, 2), np.uint8), anchor=(0, 0)), np.uint8).view(np.bool_)


def _sample(image: NDArray[np.uint8], xy: Map) -> NDArray[np.uint8]:
    """Cubic samples (N, 3) at (N, 2) places, at least one."""
    count, width = len(xy), min(len(xy), _FOLD)
    if count % width:
        xy = np.concatenate([xy, np.zeros((-count % width, 2), np.float32)])
    folded = xy.reshape(-1, width, 2)
    return sampled(image, folded, cv2.INTER_CUBIC).reshape(-1, 3)[:count]
