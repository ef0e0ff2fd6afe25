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
