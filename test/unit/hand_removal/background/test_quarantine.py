"""Hands that a mask misses for a while stay out of the memory; hands that move as hands do cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.tables import H, W, disc, table

from ego_perception.hand_removal.background.plate import BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.background.quarantine import Quarantine, out_of_nowhere, strange_pieces

STEP_NS = 50_000_000
STEP_S = STEP_NS * 1e-9
NONE = np.zeros((H, W), bool)
SAME = np.arange(W * H).reshape(H, W)
SKIN = (250, 20, 250)
TABLE = table()


@pytest.mark.parametrize(("before", "now"), [(disc(100), disc(112)), (NONE, disc(-20)), (disc(160, 250), disc(160, 238))])
def test_a_hand_that_moves_or_comes_in_from_the_border_is_not_strange(before: np.ndarray, now: np.ndarray) -> None:
    assert not out_of_nowhere(now, before, SAME, STEP_S).any()
    assert not strange_pieces(before & ~now, now, STEP_S).any()


def test_all_that_is_new_in_a_piece_out_of_nowhere_is_strange_and_other_pieces_are_not() -> None:
    before, now = disc(60), disc(68) | disc(200)
    assert np.array_equal(out_of_nowhere(now, before, SAME, STEP_S), disc(200))


def test_a_long_time_between_two_images_explains_a_long_way() -> None:
    assert out_of_nowhere(disc(160), disc(60), SAME, STEP_S).any()
    assert not out_of_nowhere(disc(160), disc(60), SAME, 0.5).any()


def test_what_was_not_in_view_before_is_not_new() -> None:
    assert not out_of_nowhere(disc(160), NONE, np.full((H, W), -1), STEP_S).any()


def test_a_mask_that_vanishes_leaves_its_place_in_quarantine_for_a_while() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(160), None, 0)
    after = [quarantine.unsure(NONE, SAME, k * STEP_NS) for k in range(1, 40)]
    assert after[0][disc(160, radius=40)].all() and not after[0][~disc(160, radius=50)].any()
    assert np.array_equal(after[0], after[10])
    assert not after[-1].any()


def test_quarantine_moves_with_the_background_and_ends_with_the_world() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(160), None, 0)
    quarantine.unsure(NONE, SAME, STEP_NS)
    moved = quarantine.unsure(NONE, np.roll(SAME, 5, axis=1), 2 * STEP_NS)
    assert moved[disc(165)].all() and np.flatnonzero(moved.any(axis=0)).mean() == pytest.approx(165)
    assert not quarantine.unsure(NONE, None, 3 * STEP_NS).any()


def test_a_place_that_a_hand_has_left_is_trusted_at_once() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(100), None, 0)
    assert np.array_equal(quarantine.unsure(disc(110), SAME, STEP_NS), disc(110))


def recalled(missed: range) -> tuple[int, float]:
    """A hand slides in from the left and slows down; its mask is lost in some images. Skin recalled, share known."""
    plate, skin = BackgroundPlate(BackgroundConfig()), 0
    for k in range(24):
        hand = disc(min(-40 + 12 * k, 130) + 2 * max(0, k - 14))
        rgb = np.where(hand[..., None], SKIN, TABLE).astype(np.uint8)
        hole = NONE if k in missed else disc(min(-40 + 12 * k, 130) + 2 * max(0, k - 14), radius=34)
        background = plate.push(rgb, hole, k * STEP_NS)
        skin += int((np.abs(background.rgb.astype(int) - SKIN).max(axis=-1)[hole & background.observed] < 60).sum())
    return skin, float(background.observed[hole].mean())


def test_a_lost_hand_is_not_remembered_and_what_was_known_before_stays() -> None:
    skin, known = recalled(range(16, 20))
    assert skin == 0 and known > 0.9


def test_a_hand_that_is_found_late_is_not_remembered() -> None:
    assert recalled(range(0, 14))[0] == 0


def test_a_hand_that_is_never_lost_costs_nothing() -> None:
    skin, known = recalled(range(0))
    assert skin == 0 and known > 0.95


def blobs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.any([disc(*rng.uniform([0, 0, 4], [W, H, 30])) for _ in range(4)], axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_strange_pieces_are_whole_pieces_and_mirror_with_the_image(seed: int) -> None:
    changed, covered = blobs(seed) & ~blobs(seed + 50), blobs(seed + 50)
    strange = strange_pieces(changed, covered, STEP_S)
    assert not (strange & ~changed).any()
    assert np.array_equal(strange_pieces(changed[:, ::-1].copy(), covered[:, ::-1].copy(), STEP_S), strange[:, ::-1])
    assert np.array_equal(strange_pieces(changed[::-1].copy(), covered[::-1].copy(), STEP_S), strange[::-1])
    later = strange_pieces(changed, covered, 2 * STEP_S)
    assert not (later & ~strange).any(), "more time explains more"
    wider = strange_pieces(changed, covered | disc(160, 120, 40), STEP_S)
    assert not (wider & ~strange).any(), "more cover explains more"


@pytest.mark.parametrize(("gap", "is_strange"), [(11, False), (17, True)])
def test_far_is_a_width_in_a_second(gap: int, is_strange: bool) -> None:
    """0.05 s: sixteen pixels of 320."""
    covered, changed = NONE.copy(), NONE.copy()
    covered[100:140, 100:140] = True
    changed[118:122, 140 + gap : 144 + gap] = True
    assert strange_pieces(changed, covered, STEP_S).any() == is_strange


@pytest.mark.parametrize("elapsed_s", [0.0, -1.0, 1e-9])
def test_in_no_time_a_hand_may_still_move_a_little(elapsed_s: float) -> None:
    assert not strange_pieces(disc(108) & ~disc(100), disc(100), elapsed_s).any()
    assert strange_pieces(disc(200), disc(100), elapsed_s).any()


def test_nothing_is_strange_where_all_or_nothing_changed() -> None:
    assert not strange_pieces(NONE, NONE, STEP_S).any()
    assert not strange_pieces(~NONE, ~NONE, STEP_S).any()
    lone = NONE.copy()
    lone[0, 0] = True
    assert not strange_pieces(lone, NONE, STEP_S).any(), "a hand comes from the border"
    lone[0, 0], lone[120, 160] = False, True
    assert strange_pieces(lone, NONE, STEP_S).sum() == 1


def test_what_is_covered_stays_covered_and_the_mask_is_not_written_to() -> None:
    quarantine, rng = Quarantine(), np.random.default_rng(0)
    for k in range(12):
        covered = blobs(int(rng.integers(1000)))
        before = covered.copy()
        unsure = quarantine.unsure(covered, SAME, k * STEP_NS)
        assert (unsure >= covered).all() and np.array_equal(covered, before)


def test_quarantine_lasts_a_second_from_when_the_mask_vanished() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(160), None, 0)
    assert quarantine.unsure(NONE, SAME, STEP_NS)[120, 160]
    for k in range(2, 60):
        assert quarantine.unsure(NONE, SAME, k * STEP_NS)[120, 160] == (k * STEP_NS < STEP_NS + 10**9)


def test_a_quarantine_that_was_cleared_waits_for_nothing() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(160), None, 0)
    quarantine.unsure(NONE, SAME, STEP_NS)
    quarantine.clear()
    assert not quarantine.unsure(NONE, SAME, 2 * STEP_NS).any()


def test_what_left_the_view_is_not_waited_for() -> None:
    quarantine = Quarantine()
    quarantine.unsure(disc(160), None, 0)
    quarantine.unsure(NONE, SAME, STEP_NS)
    assert not quarantine.unsure(NONE, np.full((H, W), -1), 2 * STEP_NS).any()
