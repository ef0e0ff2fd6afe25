"""What hand removal is measured against: nothing of the hand is read, nothing else touched, and plain pictures stay plain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.hand_removal.background.drawing import Background
from ego_perception.hand_removal.baselines import forgetful, navier_stokes, propagation_and_telea, telea

H, W = 36, 48
RGB = np.random.default_rng(0).integers(20, 200, (H, W, 3), dtype=np.uint8)
NONE = np.zeros((H, W), bool)
Inpainter = Callable[[np.ndarray, np.ndarray], np.ndarray]
both = pytest.mark.parametrize("inpaint", [telea, navier_stokes])


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hole = NONE.copy()
    hole[top:bottom, left:right] = True
    return hole


HOLES = [box(10, 20, 12, 30), box(H - 1, H, W - 1, W), box(26, 36, 20, 48), box(10, 20, 40, 48), box(5, 6, 7, 8)]
ABOVE_AND_LEFT = [box(0, H, 0, 8), box(0, 10, 20, 30), box(26, 36, 0, 10)]


def of_hands_in(inpaint: Inpainter, hole: np.ndarray) -> list[np.ndarray]:
    """The picture with black hands and with white ones, without them."""
    return [inpaint(np.where(hole[..., None], colour, RGB).astype(np.uint8), hole) for colour in (0, 255)]


@both
@pytest.mark.parametrize("hole", HOLES + ABOVE_AND_LEFT)
def test_outside_the_hole_nothing_changes(inpaint: Inpainter, hole: np.ndarray) -> None:
    before = RGB.copy()
    for out in of_hands_in(inpaint, hole):
        assert np.array_equal(out[~hole], RGB[~hole])
    assert not np.array_equal(inpaint(RGB, hole), RGB) and np.array_equal(RGB, before), "the image itself is left alone"


@both
@pytest.mark.parametrize("hole", HOLES)
def test_inside_the_hole_nothing_is_read(inpaint: Inpainter, hole: np.ndarray) -> None:
    black, white = of_hands_in(inpaint, hole)
    assert np.array_equal(black, white)


@both
@pytest.mark.parametrize("hole", ABOVE_AND_LEFT)
def test_inside_a_hole_at_the_upper_or_left_border_nothing_is_read(inpaint: Inpainter, hole: np.ndarray) -> None:
    black, white = of_hands_in(inpaint, hole)
    assert np.array_equal(black, white)


@both
@pytest.mark.parametrize("hole", HOLES)
def test_a_plain_picture_goes_on(inpaint: Inpainter, hole: np.ndarray) -> None:
    plain = np.full((H, W, 3), (90, 140, 30), np.uint8)
    out = inpaint(np.where(hole[..., None], 255, plain).astype(np.uint8), hole)
    assert np.abs(out.astype(int) - plain).max() <= 3


@both
def test_without_a_hole_the_image_stays(inpaint: Inpainter) -> None:
    assert np.array_equal(inpaint(RGB, NONE), RGB)


def test_each_side_of_an_edge_goes_on() -> None:
    edge = np.where((np.arange(W) < 24)[:, None], 40, 200).astype(np.uint8)[None].repeat(H, 0).repeat(3, 2)
    hole = box(12, 20, 16, 32)
    out = telea(np.where(hole[..., None], 0, edge).astype(np.uint8), hole)
    assert np.abs(out[12:20, 16:18].astype(int) - 40).max() < 15 and np.abs(out[12:20, 30:32].astype(int) - 200).max() < 15


def test_a_single_frame_knows_nothing_of_what_is_hidden() -> None:
    hole = box(10, 20, 12, 30)
    background = forgetful(RGB, hole)
    assert not background.observed.any() and not background.is_cut and background.flow is None
    assert not background.rgb[hole].any() and np.array_equal(background.rgb[~hole], RGB[~hole])
    assert not background.confidence[hole].any() and (background.confidence[~hole] == 1).all()
    assert np.isnan(background.age_s[hole]).all() and not background.age_s[~hole].any()
    assert background.confidence.dtype == np.float32 and background.age_s.dtype == np.float32
    assert RGB[hole].any(), "the image itself is left alone"


def test_what_is_remembered_is_kept_and_the_rest_continued_from_it() -> None:
    hole, seen = box(8, 24, 10, 34), box(8, 24, 10, 24)
    memory = RGB.copy()
    memory[seen], memory[hole & ~seen] = (10, 200, 90), 0
    background = Background(memory, seen, (~hole | seen).astype(np.float32), np.zeros((H, W), np.float32))
    out = propagation_and_telea(background, hole)
    assert np.array_equal(out[~hole | seen], memory[~hole | seen])
    assert np.abs(out[14:18, 24].astype(int) - (10, 200, 90)).max() < 25, "not from the black of what is unknown"
    whole = Background(memory, hole, np.ones((H, W), np.float32), np.zeros((H, W), np.float32))
    assert np.array_equal(propagation_and_telea(whole, hole), memory)


def test_with_nothing_remembered_propagation_is_telea() -> None:
    hole = box(8, 24, 10, 34)
    assert np.array_equal(propagation_and_telea(forgetful(RGB, hole), hole), telea(RGB, hole))
