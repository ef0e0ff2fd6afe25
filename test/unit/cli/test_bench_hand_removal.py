"""The diffusion benchmark: it compares like with like, and says what it measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.vidm_models import TINY, random_vidm

from ego_perception.cli.benchmarks import hand_removal
from ego_perception.data import Frame
from ego_perception.hand_removal.config import published_diffusion
from ego_perception.hand_removal.vidm.remover import HandFreeImage
from ego_perception.hand_removal.vidm.sizes import KIND
from ego_perception.weights import WeightsInfo
from ego_perception.weights.store import save_weights

RNG = np.random.default_rng(0)
FRAMES = [Frame(i * 100_000_000, RNG.integers(0, 255, (90, 120, 3), np.uint8), index=i) for i in range(4)]


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published way in four steps, on small images, with small models."""
    monkeypatch.setattr(hand_removal, "published_diffusion", lambda: replace(published_diffusion(), steps=4))
    monkeypatch.setattr(hand_removal, "stand_in", lambda: random_vidm(TINY))
    monkeypatch.setattr(hand_removal, "published_size", lambda: random_vidm(TINY))
    monkeypatch.setattr(hand_removal, "_IMAGE_SIDE", 64)
    monkeypatch.setattr(hand_removal, "_STAND_IN_SIDE", 64)


@pytest.mark.usefixtures("few_steps")
def test_stand_ins_are_named_and_their_images_are_not_scored() -> None:
    rows = hand_removal.diffusion_rows(FRAMES, device="cpu")
    assert len(rows) == 8 and all("with random weights" in row.figure and "PSNR" not in row.figure for row in rows)
    for time_row, ratio in zip(rows[::2], rows[1::2], strict=True):
        assert time_row.baseline_value is not None
        assert ratio.value == pytest.approx(time_row.baseline_value / time_row.value)
        assert (ratio.target, ratio.reached) == (">= 15", ratio.value >= 15)
    in_full, in_parts = rows[:4], rows[4:]
    assert all("stand-in" in row.figure and "timed step" not in row.baseline for row in in_full)
    assert all("VIDM's size" in row.figure and "1 timed step x" in row.figure for row in in_parts)
    assert in_parts[0].baseline == "published, 1 timed step x 4"


@pytest.mark.usefixtures("few_steps")
def test_parts_are_multiplied_by_how_often_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = iter([hand_removal._Parts(3.0, 3.0, 100.0, 5.0), hand_removal._Parts(3.0, 2.0, 40.0, 4.0)])
    monkeypatch.setattr(hand_removal, "_IMAGE_SIDE", 256)
    monkeypatch.setattr(hand_removal, "_time_parts", lambda *_: next(parts))
    monkeypatch.setattr(hand_removal, "_arm", lambda side, index: np.pad(np.ones((20, 20), np.bool_), 118))
    rows = hand_removal._in_parts(random_vidm(TINY), FRAMES, "VIDM")
    assert rows[0].baseline_value == 4 * 3 + 4 * 100 + 5
    assert [row.value for row in rows[::2]] == [3 + 10 * 40 + 4, 3 + 2 + 4 * 40 + 4]
    assert "window 160x160" in rows[0].figure


@pytest.mark.usefixtures("few_steps")
def test_on_a_gpu_the_rate_has_a_target() -> None:
    rows = hand_removal._rows("VIDM", 250.0, "published", 5000.0, "cuda")
    assert [(row.value, row.reached) for row in rows] == [(250.0, None), (20.0, True), (4.0, False)]


@pytest.mark.usefixtures("few_steps")
def test_whole_images_are_scored_against_the_published_output() -> None:
    rows, psnr = hand_removal._in_full(random_vidm(TINY), FRAMES, 64, "cpu", "VIDM")
    assert len(rows) == 4 and np.isfinite(psnr)


@pytest.mark.usefixtures("few_steps")
def test_an_imported_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vidm.safetensors"
    save_weights(path, random_vidm(TINY).state_dict(), WeightsInfo(KIND, 1, TINY.to_dict()))
    rows = hand_removal.diffusion_rows(FRAMES, path, "cpu")
    assert len(rows) == 4 and all("VIDM, 64x64" in row.figure and "random" not in row.figure for row in rows)


def test_the_imported_model_is_found_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hand_removal.imported_vidm() is None
    (tmp_path / "ego_perception").mkdir()
    (tmp_path / "ego_perception" / "vidm.safetensors").touch()
    assert hand_removal.imported_vidm() == tmp_path / "ego_perception" / "vidm.safetensors"


def test_only_the_hole_is_scored() -> None:
    hole = np.zeros((8, 8), np.bool_)
    hole[2:4, 2:4] = True
    plain, other = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8, 3), 0, np.uint8)
    other[hole] = 110
    psnr = hand_removal.hole_psnr(HandFreeImage(other, hole), HandFreeImage(plain, hole))
    assert psnr == pytest.approx(20 * np.log10(255 / 10))


def test_the_arm_is_a_fifth_of_the_image() -> None:
    masks = [hand_removal._arm(256, i) for i in range(4)]
    assert all(0.1 < mask.mean() < 0.3 for mask in masks) and not np.array_equal(masks[0], masks[3])


def test_the_stand_in_has_the_published_structure() -> None:
    model = hand_removal.stand_in()
    assert len(model.unet.state_dict()) == 418 and len(model.first_stage.state_dict()) == 185
    assert isinstance(model.unet.time_embed[0], torch.nn.Linear)


def test_random_weights_are_finite_and_not_zero() -> None:
    model = hand_removal.stand_in()
    assert all(torch.isfinite(t).all() and bool(t.any()) for t in model.state_dict().values())
