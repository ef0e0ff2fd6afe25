"""The result folder: what is in it, that it is bounded, and that it is readable at every moment."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.wall_scene import CAMERA, START_NS, STEP_NS, wall

from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.data.result import FrameRecord, ResultReader, ResultSink, RunRecord, layout
from ego_perception.data.result import cloud as cloud_module
from ego_perception.errors import FrameError, OutputError, SourceError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.runtime import Sink

RECORD = RunRecord("run", "wall", parameters={"threads": 1})


def write(out: Path, n: int = 6, **options: Any) -> ResultSink:
    sink = ResultSink(out, RECORD, **options)
    for i in range(n):
        sink.write(wall(i))
    sink.close()
    return sink


def test_everything_comes_back(tmp_path: Path) -> None:
    sink = ResultSink(tmp_path / "a new" / "folder", RECORD)
    assert isinstance(sink, Sink)
    for i in range(6):
        sink.write(wall(i, TrackingState.LOST if i == 3 else TrackingState.TRACKING))
    sink.close()
    reader = ResultReader(tmp_path / "a new" / "folder")
    assert [r.index for r in reader.frames] == list(range(6))
    assert [r.state for r in reader.frames].count(TrackingState.LOST) == 1
    lost, first = reader.frames[3], reader.frames[0]
    assert lost.T_world_cam is None
    assert lost.reason == "no features"
    assert first.camera == CAMERA.resized(32, 24)
    assert reader.image(first).shape == (48, 64, 3)
    assert np.abs(reader.image(first).astype(int) - (200, 100, 50)).max() < 6
    depth = reader.depth(first)
    assert depth is not None
    assert np.isnan(depth[0, 0])
    assert depth[5, 5] == pytest.approx(2.0)
    confidence = reader.confidence(first)
    assert confidence is not None
    assert confidence[0, 0] == pytest.approx(0.9, abs=0.003)
    true = reader.true_depth(first)
    assert true is not None
    assert true.shape == depth.shape
    assert np.all(true == np.float32(2.0))
    assert reader.trajectory is not None
    assert reader.truth is not None
    assert len(reader.trajectory) == 5  # no pose while lost
    assert len(reader.truth) == 6
    assert reader.run["source"] == "wall"
    assert reader.run["status"] == "running"
    assert reader.metrics is None


def test_cloud_is_the_wall_without_weak_lost_or_masked_pixels(tmp_path: Path) -> None:
    sink = ResultSink(tmp_path, RECORD, voxel_m=0.05)
    for i in range(4):
        sink.write(wall(i))
    far = wall(50)
    sink.write(wall(4, TrackingState.LOST, depth=far.depth * 3 if far.depth is not None else None))
    sink.close()
    points, colours = ResultReader(tmp_path).cloud()
    assert len(points) > 100
    assert np.allclose(points[:, 2], 2.0, atol=1e-3)
    bottom = (23 - CAMERA.resized(32, 24).cy) / CAMERA.resized(32, 24).fy * 2.0
    assert points[:, 1].max() < bottom - 0.01  # the last row has confidence 0.1
    assert np.abs(colours.astype(int) - (200, 100, 50)).max() <= 1


def test_ignored_pixels_are_not_fused(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), bool)
    mask[:, :32] = True
    sink = ResultSink(tmp_path, RECORD)
    for i in range(2):
        estimate = wall(i)
        sink.write(replace(estimate, frame=replace(estimate.frame, ignore=mask)))
    sink.close()
    assert ResultReader(tmp_path).cloud()[0][:, 0].min() > -0.1


def test_depth_edges_are_not_fused(tmp_path: Path) -> None:
    depth = np.full((24, 32), 2.0, np.float32)
    depth[:, 16:] = 4.0
    sink = ResultSink(tmp_path, RECORD, voxel_m=0.01)
    for i in range(2):
        sink.write(wall(i, depth=depth, confidence=None, T_world_cam=np.eye(4)))
    sink.close()
    points = ResultReader(tmp_path).cloud()[0]
    columns = np.unique(np.round(points[:, 0] / points[:, 2] * 30 + 15.5).astype(int))
    assert 14 in columns
    assert 17 in columns
    assert not {15, 16} & set(columns.tolist())


def test_number_of_kept_frames_is_bounded_and_even(tmp_path: Path) -> None:
    write(tmp_path, 100, max_frames=10)
    reader = ResultReader(tmp_path)
    indices = [r.index for r in reader.frames]
    assert 5 <= len(indices) <= 10
    assert len(set(np.diff(indices))) == 1
    assert reader.trajectory is not None
    assert len(reader.trajectory) == 100  # poses are all there
    named = {name for record in reader.frames for name in record.files.values()} | {"frames.jsonl"}
    assert named == {path.name for path in (tmp_path / "frames").iterdir()}


def test_readable_while_running(tmp_path: Path) -> None:
    sink = ResultSink(tmp_path, RECORD, cloud_every=2)
    for i in range(3):
        sink.write(wall(i))
    reader = ResultReader(tmp_path)
    assert len(reader.frames) == 3
    assert reader.trajectory is not None
    assert len(reader.trajectory) == 3
    assert len(reader.cloud()[0]) > 0
    sink.close()


def test_a_killed_process_leaves_a_readable_result(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from fixtures.wall_scene import wall
        from ego_perception.data.result import ResultSink, RunRecord
        sink = ResultSink(Path({str(tmp_path / "out")!r}), RunRecord("run", "wall"), cloud_every=2)
        for i in range(5):
            sink.write(wall(i))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    root = Path(__file__).parents[4]
    path = os.pathsep.join([str(root), str(root / "test")])
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path}, timeout=60)
    assert done.returncode == -9
    reader = ResultReader(tmp_path / "out")
    assert len(reader.frames) == 5
    assert reader.trajectory is not None
    assert len(reader.trajectory) == 5
    assert len(reader.cloud()[0]) > 0


def test_half_a_line_at_the_end_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path)
    log = tmp_path / "frames" / "frames.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert len(ResultReader(tmp_path).frames) == 5
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("line", ["", "null", "[]", "{}", '{"index": 1}', "\ufffd\ufffd"])
def test_lines_that_are_no_record(line: str) -> None:
    with pytest.raises(SourceError):
        FrameRecord.from_line(line)


def test_a_record_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    write(tmp_path, 1)
    record = ResultReader(tmp_path).frames[0]
    record.files["image"] = "../../secret.jpg"
    with pytest.raises(FrameError, match="names no image"):
        ResultReader(tmp_path).image(record)


def test_repeated_run_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, 8)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 20
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert str(tmp_path) not in (tmp_path / "a" / "run.json").read_text()


def test_new_run_replaces_the_old_and_spares_other_files(tmp_path: Path) -> None:
    write(tmp_path, 9)
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "metadata.yaml").write_text("old")
    write(tmp_path, 2)
    assert len(ResultReader(tmp_path).frames) == 2
    assert not (tmp_path / "metrics.json").exists()
    assert not (tmp_path / "result").exists()
    assert not (tmp_path / "frames" / "000008.jpg").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_of_the_users_frames_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "holiday.jpg").write_bytes(b"x")
    write(tmp_path, 1)
    assert (tmp_path / "frames" / "holiday.jpg").exists()


def test_output_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot be written.*choose another"):
        ResultSink(tmp_path / "out", RECORD)


@pytest.mark.skipif(os.geteuid() != 0 and not Path("/proc/self").exists(), reason="needs /proc")
def test_unwritable_output() -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        ResultSink(Path("/proc/self/out"), RECORD)


def test_nearly_full_disk_is_refused_before_work_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(OutputError, match="MB free"):
        ResultSink(tmp_path, RECORD)


def test_disk_that_fills_up_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = ResultSink(tmp_path, RECORD, cloud_every=2)
    for i in range(4):
        sink.write(wall(i))

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        sink.write(wall(4))
    assert sink.failure is not None
    sink.write(wall(5))  # refused without another error
    with pytest.raises(OutputError):
        sink.close()
    monkeypatch.undo()
    reader = ResultReader(tmp_path)
    assert len(reader.frames) == 4
    assert len(reader.cloud()[0]) > 0
    assert reader.trajectory is not None
    assert len(reader.trajectory) >= 4


def test_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.json"
    layout.write_atomic(target, b"old")

    def interrupt(self: Path, other: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        layout.write_atomic(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert target.read_bytes() == b"old"


def test_final_record(tmp_path: Path) -> None:
    sink = write(tmp_path, 1)
    sink.finish(replace(RECORD, status="finished", counters={"processed": 1}))
    run = ResultReader(tmp_path).run
    assert run["status"] == "finished"
    assert run["counters"] == {"processed": 1}
    assert json.loads((tmp_path / "run.json").read_text())["parameters"] == {"threads": 1}


def test_no_result_here(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no result folder"):
        ResultReader(tmp_path)


def test_damaged_run_json(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read"):
        _ = ResultReader(tmp_path).run


def test_run_that_never_got_a_pose(tmp_path: Path) -> None:
    sink = ResultSink(tmp_path, RECORD)
    sink.write(wall(0, TrackingState.LOST, truth=False))
    sink.close()
    reader = ResultReader(tmp_path)
    assert reader.trajectory is None
    assert reader.truth is None
    assert len(reader.cloud()[0]) == 0
    assert sink.num_states == {"LOST": 1}


def test_largest_map_is_the_cloud(tmp_path: Path) -> None:
    sink = ResultSink(tmp_path, RECORD)
    small = np.full((24, 32), np.nan, np.float32)
    small[4:8, 4:8] = 1.0
    for i in range(2):
        sink.write(wall(i, depth=small, map_id=0))
    for i in range(2, 4):
        sink.write(wall(i, map_id=1))
    sink.close()
    assert np.allclose(ResultReader(tmp_path).cloud()[0][:, 2], 2.0, atol=1e-3)


def test_large_pictures_are_shrunk_and_the_lens_is_dropped(tmp_path: Path) -> None:
    lens = PinholeCamera(1920, 1080, 1000, 1000, 960, 540, DistortionModel.PLUMB_BOB, (0.1, 0.0, 0.0, 0.0))
    frame = Frame(START_NS + STEP_NS, np.zeros((1080, 1920, 3), np.uint8))
    sink = ResultSink(tmp_path, RECORD)
    sink.write(SceneEstimate(frame, TrackingState.DEGRADED, lens, reason="starting"))
    sink.close()
    reader = ResultReader(tmp_path)
    record = reader.frames[0]
    assert reader.image(record).shape == (360, 640, 3)
    assert (record.camera.width, record.camera.height) == (640, 360)
    assert not record.camera.is_distorted
    assert reader.depth(record) is None
    assert reader.confidence(record) is None


def test_depth_beyond_16_bits_is_invalid_not_wrapped(tmp_path: Path) -> None:
    depth = np.full((24, 32), 70.0, np.float32)
    depth[0] = 65.0
    sink = ResultSink(tmp_path, RECORD)
    sink.write(wall(0, depth=depth))
    sink.close()
    reader = ResultReader(tmp_path)
    read = reader.depth(reader.frames[0])
    assert read is not None
    assert np.isnan(read[1:]).all()
    assert read[0, 5] == pytest.approx(65.0)


def test_cloud_module_writes_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(cloud_module, "write_atomic", lambda path, data: seen.append(path))
    write(tmp_path, 2)
    assert seen == [tmp_path / "cloud.ply"]
