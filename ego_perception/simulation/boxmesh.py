"""Boxes as meshes with texture coordinates of their own.

MuJoCo scales the texture of a box primitive by its x and y sizes on every face, so a wall comes out smeared, and it lights
vertices, not pixels, so a large face needs inner vertices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.assembly import Part

CELL_M = 0.45
_MAX_CELLS = 14


@dataclass(frozen=True, eq=False)
class BoxMesh:
    """Vertices (V, 3) metres about the centre, normals (V, 3), texture coordinates (V, 2), triangles (F, 3)."""

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    texcoords: NDArray[np.float64]
    triangles: NDArray[np.int32]


def box_mesh(part: Part, repeat: float, *, is_grained: bool, cell_m: float = CELL_M) -> BoxMesh:
    """Tessellate a box part.

    Args:
        repeat: texture repeats per metre, anchored in the room so that pieces of one wall continue each other;
            0 puts the whole picture on each face.
        is_grained: turn the texture so that its rows run along the longer side of each face.
        cell_m: longest side of a cell; infinite gives two triangles per face.
    """
    c, s = math.cos(part.yaw_rad), math.sin(part.yaw_rad)
    x, y, z = part.center
    anchor = np.array([c * x + s * y, -s * x + c * y, z])
    blocks = [
        _face(np.asarray(part.half), axis, sign, anchor, repeat, is_grained, cell_m) for axis in range(3) for sign in (-1, 1)
    ]
    offsets = np.cumsum([0] + [len(b.vertices) for b in blocks[:-1]])
    return BoxMesh(
        np.concatenate([b.vertices for b in blocks]),
        np.concatenate([b.normals for b in blocks]),
        np.concatenate([b.texcoords for b in blocks]),
        np.concatenate([b.triangles + o for b, o in zip(blocks, offsets, strict=True)]).astype(np.int32),
    )


def _face(
    half: NDArray[np.float64],
    axis: int,
    sign: int,
    anchor: NDArray[np.float64],
    repeat: float,
    grained: bool,
    cell_m: float,
) -> BoxMesh:
    u_axis, v_axis = ((1, 2), (0, 2), (0, 1))[axis]
    nu, nv = (min(_MAX_CELLS, max(1, math.ceil(2 * half[k] / cell_m))) for k in (u_axis, v_axis))
    u, v = (grid.ravel() for grid in np.meshgrid(np.linspace(-1, 1, nu + 1), np.linspace(-1, 1, nv + 1)))
    vertices = np.zeros((len(u), 3))
    vertices[:, axis], vertices[:, u_axis], vertices[:, v_axis] = sign * half[axis], u * half[u_axis], v * half[v_axis]
    normals = np.zeros_like(vertices)
    normals[:, axis] = sign
    # Seen from outside, +u runs to the left on these faces; turn it so that labels are not mirrored.
    mirror = -1.0 if (axis == 0 and sign < 0) or (axis == 1 and sign > 0) else 1.0
    if repeat > 0:
        texcoords = (vertices + anchor)[:, [u_axis, v_axis]] * repeat * np.array([mirror, -1.0])
        texcoords[:, 0] += 0.37 * axis
    else:
        texcoords = np.stack([0.5 + 0.5 * mirror * u, 0.5 - 0.5 * v], axis=1)
    if grained and half[u_axis] > half[v_axis]:
        texcoords = texcoords[:, ::-1]
    return BoxMesh(vertices, normals, texcoords, _triangles(nu, nv, flip=(sign < 0) != (axis == 1)))


def _triangles(nu: int, nv: int, *, flip: bool) -> NDArray[np.int32]:
    i = (np.arange(nv)[:, None] * (nu + 1) + np.arange(nu)).ravel()
    a, b, c, d = i, i + 1, i + nu + 2, i + nu + 1
    out = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return (out[:, ::-1] if flip else out).astype(np.int32)
