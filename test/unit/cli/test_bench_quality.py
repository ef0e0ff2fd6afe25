"""`ego bench --quality`: the table of settings, and what is missing is said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.vidm_models import TINY, random_vidm
from typer.testing import CliRunner

from ego_perception.cli import bench
from ego_perception.cli.benchmarks import vidm_quality
from ego_perception.errors import ConfigError, SourceError
from ego_perception.hand_removal.config import published_diffusion
from ego_perception.hand_removal.vidm import quality
from ego_perception.hand_removal.vidm.quality import REFERENCE, QualitySample
from ego_perception.hand_removal.vidm.remover import MaskedImage
from ego_perception.hand_removal.vidm.sizes import KIND
from ego_perception.weights import WeightsInfo
from ego_perception.weights.store import save_weights


def sample(index: int) -> QualitySample:
    rng = np.random.default_rng(index)
    truth = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    hands = np.zeros((64, 64), np.bool_)
    hands[20:40, 20:40] = True
    images = [MaskedImage(10 * index + k, truth, hands) for k in range(4)]
    return QualitySample(images[3], tuple(images[:3]), truth, truth)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small model, two settings, and small images."""
    path = tmp_path / "vidm.safetensors"
    save_weights(path, random_vidm(TINY).state_dict(), WeightsInfo(KIND, 1, TINY.to_dict()))
    plain = replace(published_diffusion(), quirks=False, eta=0.0, steps=3)
    monkeypatch.setattr(quality, "settings", lambda: {REFERENCE: plain, "ddim 2": replace(plain, steps=2)})
    monkeypatch.setattr(vidm_quality, "_SHORT_SIDE_PX", 64)
    return path


def test_the_table_has_a_row_per_setting(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Any] = []

    def two(data: Path, multiple: int, limit: int) -> Iterator[QualitySample]:
        limits.append((data, multiple, limit))
        yield from (sample(0), sample(1))

    monkeypatch.setattr(vidm_quality, "_samples", two)
    out = CliRunner().invoke(bench.app, ["--quality", "clips", "--weights", str(weights), "--frames", "2"])
    assert out.exit_code == 0, out.output
    assert "2 frames" in out.output and limits == [(Path("clips"), 8, 2)]
    (row,) = [line for line in out.output.splitlines() if "ddim 2 " in line]
    assert [cell.strip() for cell in row.split("│")[1:3]] == ["ddim 2", "2"]
    (reference,) = [line for line in out.output.splitlines() if REFERENCE in line]
    assert "inf" in reference


def test_frames_are_limited_over_all_clips(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clips:
        num_clips = 5

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def clip(self, k: int) -> int:
            return k

    monkeypatch.setattr("ego_perception.data.clips.ClipDataset", Clips)
    monkeypatch.setattr(quality, "samples", lambda clip, *_: (sample(2 * clip), sample(2 * clip + 1)))
    assert len(list(vidm_quality._samples(Path("clips"), 8, 5))) == 5
    assert len(list(vidm_quality._samples(Path("clips"), 8, 100))) == 10


def test_without_hands_or_without_a_model_it_says_so(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vidm_quality, "_samples", lambda *_: iter(()))
    with pytest.raises(SourceError, match="no frame of clips shows hands"):
        vidm_quality.measure_quality(Path("clips"), weights, 5)
    monkeypatch.setattr(vidm_quality, "imported_vidm", lambda: None)
    with pytest.raises(ConfigError, match="ego weights import vidm"):
        vidm_quality.measure_quality(Path("clips"), None, 5)
