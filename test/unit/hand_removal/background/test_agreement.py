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
    assert np.abs(agreed.gain - 1).max() < 1e-5 and np.abs(agreed.trust - 1).max() < 1e-6


def test_a_uniform_change_of_light_reaches_the_middle_of_the_hole_and_is_limited() -> None:
    assert compare(TABLE * 0.75, TABLE).gain[120, 160] == pytest.approx(0.75, abs=0.03)
    assert compare(TABLE * 0.2, TABLE).gain.min() == pytest.approx(1 / 1.6, abs=1e-3)


def test_a_few_pixels_that_show_something_else_do_not_darken_the_rest() -> None:
    live = TABLE.astype(np.float32)
    live[np.random.default_rng(1).random((H, W)) < 0.1] = 0
    assert compare(live, TABLE).gain[120, 160] == pytest.approx(1, abs=0.05)


def test_disagreement_on_one_side_is_doubted_on_that_side() -> None:
    agreed = compare(np.where((COLS < 160)[..., None], TABLE, np.where(TABLE > 130, 255, 0)), TABLE)
    assert agreed.trust[120, 130] > 0.7 and agreed.trust[120, 190] < 0.2
    assert np.diff(agreed.trust[120, 125:196]).max() < 0.02, "ever less, the nearer to what disagrees"


def test_too_few_pixels_say_nothing() -> None:
    few = np.arange(10)
    colours = np.ones((10, 3), np.float32)
    assert agreement((H, W), few, few, colours, colours) is None


@pytest.mark.parametrize("at", [(0, 0), (0, W - 1), (H - 1, 0), (H - 1, W - 1), (60, 80)])
def test_around_one_pixel_the_ring_is_a_disc_that_names_it(at: tuple[int, int]) -> None:
    hidden = np.zeros((H, W), bool)
    hidden[at] = True
    ring = ring_around(hidden, hidden)
    distance = np.hypot(ring.rows - at[0], ring.cols - at[1])
    assert (ring.nearest == at[0] * W + at[1]).all() and distance.min() > 0 and distance.max() <= 1.1 * 0.1 * W
    inside = (np.hypot(ROWS - at[0], COLS - at[1]) < 0.09 * W)[::2, ::2].sum() - 1
    assert len(ring.rows) >= inside


def test_nothing_around_an_image_that_is_all_hidden_and_known() -> None:
    ring = ring_around(np.ones((H, W), bool), np.ones((H, W), bool))
    assert len(ring.rows) == len(ring.cols) == len(ring.nearest) == 0


def test_of_two_remembered_places_each_has_its_own_side() -> None:
    known = disc(60, 120, 5) | disc(100, 120, 5)
    ring = ring_around(known, known)
    _, near = np.divmod(ring.nearest, W)
    outside = np.abs(ring.cols - 80) > 3
    assert np.array_equal((near < 80)[outside], (ring.cols < 80)[outside])


@pytest.mark.parametrize("light", [0.75, 0.9, 1.2, 1.5])
def test_light_forth_and_back_makes_up_for_itself(light: float) -> None:
    changed = TABLE * np.float32(light)
    forth, back = compare(changed, TABLE).gain, compare(TABLE, changed).gain
    assert np.abs(forth * back - 1)[HOLE].max() < 0.03
    assert np.median(forth[HOLE]) == pytest.approx(light, rel=0.04)


def test_gain_and_trust_are_limited_whatever_is_seen() -> None:
    rng = np.random.default_rng(0)
    for live, memory in ((TABLE * 0, TABLE), (TABLE, TABLE * 0), rng.integers(0, 256, (2, H, W, 3))):
        agreed = compare(live, memory)
        assert agreed.gain.min() >= 1 / 1.6 - 1e-4 and agreed.gain.max() <= 1.6 + 1e-4
        assert agreed.trust.min() >= 0 and agreed.trust.max() <= 1
        assert agreed.gain.shape == agreed.trust.shape == (H, W)


def test_the_order_of_the_pixels_does_not_matter() -> None:
    ring = ring_around(HOLE, HOLE)
    live = (TABLE * 0.8).astype(np.float32)[ring.rows, ring.cols]
    memory = TABLE[ring.rows, ring.cols].astype(np.float32)
    mixed = np.random.default_rng(0).permutation(len(live))
    plain = agreement((H, W), ring.rows, ring.cols, live, memory)
    other = agreement((H, W), ring.rows[mixed], ring.cols[mixed], live[mixed], memory[mixed])
    assert plain is not None and other is not None
    assert np.allclose(plain.gain, other.gain, atol=1e-4) and np.allclose(plain.trust, other.trust, atol=1e-4)


def test_a_misfit_that_no_light_explains_costs_what_the_scale_says() -> None:
    """Red 32 too bright, blue 32 too dark: the mean fits, the misfit is 64 / 3, of which 12 are free."""
    grey = np.full((H, W, 3), 128, np.float32)
    trust = compare(grey + np.array([32, 0, -32], np.float32), grey).trust
    assert np.median(trust[HOLE]) == pytest.approx(np.exp(-(64 / 3 - 12) / 20), abs=0.01)


def test_mirrored_images_agree_mirrored() -> None:
    ring = ring_around(HOLE, HOLE)
    live = np.where((COLS < 160)[..., None], TABLE, np.where(TABLE > 130, 255, 0)).astype(np.float32)[ring.rows, ring.cols]
    memory = TABLE[ring.rows, ring.cols].astype(np.float32)
    plain = agreement((H, W), ring.rows, ring.cols, live, memory)
    mirrored = agreement((H, W), ring.rows, W - 1 - ring.cols, live, memory)
    assert plain is not None and mirrored is not None
    assert np.abs(mirrored.trust[:, ::-1] - plain.trust).max() < 0.01
    assert np.abs(mirrored.gain[:, ::-1] - plain.gain).max() < 0.01
