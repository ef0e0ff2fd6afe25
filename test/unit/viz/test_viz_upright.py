"""Up is found from surfaces, and left alone where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.result_folder import CAMERA, UP, pose, room

from ego_perception.viz.upright import find_up, level_rotation, surface_normals


def test_normals_of_a_wall_face_the_camera() -> None:
    normals = surface_normals(np.full((48, 64), 2.0, np.float32), CAMERA)
    np.testing.assert_allclose(normals, np.tile([0.0, 0.0, -1.0], (len(normals), 1)), atol=1e-5)


def test_normals_leave_out_what_has_no_depth() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 32:] = np.nan
    assert 0 < len(surface_normals(depth, CAMERA)) < len(surface_normals(np.full((48, 64), 2.0, np.float32), CAMERA))
    assert len(surface_normals(np.full((48, 64), np.nan, np.float32), CAMERA)) == 0


def test_up_of_a_tilted_head_is_the_floors_normal() -> None:
    depth, _ = room()
    found = find_up([(depth, CAMERA, pose(i)) for i in range(4)])
    assert np.degrees(np.arccos(found @ UP)) < 1.0


def test_up_is_world_z_without_surfaces() -> None:
    assert find_up([]).tolist() == [0.0, 0.0, 1.0]
    nothing = np.full((48, 64), np.nan, np.float32)
    assert find_up([(nothing, CAMERA, pose(0))]).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_level_rotation_is_the_smallest_that_takes_up_to_z(seed: int) -> None:
    up = np.random.default_rng(seed).normal(size=3) + np.array([0.0, 0.0, 2.0])
    up = up / np.linalg.norm(up)
    R = level_rotation(up)
    np.testing.assert_allclose(R @ up, [0, 0, 1], atol=1e-9)
    angle = np.arccos((np.trace(R) - 1) / 2)
    assert angle == pytest.approx(np.arccos(up[2]), abs=1e-6)


def plane(normal: tuple[float, float, float], distance: float = 2.0) -> np.ndarray:
    """Depth of the plane with this normal, in camera axes, `distance` away from the camera."""
    n = np.array(normal) / np.linalg.norm(normal)
    with np.errstate(divide="ignore"):
        depth = -distance / (CAMERA.rays() @ n)
    return np.where((depth > 0) & (depth < 50), depth, np.nan).astype(np.float32)


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.3, 0.0, -1.0), (0.0, -1.0, -1.0), (-0.5, 0.4, -1.0)])
@pytest.mark.parametrize("step", [1, 4])
def test_normals_of_a_plane_are_its_normal(normal: tuple[float, float, float], step: int) -> None:
    found = surface_normals(plane(normal), CAMERA, step)
    n = np.array(normal) / np.linalg.norm(normal)
    assert len(found) > 50
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert (found @ n).min() > 0.999


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("tilt", [0.0, 0.3, 0.8])
def test_floor_and_ceiling_both_tell_up(sign: int, tilt: float) -> None:
    """A head bent down sees a floor, whose normal is up; one bent back sees a ceiling, whose normal is down."""
    up_in_camera = np.array([0.0, -np.cos(tilt), -sign * np.sin(tilt)])
    depth = plane(tuple(sign * up_in_camera), 0.9)
    assert np.isfinite(depth).any()
    found = find_up([(depth, CAMERA, np.eye(4))])
    assert np.degrees(np.arccos(np.clip(found @ up_in_camera, -1, 1))) < 1.0


@pytest.mark.parametrize("tilt_deg", [60, 90])
def test_surfaces_far_from_the_cameras_up_are_walls(tilt_deg: int) -> None:
    angle = np.radians(tilt_deg)
    depth = plane((0.0, -np.cos(angle), -np.sin(angle)))
    assert find_up([(depth, CAMERA, np.eye(4))]).tolist() == [0.0, 0.0, 1.0]


def test_too_few_surfaces_are_no_evidence() -> None:
    depth = np.full((48, 64), np.nan, np.float32)
    depth[40:, 20:30] = plane((0.0, -1.0, -0.6))[40:, 20:30]
    assert find_up([(depth, CAMERA, np.eye(4))]).tolist() == [0.0, 0.0, 1.0]


def test_the_commonest_of_two_directions_wins() -> None:
    floor, ramp = plane((0.0, -1.0, -0.5), 1.0), plane((0.0, -1.0, -1.1), 1.0)
    found = find_up([(floor, CAMERA, np.eye(4)), (floor, CAMERA, np.eye(4)), (ramp, CAMERA, np.eye(4))])
    expected = np.array([0.0, -1.0, -0.5]) / np.linalg.norm([1.0, 0.5])
    assert np.degrees(np.arccos(np.clip(found @ expected, -1, 1))) < 1.5


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_level_rotation_is_a_rotation(up: tuple[float, float, float]) -> None:
    R = level_rotation(np.array(up))
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(R @ up, [0.0, 0.0, 1.0], atol=1e-7)
