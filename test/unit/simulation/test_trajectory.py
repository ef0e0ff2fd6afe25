"""The walk: over free floor, at a head's height and pace."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.geometry import invert, so3_log
from ego_perception.simulation import EgoSimConfig, trajectory
from ego_perception.simulation.room import Room, build_room
from ego_perception.simulation.trajectory import HeadTrajectory
from ego_perception.simulation.viewpoints import is_clear

MakeRoom = Callable[..., Room]
MakeWalk = Callable[..., HeadTrajectory]

DT = 0.02


def _sampled(walk: HeadTrajectory, seconds: float = 10.0) -> np.ndarray:
    return np.stack([walk.pose(t) for t in np.arange(0, seconds, DT)])


@pytest.mark.parametrize(
    ("seed", "preset"), [(s, "default") for s in range(12)] + [(3, "plain"), (4, "hard"), (10_700, "default")]
)
def test_a_walk_is_head_like(seed: int, preset: str, room_of: MakeRoom, walk_of: MakeWalk) -> None:
    room, poses = room_of(seed, preset), _sampled(walk_of(seed, preset))
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turns = np.linalg.norm(so3_log(invert(poses[:-1])[:, :3, :3] @ poses[1:, :3, :3]), axis=1)
    assert steps.max() / DT < 1.5
    assert math.degrees(turns.max()) / DT < 180
    assert steps.sum() > 3.0, "there must be parallax"
    assert turns.sum() > math.radians(60), "the head looks around"
    assert (poses[:, 2, 3] > 1.3).all() and (poses[:, 2, 3] < 1.85).all()
    assert all(is_clear(room, T[:3, 3], margin=0.05) for T in poses[::5])
    pitch = np.degrees(np.arcsin(poses[:, 2, 2]))
    assert pitch.min() > -60 and pitch.max() < 25
    roll = np.degrees(np.arcsin(np.clip(poses[:, 2, 0], -1, 1)))
    assert np.abs(roll).max() < 12


def test_poses_are_rigid_and_repeatable(room_of: MakeRoom) -> None:
    config = EgoSimConfig(seed=5, duration_s=2.0)
    a, b = (_sampled(HeadTrajectory(room_of(5), config), 2.0) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(
        a[:, :3, :3] @ np.swapaxes(a[:, :3, :3], 1, 2), np.broadcast_to(np.eye(3), (len(a), 3, 3)), atol=1e-12
    )
    assert (np.linalg.det(a[:, :3, :3]) > 0.999).all()


def test_the_pose_is_a_function_of_time_and_stops_at_the_ends(walk_of: MakeWalk) -> None:
    walk = walk_of(1, "default", 2.0)
    middle = 0.5 * (walk.pose(0.999)[:3, 3] + walk.pose(1.001)[:3, 3])
    np.testing.assert_allclose(walk.pose(1.0)[:3, 3], middle, atol=1e-6)
    np.testing.assert_array_equal(walk.pose(-1.0), walk.pose(0.0))
    np.testing.assert_array_equal(walk.pose(99.0), walk.pose(2.0))


def test_a_long_clip_keeps_walking(walk_of: MakeWalk) -> None:
    poses = np.stack([walk_of(2, "default", 60.0).pose(t) for t in np.arange(0, 60, 0.1)])
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum() > 20


def test_a_room_too_small_to_walk_in_is_refused() -> None:
    config = EgoSimConfig(seed=0, room_size_m=1.0)
    with pytest.raises(SimulationError, match=r"no free floor.*room_size_m"):
        HeadTrajectory(build_room(config), config)


@pytest.mark.parametrize("seed", range(6))
def test_height_pitch_and_roll_stay_in_the_stated_ranges(seed: int, room_of: MakeRoom, walk_of: MakeWalk) -> None:
    """Height 1.48-1.68 m less what a low room asks, and the bob; pitch -0.85..0.2 rad and a few degrees of unrest."""
    poses = _sampled(walk_of(seed))
    z = poses[:, 2, 3]
    assert np.ptp(z) < 2 * trajectory.BOB_M + 0.07
    assert z.min() > 1.48 - 0.06 and z.max() < min(1.68, room_of(seed).height - 0.35) + 0.06
    pitch = np.arcsin(poses[:, 2, 2])
    assert pitch.min() > -0.85 - math.radians(3) and pitch.max() < 0.2 + math.radians(3)


@pytest.mark.parametrize("seed", range(6))
def test_neither_feet_nor_eyes_are_faster_than_stated(seed: int, walk_of: MakeWalk) -> None:
    poses = _sampled(walk_of(seed))
    level = np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1) / DT
    assert level.max() < trajectory.MAX_SPEED_M_S * 1.2, "the sway adds a little"
    yaw = np.unwrap(np.arctan2(poses[:, 1, 2], poses[:, 0, 2]))
    assert np.abs(np.diff(yaw)).max() / DT < trajectory.MAX_TURN_RAD_S + 0.35, "unrest adds a little"
    turns = invert(poses[:-1]) @ poses[1:]
    jerk = np.diff(so3_log(turns[:, :3, :3]), axis=0) / DT**2
    assert np.linalg.norm(jerk, axis=1).max() < 60, "no jump between two samples"


@pytest.mark.parametrize("seconds", [1.0, 30.0, 120.0])
def test_walking_and_standing_alternate(seconds: float) -> None:
    times = np.arange(0, seconds, 1 / trajectory.RATE_HZ)
    speed = trajectory._speed(np.random.default_rng(0), times)
    assert speed.shape == times.shape and (speed >= 0).all() and speed.max() <= trajectory.MAX_SPEED_M_S
    if seconds > 10:
        assert (speed < 0.15).mean() > 0.03 and (speed > 0.45).mean() > 0.5


def test_the_camera_does_not_change_the_walk_and_another_seed_does(room_of: MakeRoom, walk_of: MakeWalk) -> None:
    other = HeadTrajectory(room_of(4), EgoSimConfig(seed=4, width=64, height=48, fps=30.0, fov_y_deg=90.0))
    np.testing.assert_array_equal(other.pose(3.3), walk_of(4).pose(3.3))
    assert np.abs(walk_of(3).pose(3.3) - walk_of(4).pose(3.3)).max() > 0.05


def test_targets_lie_ahead_and_neither_near_nor_far() -> None:
    rng = np.random.default_rng(0)
    targets = np.array([[2.0, 0.0, 0.7], [-2.0, 0.0, 0.7], [0.3, 0.0, 0.7], [9.0, 0.0, 0.7]])
    chosen = {tuple(trajectory._choose_target(rng, targets, np.zeros(2), 0.0)) for _ in range(60)}
    assert chosen == {(2.0, 0.0, 0.7), (2.5, 0.0, 1.0)}
    behind = trajectory._choose_target(rng, targets[1:2], np.zeros(2), math.pi / 2)
    assert behind == pytest.approx((0.0, 2.5, 1.0))
