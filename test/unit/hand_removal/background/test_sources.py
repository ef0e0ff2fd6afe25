"""Pixels are drawn from the image that was named, at the place where depth and poses put them, and never from a hand."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, make_transform
from ego_perception.hand_removal.background.memory import Snapshot, SnapshotStore
from ego_perception.hand_removal.background.sources import Sources
from ego_perception.hand_removal.background.structure import Structure
from ego_perception.hand_removal.background.tracker import View

H, W = 24, 32
CAMERA = PinholeCamera(W, H, 20.0, 20.0, 15.5, 11.5)
ONE = np.ones(3, np.float32)
RAMP = np.broadcast_to(np.arange(W, dtype=np.uint8)[None, :, None] * 4, (H, W, 3)).copy()


def snapshot(
    number: int,
    value: int = 100,
    hole: np.ndarray | None = None,
    gain: float = 1.0,
    rgb: np.ndarray | None = None,
    x: float = 0,
) -> Snapshot:
    none = np.zeros((H, W), bool) if hole is None else hole
    image = np.full((H, W, 3), value, np.uint8) if rgb is None else rgb
    pose = make_transform(np.eye(3), [x, 0, 0])
    return Snapshot(number, 0, image, np.zeros((H, W), np.uint8), none, none, ONE * np.float32(gain), pose)


def view(inverse: float = 1.0, deviation: float = 0.1) -> View:
    blank, nothing = np.zeros((H, W), np.uint8), np.zeros((H, W), bool)
    near = np.full((H, W), inverse, np.float32)
    structure = Structure(near, np.full((H, W), deviation**-2, np.float32))
    return View(blank, blank, nothing, nothing, CAMERA, CAMERA.rays(), structure, np.eye(4))


def sources(*snapshots: Snapshot, ids: np.ndarray | None = None, seen: View | None = None) -> Sources:
    store = SnapshotStore(9, 0, 10)
    for each in snapshots:
        store.add(each)
    return Sources(store, view() if seen is None else seen, np.zeros((H, W), np.int32) if ids is None else ids)


def taken(of: Sources, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order, colours, and whether they count, of places (N,) in whole pixels."""
    at = y.astype(np.int64) * W + x.astype(np.int64)
    traced = of.trace(at, at, x.astype(np.float32), y.astype(np.float32))
    return traced.order, *of.colours(traced, ONE)


def test_colours_come_from_the_named_image_with_its_gain() -> None:
    ids = np.full((H, W), -1, np.int32)
    ids[10, :5] = [1, -1, 0, 7, 1]  # nobody is called seven
    order, colours, is_clear = taken(
        sources(snapshot(0, 100), snapshot(1, 60, gain=0.5), ids=ids), np.arange(5), np.full(5, 10)
    )
    assert dict(zip(order.tolist(), colours[:, 0].tolist(), strict=True)) == {0: 120, 2: 100, 4: 120}
    assert is_clear.all()


def test_nothing_is_taken_from_a_hand_or_beside_one() -> None:
    hole = np.zeros((H, W), bool)
    hole[:, 20:] = True
    order, _, is_clear = taken(sources(snapshot(0, hole=hole)), np.array([25, 19, 18, 17, 5]), np.full(5, 10))
    assert is_clear[np.argsort(order)].tolist() == [False, False, False, True, True]


def test_a_hand_in_one_image_does_not_matter_in_another() -> None:
    ids = np.zeros((H, W), np.int32)
    ids[:, 16:] = 1
    whole = np.ones((H, W), bool)
    order, _, is_clear = taken(sources(snapshot(0, hole=whole), snapshot(1), ids=ids), np.array([20, 3, 28]), np.full(3, 9))
    assert is_clear[np.argsort(order)].tolist() == [True, False, True]


@pytest.mark.parametrize("inverse", [0.5, 1.0])
def test_places_move_with_their_inverse_depth(inverse: float) -> None:
    # The older camera stood 0.2 to the left: in its image everything lies 0.2 * focal length * inverse depth to the right.
    of = sources(snapshot(0, rgb=RAMP, x=-0.2), seen=view(inverse))
    _, colours, _ = taken(of, np.array([10]), np.array([12]))
    assert colours[0, 0] == pytest.approx(4 * (10 + 4 * inverse), abs=0.5)


def test_doubt_is_that_of_the_depth_times_the_parallax() -> None:
    at = np.array([12 * W + 10])
    x, y = np.array([10], np.float32), np.array([12], np.float32)
    assert sources(snapshot(0, x=-0.2), seen=view(deviation=0.1)).doubt_px(at, x, y) == pytest.approx([0.4], rel=1e-3)
    assert sources(snapshot(0), seen=view(deviation=0.1)).doubt_px(at, x, y) == pytest.approx([0.0], abs=1e-6)
    nowhere = np.full((H, W), -1, np.int32)
    assert sources(snapshot(0, x=-0.2), ids=nowhere).doubt_px(at, x, y).tolist() == [0.0]


@pytest.mark.parametrize("count", [0, 1, 4096, 5000])
def test_any_number_of_pixels(count: int) -> None:
    order, colours, is_clear = taken(sources(snapshot(0)), np.full(count, 9), np.full(count, 9))
    assert sorted(order.tolist()) == list(range(count)) and colours.shape == (count, 3)
    assert is_clear.all() and (colours == 100).all()


@pytest.mark.parametrize("width", [3, 4, 9])
@pytest.mark.parametrize("is_row", [False, True])
def test_no_sample_reads_a_hidden_pixel(width: int, is_row: bool) -> None:
    """A cubic sample reads four by four pixels: whatever lies in the hole must not show in one that counts."""
    hole = np.zeros((H, W), bool)
    hole[(slice(10, 10 + width), slice(None)) if is_row else (slice(None), slice(10, 10 + width))] = True
    rng = np.random.default_rng(0)
    at = rng.uniform(2, [W - 3, H - 3], (400, 2)).astype(np.float32)
    results = []
    for junk in (0, 255):
        of = sources(snapshot(0, rgb=np.where(hole[..., None], junk, RAMP).astype(np.uint8), hole=hole))
        flat = np.full(len(at), 5, np.int64)
        traced = of.trace(flat, flat, at[:, 0].copy(), at[:, 1].copy())
        results.append(of.colours(traced, ONE))
    (dark, is_clear), (bright, same) = results
    assert np.array_equal(is_clear, same) and 0.1 < is_clear.mean() < 0.95
    assert np.array_equal(dark[is_clear], bright[is_clear])


@pytest.mark.parametrize("width", [1, 2])
def test_no_sample_reads_a_hidden_pixel_of_a_thin_hole(width: int) -> None:
    hole = np.zeros((H, W), bool)
    hole[:, 18 : 18 + width] = True
    order, _, is_clear = taken(sources(snapshot(0, hole=hole)), np.arange(15, 24), np.full(9, 10))
    touched = ~is_clear[np.argsort(order)]
    assert touched[18 - 15 : 18 + width - 15].all(), "the hidden pixels themselves"


@pytest.mark.parametrize("x", [5.0, -5.0])
def test_a_place_beyond_the_border_was_not_shown(x: float) -> None:
    _, _, is_clear = taken(sources(snapshot(0, x=x)), np.array([10]), np.array([12]))
    assert not is_clear.any()


def test_each_pixel_has_the_depth_it_is_told_and_the_snapshot_of_another() -> None:
    ids = np.full((H, W), -1, np.int32)
    ids[3, 3], ids[3, 4] = 0, 1
    seen = view()
    inverse = np.ones((H, W), np.float32)
    inverse[9, 9] = 0.25
    seen = View(**{**vars(seen), "structure": Structure(inverse, inverse)})
    of = sources(snapshot(0, rgb=RAMP, x=-0.2), snapshot(1, 200), ids=ids, seen=seen)
    x, y = np.full(3, 10, np.float32), np.full(3, 12, np.float32)
    asked, at = np.array([3 * W + 3, 3 * W + 4, 3 * W + 3]), np.array([9 * W + 9, 9 * W + 9, 0])
    traced = of.trace(asked, at, x, y)
    colours = of.colours(traced, ONE)[0][np.argsort(traced.order), 0]
    assert colours == pytest.approx([4 * 11, 200, 4 * 14], abs=0.5)
    assert traced.bounds.tolist() == [0, 2, 3]


def test_without_any_snapshot_nothing_is_traced() -> None:
    of = sources(ids=np.full((H, W), 4, np.int32))
    order, colours, is_clear = taken(of, np.arange(5), np.full(5, 3))
    assert len(order) == len(colours) == len(is_clear) == 0
    assert not of.doubt_px(np.arange(5), np.zeros(5, np.float32), np.zeros(5, np.float32)).any()


def test_gain_is_relative_and_per_channel() -> None:
    of = sources(snapshot(0, 100, gain=0.5))
    at = np.array([5 * W + 5])
    traced = of.trace(at, at, np.array([5], np.float32), np.array([5], np.float32))
    assert of.colours(traced, np.array([0.5, 1.0, 0.25], np.float32))[0][0].tolist() == [100, 200, 50]
