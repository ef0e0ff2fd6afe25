"""From a raw half surface to a whole mesh of exactly 6890 vertices: even spacing, edge splits, mirroring."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from ego_perception.body.generate.field import BodyField
from ego_perception.body.generate.surface_nets import HalfMesh, half_surface, project
from ego_perception.body.model import BodyError

Array = NDArray[np.float64]
Faces = NDArray[np.int64]

_CELL_RANGE: Final = (0.020, 0.036)
_SHIFTS: Final = (0.0, 0.25, 0.5, 0.75)


def adjacency(count: int, faces: Faces) -> csr_matrix:
    """Which vertices share an edge, (count, count), ones."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    matrix = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    matrix.data[:] = 1.0
    return matrix


def edges_of(faces: Faces) -> tuple[Faces, NDArray[np.int64]]:
    """Edges (E, 2), lower index first, and how many faces use each."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, count = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    return edges, count


def best_half_surface(field: BodyField, target: int) -> HalfMesh:
    """Find the finest surface that is half of a sphere in topology and has at most `target` vertices once mirrored.

    The cell size is bisected for the count alone; from there cells grow in small steps, with the grid in several places, until
    a surface has neither holes nor edges with four faces, which thin parts cause when they fall badly between grid points.

    Raises:
        BodyError: there is none, because the capsules do not make one solid body.
    """
    low, high = _CELL_RANGE
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if half_surface(field, middle).whole_count > target else (low, middle)
    for step in range(12):
        for shift in _SHIFTS:
            mesh = half_surface(field, high * (1 + 0.004 * step), shift)
            if mesh.whole_count <= target and is_half_of_sphere(mesh):
                return mesh
    raise BodyError("the capsules do not make one closed body of genus 0; change the table in body/anatomy.py")


def is_half_of_sphere(mesh: HalfMesh) -> bool:
    """Whether mirroring gives a closed mesh of genus 0: inner edges used twice, rim edges once, Euler number 1 (a disc)."""
    edges, count = edges_of(mesh.faces)
    rim = mesh.on_plane[edges].all(axis=1) & (count == 1)
    sound = bool(((count == 2) | rim).all())
    return sound and len(mesh.vertices) - len(edges) + len(mesh.faces) == 1


def relax(field: BodyField, mesh: HalfMesh, rounds: int = 4, strength: float = 0.45) -> HalfMesh:
    """Even out the triangles: move vertices towards the mean of their neighbours within the surface."""
    vertices = mesh.vertices.copy()
    plane = mesh.on_plane
    links = adjacency(len(vertices), mesh.faces)
    rim = links.multiply(plane[:, None]).multiply(plane[None, :])
    links = (links.multiply(~plane[:, None]) + rim).tocsr()
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1.0)
    for _ in range(rounds):
        pull = (links @ vertices) / degree[:, None] - vertices
        _, normal = field.value_and_gradient(vertices)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        pull -= (pull * normal).sum(axis=1, keepdims=True) * normal
        pull[plane, 0] = 0.0
        vertices = project(field, vertices + strength * pull, 2)
    return HalfMesh(vertices, mesh.faces)


def flip_edges(mesh: HalfMesh, rounds: int = 3) -> HalfMesh:
    """Turn inner edges whose two opposite angles sum to more than 180 degrees (Delaunay), where the surface stays flat."""
    faces = mesh.faces.copy()
    for _ in range(rounds):
        if not _flip_once(mesh.vertices, faces):
            break
    return HalfMesh(mesh.vertices, faces)


def _flip_once(vertices: Array, faces: Faces) -> int:
    owners: dict[tuple[int, int], list[int]] = {}
    for index, face in enumerate(faces.tolist()):
        for k in range(3):
            owners.setdefault(_key(face[k], face[(k + 1) % 3]), []).append(index)
    touched: set[int] = set()
    flips = 0
    for (a, b), pair in list(owners.items()):
        if len(pair) != 2 or touched & set(pair):
            continue
        first, second = faces[pair[0]].tolist(), faces[pair[1]].tolist()
        c, d = sum(first) - a - b, sum(second) - a - b
        if _key(c, d) in owners or not _should_flip(vertices, a, b, c, d):
            continue
        forward = first[(first.index(a) + 1) % 3] == b
        start, end = (a, b) if forward else (b, a)
        faces[pair[0]], faces[pair[1]] = (c, start, d), (d, end, c)
        owners[_key(c, d)] = []  # an edge made in this round is not made twice
        touched |= set(pair)
        flips += 1
    return flips


def _key(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _should_flip(vertices: Array, a: int, b: int, c: int, d: int) -> bool:
    p, q, r, s = vertices[a], vertices[b], vertices[c], vertices[d]
    u, v, w, x = p - r, q - r, p - s, q - s
    angle_c, angle_d = _angle(u, v), _angle(w, x)
    if angle_c + angle_d <= np.pi * 1.03:
        return False
    before = np.dot(_unit_cross(u, v), _unit_cross(x, w))
    after = np.dot(_unit_cross(p - r, s - r), _unit_cross(s - r, q - r))
    return bool(before > 0.85 and after > 0.85)


def _angle(u: Array, v: Array) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(u, v)), np.dot(u, v)))


def _unit_cross(u: Array, v: Array) -> Array:
    normal = np.cross(u, v)
    unit: Array = normal / max(float(np.linalg.norm(normal)), 1e-12)
    return unit


def split_to(field: BodyField, mesh: HalfMesh, target: int) -> HalfMesh:
    """Split the longest edges until the mirrored mesh has exactly `target` vertices.

    An inner edge adds two (itself and its image), a rim edge one.
    """
    vertices, faces = mesh.vertices, mesh.faces
    missing = target - mesh.whole_count
    while missing > 0:
        edges, count = edges_of(faces)
        length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        rim = count == 1
        a, b = edges[np.argmax(np.where(rim == (missing % 2 == 1), length, 0.0))]
        middle = (vertices[[a]] + vertices[[b]]) / 2
        new = len(vertices)
        vertices = np.concatenate([vertices, project(field, middle, 4)])
        shared = (faces == a).any(axis=1) & (faces == b).any(axis=1)
        one, two = faces[shared].copy(), faces[shared].copy()
        one[one == a], two[two == b] = new, new
        faces = np.concatenate([faces[~shared], one, two])
        missing -= 1 if missing % 2 else 2
    return HalfMesh(vertices, faces)


def mirrored(mesh: HalfMesh) -> tuple[Array, Faces, NDArray[np.int64]]:
    """Join the half with its image.

    Returns:
        vertices (V, 3), faces (F, 3), and for each vertex the index of its image (V,).
    """
    plane = mesh.on_plane
    count, extra = len(mesh.vertices), int((~plane).sum())
    image = np.arange(count)
    image[~plane] = count + np.arange(extra)
    vertices = np.concatenate([mesh.vertices, mesh.vertices[~plane] * [-1.0, 1.0, 1.0]])
    faces = np.concatenate([mesh.faces, image[mesh.faces][:, ::-1]])
    return vertices, faces, np.concatenate([image, np.flatnonzero(~plane)])
