"""Generated pixels in the frame: the camera's own stay, colours fit, the seam fades, whatever the shape of the hole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fixtures.random_weights import numbers

from ego_perception.hand_removal.vidm.compositing import blend, match_colours, paste

H, W = 64, 80


def picture(name: str) -> np.ndarray:
    smooth = cv2.GaussianBlur(numbers(name, (H, W, 3)).numpy(), (0, 0), 4) * 6
    return np.clip(smooth * 50 + 128, 0, 255).astype(np.uint8)


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hole = np.zeros((H, W), np.bool_)
    hole[top:bottom, left:right] = True
    return hole


FRAME, FILL, HOLE = picture("frame"), picture("fill"), box(20, 44, 26, 54)
HOLES = [HOLE, box(0, 1, 0, 1), box(0, H, 0, 20), box(H - 1, H, 0, W), box(0, H, 1, W), box(0, H, 0, W), box(0, 0, 0, 0)]


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("feather_px", [0, 1, 5, 32])
def test_outside_all_is_the_cameras_and_inside_nothing_is(hole: np.ndarray, feather_px: int) -> None:
    results = []
    for colour in (0, 255):
        frame = np.where(hole[..., None], colour, FRAME).astype(np.uint8)
        results.append(blend(frame, FILL, hole, feather_px))
        assert np.array_equal(results[-1][~hole], FRAME[~hole])
    assert np.array_equal(results[0], results[1]) and results[0].dtype == np.uint8


@pytest.mark.parametrize("hole", HOLES)
def test_a_fill_that_is_right_stays_as_it_is(hole: np.ndarray) -> None:
    out = blend(np.where(hole[..., None], 0, FRAME).astype(np.uint8), FRAME, hole)
    assert np.abs(out.astype(int) - FRAME).max() <= 1


def test_nothing_is_written_to() -> None:
    frame, fill = FRAME.copy(), FILL.copy()
    blend(frame, fill, HOLE)
    match_colours(frame, fill, HOLE)
    paste(frame, fill, HOLE)
    assert np.array_equal(frame, FRAME) and np.array_equal(fill, FILL)


def test_composites_mirror_with_the_pictures() -> None:
    hole = HOLE | box(30, 60, 30, 40)
    plain = blend(FRAME, FILL, hole)
    for flip in (np.s_[:, ::-1], np.s_[::-1]):
        frame, fill, where = (np.ascontiguousarray(part[flip]) for part in (FRAME, FILL, hole))
        assert np.abs(blend(frame, fill, where)[flip].astype(int) - plain).max() <= 1


def test_composing_again_changes_nothing() -> None:
    once = blend(FRAME, FRAME, HOLE)
    assert np.array_equal(blend(once, once, HOLE), once)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 30), (0.9, 0), (1.15, -20), (1.0, -40)])
def test_a_tint_is_taken_away_exactly(gain: float, offset: float) -> None:
    matched = match_colours(np.clip(FRAME.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8), FRAME, HOLE)
    expected = FRAME.astype(np.float32) * gain + offset
    inside = HOLE & (expected > 5).all(axis=2) & (expected < 250).all(axis=2)
    assert np.abs(matched - expected)[inside].max() < 6 and np.abs((matched - expected)[inside].mean()) < 2


@pytest.mark.parametrize(("contrast", "gain"), [(3.0, 0.8), (1.1, 1 / 1.1), (0.9, 1 / 0.9), (0.5, 1.25), (0.2, 1.0)])
def test_contrast_is_changed_by_a_quarter_at_most_and_not_where_it_is_hardly_any(contrast: float, gain: float) -> None:
    ramp = np.broadcast_to(np.linspace(88, 168, W)[None, :, None], (H, W, 3))
    fill = np.clip((ramp - 128) * contrast + 128, 0, 255).astype(np.uint8)
    matched = match_colours(ramp.astype(np.uint8), fill, HOLE)
    slope = np.polyfit(fill[30, 26:54, 0].astype(float), matched[30, 26:54, 0], 1)[0]
    assert slope == pytest.approx(gain, rel=0.06)


def test_a_flat_ring_tells_an_offset_only() -> None:
    frame = np.full((H, W, 3), 90, np.uint8)
    matched = match_colours(frame, FILL, HOLE)
    moved = matched - FILL
    assert np.ptp(moved.reshape(-1, 3), axis=0).max() < 1e-3


def test_a_ring_of_few_pixels_tells_nothing() -> None:
    hole = box(0, H, 0, W)
    hole[0, :60] = False
    assert np.array_equal(match_colours(FRAME, FILL, hole), FILL.astype(np.float32))


def test_something_small_that_moves_in_the_ring_does_not_tint_the_hole() -> None:
    disturbed = FRAME.copy()
    disturbed[20:44, 54:60] = 255
    assert np.abs(match_colours(disturbed, FILL, HOLE) - match_colours(FRAME, FILL, HOLE))[HOLE].mean() < 12
    assert np.abs(disturbed[10:54, 16:64].mean() - FRAME[10:54, 16:64].mean()) > 5, "means would have been tinted"


def test_a_wider_feather_reaches_deeper_and_never_beyond_its_width() -> None:
    frame = np.full((H, W, 3), 100, np.uint8)
    slope = np.broadcast_to(np.rint(100 + np.linspace(-40, 40, W))[None, :, None], frame.shape).astype(np.uint8)
    depth = cv2.distanceTransform(HOLE.astype(np.uint8), cv2.DIST_L2, 5)
    hard, reach = blend(frame, slope, HOLE, 0), []
    for feather_px in (1, 3, 6):
        changed = (blend(frame, slope, HOLE, feather_px) != hard).any(axis=2)
        reach.append(float(depth[changed].max()))
        assert reach[-1] <= feather_px + 1
    assert reach == sorted(reach) and reach[0] < reach[2]


def test_pasting_is_a_choice_per_pixel() -> None:
    pasted = paste(FRAME, FILL, HOLE)
    assert np.array_equal(pasted[HOLE], FILL[HOLE]) and np.array_equal(pasted[~HOLE], FRAME[~HOLE])
