"""Remembered images: bounded, spread over time, and sampled only where they show background."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.hand_removal.background.memory import Snapshot, SnapshotStore

H, W = 24, 32
ONE = np.ones(3, np.float32)


def snapshot(number: int, stamp_ns: int = 0, value: int = 100, hole: np.ndarray | None = None, gain: float = 1.0) -> Snapshot:
    none = np.zeros((H, W), bool) if hole is None else hole
    rgb = np.full((H, W, 3), value, np.uint8)
    return Snapshot(number, stamp_ns, rgb, rgb[..., 0], none, none, ONE * np.float32(gain))


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


def test_colours_come_from_the_named_image_with_its_gain() -> None:
    store = SnapshotStore(5, 0, 10)
    store.add(snapshot(0, value=100))
    store.add(snapshot(1, value=60, gain=0.5))
    ids = np.array([1, -1, 0, 7, 1], np.int32)
    colours, found = store.colours(ids, np.full((5, 2), 10, np.float32), ONE)
    assert found.tolist() == [True, False, True, False, True]
    assert colours[:, 0].tolist() == [120, 0, 100, 0, 120]


def test_nothing_is_taken_from_a_hand_or_beside_one() -> None:
    hole = np.zeros((H, W), bool)
    hole[:, 20:] = True
    store = SnapshotStore(5, 0, 10)
    store.add(snapshot(0, hole=hole))
    xy = np.array([[25, 10], [19, 10], [18, 10], [17, 10], [5, 10]], np.float32)
    assert store.colours(np.zeros(5, np.int32), xy, ONE)[1].tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("count", [0, 1, 4096, 5000])
def test_any_number_of_pixels(count: int) -> None:
    store = SnapshotStore(5, 0, 10)
    store.add(snapshot(0))
    colours, found = store.colours(np.zeros(count, np.int32), np.full((count, 2), 9, np.float32), ONE)
    assert colours.shape == (count, 3) and found.sum() == count and (colours == 100).all()
