"""Recordings: what carries the wanted name is whole."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.truth_frames import full_frame, scene_truth
from typer.testing import CliRunner

from ego_perception.bag import BagReader, BagSource, FrameBagSink
from ego_perception.cli import sim as verb
from ego_perception.data import Frame
from ego_perception.data.clips.pixels import decode_ids
from ego_perception.data.folder import FolderSource
from ego_perception.errors import ConfigError, OutputError
from ego_perception.geometry import PinholeCamera
from ego_perception.simulation import EgoSim, export
from ego_perception.simulation.export import FolderWriter, whole_or_partial

SMALL = ["--seconds", "0.2", "--fps", "10", "--size", "48x36", "--preset", "plain"]


def test_a_folder_reads_back_as_the_clip(small_sim: EgoSim, tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "clip", small_sim.camera)
    frames = [small_sim.frame(i) for i in (0, 1)]
    for frame in frames:
        writer.write(frame)
    for read, frame in zip(FolderSource(tmp_path / "clip"), frames, strict=True):
        assert isinstance(read, Frame) and read.camera is not None and read.truth is not None and frame.truth is not None
        assert read.camera.fx == pytest.approx(small_sim.camera.fx) and read.camera.cx == small_sim.camera.cx
        assert read.truth.T_world_cam is not None and read.truth.depth is not None and frame.truth.depth is not None
        np.testing.assert_allclose(read.truth.T_world_cam, frame.truth.T_world_cam, atol=1e-9)
        np.testing.assert_allclose(read.truth.depth, frame.truth.depth, atol=0.00051)
        assert np.abs(read.rgb.astype(int) - frame.rgb.astype(int)).mean() < 4


def test_millimetres_round_and_keep_holes() -> None:
    depth = np.array([0.0, 0.0004, 1.2346, 70.0, np.nan], np.float32)
    assert export.millimetres(depth).tolist() == [0, 0, 1235, 65535, 0]


def test_a_whole_recording_gets_its_name(tmp_path: Path) -> None:
    with whole_or_partial(tmp_path / "a b") as path:
        path.mkdir()
        (path / "file").write_text("x")
        assert not (tmp_path / "a b").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a b"]
    assert (tmp_path / "a b" / "file").read_text() == "x"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutputError("full")])
def test_an_interrupted_recording_keeps_another_name(tmp_path: Path, error: type[BaseException] | BaseException) -> None:
    with pytest.raises((KeyboardInterrupt, OutputError)), whole_or_partial(tmp_path / "clip") as path:
        path.mkdir()
        (path / "file").write_text("half")
        raise error
    assert not (tmp_path / "clip").exists()
    assert (tmp_path / "clip.partial" / "clip" / "file").read_text() == "half"
    with whole_or_partial(tmp_path / "clip") as path:
        assert not path.exists()
        path.mkdir()
    assert [p.name for p in tmp_path.iterdir()] == ["clip"]


def test_nothing_is_left_of_a_recording_that_never_began(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), whole_or_partial(tmp_path / "clip"):
        raise ConfigError("no")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_recording_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "mine").write_text("")
    with pytest.raises(OutputError, match="exists already"), whole_or_partial(tmp_path / "clip"):
        pass
    (tmp_path / "clip" / "mine").unlink()
    with whole_or_partial(tmp_path / "clip") as path:
        path.mkdir()


def test_a_full_disk_is_one_clear_error(small_sim: EgoSim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = FolderWriter(tmp_path / "clip", small_sim.camera)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        writer.write(small_sim.frame(0))


def test_the_verb_records_a_bag_with_truth(tmp_path: Path) -> None:
    out = tmp_path / "with space"
    result = CliRunner().invoke(verb.app, ["3", "-o", str(out), *SMALL])
    assert result.exit_code == 0, result.output
    with BagReader(out) as reader:
        counts: dict[str, int] = {}
        for message in reader.messages():
            counts[message.topic] = counts.get(message.topic, 0) + 1
    assert {name: counts[name] for name in ("/sim/depth/image", "/sim/pose", "/tf", "/camera/camera_info")} == {
        "/sim/depth/image": 2, "/sim/pose": 2, "/tf": 2, "/camera/camera_info": 2
    }  # fmt: skip
    assert counts["/camera/image_raw/compressed"] == 2 and counts["/sim/instances/names"] == 1


@pytest.mark.slow
def test_the_verb_records_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a/clip", "b/clip"):
        assert CliRunner().invoke(verb.app, ["3", "-o", str(tmp_path / name), *SMALL, "--image", "raw"]).exit_code == 0
    files = [sorted((tmp_path / name / "clip").iterdir()) for name in "ab"]
    assert [f.name for f in files[0]] == [f.name for f in files[1]] and len(files[0]) >= 2
    for a, b in zip(*files, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_the_verb_records_a_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(verb.app, ["3", "-o", str(tmp_path / "clip"), "--as", "folder", *SMALL])
    assert result.exit_code == 0, result.output
    names = {p.name for p in (tmp_path / "clip").iterdir()}
    for frame in ("frame-000000", "frame-000001"):
        assert {f"{frame}.color.jpg", f"{frame}.depth.png", f"{frame}.pose.txt"} <= names
    assert {"camera-intrinsics.txt", "scene.npz"} <= names


@pytest.mark.parametrize(
    "bad",
    [
        ["--size", "640"],
        ["--seconds", "-1"],
        ["--fps", "0"],
        ["--preset", "x"],
        ["--size", "-4x3"],
        ["--products", "shoes"],
        ["--set", "people.others=9"],
        ["--set", "people.otters=1"],
        ["--set", "fps"],
        ["--set", "photo.noise=[1"],
    ],
)
def test_the_verb_refuses_impossible_values_and_leaves_nothing(tmp_path: Path, bad: list[str]) -> None:
    result = CliRunner().invoke(verb.app, ["3", "-o", str(tmp_path / "clip"), *SMALL, *bad])
    assert isinstance(result.exception, ConfigError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("image", "largest"), [("raw", 0), ("jpeg", 60)])
def test_a_bag_reads_back_as_the_clip(small_sim: EgoSim, tmp_path: Path, image: str, largest: int) -> None:
    sink = FrameBagSink(tmp_path / "clip", image=image)
    frames = [small_sim.frame(i) for i in (0, 5, 9)]
    for frame in frames:
        sink.write(frame)
    sink.close()
    source = BagSource(tmp_path / "clip")
    assert source.has_truth
    for read, frame in zip(source, frames, strict=True):
        assert isinstance(read, Frame) and read.camera is not None and read.truth is not None and frame.truth is not None
        assert read.stamp_ns == frame.stamp_ns and pytest.approx(small_sim.camera.K) == read.camera.K
        assert read.truth.depth is not None and read.truth.T_world_cam is not None and frame.truth.T_world_cam is not None
        np.testing.assert_array_equal(read.truth.depth, frame.truth.depth)
        np.testing.assert_allclose(read.truth.T_world_cam, frame.truth.T_world_cam, atol=1e-12)
        difference = np.abs(read.rgb.astype(int) - frame.rgb)
        assert difference.max() <= largest or (image == "jpeg" and difference.mean() < 4)
    source.close()


def test_a_folder_has_the_files_of_7_scenes_and_the_rest_of_the_truth_beside_them(tmp_path: Path) -> None:
    frame = full_frame(7)
    writer = FolderWriter(tmp_path / "clip", PinholeCamera.from_fov(40, 30, 1.0))
    writer.write(frame)
    writer.write(replace(full_frame(8), truth=None))
    writer.write_scene(scene_truth(), 0)
    writer.close()
    folder = tmp_path / "clip"
    names = {p.name.removeprefix("frame-000007.") for p in folder.iterdir() if "000007" in p.name}
    assert names == {
        "color.jpg", "depth.png", "pose.txt", "classes.png", "instances.png", "clean.jpg", "clean_shadowed.jpg",
        "background.jpg", "clean_depth.png", "background_depth.png", "flow.png", "scene_flow.png", "truth.npz",
    }  # fmt: skip
    assert [p.name for p in folder.iterdir() if "000008" in p.name] == ["frame-000008.color.jpg"]
    stored = cv2.imread(str(folder / "frame-000007.depth.png"), cv2.IMREAD_UNCHANGED)
    assert frame.truth is not None and frame.truth.depth is not None
    np.testing.assert_array_equal(stored, export.millimetres(frame.truth.depth))
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(decode_ids((folder / "frame-000007.instances.png").read_bytes()), frame.truth.instances)
    with np.load(folder / "frame-000007.truth.npz") as arrays:
        np.testing.assert_array_equal(arrays["wearer.qpos"][0], frame.truth.wearer.qpos)  # type: ignore[union-attr]
        assert arrays["body.id"].tolist() == ["person_0"]
    with np.load(folder / "scene.npz") as arrays:
        np.testing.assert_array_equal(arrays["normals"], scene_truth().normals)
    assert len(list(FolderSource(folder))) == 2, "the other pictures are no frames"


def test_the_verb_sets_any_parameter(tmp_path: Path) -> None:
    out = tmp_path / "clip"
    arguments = ["3", "-o", str(out), *SMALL, "--set", "seed=4", "--set", "fps=5.0", "--products", "none"]
    result = CliRunner().invoke(verb.app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 frames" in result.output


@pytest.mark.parametrize("form", ["bag", "folder"])
def test_an_interrupted_verb_leaves_the_partial_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, small_sim: EgoSim
) -> None:
    """Ctrl-C at the third frame."""

    def frames(_simulator: object, *_: object, **__: object) -> Iterator[Frame]:
        yield small_sim.frame(0)
        yield small_sim.frame(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "track", frames)
    monkeypatch.setattr("ego_perception.simulation.EgoSim", lambda _: contextlib.nullcontext(small_sim), raising=False)
    CliRunner().invoke(verb.app, ["3", "-o", str(tmp_path / "clip"), "--as", form, *SMALL])
    assert [p.name for p in tmp_path.iterdir()] == ["clip.partial"]
    partial = tmp_path / "clip.partial" / "clip"
    if form == "bag":
        with BagReader(partial) as reader:
            assert sum(m.topic == "/camera/camera_info" for m in reader.messages()) == 2
    else:
        assert len(list(FolderSource(partial))) == 2


def test_the_next_recording_replaces_a_partial_one(tmp_path: Path) -> None:
    (tmp_path / "clip.partial" / "clip").mkdir(parents=True)
    (tmp_path / "clip.partial" / "clip" / "old").write_text("old")
    with whole_or_partial(tmp_path / "clip") as path:
        path.mkdir()
        (path / "new").write_text("new")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["new"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), whole_or_partial(tmp_path / "file" / "clip"):
        pass
