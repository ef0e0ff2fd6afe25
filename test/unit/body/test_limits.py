"""Joint limits: the split into angles, known violations, and poses that people take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ego_perception.body.limits import JOINT_LIMITS, joint_angles, limit_violation
from ego_perception.body.poses import POSE_NAMES, named_pose, rotations_from_angles
from ego_perception.body.skeleton import JOINT_NAMES, joint_index
from ego_perception.errors import ConfigError


def bent(joint: str, degrees: tuple[float, float, float]) -> np.ndarray:
    angles = np.zeros((24, 3))
    angles[joint_index(joint)] = np.radians(degrees)
    return rotations_from_angles(angles)


def test_limits_are_ranges_around_rest_and_mirrored() -> None:
    assert JOINT_LIMITS.shape == (24, 3, 2)
    assert (JOINT_LIMITS[..., 0] < 0).all()
    assert (JOINT_LIMITS[..., 1] > 0).all()
    for index, name in enumerate(JOINT_NAMES):
        if name.startswith("left"):
            x, y, z = JOINT_LIMITS[joint_index(name.replace("left", "right"))]
            assert np.array_equal(JOINT_LIMITS[index], [x, -y[::-1], -z[::-1]])


@given(st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_angles_come_back(angles: list[float]) -> None:
    rotation = rotations_from_angles(np.array(angles))
    assert np.allclose(rotation, Rotation.from_euler("XYZ", angles).as_matrix(), atol=1e-12)
    assert np.allclose(joint_angles(rotation), angles, atol=1e-9)


def test_rest_and_any_root_keep_the_limits() -> None:
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[0] = Rotation.from_rotvec([1.0, 2.0, -0.5]).as_matrix()
    assert limit_violation(rotations).tolist() == [0.0] * 24


@pytest.mark.parametrize(
    ("joint", "degrees", "excess"),
    [
        ("left_knee", (165, 0, 0), 10), ("right_knee", (-25, 0, 0), 20), ("left_hip", (-140, 0, 0), 10),
        ("right_elbow", (0, -28, 0), 20), ("left_elbow", (0, 28, 0), 20), ("neck", (0, 70, 0), 20),
        ("left_ankle", (-60, 0, 0), 20), ("spine1", (0, 0, 35), 10),
    ],
)  # fmt: skip
def test_excess_is_measured(joint: str, degrees: tuple[float, float, float], excess: float) -> None:
    violation = np.degrees(limit_violation(bent(joint, degrees)))
    assert violation[joint_index(joint)] == pytest.approx(excess, abs=1e-6)
    assert np.delete(violation, joint_index(joint)).max() == 0


def test_beyond_a_quarter_turn() -> None:
    assert limit_violation(bent("left_elbow", (0, -140, 0))).max() == 0
    assert np.degrees(limit_violation(bent("left_elbow", (0, -170, 0))).max()) == pytest.approx(15, abs=1e-6)
    assert limit_violation(bent("right_elbow", (0, 140, 0))).max() == 0


@pytest.mark.parametrize("name", POSE_NAMES)
def test_named_poses_keep_the_limits(name: str) -> None:
    rotations = named_pose(name, seed=3)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert limit_violation(rotations).max() < 1e-9


@pytest.mark.parametrize(
    ("joint", "degrees"),
    [
        ("left_shoulder", (0, 0, -85)),  # hanging
        ("left_shoulder", (-160, 0, -80)),  # straight up through the front
        ("right_shoulder", (0, 0, -80)),  # straight up through the side
        ("right_shoulder", (30, 0, 80)),  # swung back
        ("left_shoulder", (0, -120, 0)),  # across the chest
    ],
)
def test_an_arm_reaches_where_arms_reach(joint: str, degrees: tuple[float, float, float]) -> None:
    assert limit_violation(bent(joint, degrees)).max() == 0


def test_batches_and_unknown_pose() -> None:
    batch = np.stack([named_pose("sit"), bent("left_knee", (165, 0, 0))])
    violation = limit_violation(batch)
    assert violation.shape == (2, 24)
    assert violation[0].max() == 0 < violation[1].max()
    with pytest.raises(ConfigError, match="choose one of tpose"):
        named_pose("fly")
    assert not np.array_equal(named_pose("random", 1), named_pose("random", 2))
    assert np.array_equal(named_pose("random", 1), named_pose("random", 1))
