"""Provenance of a run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from ego_perception import __version__
from ego_perception.data import TrackingState
from ego_perception.data.result import FrameRecord, RunRecord
from ego_perception.data.result.record import environment, git_commit
from ego_perception.geometry import PinholeCamera, make_transform, so3_exp


def test_frame_record_round_trip() -> None:
    T = make_transform(so3_exp([0.1, 0.2, 0.3]), [1, 2, 3])
    record = FrameRecord(7, 123456789012345678, TrackingState.DEGRADED, "dark", PinholeCamera(8, 6, 5, 5, 4, 3), T, None, {}, 2)
    back = FrameRecord.from_line(record.to_line())
    assert back.stamp_ns == record.stamp_ns
    assert back.state is TrackingState.DEGRADED
    assert back.camera == record.camera
    assert back.T_world_cam is not None
    assert np.array_equal(back.T_world_cam, T)
    assert back.T_world_cam_truth is None
    assert back.map_id == 2


def test_environment_names_versions_and_no_paths() -> None:
    found = environment()
    assert {"python", "numpy", "machine", "cpu_count"} <= set(found)
    assert not any("/" in value for value in found.values())


def test_run_record_holds_the_version() -> None:
    assert RunRecord("run", "x").to_json()["version"] == __version__


def git(folder: Path, *args: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True)


def test_commit_and_its_changes(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    clean = git_commit(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == clean + "+changes"


def test_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None
