"""Images that were seen, kept so that pixels can be taken from them again.

Which image a pixel comes from is remembered, not its colour: colours that are warped from frame to frame blur. Each remembered
pixel is sampled once, when it is shown, at the place where its depth and the two poses put it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import invert

Image = NDArray[np.uint8]

_AROUND_PX, _SURROUNDED = 5, 0.6  # a pinhole: of the pixels in a square of this side more than this share is known


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

    @cached_property
    def T_cam_world(self) -> NDArray[np.float64]:
        """(4, 4) world to camera."""
        return invert(self.T_world_cam)


@dataclass(eq=False)
class Places:
    """In which snapshot the pixels of a working-size image were seen; (h, w) each. `id` is -1 where never."""

    id: NDArray[np.int32]
    stamp_ns: NDArray[np.int64]
    confidence: NDArray[np.float32]


def nowhere(shape: tuple[int, ...]) -> Places:
    """Places of which nothing is known."""
    return Places(np.full(shape, -1, np.int32), np.zeros(shape, np.int64), np.zeros(shape, np.float32))


def close_pinholes(places: Places, where: NDArray[np.bool_]) -> None:
    """Give single pixels (h, w) `where` allows that nothing is known of the origin that their neighbours have."""
    known = (places.id != -1).view(np.uint8)
    share = cv2.boxFilter(known, cv2.CV_32F, (_AROUND_PX, _AROUND_PX), borderType=cv2.BORDER_CONSTANT)
    at = np.flatnonzero(where & (known == 0) & (share > _SURROUNDED))
    w = known.shape[1]
    ids, stamps, confidence = places.id.ravel(), places.stamp_ns.ravel(), places.confidence.ravel()
    for step in (-1, 1, -w, w):
        beside = np.clip(at + step, 0, known.size - 1)
        found = known.ravel()[beside] > 0
        ids[at[found]], stamps[at[found]] = ids[beside[found]], stamps[beside[found]]
        confidence[at[found]] = confidence[beside[found]]
        at = at[~found]


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
