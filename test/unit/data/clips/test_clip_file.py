"""One clip: what is written is read, to the stated precision, and damage is one clear error."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.truth_frames import full_frame, scene_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.clips import PARTS, ClipFile, pixels, write_clip
from ego_perception.data.clips.tar import COLOUR
from ego_perception.errors import FrameError, SourceError
from ego_perception.geometry import DistortionModel, PinholeCamera


def save(path: Path, frames: list[Frame], **options: Any) -> Path:
    with path.open("wb") as file:
        write_clip(file, frames, {"seed": 3}, **options)
    return path


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [full_frame(i) for i in range(3)]


@pytest.fixture(scope="module")
def clip(frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> ClipFile:
    return ClipFile(save(tmp_path_factory.mktemp("clip") / "00003.tar", frames, scene=scene_truth(), suffix=".png"))


def assert_same(a: Any, b: Any) -> None:
    """Equal values of truth dataclasses, arrays to the bit."""
    assert type(a) is type(b)
    for f in dataclasses.fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, err_msg=f.name)
            assert x.dtype == y.dtype, f.name
        else:
            assert x == y, f.name


def test_a_frame_comes_back_with_camera_stamp_and_number(clip: ClipFile, frames: list[Frame]) -> None:
    assert len(clip) == 3 and clip.about["seed"] == 3 and set(clip.about["truth"]) == set(PARTS)
    for i, frame in enumerate(frames):
        read = clip.frame(i)
        assert (read.stamp_ns, read.index, read.camera) == (frame.stamp_ns, frame.index, frame.camera)
        np.testing.assert_array_equal(read.rgb, frame.rgb)


@pytest.mark.parametrize("name", [*COLOUR, "classes", "instances"])
def test_png_colours_and_numbers_are_exact(clip: ClipFile, frames: list[Frame], name: str) -> None:
    for i, frame in enumerate(frames):
        stored, true = getattr(clip.frame(i).truth, name), getattr(frame.truth, name)
        assert stored.dtype == true.dtype
        np.testing.assert_array_equal(stored, true)


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("depth", 0.126e-3),
        ("clean_depth", 0.126e-3),
        ("background_depth", 0.126e-3),
        ("flow", 1 / 127),
        ("scene_flow", 0.51e-4),
    ],
)
def test_measured_images_keep_the_stated_precision_and_their_holes(
    clip: ClipFile, frames: list[Frame], name: str, largest: float
) -> None:
    for i, frame in enumerate(frames):
        stored, true = getattr(clip.frame(i).truth, name), getattr(frame.truth, name)
        assert stored.dtype == np.float32 and stored.shape == true.shape
        np.testing.assert_array_equal(np.isnan(stored), np.isnan(true))
        assert np.nanmax(np.abs(stored - true)) <= largest
        if "depth" in name:
            np.testing.assert_array_equal(stored == 0, true == 0)


def test_tables_are_exact_also_where_a_frame_has_none(clip: ClipFile, frames: list[Frame]) -> None:
    assert [len(f.truth.bodies) for f in frames if f.truth is not None] == [0, 1, 2]
    for i, frame in enumerate(frames):
        read, true = clip.frame(i).truth, frame.truth
        assert read is not None and true is not None and read.wearer is not None and read.photo is not None
        assert_same(read.wearer, true.wearer)
        assert_same(read.photo, true.photo)
        for name in ("bodies", "objects"):
            for a, b in zip(getattr(read, name), getattr(true, name), strict=True):
                assert_same(a, b)
        np.testing.assert_array_equal(read.T_world_cam, true.T_world_cam)


def test_extra_views_and_scene_come_back(clip: ClipFile, frames: list[Frame]) -> None:
    for i, frame in enumerate(frames):
        read, true = clip.frame(i).truth, frame.truth
        assert read is not None and true is not None
        for a, b in zip(read.views, true.views, strict=True):
            np.testing.assert_array_equal(a.rgb, b.rgb)
            np.testing.assert_array_equal(a.T_world_cam, b.T_world_cam)
            np.testing.assert_allclose(a.depth, b.depth, atol=0.126e-3)
    assert clip.scene is not None
    assert_same(clip.scene, scene_truth())


def test_jpeg_is_close_and_equal_where_two_pictures_are_equal(tmp_path: Path) -> None:
    """The wearer-free picture must differ from the frame near the wearer only; blocks of 8 pixels stay comparable."""
    frame = full_frame(1, 64, 48)
    clean = frame.rgb.copy()
    clean[16:24, 24:40] = 255
    frame = full_frame(1, 64, 48, clean=clean)
    read = ClipFile(save(tmp_path / "a.tar", [frame])).frame(0)
    assert read.truth is not None and read.truth.clean is not None
    assert np.abs(read.rgb.astype(int) - frame.rgb).max() <= 12
    difference = np.abs(read.truth.clean.astype(int) - read.rgb).max(axis=2) > 0
    assert difference[16:24, 24:40].mean() > 0.5
    difference[16:24, 24:40] = False
    assert not difference.any()


def test_only_wanted_parts_are_decoded(clip: ClipFile) -> None:
    truth = clip.frame(1, ("depth", "bodies")).truth
    assert truth is not None
    values = {f.name: getattr(truth, f.name) for f in dataclasses.fields(FrameTruth)}
    assert {name for name, value in values.items() if value is not None and len(value)} == {"depth", "bodies"}


def test_frames_without_truth_and_with_a_lens(tmp_path: Path) -> None:
    camera = PinholeCamera(40, 30, 30.0, 31.0, 19.5, 14.5, DistortionModel.EQUIDISTANT, (0.1, 0.01, 0.0, 0.0))
    frames = [dataclasses.replace(full_frame(i), camera=camera, truth=None) for i in range(2)]
    clip = ClipFile(save(tmp_path / "a.tar", frames))
    assert clip.frame(1).camera == camera and clip.scene is None and clip.about["truth"] == []
    truth = clip.frame(1).truth
    assert truth is not None and truth.depth is None and truth.T_world_cam is None and truth.wearer is None


def test_vertices_that_were_not_asked_for_are_not_there(tmp_path: Path) -> None:
    frame = full_frame(1)
    assert frame.truth is not None
    bodies = tuple(dataclasses.replace(b, vertices=None, vertex_visible=None) for b in frame.truth.bodies)
    read = ClipFile(save(tmp_path / "a.tar", [full_frame(1, bodies=bodies)])).frame(0).truth
    assert read is not None
    assert_same(read.bodies[0], bodies[0])


def test_equal_frames_give_equal_bytes(frames: list[Frame], tmp_path: Path) -> None:
    a, b = (save(tmp_path / name, frames, scene=scene_truth()).read_bytes() for name in "ab")
    assert a == b
    with tarfile.open(fileobj=io.BytesIO(a)) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in tar.getmembers()} == {(0, 0, 0, "")}
        names = tar.getnames()
        assert names[:3] == ["clip.json", "truth.npz", "000000.rgb.jpg"]
        assert json.loads(tar.extractfile("clip.json").read())["frames"] == 3  # type: ignore[union-attr]


def test_a_clip_can_be_pickled_and_closed_and_still_be_read(clip: ClipFile) -> None:
    again = pickle.loads(pickle.dumps(clip))
    clip.close()
    for reader in (again, clip):
        assert reader.frame(2).index == 2
    with pytest.raises(SourceError, match="frame 3 is outside the clip"):
        clip.frame(3)


def test_mixed_cameras_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="one size"):
        save(tmp_path / "a.tar", [full_frame(0), full_frame(1, 48, 30)])
    with pytest.raises(SourceError, match="need cameras"):
        save(tmp_path / "b.tar", [dataclasses.replace(full_frame(0), camera=None)])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.97, 0.98, 0.99, 1.0])
def test_a_clip_cut_anywhere_is_one_clear_error(frames: list[Frame], tmp_path: Path, share: float) -> None:
    path = save(tmp_path / "00007.tar", frames)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * (len(data) - 11_000))])
    with pytest.raises(SourceError, match=r"clip .*00007.tar cannot be read: .*delete it"):
        ClipFile(path)


def test_a_clip_cut_between_two_members_is_found_out(frames: list[Frame], tmp_path: Path) -> None:
    path = save(tmp_path / "00007.tar", frames)
    data = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    for end in (last.offset, last.offset_data + -(-last.size // 512) * 512):
        path.write_bytes(data[:end])
        with pytest.raises(SourceError, match="cut short"):
            ClipFile(path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 255))
def test_any_changed_byte_gives_a_frame_or_a_source_error(
    tmp_path_factory: pytest.TempPathFactory, where: int, by: int
) -> None:
    path = tmp_path_factory.mktemp("damage") / "00001.tar"
    data = bytearray(save(path, [full_frame(1)], scene=scene_truth()).read_bytes())
    data[where % len(data)] ^= by
    path.write_bytes(bytes(data))
    try:
        ClipFile(path).frame(0)
    except SourceError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_what_is_no_clip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "00001.tar").write_bytes(content)
    with pytest.raises(SourceError, match=r"00001.tar cannot be read"):
        ClipFile(tmp_path / "00001.tar")


def test_pickles_in_a_clip_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "00001.tar", [full_frame(0)])
    evil = io.BytesIO()
    np.savez(evil, stamp_ns=np.array([object()], dtype=object))
    out = tmp_path / "00002.tar"
    with tarfile.open(path) as old, tarfile.open(out, "w") as new:
        for member in old.getmembers():
            data = evil.getvalue() if member.name == "truth.npz" else old.extractfile(member).read()  # type: ignore[union-attr]
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    with pytest.raises(SourceError, match=r"truth.npz cannot be read"):
        ClipFile(out).frame(0)


class TestPixels:
    def test_depth_beyond_the_range_and_nonsense_are_unknown(self) -> None:
        depth = np.array([[0.0, 1e-5, 1.0, 16.38, 16.4, np.nan, np.inf, -1.0]], np.float32)
        stored = pixels.decode_depth(pixels.encode_depth(depth))[0]
        np.testing.assert_allclose(stored, [0, 0, 1.0, 16.38, 0, 0, 0, 0], atol=1.3e-4)

    def test_flow_beyond_the_range_is_unknown(self) -> None:
        flow = np.array([[[0, 0], [-3.5, 511.9], [512.1, 0], [np.nan, 0], [0, -512.0]]], np.float32)
        stored = pixels.decode_flow(pixels.encode_flow(flow))[0]
        np.testing.assert_allclose(stored, [[0, 0], [-3.5, 511.9], [np.nan] * 2, [np.nan] * 2, [0, -512]], atol=1 / 127)

    def test_scene_flow_beyond_the_range_is_unknown(self) -> None:
        flow = np.array([[[0, 0, 0], [-3.2, 0.00012, 3.2], [3.3, 0, 0], [0, np.nan, 0]]], np.float32)
        stored = pixels.decode_scene_flow(pixels.encode_scene_flow(flow))[0]
        np.testing.assert_allclose(stored, [[0] * 3, [-3.2, 0.0001, 3.2], [np.nan] * 3, [np.nan] * 3], atol=5e-5)

    def test_flow_is_stored_as_in_kitti(self) -> None:
        import cv2

        flow = np.full((2, 2, 2), (1.5, -2.0), np.float32)
        stored = cv2.imdecode(np.frombuffer(pixels.encode_flow(flow), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert stored[0, 0].tolist() == [2**15 + 96, 2**15 - 128, 1]

    def test_images_of_the_wrong_kind_are_refused(self) -> None:
        colour = pixels.encode_colour(np.zeros((2, 2, 3), np.uint8), ".png")
        with pytest.raises(FrameError, match="one channel"):
            pixels.decode_ids(colour)
        with pytest.raises(FrameError, match="three channels"):
            pixels.decode_flow(colour)
        for data in (b"", b"xx"):
            with pytest.raises(FrameError, match="no image"):
                pixels.decode_depth(data)
