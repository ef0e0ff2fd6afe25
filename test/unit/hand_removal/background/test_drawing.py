"""What is drawn into a hole: remembered pixels as they were, nothing of the hand, nothing that is not known well enough."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, make_transform
from ego_perception.hand_removal.background.drawing import Drawing, Drawn
from ego_perception.hand_removal.background.memory import Places, Snapshot, SnapshotStore
from ego_perception.hand_removal.background.sources import Sources
from ego_perception.hand_removal.background.structure import Structure
from ego_perception.hand_removal.background.tracker import View

H, W, SCALE = 24, 32, 2  # working size, and full pixels per working pixel
CAMERA = PinholeCamera(W, H, 20.0, 20.0, 15.5, 11.5)
NOW_NS, SEEN_NS = 5_000_000_000, 3_500_000_000
PICTURE = np.random.default_rng(0).integers(40, 200, (H * SCALE, W * SCALE, 3), dtype=np.uint8)
GREY = np.full_like(PICTURE, 100)
NONE = np.zeros((H, W), bool)
LEAST = 0.3


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hands = NONE.copy()
    hands[top:bottom, left:right] = True
    return hands


HANDS = box(8, 16, 8, 18)


def large(mask: np.ndarray) -> np.ndarray:
    return np.kron(mask, np.ones((SCALE, SCALE), bool))


def snapshot(number: int, stamp_ns: int, rgb: np.ndarray, hole: np.ndarray, gain: float = 1.0, x: float = 0.0) -> Snapshot:
    pose = make_transform(np.eye(3), [x, 0, 0])
    return Snapshot(number, stamp_ns, rgb, np.zeros((H, W), np.uint8), hole, hole, np.full(3, gain, np.float32), pose)


def scene(
    live: np.ndarray = PICTURE,
    memory: np.ndarray = PICTURE,
    hands: np.ndarray = HANDS,
    *,
    ids: np.ndarray | None = None,
    confidence: np.ndarray | float = 0.9,
    gain: float = 1.0,
    x: float = 0.0,
    deviation: float = 1e-3,
) -> Drawing:
    """An image with hands, in front of a wall at distance one; a camera at x has seen `memory` 1.5 s ago."""
    store = SnapshotStore(4, 0, 10)
    store.add(snapshot(0, SEEN_NS, memory, NONE, x=x))
    places = Places(
        np.where(hands, 0, -1).astype(np.int32) if ids is None else ids,
        np.full((H, W), SEEN_NS, np.int64),
        np.broadcast_to(np.asarray(confidence, np.float32), (H, W)).copy(),
    )
    blank, wall = np.zeros((H, W), np.uint8), np.ones((H, W), np.float32)
    structure = Structure(wall, wall / np.float32(deviation**2))
    view = View(blank, blank, hands, hands, CAMERA, CAMERA.rays(), structure, np.eye(4))
    return Drawing(snapshot(1, NOW_NS, live, hands, gain), view, places, Sources(store, view, places.id))


def drawn(drawing: Drawing, hands: np.ndarray = HANDS, covered: np.ndarray | None = None, least: float = LEAST) -> Drawn:
    return drawing.draw(large(hands), hands, covered, least)


def test_remembered_pixels_come_back_bit_by_bit_and_so_does_what_is_live() -> None:
    live = PICTURE.copy()
    live[large(HANDS)] = 255
    out = drawn(scene(live))
    assert np.array_equal(out.rgb, PICTURE)
    assert np.array_equal(out.observed, large(HANDS))


def test_nothing_of_the_hand_is_read() -> None:
    results = []
    for colour in (0, 255):
        live = (PICTURE * 0.8).astype(np.uint8)
        live[large(HANDS)] = colour
        results.append(drawn(scene(live)))
    for dark, bright in zip(*results, strict=True):
        assert np.array_equal(dark, bright, equal_nan=dark.dtype != bool)


def test_the_image_that_was_given_is_left_alone() -> None:
    live = PICTURE.copy()
    live[large(HANDS)] = 7
    before = live.copy()
    drawn(scene(live))
    assert np.array_equal(live, before)


def test_what_was_never_seen_is_black_of_no_age_and_not_trusted() -> None:
    left = HANDS & (np.arange(W) < 12)
    out = drawn(scene(ids=np.where(left, 0, -1).astype(np.int32)))
    unseen = large(HANDS & ~left)
    assert not out.rgb[unseen].any() and not out.observed[unseen].any() and not out.confidence[unseen].any()
    assert np.isnan(out.age_s[unseen]).all()
    assert np.array_equal(out.observed, large(left)) and np.array_equal(out.rgb[large(left)], PICTURE[large(left)])


def test_age_and_confidence_are_those_of_the_place_and_perfect_outside() -> None:
    out, hole = drawn(scene(confidence=0.7)), large(HANDS)
    assert out.age_s[hole] == pytest.approx(1.5) and not out.age_s[~hole].any()
    assert out.confidence[hole] == pytest.approx(0.7, abs=1e-4) and (out.confidence[~hole] == 1).all()


def test_no_hole_gives_the_image_and_all_hole_gives_the_memory() -> None:
    nothing = drawn(scene(hands=NONE), NONE)
    assert np.array_equal(nothing.rgb, PICTURE) and not nothing.observed.any() and (nothing.confidence == 1).all()
    everything = drawn(scene(np.zeros_like(PICTURE), hands=~NONE), ~NONE)
    assert np.array_equal(everything.rgb, PICTURE) and everything.observed.all()


@pytest.mark.parametrize("corner", [(0, 0), (0, W - 1), (H - 1, 0), (H - 1, W - 1)])
def test_a_hole_of_one_working_pixel_in_a_corner_is_filled(corner: tuple[int, int]) -> None:
    hands = NONE.copy()
    hands[corner] = True
    live = np.where(large(hands)[..., None], 255, PICTURE).astype(np.uint8)
    out = drawn(scene(live, hands=hands), hands)
    assert np.array_equal(out.rgb, PICTURE) and out.observed.sum() == SCALE**2


def test_exposure_multiplies_the_memory() -> None:
    out = drawn(scene(GREY + np.uint8(20), GREY, gain=1.2))
    assert (out.rgb == 120).all()


@pytest.mark.parametrize("light", [0.7, 1.3])
def test_light_that_changed_around_the_hole_changes_it_too(light: float) -> None:
    out = drawn(scene((GREY * light).astype(np.uint8), GREY))
    assert np.median(out.rgb[large(HANDS)]) == pytest.approx(100 * light, abs=2)


def test_colours_never_wrap_around() -> None:
    white = np.full_like(GREY, 250)
    assert (drawn(scene(np.full_like(GREY, 255), white, gain=1.2)).rgb[large(HANDS)] == 255).all()


def test_a_place_that_may_be_a_twelfth_of_the_width_off_is_trusted_half() -> None:
    # Parallax of 8 px times a deviation of 0.32 of the inverse depth: 2.56 px, 0.08 of the width.
    out = drawn(scene(GREY, GREY, x=-0.4, deviation=0.32, confidence=0.8))
    assert out.confidence[large(HANDS)] == pytest.approx(0.4, abs=1e-3)
    assert not drawn(scene(GREY, GREY, x=-0.4, deviation=0.32, confidence=0.5)).observed[large(box(9, 15, 9, 17))].any()


def test_places_are_fetched_where_the_parallax_puts_them() -> None:
    ramp = np.broadcast_to(np.arange(W * SCALE, dtype=np.uint8)[None, :, None], PICTURE.shape).copy()
    shifted = np.clip(ramp.astype(int) + 4 * SCALE, 0, 255).astype(np.uint8)
    out = drawn(scene(shifted, ramp, x=-0.2))  # twenty pixels of focal length times 0.2 at distance one
    assert np.abs(out.rgb[large(HANDS)].astype(int) - shifted[large(HANDS)]).max() <= 1


def test_where_something_covers_the_background_nothing_is_put() -> None:
    covered = box(8, 16, 8, 12)
    out = drawn(scene(), covered=covered)
    assert not out.observed[large(covered & HANDS)].any() and not out.rgb[large(covered & HANDS)].any()
    assert out.observed[large(box(10, 14, 14, 18))].all()


def test_where_something_covers_the_background_nothing_is_put_whatever_the_least_confidence() -> None:
    covered = box(8, 16, 8, 12)
    assert not drawn(scene(), covered=covered, least=0.0).observed[large(covered & HANDS)].any()


def test_the_majority_decides_about_specks_and_pinholes() -> None:
    trust = np.full((H, W), 0.9, np.float32)
    trust[12, 13] = 0.2  # more than half of the least
    out = drawn(scene(confidence=trust))
    assert out.observed[large(HANDS)].all()
    assert out.confidence[24, 26] == pytest.approx(LEAST), "it is lent what it lacks"
    trust[12, 13] = 0.1
    assert drawn(scene(confidence=trust)).observed[large(HANDS)].mean() == pytest.approx(79 / 80)
    speck = np.full((H, W), 0.2, np.float32)
    speck[12, 13] = 0.9
    assert not drawn(scene(confidence=speck)).observed[large(box(11, 14, 12, 15))].any()


def test_a_hole_of_which_nothing_is_known_well_enough_stays_empty() -> None:
    assert not drawn(scene(confidence=0.2)).observed.any()
    slit = box(4, 20, 10, 12)
    assert not drawn(scene(hands=slit, confidence=0.2), slit).observed.any()


def test_a_memory_that_shows_something_else_around_the_hole_is_doubted() -> None:
    board = np.where((np.indices(PICTURE.shape[:2]).sum(0) // 8 % 2)[..., None] > 0, 30, 220).astype(np.uint8).repeat(3, 2)
    sure, doubtful = drawn(scene(board, board)), drawn(scene(board, 250 - board))
    assert sure.confidence[large(HANDS)] == pytest.approx(0.9, abs=0.01)
    assert not doubtful.observed.any()


def test_side_by_side_shows_what_is_live_and_what_was_remembered_there() -> None:
    at = np.array([2 * W + 3, 12 * W + 13, 20 * W + 30], np.int64)
    inside = np.array([12 * W + 13] * 3, np.int64)
    found, live, memory = scene(PICTURE, GREY).side_by_side(at, inside)
    assert sorted(found.tolist()) == [0, 1, 2] and (memory == 100).all()
    rows, cols = np.divmod(at[found], W)
    nearby = np.abs(PICTURE[SCALE * rows + 1, SCALE * cols + 1].astype(int) - live).max()
    other = np.abs(PICTURE[SCALE * rows, SCALE * cols].astype(int) - live).max()
    assert min(nearby, other) == 0


def test_side_by_side_leaves_out_what_the_snapshot_did_not_show() -> None:
    at = np.array([12 * W + 2, 12 * W + 30], np.int64)
    found, _, _ = scene(x=-0.2).side_by_side(at, np.array([12 * W + 13] * 2, np.int64))  # four pixels to the right
    assert found.tolist() == [0]


def test_a_place_beyond_the_border_of_its_snapshot_is_not_drawn() -> None:
    """A snapshot of what lies far to the right shows nothing of what is behind the hand, whatever a place says."""
    assert not drawn(scene(GREY, GREY, x=5.0)).observed.any()


def test_a_snapshot_that_is_gone_gives_nothing() -> None:
    out = drawn(scene(ids=np.where(HANDS, 9, -1).astype(np.int32)))
    assert not out.observed.any() and not out.rgb[large(HANDS)].any()
