"""A stretched copy of space in which one grid of equal cells gives hands, head and feet smaller triangles than the torso."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.generate.field import smoothstep

Array = NDArray[np.float64]

_HAND: Final = (2.7, 4.1)  # magnification along the arm and across it
_HAND_RAMP: Final = (0.64, 0.72)
_HAND_CENTRE: Final = (0.457, -0.060)
_HEAD, _HEAD_RAMP, _HEAD_CENTRE_Z = 2.2, (0.50, 0.64), 0.01
_FOOT, _FOOT_RAMP, _FOOT_CENTRE = 1.4, (0.78, 0.88), (0.1, 0.02)
_SPLIT: Final = 0.45  # arms beyond it, everything else before; nothing of the other kind lies on either side
_TABLE: Final = np.linspace(0.0, 2.5, 50001)


def _stretched(ramp: tuple[float, float], factor: float) -> Array:
    """Stretched coordinate of every entry of `_TABLE`: the integral of the magnification."""
    magnification = 1.0 + (factor - 1.0) * smoothstep(_TABLE, *ramp)
    steps = 0.5 * (magnification[1:] + magnification[:-1]) * np.diff(_TABLE)
    return np.concatenate([[0.0], np.cumsum(steps)])


_HAND_TABLE: Final = _stretched(_HAND_RAMP, _HAND[0])
_HEAD_TABLE: Final = _stretched(_HEAD_RAMP, _HEAD)
_FOOT_TABLE: Final = _stretched(_FOOT_RAMP, _FOOT)

STRETCHED_BOX: Final = np.array([[0.0, -1.25, -0.55], [1.55, 1.28, 0.45]])
"""Corners of a box of stretched space that holds the left half of the body."""


def to_space(stretched: Array) -> Array:
    """Map points (N, 3) with x >= 0 from stretched space to metres."""
    arm = stretched[:, 0] > _SPLIT
    out = np.empty_like(stretched)
    out[arm] = _arm_to_space(stretched[arm])
    out[~arm] = _trunk_to_space(stretched[~arm])
    return out


def _arm_to_space(points: Array) -> Array:
    x = np.interp(points[:, 0], _HAND_TABLE, _TABLE)
    factor = 1.0 + (_HAND[1] - 1.0) * smoothstep(x, *_HAND_RAMP)
    y = _HAND_CENTRE[0] + (points[:, 1] - _HAND_CENTRE[0]) / factor
    z = _HAND_CENTRE[1] + (points[:, 2] - _HAND_CENTRE[1]) / factor
    return np.stack([x, y, z], axis=1)


def _trunk_to_space(points: Array) -> Array:
    up = np.interp(np.maximum(points[:, 1], 0.0), _HEAD_TABLE, _TABLE)
    down = np.interp(np.maximum(-points[:, 1], 0.0), _FOOT_TABLE, _TABLE)
    head = 1.0 + (_HEAD - 1.0) * smoothstep(up, *_HEAD_RAMP)
    foot = 1.0 + (_FOOT - 1.0) * smoothstep(down, *_FOOT_RAMP)
    # The head grows about the middle plane; each foot about its own middle, so that the two halves still meet at x = 0 above.
    x = np.where(foot > 1.0, _FOOT_CENTRE[0] + (points[:, 0] - _FOOT_CENTRE[0]) / foot, points[:, 0] / head)
    centre = np.where(foot > 1.0, _FOOT_CENTRE[1], _HEAD_CENTRE_Z)
    z = centre + (points[:, 2] - centre) / (head * foot)
    return np.stack([x, up - down, z], axis=1)
