"""The training task of the fill network learns from its data set, follows it as it grows, and writes what the painter loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.clip_folder import write_clips
from fixtures.training_runs import check_it_learns, hand_clip, hand_data, parameters_of, trainer_of

from ego_perception.hand_removal.fill.network import load_filler
from ego_perception.hand_removal.fill.sizes import PLANES, FillConfig
from ego_perception.hand_removal.fill.training import FillTrainConfig, FillTrainTask

SMALL = FillConfig(widths=(8, 8, 8, 8), blocks=(1, 1, 1))


def task_of(data: Path, **changes: object) -> FillTrainTask:
    return FillTrainTask(SMALL, parameters_of(FillTrainConfig, stride=3, validation_windows=2, **changes), data)


def test_it_learns_what_the_background_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is darker than all that is seen around the hole, so the starting network cannot be right."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = hand_data(tmp_path / "data", darker=70)
    changes = {"trainer.steps": 14, "trainer.learning_rate": 1e-2}
    task = task_of(data, **changes)
    check_it_learns(lambda: task_of(data, **changes), trainer_of(task, task.config, tmp_path), by=0.9)
    painted, gate = load_filler(tmp_path / "model.safetensors").paint(np.zeros((PLANES, 64, 96), np.float32))
    assert painted.shape == (3, 64, 96) and gate.shape == (64, 96)
    assert np.isfinite(painted).all() and not gate.any(), "there is no trust in a background without confidence"


def test_clips_are_packed_once_and_new_ones_join_at_the_start_of_an_epoch(tmp_path: Path) -> None:
    data = hand_data(tmp_path)
    task = task_of(data)
    packed = {path: path.stat().st_mtime_ns for path in task.folder.iterdir()}
    count = len(task.dataset)
    write_clips(data / "train", {5: hand_clip(5)})
    assert len(task_of(data).dataset.names) == 3
    assert {path: path.stat().st_mtime_ns for path in packed} == packed
    assert len(task.dataset) == count
    task.sampler.next(1)
    assert len(task.dataset.names) == 3 and len(task.dataset) > count
