"""Remembered images: bounded, and spread over time."""

from __future__ import annotations

import numpy as np

from ego_perception.hand_removal.background.memory import Places, Snapshot, SnapshotStore, close_pinholes

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


def test_pinholes_take_the_origin_of_a_neighbour_and_nothing_else_does() -> None:
    ids = np.full((H, W), 3, np.int32)
    ids[5, 5] = ids[10:20, 10:20] = ids[0, 0] = ids[5, 25] = -1
    places = Places(ids.copy(), np.where(ids == 3, 70, 0), np.where(ids == 3, 0.5, 0).astype(np.float32))
    where = np.ones((H, W), bool)
    where[5, 25] = False
    close_pinholes(places, where)
    assert places.id[5, 5] == 3 and places.stamp_ns[5, 5] == 70 and places.confidence[5, 5] == 0.5
    assert (places.id[11:19, 11:19] == -1).all() and places.id[5, 25] == -1 and places.id[0, 0] == -1
    assert (places.id[ids == 3] == 3).all()
