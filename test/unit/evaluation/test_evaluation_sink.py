"""Scores gathered from a stream, saved, loaded and shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.wall_scene import wall

from ego_perception.data import FrameTruth, TrackingState
from ego_perception.errors import OutputError, SourceError
from ego_perception.evaluation import EvaluationSink, Metrics
from ego_perception.evaluation.result import ONE_SCALE
from ego_perception.geometry import make_transform
from ego_perception.runtime import Sink


def run(n: int = 30, lost: tuple[int, ...] = (), *, clouds: bool = False, scale: float = 1.0) -> EvaluationSink:
    sink = EvaluationSink("wall", with_clouds=clouds)
    for i in range(n):
        estimate = wall(i, TrackingState.LOST if i in lost else TrackingState.TRACKING)
        T = make_transform(np.eye(3), [0.01 * i, 0.004 * np.sin(i), 0.002 * i])
        assert estimate.depth is not None
        truth = FrameTruth(np.full((48, 64), 2.0 / scale, np.float32), T)
        pose = None if i in lost else T
        sink.write(replace(estimate, frame=replace(estimate.frame, truth=truth), T_world_cam=pose))
    return sink


def test_perfect_estimates() -> None:
    sink = run(clouds=True)
    assert isinstance(sink, Sink)
    metrics = sink.metrics()
    assert metrics.trajectory is not None
    assert metrics.trajectory.ate_rmse_m < 1e-9
    assert metrics.depth[ONE_SCALE].abs_rel < 1e-3
    assert metrics.depth["own metres"].abs_rel < 1e-6
    assert metrics.constant_depth is not None
    assert metrics.clouds is not None
    assert metrics.clouds.chamfer_m < 2e-3
    assert metrics.states == {"TRACKING": 30}
    assert metrics.num_maps == 1


def test_coverage_of_depth_and_of_confident_depth() -> None:
    metrics = run().metrics()
    pixels = 24 * 32
    assert metrics.depth[ONE_SCALE].coverage == pytest.approx((pixels - 1) / pixels)
    assert metrics.depth[f"{ONE_SCALE}, confident pixels"].coverage == pytest.approx((pixels - 32 - 1) / pixels)


def test_scale_of_depth_is_reported() -> None:
    metrics = run(scale=2.0).metrics()
    assert metrics.depth[ONE_SCALE].scale == pytest.approx(0.5, rel=1e-3)
    assert metrics.depth["own metres"].abs_rel == pytest.approx(1.0, rel=1e-5)


def test_lost_frames_count_as_missing() -> None:
    metrics = run(lost=(0, 1, 2, 15)).metrics()
    assert metrics.trajectory is not None
    assert metrics.trajectory.num_poses == 26
    assert metrics.trajectory.first_pose_frame == 3
    assert metrics.states == {"LOST": 4, "TRACKING": 26}


def test_frames_without_depth_lower_the_coverage() -> None:
    sink = EvaluationSink("wall")
    sink.write(wall(0))
    sink.write(wall(1, depth=None, confidence=None))
    assert sink.metrics().depth[ONE_SCALE].coverage == pytest.approx(0.5, abs=0.01)


def test_never_a_pose_is_said() -> None:
    metrics = run(5, lost=(0, 1, 2, 3, 4)).metrics()
    assert metrics.trajectory is None
    assert "no frame got a pose" in metrics.notes
    few = run(5, lost=(0, 1, 2)).metrics()
    assert few.trajectory is None
    assert "at least 3" in few.notes[0]


def test_several_maps_are_said() -> None:
    sink = EvaluationSink("wall")
    for i in range(10):
        sink.write(wall(i, map_id=i // 5))
    metrics = sink.metrics()
    assert metrics.num_maps == 2
    assert "maps share no world" in metrics.notes[0]


def test_no_truth_no_scores() -> None:
    sink = EvaluationSink("wall")
    sink.write(wall(0, truth=False))
    assert not sink.has_truth
    metrics = sink.metrics()
    assert metrics.trajectory is None
    assert metrics.depth == {}
    assert metrics.num_frames == 1


def test_save_and_load(tmp_path: Path) -> None:
    for metrics in (run(clouds=True).metrics(), EvaluationSink("empty").metrics()):
        metrics.save(tmp_path / "metrics.json")
        assert Metrics.load(tmp_path / "metrics.json") == metrics


def test_infinite_figures_are_saved_as_valid_json(tmp_path: Path) -> None:
    metrics = run().metrics()
    assert metrics.trajectory is not None
    broken = replace(metrics, trajectory=replace(metrics.trajectory, scale=float("inf")))
    broken.save(tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["trajectory"]["scale"] is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": 2}', '{"schema": 1, "trajectory": {}}'])
def test_damaged_metrics(tmp_path: Path, content: str) -> None:
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(SourceError, match="cannot be read"):
        Metrics.load(tmp_path / "m.json")


def test_unwritable_metrics(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        run(3).metrics().save(tmp_path / "no" / "folder" / "m.json")


def test_table_names_scores_and_baselines() -> None:
    metrics = run(clouds=True).metrics()
    text = metrics.markdown()
    for expected in ("ATE RMSE after Sim(3)", "AbsRel / delta<1.25", "Chamfer", "30 tracking", "doing nothing"):
        assert expected in text
    assert metrics.trajectory is not None
    ate = next(row for row in metrics.rows() if row.name == "ATE RMSE after Sim(3)")
    assert ate.value == "0.0 cm"
    assert ate.baseline == f"{100 * metrics.trajectory.standing_still_m:.1f} cm"
