"""The surface of the person as the zero level of a smooth union of capsules.

`f(p) = -k log sum_i exp(-d_i(p) / k)` with the distance d_i to each capsule. The blending length k varies over the body: long
on the torso, where muscles flow into one another, short on face and hand, where features must stay apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.anatomy import SOLE_Y, Capsule

Array = NDArray[np.float64]

_TORSO_BLEND: Final = 0.016
_LIMB_BLEND: Final = 0.009
_FOOT_BLEND: Final = 0.008
_FACE_BLEND: Final = 0.0065
_HAND_BLEND: Final = 0.0022
_SOLE_BLEND: Final = 0.006
_CHUNK: Final = 1500  # keeps the work arrays in the cache


def smoothstep(value: Array, low: float, high: float) -> Array:
    """Hermite ramp from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    ramp: Array = t * t * (3.0 - 2.0 * t)
    return ramp


class BodyField:
    """Signed distance of points, roughly metric near the surface, negative inside."""

    def __init__(self, capsules: tuple[Capsule, ...]) -> None:
        self.start = np.array([c.start for c in capsules], dtype=np.float64)
        self.axis = np.array([c.end for c in capsules], dtype=np.float64) - self.start
        self.radius = np.array([c.start_radius for c in capsules])
        self.taper = np.array([c.end_radius for c in capsules]) - self.radius
        self.joint = np.array([c.joint for c in capsules])
        self._squared = (self.axis**2).sum(axis=1)

    def capsule_distances(self, points: Array) -> tuple[Array, Array]:
        """Distance to every capsule (N, C), and the unit direction away from its axis (N, C, 3)."""
        relative = points[:, None, :] - self.start
        along = np.clip((relative * self.axis).sum(axis=-1) / self._squared, 0.0, 1.0)
        away = relative - along[..., None] * self.axis
        length = np.sqrt((away**2).sum(axis=-1))
        return length - (self.radius + along * self.taper), away / np.maximum(length, 1e-9)[..., None]

    def __call__(self, points: Array) -> Array:
        """Field values, (N,)."""
        return self.value_and_gradient(points)[0]

    def value_and_gradient(self, points: Array) -> tuple[Array, Array]:
        """Field values (N,) and their gradient (N, 3), in which the change of k is neglected."""
        parts = [self._evaluate(points[i : i + _CHUNK]) for i in range(0, max(len(points), 1), _CHUNK)]
        return np.concatenate([value for value, _ in parts]), np.concatenate([gradient for _, gradient in parts])

    def _evaluate(self, points: Array) -> tuple[Array, Array]:
        distance, direction = self.capsule_distances(points)
        k = blend_length(points)
        nearest = distance.min(axis=1, initial=np.inf)
        share = np.exp(-(distance - nearest[:, None]) / k[:, None])
        total = share.sum(axis=1)
        value = nearest - k * np.log(total)
        gradient = (share[..., None] * direction).sum(axis=1) / total[:, None]
        return _above_sole(points, value, gradient)


def blend_length(points: Array) -> Array:
    """Blending length at each point, metres."""
    side, up = np.abs(points[:, 0]), points[:, 1]
    k = _TORSO_BLEND + (_LIMB_BLEND - _TORSO_BLEND) * np.maximum(smoothstep(side, 0.20, 0.32), smoothstep(-up, 0.08, 0.22))
    k = k + (_FOOT_BLEND - k) * smoothstep(-up, 0.82, 0.90)
    k = k + (_FACE_BLEND - k) * smoothstep(up, 0.585, 0.64) * (side < 0.3)
    blend: Array = k + (_HAND_BLEND - k) * smoothstep(side, 0.66, 0.75)
    return blend


def _above_sole(points: Array, value: Array, gradient: Array) -> tuple[Array, Array]:
    """Cut the shoes flat: smooth maximum with the half space below the sole."""
    below = SOLE_Y - points[:, 1]
    near = np.maximum(value, below)
    a, b = np.exp((value - near) / _SOLE_BLEND), np.exp((below - near) / _SOLE_BLEND)
    # Far above the sole the second term is zero and the field is left as it was.
    total = a + b
    cut = near + _SOLE_BLEND * np.log(total)
    slope = (a[:, None] * gradient + b[:, None] * np.array([0.0, -1.0, 0.0])) / total[:, None]
    return cut, slope
