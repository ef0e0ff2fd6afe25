"""`ego replay` as a user runs it: the same bytes from two processes, and a readable part after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ego_perception.bag import BagReader
from ego_perception.data.result import ResultReader
from ego_perception.data.result.cloud import read_ply

Start = Callable[..., "subprocess.Popen[str]"]

VOLATILE = {"timing.json", "report.html"}
"""All that may differ: wall-clock figures, and the page that shows them."""
LIMIT_S = 240.0


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for success; what it printed."""
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, out + err
    return out


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but what may differ."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in VOLATILE)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def poses(out: Path) -> list[str]:
    return [line for line in (out / "trajectory.tum").read_text().splitlines() if not line.startswith("#")]


def test_two_processes_write_the_same_bytes(start_ego: Start, recording: Path, tmp_path: Path) -> None:
    """Side by side, with hash seeds of their own, so that neither timing nor the order of sets can matter."""
    num_frames = 12
    arguments = ("--evaluate", "--max-frames", num_frames)
    both = [start_ego("replay", recording, "-o", tmp_path / name, *arguments) for name in ("a", "b")]
    for process in both:
        assert "ATE RMSE" in finish(process)
    first, second = files(tmp_path / "a"), files(tmp_path / "b")
    assert sorted(first) == sorted(second)
    assert {"run.json", "trajectory.tum", "truth.tum", "cloud.ply", "metrics.json", "frames/frames.jsonl"} <= set(first)
    assert any(name.startswith("result/") and name.endswith(".mcap") for name in first)
    assert [name for name in first if first[name] != second[name]] == []
    # The bytes are those of a real result, not of two equal failures.
    with BagReader(tmp_path / "a" / "result") as reader:
        num_poses = reader.topics["/reconstruction/odom"].count
        assert num_poses == len(poses(tmp_path / "a")) > num_frames // 2
        assert reader.topics["/reconstruction/points"].count == num_frames
    assert len(read_ply(tmp_path / "a" / "cloud.ply")[0]) > 1000


def test_ctrl_c_leaves_the_beginning_of_the_same_result(start_ego: Start, recording: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    finish(start_ego("replay", recording, "-o", whole, "--max-frames", 8))
    process = start_ego("replay", recording, "-o", part)
    log, end = part / "frames" / "frames.jsonl", time.monotonic() + LIMIT_S
    while not (log.is_file() and log.read_text().count("\n") >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    reader = ResultReader(part)
    assert reader.run["status"] == "interrupted"
    num_kept = len(reader.frames)
    assert num_kept >= 2
    common = min(8, num_kept)
    assert log.read_text().splitlines()[:common] == (whole / "frames" / "frames.jsonl").read_text().splitlines()[:common]
    begun = poses(part)[:8]
    assert len(begun) >= common - 1
    assert begun == poses(whole)[: len(begun)]
    with BagReader(part / "result") as bag:
        assert bag.damages == []
        assert bag.topics["/reconstruction/points"].count == num_kept
    assert (part / "report.html").stat().st_size > 1000
    assert len(reader.cloud()[0]) > 0


def test_a_result_replays_like_any_recording(ego: Callable[..., int], recording: Path, tmp_path: Path) -> None:
    """A result bag carries its pictures."""
    assert ego("replay", recording, "-o", tmp_path / "first", "--max-frames", 5) == 0
    assert ego("replay", tmp_path / "first" / "result", "-o", tmp_path / "second") == 0
    first, second = ([record.stamp_ns for record in ResultReader(tmp_path / name).frames] for name in ("first", "second"))
    assert first == second
    assert len(first) == 5


@pytest.mark.slow
def test_a_real_recording_repeats_too(start_ego: Start, kitchen: Path, tmp_path: Path) -> None:
    both = [start_ego("replay", kitchen, "-o", tmp_path / name, "--max-frames", 30) for name in ("a", "b")]
    for process in both:
        finish(process)
    assert files(tmp_path / "a") == files(tmp_path / "b")
