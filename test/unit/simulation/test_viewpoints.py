"""Where cameras are put and which way they look."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.geometry import so3_log
from ego_perception.simulation.assembly import Rect, Support
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.room import Obstacle, Room
from ego_perception.simulation.viewpoints import is_clear, look_rotation, random_viewpoint


def bare(*obstacles: Obstacle, supports: tuple[Support, ...] = ()) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    return Room((2.0, 1.5), 2.5, book, obstacles=list(obstacles), supports=list(supports))


@pytest.mark.parametrize(
    ("yaw", "pitch", "forward"), [(0, 0, (1, 0, 0)), (math.pi / 2, 0, (0, 1, 0)), (0, -math.pi / 4, (0.5**0.5, 0, -(0.5**0.5)))]
)
def test_look_rotation_points_z_forward_and_y_down(yaw: float, pitch: float, forward: tuple[float, ...]) -> None:
    R = look_rotation(yaw, pitch)
    np.testing.assert_allclose(R[:, 2], forward, atol=1e-12)
    assert R[2, 1] < 0 and R[2, 0] == pytest.approx(0)
    assert np.linalg.det(R) == pytest.approx(1)


def test_random_viewpoints_are_clear_of_furniture_and_varied(room_of: Callable[..., Room]) -> None:
    room = room_of(6, "hard")
    rng = np.random.default_rng(0)
    poses = np.stack([random_viewpoint(rng, room) for _ in range(60)])
    assert all(is_clear(room, T[:3, 3]) for T in poses)
    assert np.ptp(poses[:, 2, 3]) > 0.3 and np.ptp(np.arctan2(poses[:, 1, 2], poses[:, 0, 2])) > 4


@pytest.mark.parametrize("roll", [-0.7, 0.1, math.pi / 2])
def test_roll_turns_about_the_view_clockwise(roll: float) -> None:
    level, rolled = look_rotation(0.8, -0.3), look_rotation(0.8, -0.3, roll)
    np.testing.assert_allclose(so3_log(level.T @ rolled), [0.0, 0.0, roll], atol=1e-12)


@pytest.mark.parametrize(
    ("position", "clear"),
    [((0.0, 0.0, 1.5), True), ((1.95, 0.0, 1.5), False), ((0.0, -1.45, 1.5), False), ((0.0, 0.0, 0.1), False),
     ((0.0, 0.0, 2.45), False), ((1.0, 0.5, 0.75), False), ((1.0, 0.5, 0.85), False), ((1.0, 0.5, 1.0), True),
     ((0.45, 0.5, 0.5), False), ((0.3, 0.5, 0.5), True)],
)  # fmt: skip
def test_a_head_keeps_away_from_walls_floor_ceiling_and_furniture(position: tuple[float, ...], clear: bool) -> None:
    room = bare(
        Obstacle("table", Rect(0.5, 0.0, 1.5, 1.0), 0.8), Obstacle("rug", Rect(-2, -1.5, 2, 1.5), 3.0, is_walkable=True)
    )
    assert is_clear(room, np.array(position)) is clear


@pytest.mark.parametrize("seed", range(3))
def test_without_a_worktop_all_stand_and_look_around(seed: int) -> None:
    rng, room = np.random.default_rng(seed), bare()
    poses = np.stack([random_viewpoint(rng, room) for _ in range(80)])
    assert (poses[:, 2, 3] >= 1.2).all() and (poses[:, 2, 3] <= 1.8).all()
    pitch = np.degrees(np.arcsin(poses[:, 2, 2]))
    assert pitch.min() >= -50 and pitch.max() <= 10
    assert (np.abs(poses[:, :2, 3]) <= 0.94 * np.array(room.half)).all()
    roll = np.arctan2(poses[:, 2, 0], -poses[:, 2, 1])
    assert 0.05 < roll.std() < 0.15


def test_near_half_bend_over_a_worktop_and_look_down_at_it() -> None:
    room = bare(supports=(Support((0.0, 0.0, 0.75), (0.5, 0.4), is_worktop=True), Support((1.0, 1.0, 0.3), (0.2, 0.2))))
    rng = np.random.default_rng(0)
    poses = np.stack([random_viewpoint(rng, room) for _ in range(200)])
    to_top = np.array([0.0, 0.0, 0.75]) - poses[:, :3, 3]
    angle = np.degrees(np.arccos((poses[:, :3, 2] * to_top).sum(axis=1) / np.linalg.norm(to_top, axis=1)))
    near = np.linalg.norm(to_top, axis=1) < 1.9
    assert 0.3 < (near & (angle < 40)).mean() < 0.75
    assert poses[near & (angle < 25), 2, 2].mean() < -0.2


def test_a_room_without_a_clear_place_gives_the_middle() -> None:
    full = bare(Obstacle("block", Rect(-2, -1.5, 2, 1.5), 2.5))
    T = random_viewpoint(np.random.default_rng(0), full)
    assert T[:3, 3] == pytest.approx((0.0, 0.0, 1.6))
    np.testing.assert_allclose(T[:3, :3], look_rotation(0.0, -0.3))
