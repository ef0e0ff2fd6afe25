"""The meshing steps on solids whose surface is known."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.body.anatomy import SOLE_Y, Capsule, mean_capsules
from ego_perception.body.generate.field import BodyField, blend_length, smoothstep
from ego_perception.body.generate.refine import (
    best_half_surface,
    edges_of,
    flip_edges,
    is_half_of_sphere,
    mirrored,
    relax,
    split_to,
)
from ego_perception.body.generate.surface_nets import HalfMesh, half_surface, project
from ego_perception.body.generate.warp import STRETCHED_BOX, to_space
from ego_perception.body.mesh_check import check_mesh
from ego_perception.body.model import BodyError

RADIUS = 0.3
BALL = BodyField((Capsule(0, (0.0, 0.0, 0.0), (0.0, 1e-6, 0.0), RADIUS, RADIUS),))


@pytest.fixture(scope="module")
def ball() -> HalfMesh:
    return half_surface(BALL, 0.05)


def test_field_of_a_ball() -> None:
    points = np.array([[0.3, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.1, 0.0]])
    value, gradient = BALL.value_and_gradient(points)
    assert value == pytest.approx([0.0, 0.2, -0.2], abs=1e-5)
    assert np.allclose(gradient, [[1, 0, 0], [1, 0, 0], [0, 1, 0]], atol=1e-4)


def test_field_of_the_person_has_true_gradients_and_a_flat_sole() -> None:
    field = BodyField(mean_capsules())
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.3, -0.6, -0.1], [0.3, 0.3, 0.1], (200, 3))
    points = project(field, points, 12)
    _, gradient = field.value_and_gradient(points)
    numeric = np.stack([(field(points + 1e-5 * e) - field(points - 1e-5 * e)) / 2e-5 for e in np.eye(3)], axis=1)
    assert np.quantile(np.abs(gradient - numeric).max(axis=1), 0.9) < 0.25, "k and the taper are neglected, no more"
    assert np.quantile(np.abs(field(points)), 0.9) < 1e-3
    assert field(np.array([[0.1, SOLE_Y - 0.02, 0.0]]))[0] > 0.015


def test_field_is_symmetric_and_its_blend_short_where_it_must_be() -> None:
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (300, 3))
    field = BodyField(mean_capsules())
    assert np.allclose(field(points), field(points * [-1, 1, 1]), atol=1e-12)
    torso, face, hand = blend_length(np.array([[0.0, 0.2, 0.1], [0.0, 0.7, 0.1], [0.85, 0.45, -0.05]]))
    assert hand < face < torso
    assert smoothstep(np.array([-1.0, 0.5, 2.0]), 0.0, 1.0).tolist() == [0.0, 0.5, 1.0]


def test_warp_keeps_order_and_the_middle_plane_and_reaches_everything() -> None:
    low, high = STRETCHED_BOX
    rng = np.random.default_rng(2)
    points = rng.uniform(low, high, (500, 3))
    for axis in range(3):
        ahead = points.copy()
        ahead[:, axis] += 1e-4
        same_side = (points[:, 0] > 0.45) == (ahead[:, 0] > 0.45)
        step = (to_space(ahead) - to_space(points))[same_side, axis]
        assert (step > 0).all()
        assert (step < 1.0001e-4).all(), "stretched space is never smaller than space"
    trunk = np.array([[0.0, y, z] for y in np.linspace(-0.7, 1.1, 10) for z in (-0.2, 0.1)])
    assert (to_space(trunk)[:, 0] == 0).all()
    space = to_space(rng.uniform(low, high, (20000, 3)))
    capsules = BodyField(mean_capsules())
    assert (space.max(axis=0) > capsules.start.max(axis=0) + 0.02).all()
    assert space[:, 1].min() < SOLE_Y - 0.02


def test_half_ball(ball: HalfMesh) -> None:
    assert is_half_of_sphere(ball)
    assert np.linalg.norm(ball.vertices, axis=1) == pytest.approx(np.full(len(ball.vertices), RADIUS), abs=1e-3)
    assert ball.vertices[:, 0].min() == 0.0
    assert 10 < ball.on_plane.sum() < len(ball.vertices) / 3


def test_whole_ball_is_closed_and_faces_outwards(ball: HalfMesh) -> None:
    vertices, faces, image = mirrored(ball)
    report = check_mesh(vertices, faces)
    assert (report.closed, report.pieces, report.euler, report.intersections) == (True, 1, 2, 0)
    assert report.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.03)
    assert len(vertices) == ball.whole_count
    assert np.array_equal(vertices[image], vertices * [-1, 1, 1])


@pytest.mark.parametrize("extra", [0, 1, 2, 7])
def test_splitting_adds_exactly_what_is_missing(ball: HalfMesh, extra: int) -> None:
    grown = split_to(BALL, ball, ball.whole_count + extra)
    vertices, faces, _ = mirrored(grown)
    assert len(vertices) == ball.whole_count + extra
    assert len(faces) == 2 * len(vertices) - 4
    assert check_mesh(vertices, faces).closed
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(np.full(len(vertices), RADIUS), abs=1e-3)


def spread(mesh: HalfMesh) -> float:
    edges, _ = edges_of(mesh.faces)
    length = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
    return float(length.std() / length.mean())


def test_relaxing_evens_out_and_stays_on_the_surface(ball: HalfMesh) -> None:
    even = relax(BALL, ball, rounds=8)
    assert spread(even) < spread(ball)
    assert np.abs(BALL(even.vertices)).max() < 1e-3
    assert np.array_equal(even.on_plane, ball.on_plane)


def test_flipping_makes_a_bad_pair_good_and_leaves_good_ones() -> None:
    vertices = np.array([[1.0, 0, 0], [3.0, 0, 0], [2.0, 0.2, 0], [2.0, -0.2, 0]])
    bad = HalfMesh(vertices, np.array([[0, 1, 2], [1, 0, 3]]))
    flipped = flip_edges(bad)
    assert {frozenset(face) for face in flipped.faces.tolist()} == {frozenset({2, 3, 0}), frozenset({2, 3, 1})}
    corners = vertices[flipped.faces]
    assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()
    assert np.array_equal(flip_edges(flipped).faces, flipped.faces)


def test_holes_are_noticed(ball: HalfMesh) -> None:
    assert not is_half_of_sphere(HalfMesh(ball.vertices, ball.faces[1:]))


def test_capsules_apart_make_no_body() -> None:
    apart = (Capsule(0, (0.3, 0, 0), (0.31, 0, 0), 0.05, 0.05), Capsule(0, (-0.3, 0, 0), (-0.31, 0, 0), 0.05, 0.05))
    with pytest.raises(BodyError, match="do not make one closed body"):
        best_half_surface(BodyField(apart), 500)
