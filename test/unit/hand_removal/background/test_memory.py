"""Remembered images: bounded, and spread over time."""

from __future__ import annotations

import numpy as np

from ego_perception.hand_removal.background.memory import Snapshot, SnapshotStore

H, W = 24, 32


def snapshot(number: int, stamp_ns: int = 0) -> Snapshot:
    none = np.zeros((H, W), bool)
    rgb = np.full((H, W, 3), 100, np.uint8)
    return Snapshot(number, stamp_ns, rgb, rgb[..., 0], none, none, np.ones(3, np.float32))


def test_the_oldest_gives_way() -> None:
    store = SnapshotStore(3, 0, 10)
    for number in range(5):
        store.add(snapshot(number))
    assert [number in store for number in range(5)] == [False, False, True, True, True]
    assert store.known(np.array([-1, 1, 4], np.int32)).tolist() == [False, False, True]


def test_keyframes_keep_their_distance_and_stay_spread_over_time() -> None:
    store = SnapshotStore(2, 4, 10)
    for number in range(100):
        store.offer_keyframe(snapshot(number, stamp_ns=5 * number))
    stamps = [k.stamp_ns for k in store.keyframes]
    assert len(stamps) == 4 and stamps[0] == 0 and stamps[-1] >= 480
    assert min(np.diff(stamps)) >= 10
