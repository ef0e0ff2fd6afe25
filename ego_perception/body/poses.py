"""A few still poses by name, for pictures and tests; people in motion come from `ego_perception.motion`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.limits import JOINT_LIMITS
from ego_perception.body.skeleton import NUM_JOINTS, joint_index
from ego_perception.errors import ConfigError

Array = NDArray[np.float64]
Angles = tuple[float, float, float]

_ARMS_DOWN: Final[dict[str, Angles]] = {"left_shoulder": (5, 0, -76), "right_shoulder": (5, 0, 76),
                                        "left_elbow": (0, -15, 0), "right_elbow": (0, 15, 0)}  # fmt: skip

# Degrees about x, y and z as in body.limits; joints left out stay as at rest.
_POSES: Final[dict[str, dict[str, Angles]]] = {
    "tpose": {},
    "stand": _ARMS_DOWN,
    "sit": {
        "left_hip": (-88, 0, 4), "right_hip": (-88, 0, -4), "left_knee": (88, 0, 0), "right_knee": (88, 0, 0),
        "left_shoulder": (-20, 0, -76), "right_shoulder": (-20, 0, 76), "left_elbow": (0, -65, 0), "right_elbow": (0, 65, 0),
    },
    "walk": {
        "left_hip": (-28, 0, 0), "right_hip": (18, 0, 0), "left_knee": (8, 0, 0), "right_knee": (42, 0, 0),
        "right_ankle": (20, 0, 0), "left_shoulder": (24, 0, -76), "right_shoulder": (-24, 0, 76),
        "left_elbow": (0, -20, 0), "right_elbow": (0, 32, 0),
    },
    "reach": _ARMS_DOWN | {
        "right_shoulder": (-75, 0, 78), "right_elbow": (0, 20, 0), "spine1": (8, 0, 0), "spine2": (8, 0, 0), "head": (10, 0, 0),
    },
    "wave": _ARMS_DOWN | {"right_shoulder": (0, 0, -10), "right_elbow": (-90, 80, 0)},
    "crouch": {
        "left_hip": (-110, 0, 12), "right_hip": (-110, 0, -12), "left_knee": (125, 0, 0), "right_knee": (125, 0, 0),
        "left_ankle": (-30, 0, 0), "right_ankle": (-30, 0, 0), "spine1": (20, 0, 0), "spine2": (15, 0, 0),
        "left_shoulder": (-55, 0, -74), "right_shoulder": (-55, 0, 74), "left_elbow": (0, -35, 0), "right_elbow": (0, 35, 0),
    },
}  # fmt: skip

POSE_NAMES: Final = (*_POSES, "random")


def named_pose(name: str, seed: int = 0) -> Array:
    """Local rotations (24, 3, 3) of a pose.

    Args:
        name: one of `POSE_NAMES`.
        seed: of "random": angles within 60 % of every joint's range.

    Raises:
        ConfigError: unknown name.
    """
    if name == "random":
        low, high = np.nan_to_num(JOINT_LIMITS, posinf=0.0, neginf=0.0).transpose(2, 0, 1)
        return rotations_from_angles(0.6 * np.random.default_rng(seed).uniform(low, high))
    if name not in _POSES:
        raise ConfigError(f"pose is '{name}'; choose one of {', '.join(POSE_NAMES)}")
    angles = np.zeros((NUM_JOINTS, 3))
    for joint, degrees in _POSES[name].items():
        angles[joint_index(joint)] = np.radians(degrees)
    return rotations_from_angles(angles)


def rotations_from_angles(angles: Array) -> Array:
    """R = Rx(a) Ry(b) Rz(c) of (..., 3) angles in radians, (..., 3, 3); the inverse of `limits.joint_angles`."""
    c, s = np.cos(angles), np.sin(angles)
    (ca, cb, cc), (sa, sb, sc) = np.moveaxis(c, -1, 0), np.moveaxis(s, -1, 0)
    rows = [
        [cb * cc, -cb * sc, sb],
        [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
