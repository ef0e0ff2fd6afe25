"""How far the joints of a person bend.

A local rotation is split as R = Rx(a) Ry(b) Rz(c), angles about the axes of the rest pose (x to the person's left, y up, z
forward). In the T-pose, x bends trunk, hips, knees and ankles, y and z swing the arms, and x turns an arm about itself. The
ranges cover walking, sitting, crouching, reaching and waving; they follow clinical ranges of motion (American Academy of
Orthopaedic Surgeons, 1965) with a margin, because SMPL's spine and collar share motion that clinics assign to one joint.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import JOINT_NAMES, NUM_JOINTS

Array = NDArray[np.float64]
Range = tuple[float, float]

# Degrees about x, y, z of the middle joints and of the left side; positive x bends forward or down at the front.
_DEGREES: Final[dict[str, tuple[Range, Range, Range]]] = {
    "spine1": ((-25, 50), (-30, 30), (-25, 25)),
    "spine2": ((-25, 45), (-30, 30), (-25, 25)),
    "spine3": ((-20, 35), (-25, 25), (-20, 20)),
    "neck": ((-45, 45), (-50, 50), (-35, 35)),
    "head": ((-40, 45), (-50, 50), (-30, 30)),
    "left_hip": ((-130, 35), (-50, 60), (-35, 60)),
    "left_knee": ((-5, 155), (-15, 15), (-10, 10)),
    "left_ankle": ((-40, 50), (-30, 30), (-30, 30)),
    "left_foot": ((-60, 40), (-10, 10), (-10, 10)),
    "left_collar": ((-25, 25), (-35, 30), (-20, 40)),
    "left_shoulder": ((-185, 100), (-135, 75), (-105, 110)),
    "left_elbow": ((-95, 95), (-155, 8), (-30, 30)),
    "left_wrist": ((-60, 60), (-35, 35), (-85, 85)),
    "left_hand": ((-15, 15), (-15, 15), (-30, 30)),
}


def _limits() -> Array:
    """(24, 3, 2) radians; the root is free. The right side is the mirror image: about y and z signs change."""
    limits = np.empty((NUM_JOINTS, 3, 2))
    limits[0] = (-np.inf, np.inf)
    for index, name in enumerate(JOINT_NAMES[1:], start=1):
        ranges = np.radians(_DEGREES[name.replace("right", "left")])
        limits[index] = ranges if not name.startswith("right") else [ranges[0], -ranges[1][::-1], -ranges[2][::-1]]
    limits.setflags(write=False)
    return limits


JOINT_LIMITS: Final = _limits()
"""Smallest and largest angle of every joint about x, y and z, (24, 3, 2) radians; infinite for the root."""


def joint_angles(rotations: Array) -> Array:
    """Angles (a, b, c) with R = Rx(a) Ry(b) Rz(c), (..., 24, 3) radians; b lies within a quarter turn.

    Args:
        rotations: (..., 24, 3, 3) local rotations.
    """
    r = np.asarray(rotations, dtype=np.float64)
    b = np.arcsin(np.clip(r[..., 0, 2], -1.0, 1.0))
    a = np.arctan2(-r[..., 1, 2], r[..., 2, 2])
    c = np.arctan2(-r[..., 0, 1], r[..., 0, 0])
    return np.stack([a, b, c], axis=-1)


def limit_violation(rotations: Array) -> Array:
    """How far each joint is outside its range: the largest of its three angles' excesses, (..., 24) radians, 0 inside.

    Beyond a quarter turn about y, both ways to write a rotation as three angles are tried and the better one counts.

    Args:
        rotations: (..., 24, 3, 3) local rotations.
    """
    angles = joint_angles(rotations)
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], axis=-1)
    both = np.minimum(_excess(angles), _excess((other + np.pi) % (2 * np.pi) - np.pi))
    both[..., 0] = 0.0
    return both


def _excess(angles: Array) -> Array:
    low, high = JOINT_LIMITS[..., 0], JOINT_LIMITS[..., 1]
    excess: Array = np.maximum(np.maximum(low - angles, angles - high), 0.0).max(axis=-1)
    return excess
