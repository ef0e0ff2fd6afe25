"""Room parts as triangles in the world, ready to be drawn."""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.boxmesh import box_mesh
from ego_perception.simulation.lathe import lathe
from ego_perception.simulation.materials import Material
from ego_perception.simulation.surface import Surface, rotation

VERTEX: Final = np.dtype([("position", "3f4"), ("normal", "3f4"), ("texcoord", "2f4"), ("ids", "2i4")])
"""One vertex; `ids` are the number of its material and of the thing that it belongs to."""
_SEGMENTS = 28

Vertices = NDArray[np.void]
Triangles = NDArray[np.uint32]


def part_mesh(part: Part, material: Material, instance: int) -> tuple[Vertices, Triangles]:
    """Vertices (V,) of `VERTEX` in the world and triangles (F, 3) of one part.

    Args:
        instance: the number that its pixels get.
    """
    if part.shape is Shape.BOX:
        box = box_mesh(part, material.repeat, is_grained=material.is_grained, cell_m=math.inf)
        local, normals, texcoords, triangles = box.vertices, box.normals, box.texcoords, box.triangles
    else:
        surface = part.surface or _unit_solid(part.shape)
        scale = np.ones(3) if part.surface else np.asarray(part.half)
        repeat = material.repeat if part.surface else 0.0
        local, normals, triangles = surface.vertices * scale, surface.normals / scale, surface.triangles
        texcoords = surface.texcoords(repeat)
    R = rotation("z", part.yaw_rad) @ rotation("x", part.tilt_rad)
    out = np.zeros(len(local), VERTEX)
    out["position"] = local @ R.T + part.center
    out["normal"] = unit(normals) @ R.T
    out["texcoord"] = texcoords
    out["ids"] = part.material, instance
    return out, triangles.astype(np.uint32)


@functools.cache
def _unit_solid(shape: Shape) -> Surface:
    """A cylinder of radius and half height 1, or a ball of radius 1."""
    if shape is Shape.CYLINDER:
        return lathe([(0.0, -1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 1.0)], segments=_SEGMENTS)
    rise = np.linspace(-math.pi / 2, math.pi / 2, _SEGMENTS // 2 + 1)
    return lathe([(max(math.cos(a), 0.0), math.sin(a)) for a in rise], segments=_SEGMENTS)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Vectors (..., 3) of length 1; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12))
