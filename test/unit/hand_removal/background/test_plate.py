"""The background plate on scenes with known answers: what was seen comes back, what was not stays empty, memory is bounded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fixtures.tables import H, W, table
from fixtures.tables import disc as hand

from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate

STEP_NS = 50_000_000
CANVAS = table(size=(900, 400))


def frame(x: float, y: float = 80.0) -> np.ndarray:
    return cv2.getRectSubPix(CANVAS, (W, H), (x + W / 2 - 0.5, y + H / 2 - 0.5))


def push(plate: BackgroundPlate, clean: np.ndarray, hole: np.ndarray, k: int) -> Background:
    rgb = clean.copy()
    rgb[hole] = (250, 20, 250)
    return plate.push(rgb, hole, k * STEP_NS)


def psnr(background: Background, clean: np.ndarray) -> float:
    seen = background.observed
    return float(10 * np.log10(255**2 / max(np.mean((background.rgb[seen].astype(float) - clean[seen]) ** 2), 1e-9)))


def test_a_moving_hand_over_a_still_background_is_removed_exactly() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    ever_seen = np.zeros((H, W), bool)
    for k in range(12):
        hole = hand(60 + 10 * k)
        background = push(plate, frame(100), hole, k)
        assert not (background.observed & ~hole).any()
        assert (background.observed & ever_seen).sum() >= 0.97 * (hole & ever_seen).sum()
        assert np.array_equal(background.rgb[~hole], frame(100)[~hole])
        ever_seen |= ~hand(60 + 10 * k, radius=36)  # the rim of a hole cannot be sampled
    assert psnr(background, frame(100)) > 38
    newly_hidden = hole & ~hand(60 + 10 * 10, radius=38)  # beyond the rim of the hole before
    assert background.age_s[newly_hidden & background.observed] == pytest.approx(0.05, abs=1e-5)
    assert background.age_s[~hole].max() == 0 and np.isnan(background.age_s[hole & ~background.observed]).all()


def test_a_moving_camera_recovers_the_texture_behind_the_hand() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(12):
        background = push(plate, frame(100 + 6.3 * k), hand(160), k)
    assert (background.observed & hand(160)).sum() > 0.9 * hand(160).sum()
    assert psnr(background, frame(100 + 6.3 * 11)) > 30
    assert background.confidence[background.observed].min() >= BackgroundConfig().min_confidence
    assert background.flow is not None and np.median(background.flow[..., 0]) == pytest.approx(6.3, abs=0.1)


def test_a_camera_and_hand_that_never_move_reveal_nothing() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(8):
        background = push(plate, frame(50), hand(160), k)
        assert not background.observed.any()
        assert not background.rgb[hand(160)].any()


def test_looking_away_and_back_recalls_what_was_there() -> None:
    plate = BackgroundPlate(BackgroundConfig(keyframe_gap_s=0.2))
    push(plate, frame(100), hand(20, 30, 10), 0)
    for k in range(1, 6):
        push(plate, frame(100), hand(20, 30, 10), k)
    k = 100  # a gap longer than max_gap_s
    for _ in range(6):
        k += 1
        background = push(plate, frame(104), hand(180), k)
    assert (background.observed & hand(180)).sum() > 0.9 * hand(180).sum()
    assert psnr(background, frame(104)) > 30
    assert float(np.nanmin(background.age_s[hand(180)])) > 4


def test_exposure_is_followed() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(8):
        lit = np.clip(frame(100) * (1 + 0.03 * k) + 0.5, 0, 255).astype(np.uint8)
        background = push(plate, lit, hand(60 + 14 * k, radius=25) if k < 7 else hand(150, radius=40), k)
    assert psnr(background, lit) > 32


def test_a_cut_empties_the_memory() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(4):
        push(plate, frame(100), hand(60 + 20 * k), k)
    other = table(7, size=(900, 400))[:H, :W]
    background = push(plate, other, hand(160), 4)
    assert background.is_cut and not background.observed.any()
    assert not push(plate, other, hand(165), 5).is_cut


def test_another_size_starts_anew() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    push(plate, frame(100), hand(100), 0)
    push(plate, frame(100), hand(160), 1)
    small = cv2.resize(frame(100), (160, 120))
    background = plate.push(small, np.zeros((120, 160), bool), 2 * STEP_NS)
    assert background.rgb.shape == small.shape and not background.observed.any()


def test_full_memory_is_drawn_into_one_image_and_loses_nothing() -> None:
    plate = BackgroundPlate(BackgroundConfig(capacity=4, keyframes=0))
    for k in range(14):
        hole = hand(min(80 + 14 * k, 160))
        background = push(plate, frame(100), hole, k)
        assert len(plate._store._recent) <= 4
    assert (background.observed & hand(160)).sum() > 0.97 * hand(160).sum()
    assert psnr(background, frame(100)) > 36


def test_all_and_nothing_hidden() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    nothing, everything = np.zeros((H, W), bool), np.ones((H, W), bool)
    background = push(plate, frame(100), nothing, 0)
    assert np.array_equal(background.rgb, frame(100)) and (background.confidence == 1).all()
    hidden = push(plate, frame(100), everything, 1)
    assert not hidden.is_cut and not hidden.observed.any()
    assert push(plate, frame(100), nothing, 2).confidence.min() == 1


def test_equal_input_gives_equal_bytes() -> None:
    runs = []
    for _ in range(2):
        plate = BackgroundPlate(BackgroundConfig())
        for k in range(6):
            background = push(plate, frame(100 + 4 * k), hand(120 + 8 * k), k)
        runs.append(background)
    assert np.array_equal(runs[0].rgb, runs[1].rgb) and np.array_equal(runs[0].confidence, runs[1].confidence)


def test_what_is_too_old_counts_as_never_seen() -> None:
    plate = BackgroundPlate(BackgroundConfig(max_age_s=0.2, keyframes=0))
    seen = [push(plate, frame(100), hand(min(80 + 14 * k, 160)), k).observed.any() for k in range(14)]
    assert seen[6] and not seen[-1]


@pytest.mark.parametrize(("width", "height"), [(768, 576), (1600, 1200)])
def test_a_lone_hidden_pixel_of_a_large_image_is_not_remembered(width: int, height: int) -> None:
    """Twelve to one, as 3840 pixels are to the usual 320, and 25 to one."""
    plate, skin = BackgroundPlate(BackgroundConfig(work_width=64)), (250, 20, 250)
    clean = table(size=(width, height), sigma_px=9)
    y, x, reach = height // 2 + 7, width // 2 + 7, 5 * width // 64
    lone, hole = np.zeros((2, height, width), bool)
    lone[y, x], hole[y - reach : y + reach, x - reach : x + reach] = True, True
    for k in range(2):
        plate.push(np.where(lone[..., None], skin, clean).astype(np.uint8), lone, 8 * k * STEP_NS)
    background = plate.push(np.where(hole[..., None], 0, clean).astype(np.uint8), hole, 16 * STEP_NS)
    assert background.observed[hole].mean() > 0.9
    assert np.abs(background.rgb[y, x].astype(int) - skin).max() > 60


def test_nothing_is_younger_than_now_where_time_jumps_back() -> None:
    plate = BackgroundPlate(BackgroundConfig(keyframe_gap_s=0.1))
    for k in range(200, 203):
        push(plate, frame(100), hand(30, 30, 20), k)
    background = push(plate, frame(100), hand(160), 0)
    assert np.nanmin(background.age_s) >= 0


def in_light(level: float) -> tuple[float, float, float]:
    """A camera passes a hand; the exposure changes in the first images, then stays. Share seen, confidence, quality in dB."""
    plate = BackgroundPlate(BackgroundConfig(work_width=160))
    hole = hand(80, 60, 18)[:120, :160]
    for k in range(11):
        clean = np.clip(0.7 * frame(100 + 4 * k)[:120, :160] * (1 + (level - 1) * min(k / 5, 1)), 0, 255).astype(np.uint8)
        background = push(plate, clean, hole, k)
    seen = background.observed[hole]
    assert seen.any()
    return float(seen.mean()), float(np.median(background.confidence[hole][seen])), psnr(background, clean)


def test_a_camera_that_passes_a_hand_knows_what_is_behind_it() -> None:
    share, confidence, quality = in_light(1.0)
    assert share > 0.9 and confidence > 0.9 and quality > 38


@pytest.mark.parametrize("level", [1.4, 0.6])
def test_light_that_changed_a_while_ago_takes_nothing_away(level: float) -> None:
    share, confidence, quality = in_light(level)
    assert share > 0.9 and confidence > 0.9 and quality > 36
