"""The picture of a mesh: what is drawn where, and what hides what."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from ego_perception.body.model import load_body
from ego_perception.body.preview import draw, draw_views, vertex_normals

QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def square(size: float, z: float, x: float = 0.0) -> np.ndarray:
    return np.array([[x - size, -size, z], [x + size, -size, z], [x + size, size, z], [x - size, size, z]])


def drawn(image: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - 245).sum(axis=2) > 0


def test_a_square_fills_its_pixels_only() -> None:
    mask = drawn(draw(square(0.5, 0.0), QUAD, (40, 30), 20.0))
    assert mask.shape == (30, 40)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 10, 29)
    assert mask.sum() == 20 * 20


def test_back_faces_are_not_drawn() -> None:
    assert not drawn(draw(square(0.5, 0.0), QUAD[:, ::-1], (40, 30), 20.0)).any()


def test_the_nearer_square_hides_the_other() -> None:
    tilted = square(0.4, 0.0) + np.outer([0.4, -0.2, -0.2, 0.4], [0, 0, 1])
    far = square(0.4, -1.0)
    alone = draw(tilted, QUAD, (40, 40), 20.0)
    both = draw(np.concatenate([far, tilted]), np.concatenate([QUAD, QUAD + 4]), (40, 40), 20.0)
    swapped = draw(np.concatenate([tilted, far]), np.concatenate([QUAD, QUAD + 4]), (40, 40), 20.0)
    assert np.array_equal(both, alone)
    assert np.array_equal(swapped, alone)


def test_parts_outside_the_picture_are_cut() -> None:
    mask = drawn(draw(square(5.0, 0.0), QUAD, (16, 12), 20.0))
    assert mask.all()


def test_normals_of_a_sphere_point_outwards() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    normals = vertex_normals(np.array(ball.vertices), np.array(ball.faces, dtype=np.int64))
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)))
    assert (normals * ball.vertices).sum(axis=1).min() > 0.999


def test_three_views_of_the_body() -> None:
    body = load_body()
    image = draw_views(body.v_template, body.faces, 240)
    assert image.dtype == np.uint8
    assert image.shape[0] == 240
    mask = drawn(image)
    assert 0.05 < mask.mean() < 0.5
    rows = np.flatnonzero(mask.any(axis=1))
    assert (rows.min(), 239 - rows.max()) == (pytest.approx(7, abs=2), pytest.approx(7, abs=2))
    assert image[mask].std() > 10, "the body is shaded"
