"""Boxes as meshes: closed, outward, correctly textured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.boxmesh import CELL_M, BoxMesh, box_mesh


def _mesh(
    half: tuple[float, float, float], repeat: float = 1.0, *, center=(0.0, 0.0, 0.0), yaw: float = 0.0, grained: bool = False
) -> BoxMesh:  # type: ignore[no-untyped-def]
    return box_mesh(Part(Shape.BOX, center, half, 0, yaw_rad=yaw), repeat, is_grained=grained)


@pytest.mark.parametrize("half", [(0.5, 0.3, 0.4), (2.0, 0.05, 1.3), (0.01, 0.02, 0.9)])
def test_triangles_face_outwards_and_enclose_the_volume(half: tuple[float, float, float]) -> None:
    mesh = _mesh(half)
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    assert ((normal * mesh.normals[mesh.triangles[:, 0]]).sum(axis=1) > 0).all()
    assert ((normal * (a + b + c)).sum(axis=1) > 0).all()
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(8 * np.prod(half))
    assert np.linalg.norm(normal, axis=1).sum() / 2 == pytest.approx(
        8 * (half[0] * half[1] + half[1] * half[2] + half[0] * half[2])
    )


def test_large_faces_get_inner_vertices_for_the_light() -> None:
    small, large = _mesh((0.1, 0.1, 0.1)), _mesh((2.0, 0.05, 1.2))
    assert len(small.vertices) == 24
    wall = large.vertices[large.normals[:, 1] > 0.5]
    assert np.diff(np.unique(wall[:, 0])).max() <= CELL_M + 1e-9


def test_a_renderer_that_lights_pixels_needs_no_inner_vertices() -> None:
    part = Part(Shape.BOX, (0.0, 0.0, 0.0), (2.0, 0.05, 1.2), 0)
    mesh = box_mesh(part, 1.0, is_grained=False, cell_m=math.inf)
    assert len(mesh.vertices) == 24 and len(mesh.triangles) == 12


def test_texture_scale_is_metric_on_every_face() -> None:
    mesh = _mesh((0.8, 0.05, 1.2), repeat=2.0)
    for axis, (u, v) in enumerate(((1, 2), (0, 2), (0, 1))):
        face = mesh.normals[:, axis] > 0.5
        spread = np.ptp(mesh.texcoords[face], axis=0)
        np.testing.assert_allclose(spread, 2.0 * np.ptp(mesh.vertices[face][:, [u, v]], axis=0))


def test_neighbouring_pieces_of_a_wall_continue_the_texture() -> None:
    left, right = _mesh((0.5, 0.05, 1.0), center=(-0.5, 2.0, 1.0)), _mesh((0.3, 0.05, 1.0), center=(0.3, 2.0, 1.0))

    def seam(mesh: BoxMesh, x: float) -> np.ndarray:
        return mesh.texcoords[(mesh.normals[:, 1] < -0.5) & np.isclose(mesh.vertices[:, 0], x)]

    np.testing.assert_allclose(np.sort(seam(left, 0.5), axis=0), np.sort(seam(right, -0.3), axis=0), atol=1e-12)


def test_whole_pictures_span_zero_to_one_and_are_upright_and_unmirrored_at_a_wall() -> None:
    mesh = _mesh((0.4, 0.01, 0.3), repeat=0.0)
    front = mesh.normals[:, 1] < -0.5
    x, z, uv = mesh.vertices[front][:, 0], mesh.vertices[front][:, 2], mesh.texcoords[front]
    assert uv.min() == 0.0 and uv.max() == 1.0
    # Seen from the room, -y, the picture's left is at small x and its top row (v = 0) at the highest z.
    assert uv[np.argmin(x), 0] == 0.0 and uv[np.argmax(z), 1] == 0.0


def test_grain_follows_the_longer_side() -> None:
    mesh = _mesh((1.0, 0.2, 0.02), repeat=1.0, grained=True)
    top = mesh.normals[:, 2] > 0.5
    assert np.ptp(mesh.texcoords[top], axis=0) == pytest.approx([0.4, 2.0])
