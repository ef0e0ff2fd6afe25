"""Extra cameras and sweeps: baselines, what they look at, and where they refuse to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.geometry import make_transform, so3_exp
from ego_perception.simulation.viewpoints import is_clear
from ego_perception.simulation.views import (
    FOCUS_RANGE_M,
    SweepKind,
    extra_poses,
    focus_distance,
    look_at,
    sweep,
)

EYE = make_transform(so3_exp([-1.4, 0.2, 0.1]), (0.3, -0.4, 1.6))


def ahead(depth: float = 2.0) -> np.ndarray:
    return np.full((48, 64), depth, np.float32)


def assert_pose(T: np.ndarray) -> None:
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(T[3], [0, 0, 0, 1])


def axis_misses(T: np.ndarray, target: np.ndarray) -> float:
    """Distance of a point from the optical axis."""
    return float(np.linalg.norm(np.cross(T[:3, 2], target - T[:3, 3])))


def test_look_at_along_known_axes() -> None:
    T = look_at(np.zeros(3), np.array([2.0, 0, 0]), np.array([0, 0, -1.0]))
    np.testing.assert_allclose(T[:3, 2], [1, 0, 0])
    np.testing.assert_allclose(T[:3, 1], [0, 0, -1])
    np.testing.assert_allclose(T[:3, 0], [0, -1, 0])
    assert_pose(T)


@pytest.mark.parametrize("target", [(1.0, 2.0, 3.0), (1.0, 2.0, 0.0)])
def test_look_at_refuses_what_has_no_upright_image(target: tuple[float, float, float]) -> None:
    with pytest.raises(SimulationError, match="move one of them"):
        look_at(np.array([1.0, 2.0, 3.0]), np.array(target), np.array([0, 0, -1.0]))


def test_extra_cameras_keep_their_baselines_and_look_at_one_centre() -> None:
    poses = extra_poses(EYE, 16, np.random.default_rng(0), focus_m=1.5)
    assert poses.shape == (16, 4, 4)
    target = EYE[:3, 3] + 1.5 * EYE[:3, 2]
    baselines = np.linalg.norm(poses[:, :3, 3] - EYE[:3, 3], axis=1)
    assert baselines.min() >= 0.05
    assert baselines.max() <= 0.40
    assert baselines.std() > 0.03
    for T in poses:
        assert_pose(T)
        assert axis_misses(T, target) < 1e-9
        assert (target - T[:3, 3]) @ T[:3, 2] > 0
        # Upright as the wearer's image: x axes are less than 35 degrees apart.
        assert T[:3, 0] @ EYE[:3, 0] > 0.8


def test_extra_cameras_spread_to_all_sides_and_repeat() -> None:
    poses = extra_poses(EYE, 64, np.random.default_rng(1))
    local = (poses[:, :3, 3] - EYE[:3, 3]) @ EYE[:3, :3]
    assert {(x > 0, y > 0) for x, y in local[:, :2]} == {(a, b) for a in (True, False) for b in (True, False)}
    assert np.abs(local[:, 2]).max() <= 0.4 * math.sin(math.pi / 6) + 1e-9
    np.testing.assert_array_equal(poses, extra_poses(EYE, 64, np.random.default_rng(1)))
    assert extra_poses(EYE, 0, np.random.default_rng(1)).shape == (0, 4, 4)


def test_extra_cameras_stay_where_it_is_clear() -> None:
    def left_only(p: np.ndarray) -> bool:
        return bool((p - EYE[:3, 3]) @ EYE[:3, 0] < 0)

    poses = extra_poses(EYE, 20, np.random.default_rng(2), is_clear=left_only)
    assert all(left_only(T[:3, 3]) for T in poses)
    near = extra_poses(EYE, 5, np.random.default_rng(2), is_clear=lambda p: bool(np.linalg.norm(p - EYE[:3, 3]) < 0.02))
    assert (np.linalg.norm(near[:, :3, 3] - EYE[:3, 3], axis=1) < 0.02).all()
    boxed = extra_poses(EYE, 2, np.random.default_rng(2), is_clear=lambda p: False)
    np.testing.assert_allclose(boxed, np.stack([EYE, EYE]), atol=1e-12)


def test_arc_keeps_its_distance_and_its_centre() -> None:
    poses = sweep(EYE, ahead(2.0), 9)
    target = EYE[:3, 3] + 2.0 * EYE[:3, 2]
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3] - target, axis=1), 2.0, atol=1e-12)
    np.testing.assert_allclose(poses[4], EYE, atol=1e-12)
    angle = 0.30 / 2.0
    assert np.linalg.norm(poses[0, :3, 3] - EYE[:3, 3]) == pytest.approx(2 * 2.0 * math.sin(angle / 2))
    assert poses[-1, :3, 2] @ EYE[:3, 2] == pytest.approx(math.cos(angle))
    for T in poses:
        assert_pose(T)
        assert axis_misses(T, target) < 1e-9
    right = (poses[:, :3, 3] - EYE[:3, 3]) @ EYE[:3, 0]
    assert (np.diff(right) > 0).all()


def test_dolly_runs_along_the_optical_axis() -> None:
    poses = sweep(EYE, ahead(2.0), 5, kind=SweepKind.DOLLY, reach_m=0.2)
    along = (poses[:, :3, 3] - EYE[:3, 3]) @ EYE[:3, :3]
    np.testing.assert_allclose(along, np.outer([-0.2, -0.1, 0, 0.1, 0.2], [0, 0, 1]), atol=1e-12)
    np.testing.assert_allclose(poses[:, :3, :3], np.broadcast_to(EYE[:3, :3], (5, 3, 3)))


def test_sweep_gets_shorter_near_things_and_where_it_is_not_clear() -> None:
    near = sweep(EYE, ahead(0.4), 3, kind=SweepKind.DOLLY)
    assert np.linalg.norm(near[0, :3, 3] - EYE[:3, 3]) == pytest.approx(0.2)
    narrow = sweep(EYE, ahead(), 7, is_clear=lambda p: bool(np.linalg.norm(p - EYE[:3, 3]) < 0.1))
    reach = np.linalg.norm(narrow[[0, -1], :3, 3] - EYE[:3, 3], axis=1)
    assert (reach < 0.1).all()
    assert (reach > 0.05).all()
    stuck = sweep(EYE, ahead(), 3, is_clear=lambda p: False)
    np.testing.assert_array_equal(stuck, np.stack([EYE] * 3))


def test_sweep_of_a_room_stays_out_of_its_furniture(room_of) -> None:
    room = room_of(2)
    rng, found = np.random.default_rng(0), 0
    for _ in range(30):
        T = look_at(
            np.array([*rng.uniform(-1.5, 1.5, 2), 1.0]), np.array([*rng.uniform(-1, 1, 2), 0.5]), np.array([0, 0, -1.0])
        )
        if not is_clear(room, T[:3, 3]):
            continue
        found += 1
        for poses in (
            sweep(T, ahead(), 8, is_clear=lambda p: is_clear(room, p)),
            extra_poses(T, 4, rng, is_clear=lambda p: is_clear(room, p)),
        ):
            assert all(is_clear(room, pose[:3, 3]) for pose in poses)
    assert found > 5


@pytest.mark.parametrize("count", [1, 0, -2])
def test_sweep_needs_two_poses(count: int) -> None:
    with pytest.raises(SimulationError, match="ask for at least 2"):
        sweep(EYE, ahead(), count)


def test_focus_is_the_median_of_the_middle_within_limits() -> None:
    depth = ahead(9.0)
    depth[12:36, 16:48] = 1.5
    depth[12:20, 16:48] = 0
    assert focus_distance(depth) == pytest.approx(1.5)
    assert focus_distance(ahead(0.05)) == FOCUS_RANGE_M[0]
    assert focus_distance(ahead(20.0)) == FOCUS_RANGE_M[1]
    assert focus_distance(ahead(0.0)) == FOCUS_RANGE_M[1]
    assert focus_distance(ahead(2.0)[:2, :2]) == pytest.approx(2.0)
