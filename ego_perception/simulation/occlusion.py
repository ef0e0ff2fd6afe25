"""How far the nearest piece of furniture is, all over a room: what dims ambient light in corners and under things.

Because it lies in the world and holds only what never moves, no view, and nobody in it, changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.room import Room
from ego_perception.simulation.surface import rotation

CELL_M = 0.05
RANGE_M = 0.4
"""Distances beyond this are not told apart."""
_LEAST_FILL = 0.5


@dataclass(frozen=True, eq=False)
class DistanceField:
    """A sampled distance to the nearest surface.

    Attributes:
        values: (Z, Y, X) uint8, 0 on and in things to 255 at `RANGE_M` and beyond.
        origin: (3,) world position of the middle of the first cell.
    """

    values: NDArray[np.uint8]
    origin: NDArray[np.float64]

    def at(self, point: tuple[float, float, float]) -> float:
        """Metres from the cell nearest to a world point."""
        last = np.array(self.values.shape)[::-1] - 1
        i, j, k = np.clip(np.round((np.asarray(point) - self.origin) / CELL_M).astype(int), 0, last)
        return float(self.values[k, j, i]) / 255 * RANGE_M


def distance_field(room: Room) -> DistanceField:
    """Measure a room without its movable things."""
    moving = {movable.instance for movable in room.movables}
    low = np.array([-room.half[0], -room.half[1], 0.0]) - RANGE_M
    high = np.array([room.half[0], room.half[1], room.height]) + RANGE_M
    shape = np.ceil((high - low) / CELL_M).astype(int) + 1
    distance = np.full(shape, RANGE_M, np.float32)
    for part, instance in room.parts:
        if instance not in moving and _is_full(part):
            _lower(distance, low, part)
    values = np.round(distance.transpose(2, 1, 0) * (255 / RANGE_M)).astype(np.uint8)
    return DistanceField(np.ascontiguousarray(values), low)


def _is_full(part: Part) -> bool:
    """False for meshes that leave most of their bounding box empty, such as chairs and curtains: they would darken it all."""
    if part.surface is None:
        return True
    a, b, c = np.moveaxis(part.surface.vertices[part.surface.triangles], 1, 0)
    volume = abs(float(np.einsum("fi,fi->", a, np.cross(b, c)))) / 6
    return volume > _LEAST_FILL * 8 * float(np.prod(part.half))


def _lower(distance: NDArray[np.float32], origin: NDArray[np.float64], part: Part) -> None:
    """Take the distance to one part where that is smaller; a mesh counts as its bounding box."""
    R = rotation("z", part.yaw_rad) @ rotation("x", part.tilt_rad)
    center, half = np.asarray(part.center), np.asarray(part.half)
    reach = np.abs(R) @ half + RANGE_M
    first = np.maximum(np.floor((center - reach - origin) / CELL_M).astype(int), 0)
    last = np.minimum(np.ceil((center + reach - origin) / CELL_M).astype(int) + 1, distance.shape)
    if (last <= first).any():
        return
    axes = [origin[a] + CELL_M * np.arange(first[a], last[a]) - center[a] for a in range(3)]
    x, y, z = np.ix_(*(axis.astype(np.float32) for axis in axes))
    q = [abs(np.float32(R[0, a]) * x + np.float32(R[1, a]) * y + np.float32(R[2, a]) * z) for a in range(3)]
    if part.shape is Shape.ELLIPSOID:
        scaled = np.sqrt(sum((v / np.float32(h)) ** 2 for v, h in zip(q, half, strict=True)))
        gradient = np.sqrt(sum((v / np.float32(h * h)) ** 2 for v, h in zip(q, half, strict=True)))
        near = scaled * (scaled - 1) / np.maximum(gradient, np.float32(1e-6))  # first order, good enough for shading
    elif part.shape is Shape.CYLINDER:
        near = _outside(np.sqrt(q[0] ** 2 + q[1] ** 2) - np.float32(half[0]), q[2] - np.float32(half[2]))
    else:
        near = _outside(*(v - np.float32(h) for v, h in zip(q, half, strict=True)))
    window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    np.minimum(distance[window], np.maximum(near, 0), out=distance[window])


def _outside(*beyond: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance to a box from how far a point is beyond it along each axis."""
    return np.asarray(np.sqrt(sum(np.maximum(b, 0) ** 2 for b in beyond)), np.float32)
