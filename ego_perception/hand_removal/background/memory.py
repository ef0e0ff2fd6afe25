"""Images that were seen, kept so that pixels can be taken from them again.

Which image a pixel comes from is remembered, not its colour: colours that are warped from frame to frame blur. Each remembered
pixel is sampled once, when it is shown, at the place where its depth and the two poses put it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One remembered image.

    Attributes:
        rgb: (H, W, 3) uint8 in full size.
        grey: (h, w) uint8 in working size.
        hole: (h, w) bool, True where the background was hidden.
        grown: (h, w) bool, the hole with the rim from which no pixel can be interpolated, and what is in quarantine.
        gain: (3,) brightness of the camera when it was taken, relative to the first image.
        T_world_cam: (4, 4) pose of the camera in its world.
        world: number of the world; poses in different ones have nothing to do with each other.
    """

    id: int
    stamp_ns: int
    rgb: Image
    grey: Image
    hole: NDArray[np.bool_]
    grown: NDArray[np.bool_]
    gain: NDArray[np.float32]
    T_world_cam: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    world: int = 0


@dataclass(eq=False)
class Places:
    """In which snapshot the pixels of a working-size image were seen; (h, w) each. `id` is -1 where never."""

    id: NDArray[np.int32]
    stamp_ns: NDArray[np.int64]
    confidence: NDArray[np.float32]


def nowhere(shape: tuple[int, ...]) -> Places:
    """Places of which nothing is known."""
    return Places(np.full(shape, -1, np.int32), np.zeros(shape, np.int64), np.zeros(shape, np.float32))


class SnapshotStore:
    """The newest snapshots, and a few kept longer as keyframes.

    Args:
        capacity: snapshots kept at most, keyframes not counted.
        num_keyframes: keyframes kept at most.
        keyframe_gap_ns: least time between two keyframes.
    """

    def __init__(self, capacity: int, num_keyframes: int, keyframe_gap_ns: int) -> None:
        self._capacity, self._num_keyframes, self._gap_ns = capacity, num_keyframes, keyframe_gap_ns
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._recent: dict[int, Snapshot] = {}
        self._keyframes: dict[int, Snapshot] = {}

    @property
    def keyframes(self) -> list[Snapshot]:
        """Oldest first."""
        return list(self._keyframes.values())

    @property
    def is_full(self) -> bool:
        """True when the next `add` drops a snapshot."""
        return len(self._recent) >= self._capacity

    def __contains__(self, snapshot_id: int) -> bool:
        return snapshot_id in self._recent or snapshot_id in self._keyframes

    def __getitem__(self, snapshot_id: int) -> Snapshot:
        return self._recent[snapshot_id] if snapshot_id in self._recent else self._keyframes[snapshot_id]

    def add(self, snapshot: Snapshot) -> None:
        """Remember an image; the oldest one gives way where there is no room."""
        if self.is_full:
            del self._recent[next(iter(self._recent))]
        self._recent[snapshot.id] = snapshot

    def replace_all(self, snapshot: Snapshot) -> None:
        """Forget all snapshots but the keyframes, and remember this one."""
        self._recent = {snapshot.id: snapshot}

    def known(self, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether the snapshot of each id is still there."""
        return np.isin(ids, [*self._recent, *self._keyframes])

    def offer_keyframe(self, snapshot: Snapshot) -> None:
        """Keep a snapshot for longer if the newest keyframe is old enough; of close pairs the younger gives way."""
        kept = self.keyframes
        if not self._num_keyframes:
            return
        if kept and snapshot.stamp_ns - kept[-1].stamp_ns < self._gap_ns:
            return
        self._keyframes[snapshot.id] = snapshot
        if len(self._keyframes) > self._num_keyframes:
            if self._num_keyframes == 1:
                del self._keyframes[kept[0].id]
                return
            stamps = [k.stamp_ns for k in self.keyframes]
            # Dropping the one between the closest neighbours keeps the memory spread over time.
            spans = [stamps[i + 1] - stamps[i - 1] for i in range(1, len(stamps) - 1)]
            del self._keyframes[self.keyframes[1 + int(np.argmin(spans))].id]

    def colours(
        self, ids: NDArray[np.int32], xy: NDArray[np.float32], gain: NDArray[np.float32]
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Sample remembered pixels.

        Args:
            ids: (N,) snapshot of each pixel, -1 for none.
            xy: (N, 2) place in it, full-size pixels.
            gain: (3,) brightness of the camera now.

        Returns:
            Colours (N, 3) as the camera would see them now, and (N,) whether the snapshot is still there and showed background
            at that place: coordinates that were carried from frame to frame drift, and must not end on a hand.
        """
        out, found = np.zeros((len(ids), 3), np.uint8), np.zeros(len(ids), np.bool_)
        if not len(ids):
            return out, found
        order = np.argsort(ids, kind="stable")
        values, starts = np.unique(ids[order], return_index=True)
        for snapshot_id, rows in zip(values, np.split(order, starts[1:]), strict=True):
            if snapshot_id not in self:
                continue
            snapshot = self[int(snapshot_id)]
            is_clear = _is_clear(snapshot, xy[rows])
            out[rows] = _sample(snapshot.rgb, xy[rows], gain / snapshot.gain) * is_clear[:, None]
            found[rows] = is_clear
        return out, found


def _is_clear(snapshot: Snapshot, xy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether nothing hid the background in all of the 4x4 pixels that a cubic sample at each of (N, 2) places reads."""
    (height, width), (h, w) = snapshot.rgb.shape[:2], snapshot.hole.shape
    is_clear = np.ones(len(xy), np.bool_)
    corner, scale = np.floor(xy) + np.float32(0.5), np.array([w / width, h / height], np.float32)
    low = np.clip((corner - 1) * scale, 0, [w - 1, h - 1]).astype(np.int32)
    high = np.clip((corner + 2) * scale, 0, [w - 1, h - 1]).astype(np.int32)
    for cols in (low[:, 0], high[:, 0]):
        for rows in (low[:, 1], high[:, 1]):
            is_clear &= ~snapshot.hole[rows, cols]
    return is_clear


def _sample(image: Image, xy: NDArray[np.float32], gain: NDArray[np.float32]) -> Image:
    """Cubic samples at (N, 2) places, times a gain per channel. OpenCV limits a map's sides to 32767, hence the folding."""
    count, width = len(xy), 4096
    folded = np.zeros((-(-count // width) * width, 2), np.float32)
    folded[:count] = xy
    maps = folded.reshape(-1, width, 2)
    sampled = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    colours = sampled.reshape(-1, 3)[:count].astype(np.float32) * gain
    return np.asarray(np.clip(colours + 0.5, 0, 255), np.uint8)
