"""`ego demo` from end to end: the newcomer's command, with its nodes as real processes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ego_perception.bag import BagReader
from ego_perception.data.result import ResultReader
from ego_perception.evaluation import Metrics

pytestmark = [pytest.mark.slow, pytest.mark.ros]

LIMIT_S = 280.0


def test_the_demo_writes_everything_it_promises(start_ego: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    out = tmp_path / "my demo"
    process = start_ego("demo", "--no-view", "--seconds", 3, "--no-hand-removal", "-o", out)
    shown, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, shown + errors
    assert "ATE RMSE" in shown
    assert str(out / "report.html") in shown
    assert "Traceback" not in errors
    with BagReader(out / "recording") as recording:
        num_images = recording.topics["/camera/image_raw/compressed"].count
        assert num_images == 45
    with BagReader(out / "result") as result:
        assert result.damages == []
        # Played in real time: a slow machine drops images, but not all of them.
        assert 3 <= result.topics["/reconstruction/odom"].count <= num_images
    reader = ResultReader(out)
    assert reader.run["status"] == "finished"
    assert len(reader.cloud()[0]) > 1000
    assert reader.trajectory is not None
    assert Metrics.load(out / "metrics.json").trajectory is not None
    page = (out / "report.html").read_text()
    assert "</html>" in page
    assert "data:image/" in page


def test_the_demo_removes_the_hands_too(start_ego: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start_ego("demo", "--no-view", "--seconds", 4, "--hand-removal", "-o", tmp_path / "demo")
    shown, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, shown + errors
    reader = ResultReader(tmp_path / "demo")
    with_image = [record for record in reader.frames if "hand_free" in record.files]
    assert len(with_image) > len(reader.frames) // 2
    assert any(codes is not None and codes.any() for codes in map(reader.provenance, with_image)), "the clip must show hands"
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "<h2>Hand removal</h2>" in page and "without hands" in page


def test_a_folder_of_the_user_is_left_alone(start_ego: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    process = start_ego("demo", "--no-view", "-o", tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "name another folder" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
