"""Visibility in analytic scenes: a ball-shaped body, a wall with a hole, a board in front."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, make_transform, so3_exp, transform_points
from ego_perception.simulation.lens import make_lens, project
from ego_perception.simulation.visibility import (
    joint_visibility,
    projected_box,
    truncated_share,
    vertex_normals,
    vertex_visibility,
    visible_box,
)

CAMERA = PinholeCamera.from_fov(160, 120, math.radians(60))
EYE = make_transform(so3_exp([0.2, 0.5, -1.0]), (0.5, 1.0, 1.6))
BODY, BOARD = 4, 9
RADIUS = 0.3


def world(points: list[list[float]]) -> np.ndarray:
    """From camera axes."""
    return np.asarray(transform_points(EYE, np.array(points, np.float64)))


def ball(centre: tuple[float, float, float] = (0.0, 0.0, 2.0)) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A sphere in camera axes as a mesh, and its exact depth and instance image before a wall at 4 m."""
    lat, lon = np.linspace(0, math.pi, 25), np.linspace(0, 2 * math.pi, 48, endpoint=False)
    a, o = np.meshgrid(lat, lon, indexing="ij")
    directions = np.stack([np.sin(a) * np.cos(o), np.sin(a) * np.sin(o), np.cos(a)], axis=-1).reshape(-1, 3)
    i, j = (k.ravel() for k in np.meshgrid(np.arange(24), np.arange(48), indexing="ij"))
    p, q, r, s = i * 48 + j, (i + 1) * 48 + j, (i + 1) * 48 + (j + 1) % 48, i * 48 + (j + 1) % 48
    faces = np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)])
    rays, c = CAMERA.rays().astype(float), np.array(centre)
    A, B = (rays**2).sum(-1), rays @ c
    root = B**2 - A * (c @ c - RADIUS**2)
    hit = root > 0
    depth = np.where(hit, (B - np.sqrt(np.maximum(root, 0))) / A, 4.0).astype(np.float32)
    return c + RADIUS * directions, faces, depth, np.where(hit, BODY, 1).astype(np.uint16)


def joints_seen(joints: np.ndarray, depth: np.ndarray, instances: np.ndarray) -> list[bool]:
    return joint_visibility(joints, CAMERA, EYE, depth, instances, BODY).tolist()


def test_joints_inside_their_own_body_are_visible_behind_a_board_not() -> None:
    _, _, depth, instances = ball()
    joints = world([[0, 0, 2.0], [0.2, 0.1, 2.1], [-0.2, 0, 1.9]])
    assert joints_seen(joints, depth, instances) == [True, True, True]
    left = CAMERA.rays()[..., 0] < -0.03
    depth[left], instances[left] = 1.0, BOARD
    assert joints_seen(joints, depth, instances) == [True, True, False]


def test_joints_outside_the_image_or_behind_the_camera_are_not_visible() -> None:
    _, _, depth, instances = ball()
    assert joints_seen(world([[5, 0, 2], [0, -5, 2], [0, 0, -2], [0, 0, 0]]), depth, instances) == [False] * 4


def test_border_pixels_reach_half_a_pixel_out() -> None:
    depth, instances = np.full((120, 160), 4.0, np.float32), np.ones((120, 160), np.uint16)
    out = [(-0.4 - CAMERA.cx) / CAMERA.fx * 2, (-0.6 - CAMERA.cx) / CAMERA.fx * 2, (159.4 - CAMERA.cx) / CAMERA.fx * 2]
    assert joints_seen(world([[x, 0, 2] for x in out]), depth, instances) == [True, False, True]


def test_joint_beside_its_thin_limb_is_visible_unless_something_is_well_in_front() -> None:
    depth, instances = np.full((120, 160), 4.0, np.float32), np.ones((120, 160), np.uint16)
    joint = world([[0, 0, 2.0]])
    assert joints_seen(joint, depth, instances) == [True]
    for front, expected in ((1.95, True), (1.85, False)):
        depth[:], instances[:] = front, BOARD
        assert joints_seen(joint, depth, instances) == [expected]
    depth[:] = 0
    assert joints_seen(joint, depth, instances) == [True]


def test_other_person_hides_like_a_thing() -> None:
    _, _, depth, instances = ball()
    instances[instances == BODY] = 5
    assert joints_seen(world([[0, 0, 2.6]]), depth, instances) == [False]


def test_vertices_of_a_ball_are_seen_where_they_face_the_camera() -> None:
    vertices, faces, depth, _ = ball()
    seen = vertex_visibility(np.asarray(transform_points(EYE, vertices)), faces, CAMERA, EYE, depth)
    outward = (vertices - [0, 0, 2.0]) / RADIUS
    cosine = -np.einsum("vd,vd->v", outward, vertices / np.linalg.norm(vertices, axis=1, keepdims=True))
    assert seen[cosine > 0.12].all()
    assert not seen[cosine < -0.02].any()


def test_vertices_behind_a_board_are_hidden() -> None:
    vertices, faces, depth, _ = ball()
    left = CAMERA.rays()[..., 0] < 0
    depth[left] = 1.2
    seen = vertex_visibility(np.asarray(transform_points(EYE, vertices)), faces, CAMERA, EYE, depth)
    assert not seen[vertices[:, 0] < -0.04].any()
    assert seen[(vertices[:, 0] > 0.04) & (vertices[:, 2] < 1.85)].all()


def test_vertex_facing_the_camera_behind_a_part_of_its_own_body_is_hidden() -> None:
    near, faces, depth, _ = ball()
    far, _, _, _ = ball((0.0, 0.0, 3.0))
    both, all_faces = np.concatenate([near, far]), np.concatenate([faces, faces + len(near)])
    seen = vertex_visibility(np.asarray(transform_points(EYE, both)), all_faces, CAMERA, EYE, depth)
    behind = np.hypot(*far[:, :2].T) < 0.15
    assert not seen[len(near) :][behind].any()
    assert seen[: len(near)].any()


def test_vertex_outside_or_without_depth_is_not_seen() -> None:
    vertices, faces, depth, _ = ball((3.0, 0.0, 2.0))
    posed = np.asarray(transform_points(EYE, vertices))
    assert not vertex_visibility(posed, faces, CAMERA, EYE, depth).any()
    centred = np.asarray(transform_points(EYE, ball()[0]))
    assert not vertex_visibility(centred, faces, CAMERA, EYE, np.zeros_like(depth)).any()


def test_normals_point_outward_and_weigh_by_area() -> None:
    vertices, faces, _, _ = ball()
    normals = vertex_normals(vertices, faces)
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    cosine = np.einsum("vd,vd->v", unit, (vertices - [0, 0, 2.0]) / RADIUS)
    ring = slice(48, -48)  # the poles are many vertices in one place
    assert cosine[ring].min() > 0.99


def test_boxes() -> None:
    _, _, _, instances = ball()
    box = visible_box(instances, BODY)
    assert box is not None
    rows, cols = np.nonzero(instances == BODY)
    assert box == (cols.min() - 0.5, rows.min() - 0.5, cols.max() + 0.5, rows.max() + 0.5)
    assert visible_box(instances, 77) is None
    vertices = ball()[0]
    amodal = projected_box(np.asarray(transform_points(EYE, vertices)), CAMERA, EYE)
    assert amodal is not None
    np.testing.assert_allclose(amodal, box, atol=1.0)
    half = CAMERA.fx * RADIUS / math.sqrt(4.0 - RADIUS**2)
    assert amodal[2] - amodal[0] == pytest.approx(2 * half, abs=0.5)


def test_amodal_box_is_not_cut_and_truncation_counts_the_rest() -> None:
    points = world([[x, 0.0, 2.0] for x in np.linspace(-3, 3, 601)])
    box = projected_box(points, CAMERA, EYE)
    assert box is not None
    assert box[0] < -50
    assert box[2] > 210
    reach = 0.5 * 160 / CAMERA.fx * 2
    assert truncated_share(points, CAMERA, EYE) == pytest.approx(1 - reach / 3, abs=0.01)
    assert truncated_share(world([[0, 0, 2]]), CAMERA, EYE) == 0.0
    behind = world([[0, 0, -1.0], [0, 0, 1.0]])
    assert truncated_share(behind, CAMERA, EYE) == 0.5
    assert projected_box(behind[:1], CAMERA, EYE) is None


@pytest.mark.parametrize("kind", ["radtan", "fisheye"])
def test_lens_distortion_is_honoured(kind: str) -> None:
    camera = make_lens(160, 120, math.radians(90), kind, np.random.default_rng(0)).camera
    target = np.array([[0.8, -0.5, 1.0]])
    u, v = np.rint(project(camera, target)[0]).astype(int)
    depth, instances = np.full((120, 160), 0.2, np.float32), np.full((120, 160), BOARD, np.uint16)
    depth[v, u], instances[v, u] = 0.9, BODY
    assert joint_visibility(transform_points(EYE, target), camera, EYE, depth, instances, BODY).tolist() == [True]
    assert not joint_visibility(transform_points(EYE, target), camera.undistorted(), EYE, depth, instances, BODY).any()
