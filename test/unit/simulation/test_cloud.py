"""The scene cloud: points on the real surfaces, normals outward, even density, and nothing nobody can see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.cloud import contains, part_rotation, sample_part, scene_cloud
from ego_perception.simulation.room import Room
from ego_perception.simulation.shell import WALL_M
from ego_perception.simulation.surface import Surface

POSE = {"center": (0.4, -0.7, 1.1), "material": 0, "yaw_rad": 0.7, "tilt_rad": -0.4}
BOX = Part(Shape.BOX, half=(0.3, 0.5, 0.2), **POSE)
CYLINDER = Part(Shape.CYLINDER, half=(0.25, 0.25, 0.6), **POSE)
ELLIPSOID = Part(Shape.ELLIPSOID, half=(0.2, 0.5, 0.3), **POSE)


def tetrahedron() -> Part:
    corners = np.array([[-0.3, -0.2, -0.2], [0.5, -0.2, -0.2], [0.0, 0.6, -0.2], [0.0, 0.0, 0.4]])
    triangles = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)
    flat = np.zeros((4, 2))
    return Part(Shape.MESH, half=(0.4, 0.4, 0.3), surface=Surface(corners, corners, flat, flat, triangles), **POSE)


SOLIDS = [BOX, CYLINDER, ELLIPSOID]


def local(part: Part, points: np.ndarray) -> np.ndarray:
    return (points - np.array(part.center)) @ part_rotation(part)


def surface_distance(part: Part, points: np.ndarray) -> np.ndarray:
    """Of points near the surface; first order for the ellipsoid."""
    p = local(part, points)
    hx, _, hz = part.half
    if part.shape is Shape.BOX:
        return np.abs((np.abs(p) - part.half).max(axis=1))
    if part.shape is Shape.CYLINDER:
        return np.abs(np.maximum(np.hypot(p[:, 0], p[:, 1]) - hx, np.abs(p[:, 2]) - hz))
    level = np.square(p / part.half).sum(axis=1) - 1
    return np.abs(level) / (2 * np.linalg.norm(p / np.square(part.half), axis=1))


def area(part: Part) -> float:
    a, b, c = part.half
    if part.shape is Shape.BOX:
        return 8 * (a * b + b * c + a * c)
    if part.shape is Shape.CYLINDER:
        return 4 * math.pi * a * c + 2 * math.pi * a * a
    grid = np.linspace(0, 1, 400, endpoint=False) + 1 / 800
    theta, phi = np.meshgrid(math.pi * grid, 2 * math.pi * grid, indexing="ij")
    u = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    element = a * b * c * np.linalg.norm(u / part.half, axis=-1) * np.sin(theta)
    return float(element.mean()) * 2 * math.pi * math.pi


@pytest.mark.parametrize("part", SOLIDS, ids=lambda p: p.shape.name)
def test_points_lie_on_the_solid_and_normals_leave_it(part: Part) -> None:
    points, normals = sample_part(part, 2000.0, np.random.default_rng(0))
    assert surface_distance(part, points).max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    assert not contains(part, points + 1e-5 * normals).any()
    assert contains(part, points - 1e-5 * normals).all()


@pytest.mark.parametrize("part", SOLIDS, ids=lambda p: p.shape.name)
def test_count_is_area_times_density(part: Part) -> None:
    points, _ = sample_part(part, 3000.0, np.random.default_rng(1))
    assert len(points) == pytest.approx(3000 * area(part), rel=0.01)


@pytest.mark.parametrize("part", SOLIDS, ids=lambda p: p.shape.name)
def test_density_is_even_over_the_surface(part: Part) -> None:
    """Equal shares of the surface, cut by planes whose areas are found from a fine sample, hold equal shares of points."""
    points, _ = sample_part(part, 8000.0, np.random.default_rng(2))
    p = local(part, points)
    if part.shape is Shape.ELLIPSOID:
        # The tip along the longest axis against the middle band, by quadrature over the polar angle.
        t = np.linspace(-1, 1, 4001)
        u = np.stack([np.sqrt(1 - t * t), np.zeros_like(t), t], axis=1)
        phi = np.linspace(0, 2 * math.pi, 256, endpoint=False)
        around = np.stack([u[:, :1] * np.cos(phi), np.broadcast_to(u[:, 2:], (4001, 256)), u[:, :1] * np.sin(phi)], axis=-1)
        element = np.linalg.norm(around / part.half, axis=-1).mean(axis=1)
        expected = element[np.abs(t) > 0.8].sum() / element.sum()
        assert (np.abs(p[:, 1]) > 0.8 * part.half[1]).mean() == pytest.approx(expected, abs=0.015)
    elif part.shape is Shape.CYLINDER:
        cap = np.abs(p[:, 2]) > part.half[2] - 1e-9
        assert cap.mean() == pytest.approx(2 * math.pi * 0.25**2 / area(part), abs=0.015)
        inner = np.hypot(p[cap, 0], p[cap, 1]) < 0.125
        assert inner.mean() == pytest.approx(0.25, abs=0.03)
        assert (np.abs(p[~cap, 2]) < 0.3).mean() == pytest.approx(0.5, abs=0.02)
    else:
        for axis in range(3):
            face = np.abs(p[:, axis]) > part.half[axis] - 1e-9
            others = [part.half[k] for k in range(3) if k != axis]
            assert face.mean() == pytest.approx(8 * others[0] * others[1] / area(part), abs=0.015)
        assert np.abs(p.mean(axis=0)).max() < 0.02


def test_mesh_is_sampled_by_triangle_area() -> None:
    part = tetrahedron()
    points, normals = sample_part(part, 5000.0, np.random.default_rng(3))
    assert part.surface is not None
    corners = part.surface.vertices[part.surface.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(cross, axis=1) / 2
    unit = cross / (2 * areas[:, None])
    p, n = local(part, points), normals @ part_rotation(part)
    match = (n @ unit.T).argmax(axis=1)
    np.testing.assert_allclose(n, unit[match], atol=1e-9)
    assert np.abs(np.einsum("nd,nd->n", p - corners[match, 0], unit[match])).max() < 1e-9
    np.testing.assert_allclose(np.bincount(match) / len(p), areas / areas.sum(), atol=0.02)
    assert len(points) == pytest.approx(5000 * areas.sum(), rel=0.01)
    empty, _ = sample_part(part, 1e-9, np.random.default_rng(3))
    assert empty.shape == (0, 3)


def test_mesh_contains_nothing() -> None:
    assert not contains(tetrahedron(), np.array([[0.4, -0.7, 1.1]])).any()


@pytest.fixture(scope="module")
def cloud(room_of) -> tuple[Room, np.ndarray]:
    room = room_of(2)
    return room, scene_cloud(room, 0.05, np.random.default_rng(5))


def test_cloud_of_a_room(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    assert points.dtype == np.float32
    assert points.shape[1] == 6
    assert np.isfinite(points).all()
    np.testing.assert_allclose(np.linalg.norm(points[:, 3:], axis=1), 1, atol=1e-5)
    x, y, z = points[:, :3].T
    assert np.abs(x).max() <= room.half[0] + WALL_M
    assert np.abs(y).max() <= room.half[1] + WALL_M
    assert z.min() > -1e-3
    assert z.max() < room.height + 1e-3


def test_cloud_is_repeatable_and_follows_the_spacing(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    np.testing.assert_array_equal(points, scene_cloud(room, 0.05, np.random.default_rng(5)))
    coarse = scene_cloud(room, 0.1, np.random.default_rng(5))
    assert len(points) / len(coarse) == pytest.approx(4.0, rel=0.05)


def test_free_floor_and_ceiling_have_the_declared_density(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    ceiling = points[(np.abs(points[:, 2] - room.height) < 1e-4) & (points[:, 5] < -0.99)]
    expected = 4 * room.half[0] * room.half[1] / 0.05**2
    assert len(ceiling) == pytest.approx(expected, rel=0.08)
    low = points[np.abs(points[:, 2]) < 1e-4][:, 5]
    assert (low > 0.99).mean() > 0.99
    assert (low > -0.5).all()


def test_walls_look_into_the_room(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    for axis in (0, 1):
        on_wall = np.abs(np.abs(points[:, axis]) - room.half[axis]) < 1e-4
        inward = -np.sign(points[on_wall, axis]) * points[on_wall, 3 + axis]
        assert on_wall.sum() > 300
        assert (inward > 0.99).mean() > 0.9


def test_movable_things_are_left_out(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    assert room.movables
    movable = {m.instance for m in room.movables}
    inside = np.zeros(len(points), bool)
    for part, instance in room.parts:
        if instance in movable and part.shape is not Shape.MESH:
            inside |= np.asarray(surface_distance(part, points[:, :3].astype(float)) < 1e-6)
    assert not inside.any()


def test_nothing_is_buried_in_another_solid(cloud: tuple[Room, np.ndarray]) -> None:
    room, points = cloud
    movable = {m.instance for m in room.movables}
    front = (points[:, :3] + 2e-3 * points[:, 3:]).astype(float)
    deep = np.zeros(len(points), bool)
    for part, instance in room.parts:
        if instance not in movable and part.shape is not Shape.MESH:
            deep |= contains(part, front) & (surface_distance(part, front) > 3e-3)
    assert deep.mean() < 1e-3


@pytest.mark.parametrize("spacing", [0.0, -0.1, math.nan])
def test_refuses_a_spacing_that_is_none(room_of, spacing: float) -> None:
    with pytest.raises(SimulationError, match="must be positive"):
        scene_cloud(room_of(2), spacing, np.random.default_rng(0))
