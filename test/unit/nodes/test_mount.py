"""The camera on the head: known rotations, in the order that the parameter's sentence promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.errors import ConfigError
from ego_perception.nodes.config import FramesConfig
from ego_perception.nodes.mount import mount_of

QUARTER = math.pi / 2


def moved(point: tuple[float, ...], **frames: tuple[float, ...]) -> list[float]:
    """A point of the camera's body axes in the head frame."""
    return list((mount_of(FramesConfig(**frames)) @ [*point, 1.0])[:3])


def test_without_parameters_camera_and_head_coincide() -> None:
    np.testing.assert_array_equal(mount_of(FramesConfig()), np.eye(4))


def test_the_position_is_where_the_camera_is_in_the_head_frame() -> None:
    assert moved((0.0, 0.0, 0.0), camera_position_m=(0.1, -0.02, 0.3)) == pytest.approx([0.1, -0.02, 0.3])


@pytest.mark.parametrize(
    ("rpy", "point", "expected"),
    [
        ((QUARTER, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),  # roll: left goes up
        ((0.0, QUARTER, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),  # pitch: ahead goes down
        ((0.0, 0.0, QUARTER), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),  # yaw: ahead goes left
        ((QUARTER, 0.0, QUARTER), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),  # fixed axes: roll first, then yaw about the head's z
    ],
)
def test_known_rotations(rpy: tuple[float, ...], point: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert moved(point, camera_rpy_rad=rpy) == pytest.approx(expected, abs=1e-12)


def test_it_is_a_rigid_transform() -> None:
    T = mount_of(FramesConfig(camera_position_m=(0.1, 0.2, 0.3), camera_rpy_rad=(0.3, -0.7, 2.0)))
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(T[3], [0, 0, 0, 1])


@pytest.mark.parametrize(
    "frames", [{"camera_position_m": (0.0, 0.0)}, {"camera_rpy_rad": ()}, {"camera_rpy_rad": (0.0, 0.0, 0.0, 1.0)}]
)
def test_anything_but_three_numbers_is_refused(frames: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigError, match="take three numbers each"):
        mount_of(FramesConfig(**frames))
