"""What the player can open, and what it says about the rest."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.wall_scene import wall

from ego_perception.bag import BagSource, FrameBagSink
from ego_perception.data import Frame
from ego_perception.data.folder import FolderSource
from ego_perception.data.video import VideoSource
from ego_perception.errors import BagError, ConfigError, EgoPerceptionError, SourceError
from ego_perception.nodes.recordings import open_recording


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    path = tmp_path / "my bag"
    sink = FrameBagSink(path)
    for i in range(4):
        sink.write(wall(i).frame)
    sink.close()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my pictures"
    path.mkdir()
    for i in range(3):
        cv2.imwrite(str(path / f"{i}.png"), np.full((24, 32, 3), 40 * i, np.uint8))
    return path


def num_frames(source: object) -> int:
    return sum(isinstance(item, Frame) for item in source)  # type: ignore[attr-defined]


def test_a_bag_its_file_and_a_bag_without_metadata(bag: Path) -> None:
    for path in (bag, next(bag.glob("*.mcap"))):
        source = open_recording(str(path))
        assert isinstance(source, BagSource)
        assert num_frames(source) == 4
        source.close()
    (bag / "metadata.yaml").unlink()
    source = open_recording(str(bag))
    assert isinstance(source, BagSource)
    assert num_frames(source) == 4
    source.close()


def test_the_image_topic_of_a_bag_can_be_chosen(bag: Path) -> None:
    source = open_recording(str(bag), "/camera/image_raw/compressed")
    assert num_frames(source) == 4
    source.close()
    with pytest.raises(BagError, match="/nothing/here"):
        num_frames(open_recording(str(bag), "/nothing/here"))


def test_a_folder_of_images(folder: Path) -> None:
    source = open_recording(str(folder))
    assert isinstance(source, FolderSource)
    assert num_frames(source) == 3


def test_a_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (64, 48))
    for level in (0, 100, 200):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    source = open_recording(str(path))
    assert isinstance(source, VideoSource)
    assert num_frames(source) == 3


def test_a_simulated_clip() -> None:
    source = open_recording("sim:12")
    assert source.name == "sim:12"
    source.close()


def test_home_is_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert isinstance(open_recording(f"~/{folder.name}"), FolderSource)


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("", ConfigError, "set the parameter source"),
        ("sim:-1", SourceError, "sim:SEED"),
        ("sim:99999999999", ConfigError, "allowed is 0 to"),
        ("{root}/nothing", SourceError, "nothing' is no file or folder here"),
        ("{root}/notes.txt", SourceError, "notes.txt"),
        ("{root}/empty", SourceError, "empty"),
        ("{root}/garbage.mcap", BagError, "garbage.mcap"),
        ("{root}/garbage.db3", BagError, "garbage.db3"),
        ("{root}/bare", EgoPerceptionError, "bare"),
    ],
)
@pytest.mark.filterwarnings("ignore::ego_perception.bag.BagDamage")
def test_what_cannot_be_played_is_one_line(tmp_path: Path, spec: str, kind: type[Exception], message: str) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "empty").mkdir()
    for name in ("garbage.mcap", "garbage.db3"):
        (tmp_path / name).write_bytes(b"\x00garbage" * 50)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 9}")
    with pytest.raises(kind) as raised:
        num_frames(open_recording(spec.replace("{root}", str(tmp_path))))
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
