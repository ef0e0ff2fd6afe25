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
