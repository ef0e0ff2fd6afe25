"""Random head-like camera poses in a room: standing and looking around, or bent over a table or counter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import make_transform
from ego_perception.simulation.room import Room, worktops
from ego_perception.simulation.textures import Rng

CLEARANCE_M = 0.12


def look_rotation(yaw_rad: float, pitch_rad: float, roll_rad: float = 0.0) -> NDArray[np.float64]:
    """Camera-to-world rotation of an optical frame that looks along yaw (about z, 0 = +x) and pitch (positive up)."""
    cy, sy, cp, sp = math.cos(yaw_rad), math.sin(yaw_rad), math.cos(pitch_rad), math.sin(pitch_rad)
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([sy, -cy, 0.0])
    down = np.cross(forward, right)
    c, s = math.cos(roll_rad), math.sin(roll_rad)
    return np.stack([c * right + s * down, c * down - s * right, forward], axis=1)


def is_clear(room: Room, position: NDArray[np.float64], margin: float = CLEARANCE_M) -> bool:
    """True where a point lies inside the walls and at least `margin` away from furniture."""
    x, y, z = position
    if abs(x) > room.half[0] - margin or abs(y) > room.half[1] - margin or not 0.2 < z < room.height - 0.1:
        return False
    return not any(
        not o.is_walkable and z < o.height + margin and o.rect.grown(margin).contains(float(x), float(y))
        for o in room.obstacles
    )


def random_viewpoint(rng: Rng, room: Room) -> NDArray[np.float64]:
    """Draw a (4, 4) camera-to-world pose; the caller still rejects views it has no use for."""
    tops = list(worktops(room))
    for _ in range(200):
        if tops and rng.random() < 0.45:
            position, yaw, pitch = _over_a_worktop(rng, tops[int(rng.integers(len(tops)))].center)
        else:
            position = np.array([*rng.uniform(-0.94, 0.94, 2) * room.half, rng.uniform(1.2, 1.8)])
            yaw, pitch = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(-50, 10))
        if is_clear(room, position):
            return make_transform(look_rotation(float(yaw), float(pitch), float(rng.normal(0, 0.1))), position)
    return make_transform(look_rotation(0.0, -0.3), (0.0, 0.0, 1.6))


def _over_a_worktop(rng: Rng, center: tuple[float, float, float]) -> tuple[NDArray[np.float64], float, float]:
    target = np.asarray(center) + rng.normal(0, 0.15, 3)
    around, above, distance = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(15, 55)), rng.uniform(0.5, 1.5)
    offset = np.array([math.cos(around) * math.cos(above), math.sin(around) * math.cos(above), math.sin(above)])
    position = target + distance * offset
    yaw = around + math.pi + rng.normal(0, 0.2)
    return position, float(yaw), float(-above + rng.normal(0.1, 0.2))
