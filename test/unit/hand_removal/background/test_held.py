"""Held objects and the memory: their hidden part is no background, and what they leave behind is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.tables import COLS, ROWS, H, W, disc, table

from ego_perception.hand_removal.background.held import held_objects
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate

STEP_NS = 50_000_000
BOX = (240, 240, 20)
TABLE = table()
CUP, HAND = disc(150, 120, 30), disc(175, 120, 25)


def test_an_object_goes_on_behind_the_hand_about_as_far_as_it_is_large() -> None:
    held = held_objects(CUP & ~HAND, HAND)
    assert not (held.behind[~HAND] > 0).any() and not (held.piece[HAND] > 0).any()
    inside, beyond = CUP & HAND & disc(150, 120, 20), HAND & ~disc(150, 120, 45)
    assert (held.behind[inside] == held.piece[120, 135]).mean() > 0.5
    assert not (held.behind[beyond] > 0).any()


@pytest.mark.parametrize("movers", [disc(60, 60, 20), disc(150, 120, 1), np.zeros((H, W), bool)])
def test_what_is_far_from_the_hand_or_tiny_hides_nothing(movers: np.ndarray) -> None:
    assert not held_objects(movers & ~HAND, HAND).behind.any()


def test_two_objects_are_told_apart() -> None:
    held = held_objects((disc(146, 120, 16) | disc(212, 120, 21)) & ~HAND, HAND)
    assert held.piece.max() == 2
    assert held.behind[120, 152] == held.piece[120, 140] and held.behind[120, 198] == held.piece[120, 215]


def test_of_a_thin_slice_the_rest_lies_behind_the_hand() -> None:
    hand = (ROWS > 104) & (np.abs(COLS - 150) < 45)
    ball = disc(150, 120, 25)
    slice_, handle = ball & ~hand & (ROWS < 105), (np.abs(COLS - 150) < 5) & (ROWS > 60) & (ROWS < 105)
    for seen, reaches_down in ((slice_, True), (handle, False)):
        held = held_objects(seen & ~hand, hand)
        assert seen.sum() > 200 and held.piece.max() == 1
        assert bool(held.behind[115, 150]) == reaches_down
    assert not held_objects(slice_, hand).behind[170:].any()


def test_fingers_divide_an_object_and_it_goes_on_under_them() -> None:
    fingers = CUP & (COLS > 144) & (COLS < 152)
    held = held_objects(CUP & ~fingers, fingers)
    assert held.piece.max() == 1 and (held.behind[fingers] == 1).all()


def remembered(memory: np.ndarray) -> np.ndarray:
    live = np.where(CUP[..., None], BOX, TABLE).astype(np.uint8)
    held = held_objects(CUP & ~HAND, HAND)
    at = np.nonzero(held.piece)
    return held.remembered(*at, live[at], memory[at])


def test_an_object_that_is_remembered_where_it_is_goes_with_its_hidden_part() -> None:
    at_rest = np.where(CUP[..., None], BOX, TABLE).astype(np.uint8)
    gone = remembered(at_rest)
    assert gone[CUP & ~HAND].all() and gone[120, 155] and not gone[120, 195]


def test_background_over_which_an_object_has_moved_is_kept() -> None:
    assert not remembered(TABLE).any()


def test_a_few_pixels_of_the_same_colour_are_no_evidence() -> None:
    speckled = TABLE.copy()
    speckled[::9, ::9] = BOX
    assert not remembered(speckled).any()


def taken_away(movers_known: bool) -> tuple[Background, np.ndarray, np.ndarray]:
    """A box that lay there for a while is pulled to the right from under a hand that came from above and stays."""
    plate = BackgroundPlate(BackgroundConfig(keyframe_gap_s=0.1))
    for k in range(24):
        box = np.zeros((H, W), bool)
        left = 120 + 7 * max(0, k - 14)
        box[100:140, left : left + 60] = True
        clean = np.where(box[..., None], BOX, TABLE).astype(np.uint8)
        hand = disc(150, min(-20 + 12 * k, 120), 22)
        rgb = np.where(hand[..., None], 250, clean).astype(np.uint8)
        movers = box & ~hand if movers_known and k >= 10 else None
        background = plate.push(rgb, hand, k * STEP_NS, movers=movers)
    return background, clean, hand


def test_an_object_that_was_taken_away_does_not_come_back_where_it_was() -> None:
    shown = []
    for movers_known in (False, True):
        background, clean, hand = taken_away(movers_known)
        is_box = (np.abs(background.rgb.astype(int) - BOX).max(axis=-1) < 40) & background.observed
        shown.append(int((is_box & hand & (np.abs(clean.astype(int) - BOX).max(axis=-1) > 60)).sum()))
    assert shown[0] > 300 and shown[1] == 0


def test_the_hidden_part_of_an_object_is_not_painted_with_what_was_there_before() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(12):
        x = 60 + 10 * k
        cup, hand = disc(x, 120, 26), disc(x - 18, 120, 22)
        clean = np.where(cup[..., None], BOX, TABLE).astype(np.uint8)
        rgb = np.where(hand[..., None], 250, clean).astype(np.uint8)
        background = plate.push(rgb, hand, k * STEP_NS, movers=cup & ~hand)
    assert not background.observed[disc(x, 120, 18) & disc(x - 18, 120, 20)].any()


def random_things(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hand = disc(*rng.uniform([100, 80], [220, 160]), rng.uniform(15, 40))
    things = np.any([disc(*rng.uniform([80, 60], [240, 180]), rng.uniform(4, 25)) for _ in range(3)], axis=0)
    return np.asarray(things & ~hand), hand


@pytest.mark.parametrize("seed", range(5))
def test_objects_are_in_what_was_given_and_go_on_in_the_hole_only(seed: int) -> None:
    movers, hole = random_things(seed)
    held = held_objects(movers, hole)
    assert np.array_equal(held.piece > 0, movers)
    assert not (held.behind[~hole] > 0).any()
    assert set(np.unique(held.behind)) <= set(np.unique(held.piece)) | {0}


@pytest.mark.parametrize("seed", range(5))
def test_mirrored_objects_go_on_mirrored(seed: int) -> None:
    movers, hole = random_things(seed)
    plain = held_objects(movers, hole).behind > 0
    for turned in (np.s_[:, ::-1], np.s_[::-1]):
        other = held_objects(movers[turned].copy(), hole[turned].copy()).behind[turned] > 0
        assert (other != plain).sum() <= 0.02 * max(plain.sum(), 1)


def test_a_larger_object_reaches_farther() -> None:
    reach = []
    hand = COLS >= 160
    for radius in (10, 20, 40):
        held = held_objects(disc(160, 120, radius) & ~hand, hand)
        reach.append(int((held.behind > 0).any(axis=0).sum()))
    assert reach == sorted(reach) and reach[2] > 2 * reach[0]


def test_without_hand_or_without_object_nothing_is_behind() -> None:
    nothing = np.zeros((H, W), bool)
    for movers, hole in ((CUP, nothing), (nothing, ~nothing), (nothing, nothing), (~nothing, nothing)):
        held = held_objects(movers, hole)
        assert not held.behind.any() and np.array_equal(held.piece > 0, movers)
        rows, cols = np.nonzero(nothing)
        gone = held.remembered(rows, cols, np.zeros((0, 3)), np.zeros((0, 3)))
        assert gone.shape == (H, W) and not gone.any()


def test_a_hand_of_one_pixel_on_an_object_hides_that_pixel() -> None:
    hand = np.zeros((H, W), bool)
    hand[120, 150] = True
    held = held_objects(CUP & ~hand, hand)
    assert held.behind[120, 150] == 1 and (held.behind > 0).sum() == 1


def test_only_the_object_that_is_remembered_at_its_place_is_forgotten() -> None:
    hand = disc(160, 120, 20)
    left, right = disc(125, 120, 18) & ~hand, disc(195, 120, 18) & ~hand
    held = held_objects(left | right, hand)
    live = np.where((left | right)[..., None], BOX, TABLE).astype(np.uint8)
    memory = np.where(left[..., None], BOX, TABLE).astype(np.uint8)
    rows, cols = np.nonzero(held.piece)
    gone = held.remembered(rows, cols, live[rows, cols], memory[rows, cols])
    assert gone[left].mean() > 0.95 and not gone[disc(195, 120, 12)].any()
    assert (gone & hand & (COLS < 160)).any() and not (gone & hand & (COLS > 170)).any()
