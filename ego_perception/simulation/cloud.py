"""The surface of the static room as points with normals: what a perfect, complete reconstruction would hold.

Points are drawn evenly over the area of the real shapes, not of their drawing meshes. What no camera in the room sees is left
out where that is cheap to know: surfaces pressed against or buried in another solid, the outside of the shell, the street.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.room import Room
from ego_perception.simulation.shell import WALL_M
from ego_perception.simulation.surface import rotation
from ego_perception.simulation.textures import Rng

Array = NDArray[np.float64]
Samples = tuple[Array, Array]
"""Points (N, 3) and unit outward normals (N, 3)."""

GAP_M: Final = 2e-3
"""A surface this close to another solid is covered by it."""

_NUM_DIRECTIONS = 2048


def scene_cloud(room: Room, spacing_m: float, rng: Rng) -> NDArray[np.float32]:
    """Sample the room, its furniture and all that is fixed, without what can be moved.

    Args:
        spacing_m: the mean area per point is the square of this.

    Returns:
        (N, 6) float32: x, y, z in the room's world, metres, and the unit outward normal.

    Raises:
        SimulationError: the spacing is not positive.
    """
    if not spacing_m > 0:
        raise SimulationError(f"spacing between points is {spacing_m} m; it must be positive")
    movable = {m.instance for m in room.movables}
    parts = [part for part, instance in room.parts if instance not in movable and _reaches_in(room, part)]
    pieces = [sample_part(part, 1 / spacing_m**2, rng) for part in parts]
    owner = np.repeat(np.arange(len(parts)), [len(points) for points, _ in pieces])
    points, normals = (np.concatenate([piece[k] for piece in pieces]) for k in (0, 1))
    inside = _in_room(room, points)
    points, normals, owner = points[inside], normals[inside], owner[inside]
    keep = ~_is_covered(points + GAP_M * normals, owner, parts)
    return np.concatenate([points[keep], normals[keep]], axis=1).astype(np.float32)


def sample_part(part: Part, density: float, rng: Rng) -> Samples:
    """Draw `density` points per square metre on the surface of a part, in the room's axes; the count is rounded at random."""
    if part.surface is not None:
        surface = part.surface
        local = _on_triangles(surface.vertices[surface.triangles], density, rng)
    else:
        local = _PRIMITIVES[part.shape](np.asarray(part.half, np.float64), density, rng)
    R = part_rotation(part)
    return local[0] @ R.T + np.asarray(part.center), local[1] @ R.T


def part_rotation(part: Part) -> Array:
    """(3, 3) rotation of a part's own axes to the room's."""
    return rotation("z", part.yaw_rad) @ rotation("x", part.tilt_rad)


def contains(part: Part, points: Array) -> NDArray[np.bool_]:
    """Mark the points (N, 3) inside a primitive solid or on its surface; a mesh may be open and contains nothing."""
    local = (points - np.asarray(part.center)) @ part_rotation(part)
    x, y, z = np.abs(local).T
    hx, hy, hz = part.half
    if part.shape is Shape.BOX:
        return (x <= hx) & (y <= hy) & (z <= hz)
    if part.shape is Shape.CYLINDER:
        return (np.hypot(x, y) <= hx) & (z <= hz)
    if part.shape is Shape.ELLIPSOID:
        return np.square(local / np.asarray(part.half)).sum(axis=1) <= 1.0
    return np.zeros(len(points), np.bool_)


def _count(area: float, density: float, rng: Rng) -> int:
    return math.floor(area * density + rng.random())


def _box(half: Array, density: float, rng: Rng) -> Samples:
    points, normals = [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1.0, 1.0):
            n = _count(4 * half[a] * half[b], density, rng)
            at, normal = rng.uniform(-1, 1, (n, 3)) * half, np.zeros((n, 3))
            at[:, axis], normal[:, axis] = sign * half[axis], sign
            points.append(at)
            normals.append(normal)
    return np.concatenate(points), np.concatenate(normals)


def _cylinder(half: Array, density: float, rng: Rng) -> Samples:
    radius, height = half[0], half[2]
    side, cap = _count(4 * math.pi * radius * height, density, rng), _count(2 * math.pi * radius**2, density, rng)
    angle = rng.uniform(0, 2 * math.pi, side + cap)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(side + cap)], axis=1)
    # A uniform point of a disc has a squared radius that is uniform.
    points = ring * radius * np.append(np.ones(side), np.sqrt(rng.random(cap)))[:, None]
    top = np.where(rng.random(cap) < 0.5, -1.0, 1.0)
    points[:, 2] = height * np.append(rng.uniform(-1, 1, side), top)
    ring[side:] = np.stack([np.zeros(cap), np.zeros(cap), top], axis=1)
    return points, ring


def _ellipsoid(half: Array, density: float, rng: Rng) -> Samples:
    """Rejection: the unit sphere's area element at u grows by a b c |u / (a, b, c)| when it is stretched to the ellipsoid."""
    k = np.arange(_NUM_DIRECTIONS) + 0.5
    up, around = 1 - 2 * k / _NUM_DIRECTIONS, math.pi * (1 + math.sqrt(5)) * k
    flat = np.sqrt(1 - up * up)
    spiral = np.stack([flat * np.cos(around), flat * np.sin(around), up], axis=1)
    area = 4 * math.pi * float(np.prod(half) * np.linalg.norm(spiral / half, axis=1).mean())
    count, found = _count(area, density, rng), np.zeros((0, 3))
    while len(found) < count:
        u = rng.normal(size=(2 * count + 16, 3))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        accepted = rng.random(len(u)) < np.linalg.norm(u / half, axis=1) * half.min()
        found = np.concatenate([found, u[accepted]])
    u = found[:count]
    normals = u / half
    return u * half, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _on_triangles(corners: Array, density: float, rng: Rng) -> Samples:
    """Area-weighted points on triangles (F, 3, 3), counter-clockwise seen from outside."""
    a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(u, v)
    twice = np.linalg.norm(normal, axis=1)
    total = float(twice.sum()) / 2
    n = _count(total, density, rng)
    if n == 0:
        return np.zeros((0, 3)), np.zeros((0, 3))
    which = rng.choice(len(corners), n, p=twice / twice.sum())
    # Folding the unit square along its diagonal keeps points uniform on the triangle.
    s, t = rng.random(n), rng.random(n)
    folded = s + t > 1
    s[folded], t[folded] = 1 - s[folded], 1 - t[folded]
    return a[which] + s[:, None] * u[which] + t[:, None] * v[which], normal[which] / twice[which, None]


_PRIMITIVES: Final = {Shape.BOX: _box, Shape.CYLINDER: _cylinder, Shape.ELLIPSOID: _ellipsoid}


def _in_room(room: Room, points: Array) -> NDArray[np.bool_]:
    """Within the shell; the sides of its openings count, its outside does not."""
    reach, slack = WALL_M - 1e-4, 1e-4
    x, y, z = points.T
    within = (np.abs(x) < room.half[0] + reach) & (np.abs(y) < room.half[1] + reach)
    return within & (z > -slack) & (z < room.height + slack)


def _extent(part: Part) -> tuple[Array, Array]:
    """Lowest and highest corner of the box around a part, in the room's axes."""
    centre, reach = np.asarray(part.center), np.abs(part_rotation(part)) @ np.asarray(part.half)
    return centre - reach, centre + reach


def _reaches_in(room: Room, part: Part) -> bool:
    """False for what hangs outside of the windows."""
    low, high = _extent(part)
    reach = np.array([room.half[0] + WALL_M, room.half[1] + WALL_M])
    return bool((low[:2] < reach).all() and (high[:2] > -reach).all())


def _is_covered(points: Array, owner: NDArray[np.intp], parts: list[Part]) -> NDArray[np.bool_]:
    """Mark the points that lie in another part than their own."""
    covered = np.zeros(len(points), np.bool_)
    # Sorted along x, each part looks at the few points in its own slab only.
    order = np.argsort(points[:, 0], kind="stable")
    along = points[order, 0]
    for k, part in enumerate(parts):
        if part.shape is Shape.MESH:
            continue
        low, high = _extent(part)
        near = order[np.searchsorted(along, low[0]) : np.searchsorted(along, high[0], side="right")]
        near = near[(points[near, 1:] >= low[1:]).all(axis=1) & (points[near, 1:] <= high[1:]).all(axis=1)]
        near = near[owner[near] != k]
        covered[near] |= contains(part, points[near])
    return covered
