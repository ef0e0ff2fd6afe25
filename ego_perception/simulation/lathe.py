"""Surfaces of revolution and tubes: bottles, mugs, bowls, lamp shades, pots, handles, stems."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ego_perception.simulation.surface import Array, Surface, grid_triangles, merged

SHARP_RAD = math.radians(38)
"""Profiles that bend more than this show an edge; below it they are shaded as one curve."""


def lathe(profile: Sequence[tuple[float, float]], *, segments: int = 16, wraps: int = 1) -> Surface:
    """Turn a profile about the z axis.

    Args:
        profile: (radius, z) points in metres. Going up on the outside, then inwards and down the inside, faces outwards.
        wraps: how often a whole picture is repeated around.
    """
    points = np.asarray(profile, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return merged([_band(points[i:k], along[i:k], along[-1], segments, wraps) for i, k in _smooth_runs(points)])


def _smooth_runs(points: Array) -> list[tuple[int, int]]:
    """Index ranges between sharp bends."""
    step = np.diff(points, axis=0)
    heading = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs((np.diff(heading) + math.pi) % (2 * math.pi) - math.pi)
    cuts = [0, *(np.flatnonzero(turn > SHARP_RAD) + 1).tolist(), len(points) - 1]
    return [(cuts[i], cuts[i + 1] + 1) for i in range(len(cuts) - 1)]


def _band(points: Array, along: Array, length: float, segments: int, wraps: int) -> Surface:
    step = np.diff(points, axis=0)
    outward = np.stack([step[:, 1], -step[:, 0]], axis=1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    normal = np.concatenate([outward[:1], outward[:-1] + outward[1:], outward[-1:]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    turn = np.linspace(0, 2 * math.pi, segments + 1)
    c, s = np.cos(turn)[None], np.sin(turn)[None]
    r, z, nr, nz = points[:, :1], points[:, 1:], normal[:, :1], normal[:, 1:]
    vertices = np.stack([r * c, r * s, z + 0 * c], axis=-1).reshape(-1, 3)
    normals = np.stack([nr * c, nr * s, nz + 0 * c], axis=-1).reshape(-1, 3)
    u = np.broadcast_to(turn[None], (len(points), segments + 1))
    v = np.broadcast_to(along[:, None], u.shape)
    metric = np.stack([u * max(float(points[:, 0].max()), 1e-3), -v], axis=-1).reshape(-1, 2)
    whole = np.stack([wraps * u / (2 * math.pi), 1 - v / length], axis=-1).reshape(-1, 2)
    triangles = grid_triangles(len(points), segments + 1)
    a, b, d = (vertices[triangles[:, k]] for k in range(3))
    is_solid = np.linalg.norm(np.cross(b - a, d - a), axis=1) > 1e-12  # at the axis a quad is one triangle
    return Surface(vertices, normals, metric, whole, triangles[is_solid])


def tube(path: Sequence[Sequence[float] | Array] | Array, radius: float | Sequence[float], *, segments: int = 6) -> Surface:
    """A round bar along (N, 3) points, closed at both ends; `radius` may differ per point."""
    points = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), len(points))
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = _perpendicular(tangent[0])
    sides = np.empty_like(points)
    for k, t in enumerate(tangent):  # carried along without twist
        side = side - t * (side @ t)
        side /= np.linalg.norm(side)
        sides[k] = side
    turn = np.linspace(0, 2 * math.pi, segments + 1)[:, None]
    normals = np.cos(turn) * sides[:, None] + np.sin(turn) * np.cross(tangent, sides)[:, None]
    rings = points[:, None] + radii[:, None, None] * normals
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    u, v = np.meshgrid(np.linspace(0, 1, segments + 1), along)
    metric = np.stack([u * 2 * math.pi * radii.max(), -v], axis=-1).reshape(-1, 2)
    whole = np.stack([u, 1 - v / along[-1]], axis=-1).reshape(-1, 2)
    wall = Surface(rings.reshape(-1, 3), normals.reshape(-1, 3), metric, whole, grid_triangles(len(points), segments + 1))
    return merged([wall, _cap(rings[0], -tangent[0]), _cap(rings[-1][::-1], tangent[-1])])


def _cap(ring: Array, normal: Array) -> Surface:
    """Close a ring of vertices that runs clockwise seen against `normal`."""
    n = len(ring) - 1
    vertices = np.concatenate([ring[:n], ring[:n].mean(axis=0, keepdims=True)])
    k = np.arange(n)
    triangles = np.stack([np.full(n, n), (k + 1) % n, k], axis=1).astype(np.int32)
    uv = np.full((n + 1, 2), 0.5)
    return Surface(vertices, np.tile(normal, (n + 1, 1)), uv * 0.01, uv, triangles)


def _perpendicular(v: Array) -> Array:
    axis = np.eye(3)[int(np.abs(v).argmin())]
    side = np.cross(v, axis)
    return np.asarray(side / np.linalg.norm(side))
