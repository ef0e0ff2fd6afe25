"""The comparison of settings: every one sees the same frames, and only the hole counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ego_perception.data import Frame, FrameTruth
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.vidm import quality
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.quality import PUBLISHED, REFERENCE, measure, samples, settings

W, H = 96, 64


def clip(count: int, hand: int = 20) -> list[Frame]:
    rng = np.random.default_rng(0)
    clean = rng.integers(60, 200, (H, W, 3), dtype=np.uint8)
    frames = []
    for k in range(count):
        rgb = clean.copy()
        rgb[30 : 30 + hand, 30 + k : 30 + k + hand] = (250, 0, 250)
        frames.append(Frame(k * 100_000_000, rgb, index=k, truth=FrameTruth(clean_shadowed=clean)))
    return frames


@pytest.fixture(autouse=True)
def masks_by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is found by its truth object, for clips of the tests hold no classes."""
    frames = {id(f.truth): (f.rgb == (250, 0, 250)).all(axis=2) for f in CLIP + SMALL}
    monkeypatch.setattr(quality, "true_hole", lambda truth, size: frames[id(truth)])


CLIP, SMALL = clip(24), clip(24, hand=4)


def test_samples_have_context_guess_and_truth_at_working_size() -> None:
    found = list(samples(CLIP, 64, 8, every=4, spacing=2))
    assert [round(s.target.stamp_ns / 1e8) for s in found] == [7, 11, 15, 19, 23]
    for sample in found:
        newest = sample.target.stamp_ns
        assert [round((newest - c.stamp_ns) / 1e8) for c in sample.context] == [6, 4, 2]
        hands = sample.target.hands
        assert np.array_equal(sample.guess[~hands], sample.truth[~hands])
        assert not (sample.guess[hands] == (250, 0, 250)).all(axis=1).any(), "nothing of the hand is in the guess"
    assert list(samples(SMALL, 64, 8, every=4, spacing=2)) == [], "holes that are too small say nothing"


def test_settings_differ_in_sampling_only() -> None:
    found = settings()
    assert found[PUBLISHED] == published_diffusion()
    assert (found[REFERENCE].steps, found[REFERENCE].eta, found[REFERENCE].quirks) == (200, 0.0, False)
    for config in found.values():
        assert not config.crop and config.feather_px == 0 and config.seed == 0 and not config.keep_observed
    assert {c.start_steps for c in found.values() if c.start_time} == {2, 4, 8}


def test_scores(tiny: Vidm) -> None:
    plain = replace(published_diffusion(), quirks=False, eta=0.0, steps=6)
    configs: dict[str, DiffusionConfig] = {
        REFERENCE: plain,
        "same": replace(plain),
        "fewer": replace(plain, steps=2),
        "half way": replace(plain, solver="dpm++", start_time=400, start_steps=3, keep_known=True),
    }
    found = list(samples(CLIP, 64, 8, every=8, spacing=2))
    scores = measure(tiny, found, configs, short_side_px=64)
    assert {s.images for s in scores.values()} == {len(found)} and [s.steps for s in scores.values()] == [6, 6, 2, 3]
    rows = {name: score.row() for name, score in scores.items()}
    assert rows[REFERENCE]["psnr_reference"] == rows["same"]["psnr_reference"] == math.inf
    assert rows[REFERENCE]["psnr_truth"] == rows["same"]["psnr_truth"] != rows["fewer"]["psnr_truth"]
    assert math.isfinite(rows["fewer"]["psnr_reference"]) and rows["fewer"]["s_per_image"] > 0
    hole = sum(int(sample.target.hands.sum()) for sample in found)
    assert scores["fewer"].to_truth.count == 3 * hole, "three channels of the hole, nothing else"
