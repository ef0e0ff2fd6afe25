"""What the user may name as input."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from fixtures.wall_scene import wall

from ego_perception.bag import BagSource, FrameBagSink
from ego_perception.cli.sources import open_source
from ego_perception.data import Frame
from ego_perception.data.folder import FolderSource
from ego_perception.data.intrinsics import parse_intrinsics
from ego_perception.data.video import VideoSource
from ego_perception.errors import BagError, CalibrationError, EgoPerceptionError, FrameError, SourceError
from ego_perception.sources import CalibratedSource, is_bag


def images(folder: Path, n: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((48, 64, 3), i, np.uint8))
    return folder


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    sink = FrameBagSink(tmp_path / "a bag")
    for i in range(4):
        sink.write(wall(i).frame)
    sink.close()
    return tmp_path / "a bag"


def test_folder_with_options(tmp_path: Path) -> None:
    source = open_source(str(images(tmp_path / "with space")), fps=5.0, intrinsics="60,60,32,24")
    assert isinstance(source, FolderSource)
    items = [item for item in source if isinstance(item, Frame)]
    assert items[1].stamp_ns - items[0].stamp_ns == 200_000_000
    assert items[0].camera is not None
    assert items[0].camera.fx == 60


def test_video(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert isinstance(open_source(str(tmp_path / "v.avi")), VideoSource)


def test_bag_folder_and_bag_file(bag: Path) -> None:
    for path in (bag, next(bag.glob("*.mcap"))):
        source = open_source(str(path))
        assert isinstance(source, BagSource)
        assert len([item for item in source if isinstance(item, Frame)]) == 4
        source.close()


def test_bag_with_other_intrinsics(bag: Path) -> None:
    source = open_source(str(bag), intrinsics="70,71,32,24")
    assert isinstance(source, CalibratedSource)
    cameras = [item.camera for item in source if isinstance(item, Frame)]
    assert len(cameras) == 4
    assert all(camera is not None and camera.fy == 71 for camera in cameras)
    source.close()


def test_bag_without_metadata_is_still_a_bag(bag: Path) -> None:
    (bag / "metadata.yaml").unlink()
    assert is_bag(bag)
    assert isinstance(open_source(str(bag)), BagSource)


def test_folder_of_images_with_some_yaml_is_no_bag(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "metadata.yaml").write_text("camera: head\n")
    assert not is_bag(tmp_path)
    assert isinstance(open_source(str(tmp_path)), FolderSource)


def test_simulator_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(EgoSimConfig=lambda seed: seed, SimSource=lambda config: ("sim", config))
    monkeypatch.setitem(sys.modules, "ego_perception.simulation", cast(ModuleType, fake))
    assert cast(Any, open_source("sim:17")) == ("sim", 17)
    assert cast(Any, open_source("sim")) == ("sim", 0)


@pytest.mark.parametrize("spec", ["nothing.mp4", "sim:x", "webcam:front", "ross", "rtsp://camera/1", "", "\0"])
def test_unclear_input_names_what_can_be_given(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"webcam:0, sim:SEED or ros|holds no images|no path"):
        open_source(spec)


def test_text_file_empty_folder_and_empty_bag(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.mcap").write_bytes(b"")
    for name, kind in (("v.mp4", SourceError), ("empty", SourceError), ("b.mcap", BagError)):
        with pytest.raises(kind) as raised:
            open_source(str(tmp_path / name))
        assert isinstance(raised.value, EgoPerceptionError)
        assert "\n" not in str(raised.value)


def test_rate_of_a_bag_cannot_be_set(bag: Path) -> None:
    with pytest.raises(SourceError, match="its own stamps"):
        open_source(str(bag), fps=10)


def test_bad_intrinsics(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError):
        open_source(str(images(tmp_path)), intrinsics="0,0,0,0")


class Pair:
    """Two frames of different shape and an error."""

    name, is_live, closed = "pair", False, False

    def __iter__(self) -> Any:
        yield Frame(1, np.zeros((48, 64, 3), np.uint8))
        yield FrameError("broken")
        yield Frame(2, np.zeros((48, 48, 3), np.uint8))

    def close(self) -> None:
        self.closed = True


def test_calibration_that_does_not_fit_is_an_error_of_that_frame() -> None:
    inner = Pair()
    source = CalibratedSource(inner, parse_intrinsics("60,60,32,24"))
    items = list(source)
    assert isinstance(items[0], Frame)
    assert [str(item) for item in items[1:2]] == ["broken"]
    assert isinstance(items[2], FrameError)
    source.close()
    assert inner.closed
