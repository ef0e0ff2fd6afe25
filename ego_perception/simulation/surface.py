"""Triangle meshes of shaped parts: the type, and how meshes are bent together from simpler ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed or thin triangle mesh with its own texture coordinates.

    Attributes:
        vertices: (V, 3) metres.
        normals: (V, 3) unit, outward.
        metric: (V, 2) texture coordinates in metres along the surface, for repeated textures; grain runs along the second.
        whole: (V, 2) texture coordinates that show a picture once, 0..1 from its upper left corner.
        triangles: (F, 3) vertex indices, counter-clockwise seen from outside.
    """

    vertices: Array
    normals: Array
    metric: Array
    whole: Array
    triangles: NDArray[np.int32]

    def moved(self, offset: Sequence[float] | Array) -> Surface:
        """The surface shifted by `offset` metres."""
        return Surface(self.vertices + np.asarray(offset), self.normals, self.metric, self.whole, self.triangles)

    def turned(self, R: Array) -> Surface:
        """The surface turned by a (3, 3) rotation."""
        return Surface(self.vertices @ R.T, self.normals @ R.T, self.metric, self.whole, self.triangles)

    def pictured(self, u0: float, v0: float, u1: float, v1: float) -> Surface:
        """The surface showing only the given window of the picture."""
        whole = np.array([u0, v0]) + self.whole * np.array([u1 - u0, v1 - v0])
        return Surface(self.vertices, self.normals, self.metric, whole, self.triangles)

    def from_above(self) -> Surface:
        """The surface with its texture laid on from above, as on a board cut to a round."""
        return Surface(self.vertices, self.normals, self.vertices[:, :2].copy(), self.whole, self.triangles)

    def texcoords(self, repeat: float) -> Array:
        """(V, 2) coordinates for a material: metric ones where it repeats, else the whole picture."""
        return self.metric * repeat if repeat > 0 else self.whole

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest corner, (3,) each."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)


def merged(surfaces: Sequence[Surface]) -> Surface:
    """One surface of several."""
    starts = np.cumsum([0] + [len(s.vertices) for s in surfaces[:-1]])
    return Surface(
        np.concatenate([s.vertices for s in surfaces]),
        np.concatenate([s.normals for s in surfaces]),
        np.concatenate([s.metric for s in surfaces]),
        np.concatenate([s.whole for s in surfaces]),
        np.concatenate([s.triangles + k for s, k in zip(surfaces, starts, strict=True)]).astype(np.int32),
    )


@functools.cache
def grid_triangles(rows: int, cols: int, *, flip: bool = False) -> NDArray[np.int32]:
    """Triangles of a grid of (rows, cols) vertices; counter-clockwise where columns run right and rows run up."""
    i = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    a, b, c, d = i, i + 1, i + cols + 1, i + cols
    out = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return (out[:, ::-1] if flip else out).astype(np.int32)


def smooth_normals(vertices: Array, triangles: NDArray[np.int32]) -> Array:
    """Area-weighted vertex normals, (V, 3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    count = len(vertices)
    out = np.stack([np.bincount(triangles.ravel(), np.repeat(face[:, k], 3), count) for k in range(3)], axis=1)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def rotation(axis: str, angle_rad: float) -> Array:
    """(3, 3) rotation about "x", "y" or "z"."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    k = "xyz".index(axis)
    i, j = (k + 1) % 3, (k + 2) % 3
    R = np.eye(3)
    R[i, i] = R[j, j] = c
    R[j, i], R[i, j] = s, -s
    return R
