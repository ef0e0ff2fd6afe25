"""Checks of a triangle mesh: closed, one piece, consistently oriented, genus, and faces that pass through each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SLACK = 1e-9


@dataclass(frozen=True)
class MeshReport:
    """What a mesh is like.

    Attributes:
        closed: every edge belongs to exactly two faces, which run through it in opposite directions.
        pieces: connected components.
        euler: V - E + F; 2 for a sphere.
        volume: enclosed, cubic metres; negative when faces point inwards.
        intersections: pairs of faces without a common vertex that cross.
    """

    closed: bool
    pieces: int
    euler: int
    volume: float
    intersections: int


def check_mesh(vertices: Array, faces: Index) -> MeshReport:
    """Measure a mesh; (V, 3) metres and (F, 3)."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key = directed[:, 0] * len(vertices) + directed[:, 1]
    back = directed[:, 1] * len(vertices) + directed[:, 0]
    closed = len(np.unique(key)) == len(key) and bool(np.isin(back, key).all())
    graph = coo_matrix((np.ones(len(directed)), directed.T), shape=(len(vertices), len(vertices)))
    corners = vertices[faces]
    volume = np.einsum("fk,fk->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
    edges = len(np.unique(np.sort(directed, axis=1), axis=0))
    return MeshReport(
        closed=closed,
        pieces=int(connected_components(graph, directed=False)[0]),
        euler=len(vertices) - edges + len(faces),
        volume=float(volume),
        intersections=len(self_intersections(vertices, faces)),
    )


def self_intersections(vertices: Array, faces: Index) -> Index:
    """Pairs of faces (N, 2) that share no vertex and cross: an edge of one passes through the inside of the other."""
    pairs = _near_pairs(vertices[faces], faces)
    crossing = np.zeros(len(pairs), dtype=bool)
    for first, second in ((0, 1), (1, 0)):
        ends = vertices[faces[pairs[:, first]]]
        target = vertices[faces[pairs[:, second]]]
        for k in range(3):
            crossing |= _segments_cross(ends[:, k], ends[:, (k + 1) % 3], target)
    return pairs[crossing]


def _near_pairs(corners: Array, faces: Index) -> Index:
    """Pairs of faces whose boxes overlap and that share no vertex; candidates come from balls around the faces."""
    centre = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
    # Large faces look for all neighbours, small ones only for small: the search radius stays short where faces are small.
    order = np.argsort(radius, kind="stable")
    parts = []
    for chunk in np.array_split(order, min(12, len(order))):
        near = cKDTree(centre[chunk]).query_ball_tree(
            cKDTree(centre[order[: _rank(order, chunk)]]), 2.0 * float(radius[chunk].max())
        )
        rows = np.repeat(chunk, [len(hits) for hits in near])
        columns = order[np.concatenate([np.asarray(hits, dtype=np.int64) for hits in near])]
        parts.append(np.stack([rows, columns], axis=1))
    pairs = np.unique(np.sort(np.concatenate(parts), axis=1), axis=0)
    low, high = corners.min(axis=1), corners.max(axis=1)
    a, b = pairs.T
    overlap = ((low[a] <= high[b]) & (low[b] <= high[a])).all(axis=1)
    pairs = pairs[overlap]
    shared = (faces[pairs[:, 0]][:, :, None] == faces[pairs[:, 1]][:, None, :]).any(axis=(1, 2))
    return pairs[~shared]


def _rank(order: Index, chunk: Index) -> int:
    """How many faces are not larger than the largest of a chunk."""
    return int(np.flatnonzero(order == chunk[-1])[0]) + 1


def _segments_cross(start: Array, end: Array, triangle: Array) -> NDArray[np.bool_]:
    """Whether each segment passes through its triangle (Moeller and Trumbore, 1997)."""
    edge_one, edge_two = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    along = end - start
    p = np.cross(along, edge_two)
    determinant = (edge_one * p).sum(axis=1)
    usable = np.abs(determinant) > 1e-18
    inverse = 1.0 / np.where(usable, determinant, 1.0)
    offset = start - triangle[:, 0]
    u = (offset * p).sum(axis=1) * inverse
    q = np.cross(offset, edge_one)
    v = (along * q).sum(axis=1) * inverse
    t = (edge_two * q).sum(axis=1) * inverse
    inside = (u > _SLACK) & (v > _SLACK) & (u + v < 1 - _SLACK)
    return np.asarray(usable & inside & (t > _SLACK) & (t < 1 - _SLACK))
