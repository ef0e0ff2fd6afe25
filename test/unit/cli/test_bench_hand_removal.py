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
    """The published way in four steps, on small images."""
    monkeypatch.setattr(hand_removal, "published_diffusion", lambda: replace(published_diffusion(), steps=4))
    monkeypatch.setattr(hand_removal, "stand_in", lambda: random_vidm(TINY))
    monkeypatch.setattr(hand_removal, "_IMAGE_SIDE", 64)


@pytest.mark.usefixtures("few_steps")
def test_the_stand_in_is_named_and_its_images_are_not_scored() -> None:
    rows = hand_removal.diffusion_rows(FRAMES)
    assert len(rows) == 2 and all("stand-in with random weights" in row.figure for row in rows)
    assert rows[0].baseline_value is not None and rows[1].value == pytest.approx(rows[0].baseline_value / rows[0].value)
    assert rows[1].reached is (rows[1].value >= 15)


@pytest.mark.usefixtures("few_steps")
def test_an_imported_model_is_scored_too(tmp_path: Path) -> None:
    path = tmp_path / "vidm.safetensors"
    save_weights(path, random_vidm(TINY).state_dict(), WeightsInfo(KIND, 1, TINY.to_dict()))
    rows = hand_removal.diffusion_rows(FRAMES, path)
    assert [("VIDM" in row.figure, "stand-in" in row.figure) for row in rows] == [(True, False)] * 3
    assert np.isfinite(rows[2].value)


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
