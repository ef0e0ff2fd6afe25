"""The walk: over free floor, at a head's height and pace."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.geometry import invert, so3_log
from ego_perception.simulation import EgoSimConfig
from ego_perception.simulation.floorplan import FloorPlan
from ego_perception.simulation.room import build_room
from ego_perception.simulation.trajectory import HeadTrajectory
from ego_perception.simulation.viewpoints import is_clear, look_rotation, random_viewpoint

DT = 0.02


def _poses(seed: int, preset: str = "default", seconds: float = 10.0) -> tuple[object, np.ndarray]:
    config = EgoSimConfig(seed=seed, preset=preset, duration_s=seconds)
    room = build_room(config)
    trajectory = HeadTrajectory(room, config)
    return room, np.stack([trajectory.pose(t) for t in np.arange(0, seconds, DT)])


@pytest.mark.parametrize(
    ("seed", "preset"), [(s, "default") for s in range(12)] + [(3, "plain"), (4, "hard"), (10_700, "default")]
)
def test_a_walk_is_head_like(seed: int, preset: str) -> None:
    room, poses = _poses(seed, preset)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turns = np.linalg.norm(so3_log(invert(poses[:-1])[:, :3, :3] @ poses[1:, :3, :3]), axis=1)
    assert steps.max() / DT < 1.5
    assert math.degrees(turns.max()) / DT < 180
    assert steps.sum() > 3.0, "there must be parallax"
    assert turns.sum() > math.radians(60), "the head looks around"
    assert (poses[:, 2, 3] > 1.3).all() and (poses[:, 2, 3] < 1.85).all()
    assert all(is_clear(room, T[:3, 3], margin=0.05) for T in poses[::5])  # type: ignore[arg-type]
    pitch = np.degrees(np.arcsin(poses[:, 2, 2]))
    assert pitch.min() > -60 and pitch.max() < 25
    roll = np.degrees(np.arcsin(np.clip(poses[:, 2, 0], -1, 1)))
    assert np.abs(roll).max() < 12


def test_poses_are_rigid_and_repeatable() -> None:
    _, a = _poses(5, seconds=2.0)
    _, b = _poses(5, seconds=2.0)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(
        a[:, :3, :3] @ np.swapaxes(a[:, :3, :3], 1, 2), np.broadcast_to(np.eye(3), (len(a), 3, 3)), atol=1e-12
    )
    assert (np.linalg.det(a[:, :3, :3]) > 0.999).all()


def test_the_pose_is_a_function_of_time_and_stops_at_the_ends() -> None:
    config = EgoSimConfig(seed=1, duration_s=2.0)
    trajectory = HeadTrajectory(build_room(config), config)
    middle = 0.5 * (trajectory.pose(0.999)[:3, 3] + trajectory.pose(1.001)[:3, 3])
    np.testing.assert_allclose(trajectory.pose(1.0)[:3, 3], middle, atol=1e-6)
    np.testing.assert_array_equal(trajectory.pose(-1.0), trajectory.pose(0.0))
    np.testing.assert_array_equal(trajectory.pose(99.0), trajectory.pose(2.0))


def test_a_long_clip_keeps_walking() -> None:
    _, poses = _poses(2, seconds=60.0)
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum() > 20


def test_a_room_too_small_to_walk_in_is_refused() -> None:
    config = EgoSimConfig(seed=0, room_size_m=1.0)
    with pytest.raises(SimulationError, match=r"no free floor.*room_size_m"):
        HeadTrajectory(build_room(config), config)


def test_paths_stay_on_free_floor_and_join_their_ends() -> None:
    plan = FloorPlan(build_room(EgoSimConfig(seed=4)))
    points = plan.points
    for a, b in ((0, len(points) - 1), (len(points) // 2, 3)):
        way = plan.path(a, b)
        np.testing.assert_allclose(way[[0, -1]], points[[a, b]])
        assert plan.is_free(way).all()
        assert np.linalg.norm(np.diff(way, axis=0), axis=1).max() < 0.1 * math.sqrt(2) + 1e-9
    assert not plan.is_free(np.array([[99.0, 0.0], [-99.0, 0.0]])).any()


@pytest.mark.parametrize(
    ("yaw", "pitch", "forward"), [(0, 0, (1, 0, 0)), (math.pi / 2, 0, (0, 1, 0)), (0, -math.pi / 4, (0.5**0.5, 0, -(0.5**0.5)))]
)
def test_look_rotation_points_z_forward_and_y_down(yaw: float, pitch: float, forward: tuple[float, ...]) -> None:
    R = look_rotation(yaw, pitch)
    np.testing.assert_allclose(R[:, 2], forward, atol=1e-12)
    assert R[2, 1] < 0 and R[2, 0] == pytest.approx(0)
    assert np.linalg.det(R) == pytest.approx(1)


def test_random_viewpoints_are_clear_of_furniture_and_varied() -> None:
    room = build_room(EgoSimConfig(seed=6, preset="hard"))
    rng = np.random.default_rng(0)
    poses = np.stack([random_viewpoint(rng, room) for _ in range(60)])
    assert all(is_clear(room, T[:3, 3]) for T in poses)
    assert np.ptp(poses[:, 2, 3]) > 0.3 and np.ptp(np.arctan2(poses[:, 1, 2], poses[:, 0, 2])) > 4
