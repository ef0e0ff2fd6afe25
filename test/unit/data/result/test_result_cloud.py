"""Fusion into voxels and the PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from ego_perception.data.result import VoxelCloud, read_ply, write_ply
from ego_perception.errors import SourceError

GREY = np.array([[10, 20, 30]], np.uint8)


def add(cloud: VoxelCloud, points: list[list[float]], colours: np.ndarray | None = None, weight: float = 1.0) -> None:
    xyz = np.array(points, np.float32)
    cloud.add(xyz, np.repeat(GREY, len(xyz), 0) if colours is None else colours, np.full(len(xyz), weight, np.float32))


def test_points_of_one_voxel_become_their_weighted_mean() -> None:
    cloud = VoxelCloud(0.1)
    add(cloud, [[0.02, 0.02, 0.02]], np.array([[0, 0, 0]], np.uint8), weight=1.0)
    add(cloud, [[0.06, 0.02, 0.02]], np.array([[200, 100, 40]], np.uint8), weight=3.0)
    points, colours = cloud.points()
    assert np.allclose(points, [[0.05, 0.02, 0.02]])
    assert colours.tolist() == [[150, 75, 30]]


def test_a_voxel_seen_once_is_left_out_when_others_could_confirm_it() -> None:
    cloud = VoxelCloud(0.1)
    add(cloud, [[0, 0, 0], [5, 5, 5]])
    assert len(cloud.points()[0]) == 2  # one frame alone: nothing could confirm
    add(cloud, [[0, 0, 0], [-3, 0, 0]])
    assert np.allclose(cloud.points()[0], [[0, 0, 0]])


def test_many_points_of_one_frame_count_as_one_view() -> None:
    cloud = VoxelCloud(0.1)
    add(cloud, [[5.01, 5.01, 5.01]] * 10)
    add(cloud, [[0, 0, 0]])
    add(cloud, [[0, 0, 0]])
    assert np.allclose(cloud.points()[0], [[0, 0, 0]])


def test_negative_coordinates_keep_their_own_voxels() -> None:
    cloud = VoxelCloud(0.1)
    points = [[-0.05, 0.05, 0.05], [0.05, -0.05, 0.05], [0.05, 0.05, -0.05], [0.05, 0.05, 0.05]]
    add(cloud, points)
    assert sorted(np.round(cloud.points()[0].astype(float), 3).tolist()) == sorted(points)


def test_values_that_are_not_finite_or_absurd_are_skipped() -> None:
    cloud = VoxelCloud(0.1)
    add(cloud, [[np.nan, 0, 0], [np.inf, 0, 0], [1e9, 0, 0], [1, 1, 1]])
    assert np.allclose(cloud.points()[0], [[1, 1, 1]])
    add(cloud, [[np.nan, 0, 0]])
    assert cloud.num_frames == 1


def test_order_of_frames_changes_nothing_but_rounding() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.uniform(-2, 2, (500, 3)).tolist() for _ in range(6)]
    forward, backward = VoxelCloud(0.3), VoxelCloud(0.3)
    for batch in batches:
        add(forward, batch)
    for batch in reversed(batches):
        add(backward, batch)
    assert np.allclose(forward.points()[0], backward.points()[0], atol=1e-6)


def test_merging_early_or_late_gives_the_same() -> None:
    rng = np.random.default_rng(1)
    early, late = VoxelCloud(0.2), VoxelCloud(0.2)
    for _ in range(5):
        batch = rng.uniform(-1, 1, (300, 3)).tolist()
        add(early, batch)
        len(early)  # forces a merge
        add(late, batch)
    assert np.allclose(early.points()[0], late.points()[0], atol=1e-6)


def test_size_is_bounded_by_coarser_voxels() -> None:
    cloud = VoxelCloud(0.01, max_voxels=2000)
    rng = np.random.default_rng(2)
    for _ in range(5):
        add(cloud, rng.uniform(-1, 1, (5000, 3)).tolist())
    assert len(cloud) <= 2000
    assert cloud.voxel_m > 0.01
    assert np.abs(cloud.points()[0]).max() <= 1.0


def test_empty_cloud() -> None:
    points, colours = VoxelCloud().points()
    assert points.shape == (0, 3)
    assert colours.shape == (0, 3)


def test_trimesh_reads_our_ply(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(100, 3)).astype(np.float32)
    colours = rng.integers(0, 255, (100, 3), np.uint8)
    write_ply(tmp_path / "c.ply", points, colours)
    loaded = trimesh.load(tmp_path / "c.ply")
    assert np.allclose(loaded.vertices, points)
    assert np.array_equal(loaded.visual.vertex_colors[:, :3], colours)
    assert not (tmp_path / "c.ply.part").exists()


def test_ply_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.ply"
    points, colours = np.ones((7, 3), np.float32), np.full((7, 3), 9, np.uint8)
    write_ply(path, points, colours)
    back = read_ply(path)
    assert np.array_equal(back[0], points)
    assert np.array_equal(back[1], colours)
    write_ply(path, points[:0], colours[:0])
    assert len(read_ply(path)[0]) == 0
    write_ply(path, points, colours)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SourceError, match="damaged"):
        read_ply(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_ply(tmp_path / "none.ply")
