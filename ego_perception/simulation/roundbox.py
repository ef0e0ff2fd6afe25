"""Boxes with soft edges, pillows, tapered bars, extruded outlines, leaves: the solids that soft and shaped furniture needs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.surface import Array, Surface, grid_triangles, merged, smooth_normals

Vec3 = tuple[float, float, float]
_FACES = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, eq=False)
class _Grid:
    """A cube's six faces, each a grid of m x m vertices of its own.

    Attributes:
        column: (V, 3) index into the m ticks of each axis; m and m + 1 stand for the faces at -half and +half.
        plane: (V, 2) the two axes that a vertex's face lies along.
        mirror: (V,) -1 where the first of them runs to the left, seen from outside.
    """

    column: NDArray[np.int64]
    plane: NDArray[np.int64]
    mirror: Array
    triangles: NDArray[np.int32]


@functools.cache
def _grid(m: int) -> _Grid:
    column, plane, mirror, triangles = [], [], [], []
    u, v = (g.ravel() for g in np.meshgrid(np.arange(m), np.arange(m)))
    for axis, sign in itertools.product(range(3), (-1, 1)):
        i, j = _FACES[axis]
        one = np.empty((m * m, 3), np.int64)
        one[:, axis], one[:, i], one[:, j] = (m if sign < 0 else m + 1), u, v
        column.append(one)
        plane.append(np.tile([i, j], (m * m, 1)))
        mirror.append(np.full(m * m, -1.0 if (axis == 0 and sign < 0) or (axis == 1 and sign > 0) else 1.0))
        triangles.append(grid_triangles(m, m, flip=(sign < 0) != (axis == 1)) + (2 * axis + (sign > 0)) * m * m)
    return _Grid(*(np.concatenate(parts) for parts in (column, plane, mirror, triangles)))


def _cube(half: Array, ticks: Array) -> tuple[_Grid, Array, Array, Array]:
    """Vertices (V, 3) on a box's faces at the (3, m) ticks, metric and whole texture coordinates (V, 2)."""
    grid = _grid(ticks.shape[1])
    table = np.column_stack([ticks, -half, half])
    cube = np.stack([table[k][grid.column[:, k]] for k in range(3)], axis=1)
    flat = np.take_along_axis(cube, grid.plane, axis=1)
    extent = half[grid.plane]
    whole = 0.5 + 0.5 * flat / extent * np.stack([grid.mirror, -np.ones_like(grid.mirror)], axis=1)
    metric = flat * np.stack([grid.mirror, -np.ones_like(grid.mirror)], axis=1)
    # The grain follows the longer side.
    return grid, cube, np.where(extent[:, :1] > extent[:, 1:], metric[:, ::-1], metric), whole


def plain_box(half: Vec3, *, taper: float = 1.0) -> Surface:
    """A box with hard edges; its top is `taper` times as wide as its foot."""
    size = np.asarray(half, float)
    grid, cube, metric, whole = _cube(size, np.stack([-size, size], axis=1))
    if taper == 1.0:
        normals = np.where(grid.column >= 2, 2.0 * grid.column - 5.0, 0.0)
        return Surface(cube, normals, metric, whole, grid.triangles)
    cube[cube[:, 2] > 0, :2] *= taper
    return Surface(cube, smooth_normals(cube, grid.triangles), metric, whole, grid.triangles)


def rounded_box(half: Vec3, radius: float, *, steps: int = 1, bulge: float = 0.0) -> Surface:
    """A box whose edges are rounded.

    Args:
        steps: facets per eighth of a circle.
        bulge: how far the middles of the two faces across the thinnest axis stand out, metres; the bounding box keeps `half`.
    """
    size = np.asarray(half, float)
    radius = min(radius, 0.98 * float(size.min()))
    thin = int(size.argmin())
    body = size.copy()
    body[thin] -= bulge
    radius = min(radius, 0.98 * float(body.min()))
    flat, bend = body - radius, radius * np.tan(np.linspace(0, math.pi / 4, steps + 1))
    ticks = np.concatenate([-flat[:, None] - bend[::-1], flat[:, None] + bend], axis=1)
    if bulge > 0:
        ticks = np.insert(ticks, steps + 1, (flat[:, None] * [-0.5, 0.0, 0.5]).T, axis=1)
    grid, cube, metric, whole = _cube(body, ticks)
    core = np.clip(cube, -flat, flat)
    normals = cube - core
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    out = Surface(core + radius * normals, normals, metric, whole, grid.triangles)
    return _bulged(out, body, thin, bulge) if bulge > 0 else out


def _bulged(block: Surface, half: Array, thin: int, bulge: float) -> Surface:
    i, j = _FACES[thin]
    vertices = block.vertices.copy()
    x, y = vertices[:, i] / half[i], vertices[:, j] / half[j]
    swell = bulge * np.clip(1 - x**2, 0, None) * np.clip(1 - y**2, 0, None)
    vertices[:, thin] += swell * np.sign(vertices[:, thin]) * (np.abs(vertices[:, thin]) > 0.5 * half[thin])
    normals = block.normals.copy()
    face = np.abs(normals[:, thin]) > 0.9
    slope = smooth_normals(vertices, block.triangles)
    normals[face] = slope[face]
    return Surface(vertices, normals, block.metric, block.whole, block.triangles)


def pillow(half: Vec3, cells: int = 6) -> Surface:
    """A stuffed cushion with pinched edges; its thickness is along y, as it leans on a back."""
    u, v = (g.ravel() for g in np.meshgrid(*[np.sin(np.linspace(-math.pi / 2, math.pi / 2, cells + 1))] * 2))
    thick = np.clip((1 - np.abs(u) ** 2.4) * (1 - np.abs(v) ** 2.4), 0, 1) ** 0.5
    pinch_u, pinch_v = 1 - 0.1 * (1 - u**2) * np.abs(v) ** 3, 1 - 0.1 * (1 - v**2) * np.abs(u) ** 3
    blocks = []
    for sign in (-1.0, 1.0):
        vertices = np.stack([u * half[0] * pinch_v, sign * thick * half[1], v * half[2] * pinch_u], axis=1)
        triangles = grid_triangles(cells + 1, cells + 1, flip=sign > 0)
        metric = np.stack([-sign * u * half[0], -v * half[2]], axis=1)
        whole = np.stack([0.5 - 0.5 * sign * u, 0.5 - 0.5 * v], axis=1)
        blocks.append(Surface(vertices, smooth_normals(vertices, triangles), metric, whole, triangles))
    return merged(blocks)


def extruded(outline: Sequence[tuple[float, float]], half_length: float) -> Surface:
    """An outline in (y, z), counter-clockwise seen from +x, drawn along x; the ends of a convex one are closed."""
    points = np.asarray(outline, float)
    following = np.roll(points, -1, axis=0)
    around = np.concatenate([[0.0], np.cumsum(np.linalg.norm(following - points, axis=1))])
    walls = []
    for k, (p, q) in enumerate(zip(points, following, strict=True)):
        vertices = np.array([[s * half_length, *e] for e in (p, q) for s in (-1, 1)])
        step = (q - p) / max(float(np.linalg.norm(q - p)), 1e-12)
        normals = np.tile([0.0, step[1], -step[0]], (4, 1))
        metric = np.array([[s * half_length, -a] for a in around[k : k + 2] for s in (-1, 1)])
        whole = np.array([[0.5 + 0.5 * s, a / around[-1]] for a in around[k : k + 2] for s in (-1, 1)])
        walls.append(Surface(vertices, normals, metric, whole, grid_triangles(2, 2, flip=True)))
    for sign in (-1, 1):
        n = len(points)
        vertices = np.column_stack([np.full(n, sign * half_length), points])
        fan = np.stack([np.zeros(n - 2, int), np.arange(1, n - 1), np.arange(2, n)], axis=1).astype(np.int32)
        normals = np.tile([float(sign), 0.0, 0.0], (n, 1))
        walls.append(Surface(vertices, normals, points, np.full((n, 2), 0.5), fan if sign > 0 else fan[:, ::-1]))
    return merged(walls)


def curtain(half_width: float, height: float, *, folds: int = 5, depth: float = 0.035) -> Surface:
    """A hanging cloth in folds, from z = -height to 0 in front of y = 0, seen from both sides."""
    n = folds * 6 + 1
    x = np.linspace(-half_width, half_width, n)
    y = -depth * (1 + np.sin(np.linspace(0, 2 * math.pi * folds, n)))
    rows = np.array([-height, -0.5 * height, 0.0])
    vertices = np.stack([np.tile(x, 3), np.tile(y, 3) * np.repeat([1.15, 1.0, 0.8], n), np.repeat(rows, n)], axis=1)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    metric = np.stack([np.tile(along, 3), -vertices[:, 2]], axis=1)
    whole = np.stack([np.tile(along / along[-1], 3), -vertices[:, 2] / height], axis=1)
    return _two_sided(vertices, metric, whole, grid_triangles(3, n))


def leaf(length: float, width: float, *, droop: float = 0.4, fold: float = 0.25) -> Surface:
    """A leaf that grows along +x from the origin, bends down at its tip and folds along its middle, seen from both sides."""
    t = np.linspace(0, 1, 5)
    outline = width * np.maximum(np.sin(math.pi * t**0.8) ** 0.9, 0.03)
    rows = [
        np.stack([length * t, s * outline, -droop * length * t**2 + fold * outline * abs(s)], axis=1) for s in (-1.0, 0.0, 1.0)
    ]
    vertices = np.concatenate(rows)
    whole = np.stack([np.tile(t, 3), np.repeat([0.0, 0.5, 1.0], 5)], axis=1)
    return _two_sided(vertices, vertices[:, :2].copy(), whole, grid_triangles(3, 5))


def _two_sided(vertices: Array, metric: Array, whole: Array, triangles: np.ndarray) -> Surface:
    front = Surface(vertices, smooth_normals(vertices, triangles), metric, whole, triangles)
    back = Surface(vertices - 1e-4 * front.normals, -front.normals, metric, whole, np.ascontiguousarray(triangles[:, ::-1]))
    return merged([front, back])
