"""The lights of a room: one lamp with shadows, a few without, and what walls and sky throw back, in linear light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.shaders import NUM_FILLS

Array = NDArray[np.float64]

HALF_CONE_RAD = math.radians(66)
"""Half of the angle over which the lamp casts shadows."""
LAMP_NEAR_M, LAMP_FAR_M = 0.05, 25.0
_LAMP_POWER, _FILL_POWER, _AMBIENT_POWER = 5.0, 4.0, 2.0


@dataclass(frozen=True, eq=False)
class LightRig:
    """Lights in the world, colours in linear light where 1 is white paper in full light.

    Attributes:
        lamp_at, lamp_towards, lamp_rgb: (3,) place, direction of the middle of its cone, and colour.
        fill_at, fill_rgb: (NUM_FILLS, 3) lamps without shadows.
        above_rgb, below_rgb: (3,) light that arrives from everywhere, on faces that look up and down.
    """

    lamp_at: Array
    lamp_towards: Array
    lamp_rgb: Array
    fill_at: Array
    fill_rgb: Array
    above_rgb: Array
    below_rgb: Array
    exposure: float = 1.5

    @property
    def clip_from_lamp(self) -> Array:
        """(4, 4) projection of the world into the lamp's picture."""
        z = self.lamp_towards / np.linalg.norm(self.lamp_towards)
        x = np.cross(z, (0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0))
        x /= np.linalg.norm(x)
        view = np.eye(4)
        view[:3, :3] = np.stack([x, np.cross(z, x), z])
        view[:3, 3] = -view[:3, :3] @ self.lamp_at
        f = 1 / math.tan(HALF_CONE_RAD)
        return clip_matrix(f, f, LAMP_NEAR_M, LAMP_FAR_M) @ view


def clip_matrix(fx: float, fy: float, near: float, far: float) -> Array:
    """(4, 4) OpenGL projection from optical axes, the depth in the last row; rows of the image run downwards in memory.

    Args:
        fx, fy: focal lengths in half widths and half heights of the image.
    """
    a, b = (far + near) / (far - near), -2 * far * near / (far - near)
    return np.array([[fx, 0, 0, 0], [0, fy, 0, 0], [0, 0, a, b], [0, 0, 1, 0]], float)


def light_rig(room: Room) -> LightRig:
    """Light a room with its own lamps; the first one casts shadows."""
    lamps = room.lights or [Light((0.0, 0.0, room.height - 0.1), (0.0, 0.0, 0.0))]
    key, fills = lamps[0], lamps[1 : 1 + NUM_FILLS]
    at, rgb = np.zeros((NUM_FILLS, 3)), np.zeros((NUM_FILLS, 3))
    for i, fill in enumerate(fills):
        at[i], rgb[i] = fill.position, _FILL_POWER * linear(fill.rgb)
    towards = np.asarray(key.direction, float)
    sky = _AMBIENT_POWER * (linear((room.ambient,) * 3) + 0.5 * linear((room.headlight,) * 3))
    bounce = 0.05 * linear(key.rgb)
    return LightRig(
        np.asarray(key.position, float),
        towards / np.linalg.norm(towards),
        _LAMP_POWER * linear(key.rgb),
        at,
        rgb,
        above_rgb=sky + bounce,
        below_rgb=0.7 * sky + 2.5 * bounce,
    )


def linear(rgb: tuple[float, ...] | Array) -> Array:
    """Linear light of display values from 0 to 1."""
    return np.power(np.maximum(np.asarray(rgb, float), 0.0), 2.2)
