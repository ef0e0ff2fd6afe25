"""Folders of images: layouts, companions, and what happens when something in them is broken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ego_perception.data import Frame
from ego_perception.data.folder import FolderSource, read_pose
from ego_perception.data.listing import EPOCH_NS
from ego_perception.data.tum import make_trajectory, write_tum
from ego_perception.errors import FrameError, SourceError
from ego_perception.geometry import make_transform, so3_exp
from ego_perception.runtime import Source


def picture(seed: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def write_rgbd(folder: Path, n: int = 5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        stem = folder / f"frame-{2 * i:06d}"
        cv2.imwrite(f"{stem}.color.jpg", picture(i))
        cv2.imwrite(f"{stem}.depth.png", np.full((48, 64), 1000 + i, np.uint16))
        np.savetxt(f"{stem}.pose.txt", make_transform(so3_exp([0, 0.1 * i, 0]), [i, 0, 0]))
    np.savetxt(folder / "camera-intrinsics.txt", np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]))
    return folder


def frames(folder: Path, **options: float) -> list[Frame]:
    items = list(FolderSource(folder, **options))  # type: ignore[arg-type]
    assert all(isinstance(item, Frame) for item in items), items
    return [item for item in items if isinstance(item, Frame)]


def test_rgbd_layout(tmp_path: Path) -> None:
    found = frames(write_rgbd(tmp_path), fps=10.0)
    assert isinstance(FolderSource(tmp_path), Source)
    assert [f.stamp_ns for f in found] == [EPOCH_NS + i * 100_000_000 for i in range(5)]
    assert [f.index for f in found] == list(range(5))
    last = found[-1]
    assert last.camera is not None
    assert last.camera.fx == 60
    assert last.truth is not None
    assert last.truth.depth is not None
    assert last.truth.T_world_cam is not None
    assert last.truth.depth[0, 0] == pytest.approx(1.004)
    assert np.allclose(last.truth.T_world_cam, make_transform(so3_exp([0, 0.4, 0]), [4, 0, 0]))


def test_plain_images_come_in_natural_order(tmp_path: Path) -> None:
    for i in (10, 9, 1, 100):
        cv2.imwrite(str(tmp_path / f"im{i}.png"), np.full((8, 8, 3), i, np.uint8))
    assert [int(f.image[0, 0, 0]) for f in frames(tmp_path)] == [1, 9, 10, 100]
    assert frames(tmp_path)[0].camera is None
    assert frames(tmp_path)[0].truth is None


def test_iterating_twice_gives_the_same(tmp_path: Path) -> None:
    source = FolderSource(write_rgbd(tmp_path))
    first, second = list(source), list(source)
    assert len(source) == len(first) == 5
    for a, b in zip(first, second, strict=True):
        assert isinstance(a, Frame)
        assert isinstance(b, Frame)
        assert a.stamp_ns == b.stamp_ns
        assert np.array_equal(a.image, b.image)


def test_tum_lists_pair_by_stamp(tmp_path: Path) -> None:
    (tmp_path / "rgb").mkdir()
    (tmp_path / "depth").mkdir()
    rows, depth_rows = ["# colour"], ["# depth"]
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"rgb/{i}.png"), picture(i))
        rows.append(f"100.{i}00000 rgb/{i}.png")
    for i in range(3):  # the last image has no depth within 20 ms
        cv2.imwrite(str(tmp_path / f"depth/{i}.png"), np.full((48, 64), 5000, np.uint16))
        depth_rows.append(f"100.{i}09000 depth/{i}.png")
    (tmp_path / "rgb.txt").write_text("\n".join(rows))
    (tmp_path / "depth.txt").write_text("\n".join(depth_rows))
    poses = [make_transform(np.eye(3), [i, 0, 0]) for i in range(4)]
    write_tum(tmp_path / "groundtruth.txt", make_trajectory([100_000_000_000 + i * 100_000_000 for i in range(4)], poses))
    found = frames(tmp_path)
    assert [f.stamp_ns for f in found] == [100_000_000_000 + i * 100_000_000 for i in range(4)]
    assert [f.truth is not None and f.truth.depth is not None for f in found] == [True, True, True, False]
    assert found[0].truth is not None
    assert found[0].truth.depth is not None
    assert found[0].truth.depth[0, 0] == pytest.approx(1.0)
    assert found[3].truth is not None
    assert found[3].truth.T_world_cam is not None
    assert found[3].truth.T_world_cam[0, 3] == 3


@pytest.mark.parametrize("content", ["no_stamp.png\n", "x y\n", "# only a comment\n"])
def test_bad_tum_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "rgb.txt").write_text(content)
    with pytest.raises(SourceError, match=r"rgb\.txt"):
        FolderSource(tmp_path)


def test_broken_images_come_as_errors_in_their_place(tmp_path: Path) -> None:
    write_rgbd(tmp_path)
    whole = (tmp_path / "frame-000002.color.jpg").read_bytes()
    (tmp_path / "frame-000002.color.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "frame-000006.color.jpg").write_bytes(b"")
    items = list(FolderSource(tmp_path))
    assert [isinstance(item, Frame) for item in items] == [True, False, True, False, True]
    assert isinstance(items[1], FrameError)
    assert "frame-000002.color.jpg is cut short" in str(items[1])
    last = items[4]
    assert isinstance(last, Frame)
    assert last.index == 4
    assert last.stamp_ns == EPOCH_NS + round(4e9 / 15)


def test_damaged_truth_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_rgbd(tmp_path)
    cv2.imwrite(str(tmp_path / "frame-000000.depth.png"), np.ones((10, 10), np.uint16))  # wrong size
    (tmp_path / "frame-000002.pose.txt").unlink()  # missing
    (tmp_path / "frame-000004.pose.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1")  # cut short
    np.savetxt(tmp_path / "frame-000006.pose.txt", np.full((4, 4), np.nan))
    np.savetxt(tmp_path / "frame-000008.pose.txt", 2 * np.eye(4))
    source = FolderSource(tmp_path)
    items = [item for item in source if isinstance(item, Frame)]
    assert len(items) == 5
    truths = [item.truth for item in items]
    assert all(truth is not None for truth in truths)
    assert [truth is not None and truth.depth is not None for truth in truths] == [False, True, True, True, True]
    assert [truth is not None and truth.T_world_cam is not None for truth in truths] == [True, False, False, False, False]
    assert source.num_truth_problems == 4
    assert "10x10 but its image is 64x48" in caplog.text


def test_resolution_change_is_passed_on_with_a_scaled_camera(tmp_path: Path) -> None:
    write_rgbd(tmp_path, n=2)
    cv2.imwrite(str(tmp_path / "frame-000010.color.jpg"), picture(1, 32, 24))
    small = frames(tmp_path)[-1]
    assert small.size == (32, 24)
    assert small.camera is not None
    assert small.camera.fx == pytest.approx(30)


def test_change_of_shape_with_a_calibration_is_an_error_of_that_frame(tmp_path: Path) -> None:
    write_rgbd(tmp_path, n=2)
    cv2.imwrite(str(tmp_path / "frame-000010.color.jpg"), picture(1, 64, 20))
    items = list(FolderSource(tmp_path))
    assert isinstance(items[2], FrameError)
    assert "aspect ratio" in str(items[2])


def test_empty_missing_and_nested_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no images"):
        FolderSource(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        FolderSource(tmp_path / "nothing")
    write_rgbd(tmp_path / "inside")
    with pytest.raises(SourceError, match="folders inside"):
        FolderSource(tmp_path)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rate(tmp_path: Path, fps: float) -> None:
    with pytest.raises(SourceError, match="fps"):
        FolderSource(write_rgbd(tmp_path), fps=fps)


def test_pose_text_is_made_exactly_orthogonal(tmp_path: Path) -> None:
    R = so3_exp([0.3, -0.2, 0.9])
    np.savetxt(tmp_path / "p.txt", make_transform(R, [1, 2, 3]), fmt="%.3f")
    T = read_pose(tmp_path / "p.txt")
    assert np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() < 1e-12
    assert np.abs(T[:3, :3] - R).max() < 1e-3


def test_real_kitchen(kitchen: Path) -> None:
    source = FolderSource(kitchen)
    assert len(source) == 150
    items = [item for _, item in zip(range(10), source, strict=False)]
    first = items[0]
    assert isinstance(first, Frame)
    assert first.size == (640, 480)
    assert first.camera is not None
    assert np.array_equal(first.camera.K, [[585, 0, 320], [0, 585, 240], [0, 0, 1]])
    assert source.num_truth_problems == 0
    assert first.truth is not None
    assert first.truth.depth is not None
    raw = cv2.imread(str(kitchen / "frame-000000.depth.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(first.truth.depth > 0, (raw != 0) & (raw != 65535))
    assert 1.5 < np.median(first.truth.depth[first.truth.depth > 0]) < 2.5
    assert first.truth.depth.max() < 10  # 65535 is unknown, not 65 m
    assert isinstance(items[9], Frame)
    assert items[9].stamp_ns - first.stamp_ns == 600_000_000


@pytest.mark.parametrize(("name", "count", "size"), [("hoi4d_clip", 27, (1920, 1080)), ("epic_clip", 21, (456, 256))])
def test_real_clips_without_calibration(shared_data: Path, name: str, count: int, size: tuple[int, int]) -> None:
    source = FolderSource(shared_data / name)
    first = next(iter(source))
    assert len(source) == count
    assert isinstance(first, Frame)
    assert first.size == size
    assert first.camera is None
