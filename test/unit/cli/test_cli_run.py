"""`ego run` and `ego replay` through their whole path with an estimator that knows the answer."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures.wall_scene import wall
from rich.console import Console

from ego_perception.bag import BagReader, FrameBagSink
from ego_perception.cli import main as cli
from ego_perception.cli import offline, run
from ego_perception.cli.offline import Job, Model, reconstruct
from ego_perception.cli.progress import ProgressSink
from ego_perception.data import Frame, SceneEstimate
from ego_perception.data.result import ResultReader, ResultSink
from ego_perception.errors import FrameError, OutputError, SourceError
from ego_perception.geometry import make_transform
from ego_perception.reconstruction.config import ReconstructionConfig

CONFIG = ReconstructionConfig()


class Oracle:
    """Answers with a known path; implements `runtime.Estimator`."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.count = 0
        self._interrupt_at = interrupt_at

    def reset(self) -> None:
        self.count = 0

    def push(self, frame: Frame) -> SceneEstimate:
        if self.count == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        i = self.count
        self.count += 1
        T = make_transform(np.eye(3), [0.01 * i, 0.004 * np.sin(i), 0.002 * i])
        known = wall(i, T_world_cam=T, is_keyframe=i % 5 == 0)
        return SceneEstimate(
            frame, known.state, known.camera, T_world_cam=T, covariance=known.covariance, depth=known.depth,
            confidence=known.confidence, is_keyframe=known.is_keyframe,
        )  # fmt: skip

    def flush(self) -> tuple[()]:
        return ()


class Walls:
    """A source of `n` wall frames with truth; broken where asked."""

    name, is_live = "walls", False

    def __init__(self, n: int = 12, broken: tuple[int, ...] = (), breaks_off_at: int | None = None) -> None:
        self._n, self._broken, self._breaks_off_at = n, broken, breaks_off_at
        self.closed = False

    def __iter__(self) -> Iterator[Frame | Exception]:
        for i in range(self._n):
            if i == self._breaks_off_at:
                raise SourceError("the cable was pulled")
            yield FrameError("broken") if i in self._broken else wall(i).frame

    def close(self) -> None:
        self.closed = True


def job(out: Path, source: Any = None, **options: Any) -> Job:
    return Job("run", source or Walls(), out, CONFIG, **options)


def model(**options: Any) -> Model:
    return Model(Oracle(**options), {"oracle": "00"})


def bag_stamps(out: Path) -> int:
    with BagReader(out / "result") as reader:
        return sum(1 for _ in reader.raw({"/reconstruction/odom"}))


def test_everything_is_written(tmp_path: Path) -> None:
    source = Walls(broken=(3,))
    outcome = reconstruct(job(tmp_path / "out", source), model())
    assert source.closed
    assert outcome.counters.processed == 11
    assert outcome.counters.failed == 1
    assert not outcome.interrupted
    reader = ResultReader(tmp_path / "out")
    assert reader.run["status"] == "finished"
    assert reader.run["weights"] == {"oracle": "00"}
    assert reader.run["counters"]["states"] == {"TRACKING": 11}
    assert reader.run["parameters"]["threads"] == CONFIG.threads
    assert len(reader.frames) == 11
    assert reader.metrics is not None
    assert reader.timing is not None
    assert {stage["stage"] for stage in reader.timing["stages"]} >= {"rectify", "estimate", "result", "bag"}
    assert bag_stamps(tmp_path / "out") == 11
    assert "<html" in (tmp_path / "out" / "report.html").read_text()[:500].lower()


def test_repeat_is_byte_equal(tmp_path: Path) -> None:
    for name in ("a", "b"):
        reconstruct(job(tmp_path / name), model())
    volatile = {"timing.json", "report.html"}
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert any(file.suffix == ".mcap" for file in files)
    for file in files:
        if file.name not in volatile:
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_interrupt_leaves_a_finished_readable_result(tmp_path: Path) -> None:
    outcome = reconstruct(job(tmp_path), model(interrupt_at=7))
    assert outcome.interrupted
    reader = ResultReader(tmp_path)
    assert reader.run["status"] == "interrupted"
    # The frame in work when the signal came is finished in every sink first.
    assert len(reader.frames) == 8
    assert len(reader.cloud()[0]) > 0
    assert bag_stamps(tmp_path) == 8
    assert reader.metrics is not None
    assert (tmp_path / "report.html").exists()


def test_sigterm_counts_as_interrupt(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    class Killed(Oracle):
        def push(self, frame: Frame) -> SceneEstimate:
            if self.count == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().push(frame)

    assert reconstruct(job(tmp_path), Model(Killed())).interrupted
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_outside_the_main_thread(tmp_path: Path) -> None:
    results: list[offline.Outcome] = []
    thread = threading.Thread(target=lambda: results.append(reconstruct(job(tmp_path), model())))
    thread.start()
    thread.join(60)
    assert results[0].counters.processed == 12


def test_input_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cable"):
        reconstruct(job(tmp_path, Walls(breaks_off_at=5)), model())
    reader = ResultReader(tmp_path)
    assert reader.run["status"] == "failed: the cable was pulled"
    assert len(reader.frames) == 5
    assert bag_stamps(tmp_path) == 5


def test_not_one_usable_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"not one frame of walls.*broken"):
        reconstruct(job(tmp_path, Walls(2, broken=(0, 1))), model())


def test_full_disk_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    original = ResultSink.write

    def fill_up(self: ResultSink, item: SceneEstimate) -> None:
        written.append(item.frame.index)
        if len(written) == 4:
            raise OutputError("No space left on device; free space")
        original(self, item)

    monkeypatch.setattr(ResultSink, "write", fill_up)
    with pytest.raises(OutputError, match="No space left"):
        reconstruct(job(tmp_path, Walls(100)), model())
    assert len(written) == 4
    reader = ResultReader(tmp_path)
    assert len(reader.frames) == 3
    assert reader.run["status"].startswith("failed: No space left")


def test_plain_os_errors_of_a_sink_are_named() -> None:
    class Failing:
        name = "bag"

        def write(self, item: Any) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            """Nothing is open."""

    watched = offline._Watched(Failing())
    with pytest.raises(OutputError, match="bag cannot be written: No space left"):
        watched.write(None)
    watched.write(None)  # quiet afterwards
    watched.close()


def test_frame_limit_no_bag_and_clouds(tmp_path: Path) -> None:
    outcome = reconstruct(job(tmp_path, max_frames=6, with_bag=False, with_clouds=True), model())
    assert outcome.counters.processed == 6
    assert not (tmp_path / "result").exists()
    assert outcome.metrics is not None
    assert outcome.metrics.clouds is not None


def invoke(monkeypatch: pytest.MonkeyPatch, *arguments: str, **options: Any) -> int:
    monkeypatch.setattr(run, "load_model", lambda config, weights: model(**options))
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return int(stop.value.code or 0)


def folder(path: Path, n: int = 4) -> str:
    path.mkdir()
    for i in range(n):
        cv2.imwrite(str(path / f"{i}.png"), np.full((48, 64, 3), 40 * i, np.uint8))
    return str(path)


def recording(path: Path) -> str:
    sink = FrameBagSink(path)
    for i in range(12):
        sink.write(wall(i).frame)
    sink.close()
    return str(path)


def test_run_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my out"
    assert invoke(monkeypatch, "run", folder(tmp_path / "images"), "-o", str(out), "--set", "threads=2") == 0
    shown = capsys.readouterr().out
    assert "4 frames" in shown
    assert "4 tracking" in shown
    assert ResultReader(out).run["parameters"]["threads"] == 2
    assert ResultReader(out).run["source"] == "images"
    assert not (out / "metrics.json").exists()


def test_replay_verb_scores_a_bag_with_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recording(tmp_path / "recorded")
    for name in ("a", "b"):
        assert invoke(monkeypatch, "replay", bag, "-o", str(tmp_path / name), "--evaluate") == 0
    assert "ATE RMSE" in capsys.readouterr().out
    first, second = (next((tmp_path / name / "result").glob("*.mcap")).read_bytes() for name in ("a", "b"))
    assert first == second
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["trajectory"]["num_poses"] == 12
    assert metrics["clouds"] is not None


def test_evaluate_without_truth_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert invoke(monkeypatch, "replay", folder(tmp_path / "images"), "-o", str(out), "--evaluate") == 1
    assert "holds no ground truth" in capsys.readouterr().err
    assert (out / "cloud.ply").exists()


def test_interrupt_exits_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "images")
    assert invoke(monkeypatch, "run", source, "-o", str(tmp_path / "out"), interrupt_at=2) == 130
    assert len(ResultReader(tmp_path / "out").frames) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-here"], "is no file or folder"),
        (["{images}", "--set", "tracking.nope=1"], "unknown parameter"),
        (["{images}", "--intrinsics", "1,2,3"], "calibration"),
        (["{images}", "--fps", "0"], "fps is 0"),
        (["{images}", "-o", "{images}/0.png"], "cannot be written"),
        (["{images}", "--config", "none.yaml"], "cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_exit_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    images = folder(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    assert invoke(monkeypatch, "run", *(a.replace("{images}", images) for a in arguments)) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_dry_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder(tmp_path / "images")
    assert invoke(monkeypatch, "run", images, "-o", str(tmp_path / "out"), "--dry-run") == 0
    assert "tracking.num_features" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_live_sources_cannot_be_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ego_perception.cli import replay

    live = Walls()
    live.is_live = True
    monkeypatch.setattr(replay, "open_source", lambda *a, **k: live)
    assert invoke(monkeypatch, "replay", "webcam:0") == 1
    assert "is live" in capsys.readouterr().err
    assert live.closed


def test_default_folder_names() -> None:
    assert run.default_out("out", "bag walk 1") == Path("out/walk 1")
    assert run.default_out("out", "video.mp4") == Path("out/video")
    assert run.default_out("out/replay", "sim:3") == Path("out/replay/sim-3")


def test_progress_on_a_terminal_and_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with ProgressSink(terminal, 2) as bar:
        bar.write(wall(0))
        bar.write(wall(1))
        bar.close()
    plain = Console(force_terminal=False, width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    monkeypatch.setattr("ego_perception.cli.progress._LINE_EVERY_S", 0.0)
    with ProgressSink(plain, 2) as lines:
        lines.write(wall(0))
    assert plain.export_text().strip() == "frame 1 of 2: tracking"
