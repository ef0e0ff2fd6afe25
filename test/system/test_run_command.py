"""`ego run` and `ego replay` with the shipped weights on every kind of input, good and bad."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ego_perception.bag import BagReader
from ego_perception.data import Frame
from ego_perception.data.result import ResultReader
from ego_perception.reconstruction.sizes import KIND
from ego_perception.weights import shipped_weights

Ego = Callable[..., int]
NUM_FRAMES = 4


@pytest.fixture(scope="session")
def inputs(walk: list[Frame], recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The first frames of the walk as everything that can be given, by kind."""
    root = tmp_path_factory.mktemp("my inputs")
    folder = root / "pictures"
    folder.mkdir()
    pictures = [cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR) for frame in walk[: NUM_FRAMES + 2]]
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    found = {
        "folder": str(folder),
        "bag": str(recording),
        "bag file": str(next(recording.glob("*.mcap"))),
        "simulator": "sim:3",
    }
    for suffix, code in ((".mp4", "mp4v"), (".avi", "MJPG")):
        path = root / f"clip{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 15.0, (320, 240))
        for picture in pictures:
            writer.write(picture)
        writer.release()
        found[suffix] = str(path)
    return found


@pytest.mark.parametrize("kind", ["folder", ".mp4", ".avi", "bag", "bag file", "simulator"])
def test_every_kind_of_input(ego: Ego, inputs: dict[str, str], tmp_path: Path, kind: str) -> None:
    out = tmp_path / "my out"
    assert ego("run", inputs[kind], "-o", out, "--max-frames", NUM_FRAMES) == 0
    reader = ResultReader(out)
    assert reader.run["status"] == "finished"
    assert len(reader.frames) == reader.run["counters"]["processed"] == NUM_FRAMES
    assert reader.trajectory is not None
    assert len(reader.cloud()[0]) > 100
    assert all(np.isfinite(record.T_world_cam).all() for record in reader.frames if record.T_world_cam is not None)
    has_truth = kind in ("bag", "bag file", "simulator")
    assert (out / "metrics.json").is_file() == has_truth
    with BagReader(out / "result") as bag:
        assert bag.topics["/reconstruction/points"].count == NUM_FRAMES
    assert "</html>" in (out / "report.html").read_text()


def test_intrinsics_and_rate_are_taken_from_the_command_line(ego: Ego, inputs: dict[str, str], tmp_path: Path) -> None:
    arguments = ("--fps", "5", "--intrinsics", "300,300,159.5,119.5", "--set", "intrinsics.refine=false")
    assert ego("run", inputs["folder"], "-o", tmp_path, *arguments) == 0
    stamps = [record.stamp_ns for record in ResultReader(tmp_path).frames]
    assert np.diff(stamps) == pytest.approx(200_000_000)
    record = json.loads((tmp_path / "frames" / "frames.jsonl").read_text().splitlines()[0])
    camera = record["camera"]
    assert camera["fx"] / camera["width"] == pytest.approx(300 / 320, rel=1e-3)


@pytest.mark.parametrize("kind", ["folder", ".mp4", "bag", "simulator"])
def test_a_dry_run_prints_the_plan_and_writes_nothing(
    ego: Ego, inputs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert ego("run", inputs[kind], "-o", tmp_path / "out", "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "parameters:" in plan
    assert str(tmp_path / "out") in plan
    assert list(tmp_path.iterdir()) == []


def spoil(root: Path, recording: Path) -> None:
    """Put one of each bad input below `root`."""
    (root / "empty folder").mkdir()
    (root / "no video.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(500))
    (root / "notes.txt").write_text("not a video either")
    (root / "zero.avi").write_bytes(b"")
    (root / "pictures").mkdir()
    (root / "pictures" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    (root / "empty bag").mkdir()
    (root / "empty bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 9}")
    (root / "garbage.mcap").write_bytes(bytes(range(256)) * 8)
    (root / "weights.safetensors").write_bytes(shipped_weights(KIND).read_bytes()[:-999])
    (root / "params.yaml").write_text("tracking: {num_featurs: 100}")
    shutil.copytree(recording, root / "bag")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{root}/empty folder"], "empty folder"),
        (["{root}/no video.mp4"], "no video.mp4"),
        (["{root}/notes.txt"], "notes.txt"),
        (["{root}/zero.avi"], "zero.avi"),
        (["{root}/pictures"], "not one frame of pictures could be used"),
        (["{root}/empty bag"], "empty bag"),
        (["{root}/garbage.mcap"], "garbage.mcap"),
        (["webcam:97"], "webcam"),
        (["sim:many"], "no other input"),
        (["sim:99999999999"], "seed is 99999999999; allowed is 0 to 2147483647"),
        (["{root}/bag", "--fps", "30"], "brings its own stamps"),
        (["{root}/bag", "--intrinsics", "0,0,160,120"], "no intrinsic matrix: fx=0.0"),
        (["{root}/bag", "--weights", "{root}/weights.safetensors"], "weights.safetensors"),
        (["{root}/bag", "--weights", "{root}/nowhere.safetensors"], "nowhere.safetensors"),
        (["{root}/bag", "--config", "{root}/params.yaml"], "did you mean 'tracking.num_features'"),
        (["{root}/bag", "--set", "tracking.num_features=-1"], "tracking.num_features is -1; allowed is"),
        (["{root}/bag", "-o", "{root}/notes.txt"], "notes.txt' cannot be written"),
    ],
)
@pytest.mark.filterwarnings("ignore::ego_perception.bag.BagDamage")
def test_bad_input_is_one_line_and_exit_1(
    ego: Ego, recording: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    spoil(tmp_path, recording)
    out = [] if "-o" in arguments else ["-o", str(tmp_path / "out")]
    assert ego("run", *(word.replace("{root}", str(tmp_path)) for word in arguments), *out) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith(("WARNING", "[", "OpenCV"))]
    assert message in lines[-1]
    assert [line for line in lines if line.startswith("ego run: ")] == lines[-1:]


@pytest.mark.filterwarnings("ignore::ego_perception.bag.BagDamage")
def test_a_file_system_that_takes_no_more_ends_with_a_readable_part(
    start_ego: Callable[..., subprocess.Popen[str]], recording: Path, tmp_path: Path
) -> None:
    """A limit on file size stands in for the full disk: the system refuses the writes of the bag in the same place."""
    process = start_ego("run", recording, "-o", tmp_path, file_limit=3_000_000)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("ego run: ")
    assert "cannot be written further: File too large; what came before is readable" in err.splitlines()[-1]
    assert "Traceback" not in err
    reader = ResultReader(tmp_path)
    assert reader.run["status"].startswith("failed: ")
    assert len(reader.frames) > 0
    with BagReader(tmp_path / "result") as bag:
        assert 0 < bag.topics["/reconstruction/points"].count <= len(reader.frames)
