"""Memory against live image around the hole: changed light is adapted to, disagreement is doubted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fixtures.tables import COLS, ROWS, H, W, disc, table

from ego_perception.hand_removal.background.agreement import Agreement, agreement, ring_around
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate

HOLE = disc(160, 120, 35)
TABLE = table(low=60, high=200)


def shaded() -> np.ndarray:
    """The table, smoothly darkened to 65 % on its right half."""
    shadow = 1 - 0.35 / (1 + np.exp(-(COLS - 160) / 20))
    return (TABLE * shadow[..., None] + 0.5).astype(np.uint8)


def seen_then_hidden(later: np.ndarray) -> Background:
    """The table seen for a while, then hidden by a hand while it turns into `later`."""
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(15):
        plate.push(TABLE, disc(14 * k - 50, 120, 35), k * 50_000_000)
    for k in range(1, 9):
        rgb = np.asarray(cv2.addWeighted(TABLE, 1 - k / 8, later, k / 8, 0), np.uint8)
        rgb[HOLE] = (250, 20, 250)
        background = plate.push(rgb, HOLE, (14 + k) * 50_000_000)
    return background


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def compare(live: np.ndarray, memory: np.ndarray) -> Agreement:
    ring = ring_around(HOLE, HOLE)
    at = ring.rows, ring.cols
    agreed = agreement((H, W), *at, live[at].astype(np.float32), memory[at].astype(np.float32))
    assert agreed is not None
    return agreed


def test_a_smooth_shadow_that_came_later_is_put_on_the_remembered_plane() -> None:
    truth = shaded()
    background = seen_then_hidden(truth)
    assert background.observed[HOLE].mean() > 0.97
    seen = background.observed
    restored = psnr(background.rgb[seen], truth[seen])
    assert restored > 30 and restored > psnr(TABLE[seen], truth[seen]) + 6


def test_what_is_around_the_hole_now_and_was_not_then_takes_confidence_away() -> None:
    sure = seen_then_hidden(TABLE)
    doubtful = seen_then_hidden(np.where((np.hypot(COLS - 160, ROWS - 120) < 75)[..., None], TABLE[::-1, ::-1], TABLE))
    assert np.median(doubtful.confidence[HOLE]) < 0.8 * np.median(sure.confidence[HOLE])


def test_a_ring_lies_around_what_is_remembered_and_names_its_nearest_pixel() -> None:
    known = HOLE & (COLS > 150)
    ring = ring_around(HOLE, known)
    assert len(ring.rows) and not HOLE[ring.rows, ring.cols].any()
    near_rows, near_cols = np.divmod(ring.nearest, W)
    assert known[near_rows, near_cols].all()
    distance = np.hypot(near_rows - ring.rows, near_cols - ring.cols)
    assert distance.max() <= 1.1 * 0.1 * W and distance.min() < 3


def test_equal_colours_change_nothing() -> None:
    agreed = compare(TABLE, TABLE)
    assert agreed.gain == pytest.approx(np.ones((H, W)), abs=1e-5)
    assert agreed.trust == pytest.approx(np.ones((H, W)))


def test_a_uniform_change_of_light_reaches_the_middle_of_the_hole_and_is_limited() -> None:
    assert compare(TABLE * 0.75, TABLE).gain[120, 160] == pytest.approx(0.75, abs=0.03)
    assert compare(TABLE * 0.2, TABLE).gain.min() == pytest.approx(1 / 1.6, abs=1e-3)


def test_a_few_pixels_that_show_something_else_do_not_darken_the_rest() -> None:
    live = TABLE.astype(np.float32)
    live[np.random.default_rng(1).random((H, W)) < 0.1] = 0
    assert compare(live, TABLE).gain[120, 160] == pytest.approx(1, abs=0.05)


def test_disagreement_on_one_side_is_doubted_on_that_side() -> None:
    agreed = compare(np.where((COLS < 160)[..., None], TABLE, np.where(TABLE > 130, 255, 0)), TABLE)
    assert agreed.trust[120, 130] > 0.9 and agreed.trust[120, 190] < 0.2


def test_too_few_pixels_say_nothing() -> None:
    few = np.arange(10)
    colours = np.ones((10, 3), np.float32)
    assert agreement((H, W), few, few, colours, colours) is None
