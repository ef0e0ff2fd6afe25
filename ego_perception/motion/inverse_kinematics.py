"""Analytic inverse kinematics of a limb of two bones, for legs and arms alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.motion.rotations import apply, frame, transposed, unit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limb:
    """Rest geometry of two bones, in the axes of the rest pose.

    Attributes:
        upper: (3,) root to middle joint, such as hip to knee; lower: (3,) middle joint to end.
        hinge: (3,) axis about which the middle joint bends.
    """

    upper: Array
    lower: Array
    hinge: Array

    @property
    def lengths(self) -> tuple[float, float]:
        """Of the two bones, metres."""
        return float(np.linalg.norm(self.upper)), float(np.linalg.norm(self.lower))

    @property
    def reach(self) -> float:
        """Length of the stretched limb, metres."""
        return sum(self.lengths)


@dataclass(frozen=True, eq=False)
class LimbPose:
    """World rotations (T, 3, 3) of both bones, and where the end comes to lie, (T, 3)."""

    upper: Array
    lower: Array
    end: Array


def two_bone(limb: Limb, root: Array, target: Array, pole: Array) -> LimbPose:
    """Bend a limb so that its end meets the target and its middle joint points to the pole.

    The law of cosines gives the middle joint's place in the plane of root, target and pole; a target out of reach is met as far
    as the limb goes.

    Args:
        root: (T, 3) world position of the first joint; target: (T, 3) of the end.
        pole: (T, 3) direction in which the middle joint lies off the line from root to target.
    """
    a, b = limb.lengths
    gap = target - root
    distance = np.linalg.norm(gap, axis=-1, keepdims=True)
    along = unit(gap)
    distance = np.clip(distance, abs(a - b) + 1e-4, a + b - 1e-6)
    aside = unit(pole - (pole * along).sum(-1, keepdims=True) * along)
    foot = (distance**2 + a**2 - b**2) / (2.0 * distance)
    height = np.sqrt(np.maximum(a**2 - foot**2, 0.0))
    upper = foot * along + height * aside
    lower = distance * along - upper
    normal = np.cross(aside, along)
    turn_upper = frame(upper, normal) @ transposed(frame(limb.upper, limb.hinge))
    turn_lower = frame(lower, normal) @ transposed(frame(limb.lower, limb.hinge))
    end = root + apply(turn_upper, limb.upper) + apply(turn_lower, limb.lower)
    return LimbPose(turn_upper, turn_lower, end)


def twist_about(rotation: Array, axis: Array) -> Array:
    """(T,) angle of the part of (T, 3, 3) rotations that turns about a unit vector (3,), radians."""
    # 2 atan2(v.a, w) of the unit quaternion (v, w), without leaving matrices.
    vector = np.stack(
        [rotation[:, 2, 1] - rotation[:, 1, 2], rotation[:, 0, 2] - rotation[:, 2, 0], rotation[:, 1, 0] - rotation[:, 0, 1]],
        -1,
    )
    return 2.0 * np.arctan2(vector @ axis, 1.0 + np.trace(rotation, axis1=-2, axis2=-1))


def swivel(pole: Array, along: Array, angle: Array) -> Array:
    """Turn (T, 3) poles about unit vectors `along` by (T,) radians (Rodrigues)."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return c * pole + s * np.cross(along, pole) + (1.0 - c) * (along * pole).sum(-1, keepdims=True) * along
