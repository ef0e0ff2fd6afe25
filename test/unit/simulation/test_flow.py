"""Flow with known answers: cameras that shift and turn, a box that moves, a mesh that bends, and a rendered room."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp, transform_points
from ego_perception.simulation import EgoSim
from ego_perception.simulation.flow import RigidMotion, SkinMotion, optical_flow, visible_next, warp_backward
from ego_perception.simulation.lens import make_lens, pixel_rays, project

CAMERA = PinholeCamera.from_fov(80, 60, math.radians(60))
EYE = make_transform(so3_exp([0.3, -0.8, 0.2]), (1.0, -2.0, 1.5))


def grid(camera: PinholeCamera = CAMERA) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1).astype(float)


def ahead(depth: float = 2.0) -> np.ndarray:
    return np.full((60, 80), depth, np.float32)


def moved(
    T: np.ndarray, *, by: tuple[float, float, float] = (0, 0, 0), turn: tuple[float, float, float] = (0, 0, 0)
) -> np.ndarray:
    """The camera after a step and a turn in its own axes."""
    return T @ make_transform(so3_exp(turn), by)


def test_still_scene_and_camera_have_no_flow() -> None:
    flow, scene_flow = optical_flow(ahead(), CAMERA, EYE, EYE)
    assert flow.dtype == scene_flow.dtype == np.float32
    np.testing.assert_allclose(flow, 0, atol=1e-4)
    np.testing.assert_array_equal(scene_flow, 0)


@pytest.mark.parametrize("step", [(0.1, 0.0), (-0.05, 0.2)])
def test_camera_step_shifts_a_wall_by_f_over_z(step: tuple[float, float]) -> None:
    flow, scene_flow = optical_flow(ahead(2.5), CAMERA, EYE, moved(EYE, by=(*step, 0.0)))
    np.testing.assert_allclose(flow, np.broadcast_to(-CAMERA.fx * np.array(step) / 2.5, flow.shape), atol=1e-3)
    np.testing.assert_array_equal(scene_flow, 0)


def test_step_ahead_expands_from_the_middle() -> None:
    flow, _ = optical_flow(ahead(2.0), CAMERA, EYE, moved(EYE, by=(0, 0, 0.5)))
    centre = np.array([CAMERA.cx, CAMERA.cy])
    np.testing.assert_allclose(flow, (grid() - centre) * (2.0 / 1.5 - 1), atol=1e-3)


def test_turn_moves_pixels_by_its_homography_at_any_depth() -> None:
    turn = (0.02, -0.05, 0.1)
    depth = np.random.default_rng(0).uniform(1, 5, (60, 80)).astype(np.float32)
    flow, _ = optical_flow(depth, CAMERA, EYE, moved(EYE, turn=turn))
    H = CAMERA.K @ so3_exp(turn).T @ np.linalg.inv(CAMERA.K)
    p = np.concatenate([grid(), np.ones((60, 80, 1))], axis=-1) @ H.T
    np.testing.assert_allclose(flow, p[..., :2] / p[..., 2:] - grid(), atol=1e-3)


def test_nothing_there_or_behind_the_camera_is_nan() -> None:
    depth = ahead()
    depth[:10] = 0
    flow, scene_flow = optical_flow(depth, CAMERA, EYE, EYE)
    assert np.isnan(flow[:10]).all()
    assert np.isnan(scene_flow[:10]).all()
    assert np.isfinite(flow[10:]).all()
    flow, scene_flow = optical_flow(ahead(0.5), CAMERA, EYE, moved(EYE, by=(0, 0, 1.0)))
    assert np.isnan(flow).all()
    np.testing.assert_array_equal(scene_flow, 0)


def test_moving_box_takes_its_pixels_along() -> None:
    instances = np.zeros((60, 80), np.uint16)
    instances[20:40, 30:50] = 7
    now = make_transform(so3_exp([0.1, 0.2, 0.3]), (0.5, 0.5, 0.5))
    motion = RigidMotion(now, make_transform(so3_exp([0.0, 0.1, 0.0]), (0.02, -0.03, 0.05)) @ now)
    after_eye = moved(EYE, by=(0.02, 0, 0.03), turn=(0, 0.01, 0))
    flow, scene_flow = optical_flow(ahead(1.2), CAMERA, EYE, after_eye, instances, {7: motion, 9: motion})
    box = instances == 7
    world = transform_points(EYE, 1.2 * CAMERA.rays().astype(float))
    target = transform_points(motion.next @ invert(now), world)
    np.testing.assert_allclose(scene_flow[box], (target - world)[box], atol=1e-5)
    expected = CAMERA.project(transform_points(invert(after_eye), target)) - grid()
    np.testing.assert_allclose(flow[box], expected[box], atol=1e-3)
    static, _ = optical_flow(ahead(1.2), CAMERA, EYE, after_eye)
    np.testing.assert_array_equal(flow[~box], static[~box])


def sheet() -> tuple[np.ndarray, np.ndarray]:
    """A fine sheet at z = 2 of the camera that faces it, vertices in camera axes."""
    x, y = np.meshgrid(np.linspace(-2, 2, 33), np.linspace(-2, 2, 33))
    vertices = np.stack([x.ravel(), y.ravel(), np.full(x.size, 2.0)], axis=1)
    i = (np.arange(32)[:, None] * 33 + np.arange(32)).ravel()
    faces = np.concatenate([np.stack([i, i + 33, i + 1], 1), np.stack([i + 1, i + 33, i + 34], 1)])
    return vertices, faces


def test_bending_mesh_moves_its_pixels_by_barycentric_weights() -> None:
    vertices, faces = sheet()
    shear = np.array([[0.0, 0.03, 0.0], [0.02, 0.0, 0.0], [0.01, -0.02, 0.0]])
    bent = vertices + vertices @ shear.T
    skin = SkinMotion(transform_points(EYE, vertices), transform_points(EYE, bent), faces)
    flow, scene_flow = optical_flow(ahead(), CAMERA, EYE, EYE, np.full((60, 80), 3, np.uint16), skins={3: skin})
    points = 2.0 * CAMERA.rays().astype(float)
    change = points @ shear.T
    np.testing.assert_allclose(scene_flow, change @ EYE[:3, :3].T, atol=1e-5)
    np.testing.assert_allclose(flow, CAMERA.project(points + change) - grid(), atol=1e-3)


def test_the_side_of_a_thin_part_that_faces_the_camera_counts() -> None:
    vertices, faces = sheet()
    back = vertices + np.array([0, 0, 0.004])
    both = np.concatenate([vertices, back])
    after = np.concatenate([vertices + np.array([0.1, 0, 0]), back + np.array([0, 0.1, 0])])
    all_faces = np.concatenate([faces, faces[:, ::-1] + len(vertices)])
    skin = SkinMotion(transform_points(EYE, both), transform_points(EYE, after), all_faces)
    # Depth noise brings the pixels closer to the far side than to the near one.
    _, scene_flow = optical_flow(ahead(2.003), CAMERA, EYE, EYE, np.full((60, 80), 3, np.uint16), skins={3: skin})
    np.testing.assert_allclose(scene_flow, np.broadcast_to(EYE[:3, 0] * 0.1, scene_flow.shape), atol=1e-5)


def test_pixels_off_their_mesh_have_no_flow() -> None:
    vertices, faces = sheet()
    skin = SkinMotion(transform_points(EYE, vertices), transform_points(EYE, vertices + 0.1), faces)
    instances = np.full((60, 80), 3, np.uint16)
    flow, scene_flow = optical_flow(ahead(2.2), CAMERA, EYE, EYE, instances, skins={3: skin})
    assert np.isnan(flow).all()
    assert np.isnan(scene_flow).all()
    away = SkinMotion(skin.now + 50, skin.next, faces)
    assert np.isnan(optical_flow(ahead(), CAMERA, EYE, EYE, instances, skins={3: away})[0]).all()


@pytest.mark.parametrize("kind", ["radtan", "fisheye"])
def test_flow_of_a_distorted_image_comes_from_points(kind: str) -> None:
    camera = make_lens(80, 60, math.radians(75), kind, np.random.default_rng(3)).camera
    after_eye = moved(EYE, by=(0.05, -0.02, 0.1), turn=(0.02, 0.03, -0.04))
    flow, _ = optical_flow(ahead(), camera, EYE, after_eye)
    points = 2.0 * pixel_rays(camera).astype(float)
    expected = project(camera, transform_points(invert(after_eye) @ EYE, points)) - grid(camera)
    np.testing.assert_allclose(flow, expected, atol=2e-3)
    bent, _ = optical_flow(ahead(), camera.undistorted(), EYE, after_eye)
    assert np.abs(bent - flow).max() > 0.5


def test_hidden_and_leaving_points_are_not_visible_next() -> None:
    """A wall at 3 m; in the next frame a board at 1 m hides its middle. The camera steps to the right."""
    after_eye = moved(EYE, by=(0.2, 0, 0))
    depth, depth_next = ahead(3.0), ahead(3.0)
    depth_next[20:40, 30:50] = 1.0
    flow, scene_flow = optical_flow(depth, CAMERA, EYE, after_eye)
    seen = visible_next(flow, scene_flow, depth, depth_next, CAMERA, EYE, after_eye)
    shift = CAMERA.fx * 0.2 / 3.0
    x = np.arange(80) - shift
    np.testing.assert_array_equal(seen[5], x >= 0)
    inside = (np.floor(x) + 1 >= 30) & (np.floor(x) < 50)
    np.testing.assert_array_equal(seen[30], (x >= 0) & ~inside)
    assert 0.5 < seen.mean() < 0.95
    depth[0, :] = 0
    flow, scene_flow = optical_flow(depth, CAMERA, EYE, after_eye)
    assert not visible_next(flow, scene_flow, depth, depth_next, CAMERA, EYE, after_eye)[0].any()


def test_warping_fetches_the_next_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    flow = np.zeros((60, 80, 2), np.float32)
    flow[..., 0], flow[..., 1] = 3, -2
    flow[0, 0] = np.nan
    got = warp_backward(image, flow)
    np.testing.assert_array_equal(got[2:, :77], image[:58, 3:])
    assert not got[:2].any()


def test_flow_warps_the_next_picture_of_a_room_onto_this_one(small_sim: EgoSim) -> None:
    """Photometric law on rendered frames; what differs is shading of glossy things, resampling and aliasing."""
    errors, shares = [], []
    for index in (4, 20, 40):
        now, after = small_sim.frame(index), small_sim.frame(index + 1)
        assert now.truth is not None
        assert after.truth is not None
        depth, depth_next = now.truth.depth, after.truth.depth
        T, T_next = now.truth.T_world_cam, after.truth.T_world_cam
        assert depth is not None
        assert depth_next is not None
        assert T is not None
        assert T_next is not None
        flow, scene_flow = optical_flow(depth, small_sim.camera, T, T_next)
        seen = visible_next(flow, scene_flow, depth, depth_next, small_sim.camera, T, T_next)
        difference = np.abs(warp_backward(after.rgb, flow).astype(int) - now.rgb).mean(axis=-1)
        still = np.abs(after.rgb.astype(int) - now.rgb).mean(axis=-1)
        errors.append((float(np.median(difference[seen])), float(difference[seen].mean()), float(still[seen].mean())))
        shares.append(seen.mean())
    assert min(shares) > 0.6
    assert max(e[0] for e in errors) < 2.5
    assert all(mean < 0.6 * unwarped for _, mean, unwarped in errors if unwarped > 5)
