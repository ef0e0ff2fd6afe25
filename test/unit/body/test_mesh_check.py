"""Mesh checks against shapes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from ego_perception.body.mesh_check import check_mesh, self_intersections


def sphere(subdivisions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.array(ball.vertices, dtype=float), np.array(ball.faces, dtype=np.int64)


def joined(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    offset, vertices, faces = 0, [], []
    for v, f in parts:
        vertices.append(v)
        faces.append(f + offset)
        offset += len(v)
    return np.concatenate(vertices), np.concatenate(faces)


def test_sphere() -> None:
    report = check_mesh(*sphere(4))
    assert (report.closed, report.pieces, report.euler, report.intersections) == (True, 1, 2, 0)
    assert report.volume == pytest.approx(4 / 3 * np.pi, rel=0.01)


def test_torus_has_euler_number_zero() -> None:
    torus = trimesh.creation.torus(1.0, 0.3)
    report = check_mesh(np.array(torus.vertices), np.array(torus.faces, dtype=np.int64))
    assert (report.closed, report.euler, report.intersections) == (True, 0, 0)


def test_missing_face_and_flipped_face_are_found() -> None:
    vertices, faces = sphere()
    assert not check_mesh(vertices, faces[1:]).closed
    flipped = faces.copy()
    flipped[0] = flipped[0, ::-1]
    assert not check_mesh(vertices, flipped).closed
    assert check_mesh(vertices, faces[:, ::-1]).volume < 0


def test_two_spheres_apart_and_through_one_another() -> None:
    vertices, faces = sphere()
    apart = check_mesh(*joined((vertices, faces), (vertices + np.array([3.0, 0, 0]), faces)))
    assert (apart.pieces, apart.intersections) == (2, 0)
    assert check_mesh(*joined((vertices, faces), (vertices + np.array([1.0, 0.1, 0.2]), faces))).intersections > 20


def test_a_small_spike_through_a_large_face_is_found() -> None:
    vertices = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [2, 2, -0.1], [2.1, 2, -0.1], [2, 2.1, 0.1]], dtype=float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    assert self_intersections(vertices, faces).tolist() == [[0, 1]]
    assert len(self_intersections(vertices + np.repeat([[0, 0, 0], [0, 0, 1.0]], 3, axis=0), faces)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_trying_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(size=(90, 3)) * 0.5 + np.repeat(rng.uniform(size=(30, 3)), 3, axis=0)
    faces = np.arange(90).reshape(30, 3)
    found = {tuple(pair) for pair in self_intersections(vertices, faces).tolist()}
    expected = {(a, b) for a in range(30) for b in range(a + 1, 30) if _cross(vertices[faces[a]], vertices[faces[b]])}
    assert found == expected
    assert expected


def _cross(one: np.ndarray, two: np.ndarray) -> bool:
    return any(_pierces(s[k], s[(k + 1) % 3], t) for s, t in ((one, two), (two, one)) for k in range(3))


def _pierces(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> bool:
    """Solve start + t (end - start) = a + u (b - a) + v (c - a)."""
    a, b, c = triangle
    u, v, t = np.linalg.solve(np.stack([b - a, c - a, start - end], axis=1), start - a)
    return bool(u > 0 and v > 0 and u + v < 1 and 0 < t < 1)
