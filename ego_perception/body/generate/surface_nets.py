"""Naive surface nets (Gibson, 1998) of the left half of a mirror-symmetric body."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.generate.field import BodyField
from ego_perception.body.generate.warp import STRETCHED_BOX, to_space

Array = NDArray[np.float64]
Faces = NDArray[np.int64]

_BLOCK: Final = 4
_REACH: Final = 1.6


@dataclass(frozen=True, eq=False)
class HalfMesh:
    """The left half of a mesh: vertices (N, 3) metres, faces (M, 3); it is open along the plane x = 0."""

    vertices: Array
    faces: Faces

    @property
    def on_plane(self) -> NDArray[np.bool_]:
        """Vertices that both halves share."""
        return np.asarray(self.vertices[:, 0] == 0.0)

    @property
    def whole_count(self) -> int:
        """Number of vertices once mirrored."""
        return 2 * len(self.vertices) - int(self.on_plane.sum())


def half_surface(field: BodyField, cell: float, shift: float = 0.0) -> HalfMesh:
    """Extract the half surface on a grid of cells of one size in stretched space.

    The first layer of cells is centred on the middle plane, so its vertices lie on it. `shift` moves the grid up and back
    by that share of a cell.
    """
    low, high = STRETCHED_BOX - [[0.0, shift * cell, shift * cell]]
    axes = [np.arange(low[0] - cell / 2, high[0], cell), np.arange(low[1], high[1], cell), np.arange(low[2], high[2], cell)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = _sample(field, grid, cell)
    stretched, index = _cell_vertices(values, axes, cell)
    stretched[index[0][index[0] >= 0], 0] = 0.0
    vertices = project(field, to_space(stretched), 4)
    return HalfMesh(vertices, _triangles(vertices, _quads(values < 0, index)))


def project(field: BodyField, vertices: Array, rounds: int) -> Array:
    """Move vertices onto the zero level by Newton steps; those on the middle plane stay on it."""
    on_plane = vertices[:, 0] == 0.0
    for _ in range(rounds):
        value, gradient = field.value_and_gradient(vertices)
        gradient[on_plane, 0] = 0.0
        step = (value / np.maximum((gradient**2).sum(axis=1), 0.05))[:, None] * gradient
        vertices = vertices - np.clip(step, -0.01, 0.01)
    return vertices


def _sample(field: BodyField, grid: Array, cell: float) -> Array:
    """Field on the grid, exact near the surface; elsewhere a constant of the right sign.

    The field changes by at most about one metre per metre and stretched space is never smaller than space, so a block whose
    centre is further from the surface than `_REACH` block sizes cannot hold any of it.
    """
    shape = grid.shape[:3]
    blocks = tuple(-(-n // _BLOCK) for n in shape)
    middle = grid[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK]
    coarse = np.pad(_at(field, middle), [(0, b - n) for b, n in zip(blocks, middle.shape, strict=False)], mode="edge")
    spread = coarse.repeat(_BLOCK, 0).repeat(_BLOCK, 1).repeat(_BLOCK, 2)[: shape[0], : shape[1], : shape[2]]
    near = np.abs(spread) < _REACH * _BLOCK * cell
    values = np.where(spread < 0, -1.0, 1.0)
    values[near] = _at(field, grid[near])
    return values


def _at(field: BodyField, points: Array) -> Array:
    """Field at points of stretched space (..., 3). Mirrored samples of the first layer take the value of their images."""
    flat = points.reshape(-1, 3) * 1.0
    flat[:, 0] = np.abs(flat[:, 0])
    return field(to_space(flat)).reshape(points.shape[:-1])


def _cell_vertices(values: Array, axes: list[Array], cell: float) -> tuple[Array, Faces]:
    """One vertex per cell that the surface crosses: the mean of its edge crossings. Also the vertex of each cell, or -1."""
    inside = values < 0
    shape = np.array(values.shape) - 1
    corners = np.zeros(shape, dtype=np.int8)
    for i, j, k in product((0, 1), repeat=3):
        corners += inside[i : i + shape[0], j : j + shape[1], k : k + shape[2]]
    active = (corners > 0) & (corners < 8)
    index = np.full(active.shape, -1, dtype=np.int64)
    index[active] = np.arange(int(active.sum()))
    cells = np.argwhere(active)
    total, count = np.zeros((len(cells), 3)), np.zeros(len(cells))
    for corner in product((0, 1), repeat=3):
        for axis in range(3):
            if corner[axis]:
                continue
            first = cells + corner
            second = first.copy()
            second[:, axis] += 1
            a, b = values[tuple(first.T)], values[tuple(second.T)]
            crossed = (a < 0) != (b < 0)
            place = first[crossed].astype(np.float64)
            place[:, axis] += a[crossed] / (a[crossed] - b[crossed])
            total[crossed] += place
            count[crossed] += 1
    return np.array([axis[0] for axis in axes]) + cell * total / count[:, None], index


def _quads(inside: NDArray[np.bool_], index: Faces) -> Faces:
    """One quad around every grid edge that the surface crosses, except those of the mirrored first layer."""
    quads = []
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        before, after = [slice(None)] * 3, [slice(None)] * 3
        before[axis], after[axis] = slice(0, -1), slice(1, None)
        edges = np.argwhere(inside[tuple(before)] != inside[tuple(after)])
        edges = edges[edges[:, 0] >= 1]
        step_one, step_two = np.eye(3, dtype=np.int64)[[one, two]]
        around = [edges - step_one - step_two, edges - step_two, edges, edges - step_one]
        quad = np.stack([index[tuple(cell.T)] for cell in around], axis=1)
        outward = ~inside[tuple(edges.T)]
        quad[outward] = quad[outward][:, ::-1]
        quads.append(quad)
    return np.concatenate(quads)


def _triangles(vertices: Array, quads: Faces) -> Faces:
    """Split each quad along its shorter diagonal."""
    diagonal = [np.linalg.norm(vertices[quads[:, i]] - vertices[quads[:, i + 2]], axis=1) for i in (0, 1)]
    first = (diagonal[0] <= diagonal[1])[:, None]
    one = np.where(first, quads[:, [0, 1, 2]], quads[:, [0, 1, 3]])
    two = np.where(first, quads[:, [0, 2, 3]], quads[:, [1, 2, 3]])
    return np.concatenate([one, two])
