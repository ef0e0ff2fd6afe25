"""The shape of the mean person as tapered capsules, each owned by one joint, and where the fingers bend.

`body.generate` meshes this table; `body.capsules` poses it as a signed distance field.
Rest pose, metres: x to the person's left, y up, z forward, pelvis at the origin. Proportions follow a person of 1.79 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import JOINT_NAMES, joint_index

Array = NDArray[np.float64]
Point = tuple[float, float, float]

_MIDLINE: Final[dict[str, Point]] = {
    "pelvis": (0, 0, 0), "spine1": (0, 0.12, -0.02), "spine2": (0, 0.26, 0), "spine3": (0, 0.32, 0.01),
    "neck": (0, 0.53, -0.03), "head": (0, 0.62, 0.02),
}  # fmt: skip
_LEFT: Final[dict[str, Point]] = {
    "left_hip": (0.06, -0.09, 0), "left_knee": (0.10, -0.48, 0), "left_ankle": (0.09, -0.88, -0.03),
    "left_foot": (0.12, -0.94, 0.09), "left_collar": (0.08, 0.44, -0.02), "left_shoulder": (0.19, 0.46, -0.03),
    "left_elbow": (0.45, 0.45, -0.05), "left_wrist": (0.70, 0.46, -0.06), "left_hand": (0.785, 0.455, -0.065),
}  # fmt: skip

SOLE_Y: Final = -0.97
"""Height of the flat sole in the rest pose."""

FINGER_NAMES: Final = ("thumb", "index", "middle", "ring", "pinky")

LEFT_FINGERS: Final[Array] = np.array([
    [[0.728, 0.452, -0.034], [0.765, 0.446, 0.000], [0.791, 0.443, 0.022], [0.814, 0.441, 0.038]],
    [[0.788, 0.458, -0.033], [0.825, 0.458, -0.026], [0.848, 0.456, -0.021], [0.866, 0.453, -0.018]],
    [[0.791, 0.459, -0.055], [0.831, 0.459, -0.055], [0.857, 0.457, -0.055], [0.877, 0.454, -0.055]],
    [[0.785, 0.458, -0.076], [0.822, 0.458, -0.082], [0.846, 0.456, -0.086], [0.864, 0.453, -0.089]],
    [[0.774, 0.455, -0.096], [0.803, 0.455, -0.104], [0.821, 0.453, -0.109], [0.837, 0.450, -0.114]],
])  # fmt: skip
"""Joints of the left fingers of the mean shape, (5, 4, 3): knuckle, middle joint, end joint, centre of the tip."""

MIRROR: Final[Array] = np.array([-1.0, 1.0, 1.0])


def mean_joints() -> Array:
    """Joints of the mean shape in the rest pose, (24, 3)."""
    left = dict(_LEFT)
    right = {name.replace("left", "right"): (-p[0], p[1], p[2]) for name, p in left.items()}
    return np.array([(_MIDLINE | left | right)[name] for name in JOINT_NAMES], dtype=np.float64)


@dataclass(frozen=True)
class Capsule:
    """A sphere swept from one point to another while its radius changes linearly.

    Attributes:
        joint: index of the joint that carries it.
        start, end: centres, rest pose, metres.
        start_radius, end_radius: metres.
    """

    joint: int
    start: Point
    end: Point
    start_radius: float
    end_radius: float


_TORSO: Final = (
    ("pelvis", (-0.062, -0.03, -0.012), (0.062, -0.03, -0.012), 0.098, 0.098),
    ("pelvis", (-0.045, 0.05, 0.004), (0.045, 0.05, 0.004), 0.092, 0.092),
    ("spine1", (-0.040, 0.13, 0.002), (0.040, 0.13, 0.002), 0.090, 0.090),
    ("spine2", (-0.050, 0.23, 0.000), (0.050, 0.23, 0.000), 0.095, 0.095),
    ("spine3", (-0.058, 0.33, -0.004), (0.058, 0.33, -0.004), 0.102, 0.102),
    ("spine3", (-0.050, 0.41, -0.025), (0.050, 0.41, -0.025), 0.075, 0.075),
    ("neck", (0, 0.46, -0.040), (0, 0.655, -0.016), 0.054, 0.050),
)  # fmt: skip
_TORSO_LEFT: Final = (
    ("pelvis", (0.068, -0.085, -0.050), (0.060, -0.045, -0.048), 0.076, 0.066),
    ("spine3", (0.050, 0.345, 0.046), (0.100, 0.365, 0.034), 0.054, 0.048),
    ("spine2", (0.086, 0.17, -0.015), (0.120, 0.36, -0.030), 0.043, 0.046),
    ("spine3", (0.055, 0.40, -0.070), (0.085, 0.29, -0.062), 0.042, 0.040),
    ("left_collar", (0.02, 0.445, -0.005), (0.175, 0.462, -0.028), 0.040, 0.046),
    ("left_collar", (0.030, 0.520, -0.045), (0.155, 0.474, -0.036), 0.034, 0.036),
)  # fmt: skip
_HEAD: Final = (
    ("head", (0, 0.742, -0.022), (0, 0.742, 0.019), 0.0765, 0.0750),
    ("head", (0, 0.700, 0.012), (0, 0.655, 0.034), 0.0610, 0.0520),
    ("head", (0, 0.664, 0.050), (0, 0.632, 0.050), 0.0395, 0.0320),
    ("head", (-0.006, 0.6130, 0.0755), (0.006, 0.6130, 0.0755), 0.0150, 0.0150),
    ("head", (0, 0.712, 0.092), (0, 0.684, 0.114), 0.0075, 0.0085),
    ("head", (-0.014, 0.6475, 0.0870), (0.014, 0.6475, 0.0870), 0.0085, 0.0085),
    ("head", (-0.010, 0.6355, 0.0835), (0.010, 0.6355, 0.0835), 0.0085, 0.0085),
)  # fmt: skip
_HEAD_LEFT: Final = (
    ("head", (0.031, 0.684, 0.028), (0.025, 0.640, 0.040), 0.0390, 0.0290),
    ("head", (0.048, 0.665, 0.010), (0.016, 0.615, 0.062), 0.0180, 0.0145),
    ("head", (0.036, 0.677, 0.060), (0.053, 0.690, 0.036), 0.0190, 0.0190),
    ("head", (0.012, 0.726, 0.0870), (0.046, 0.723, 0.068), 0.0115, 0.0115),
    ("head", (0.031, 0.7020, 0.0770), (0.033, 0.7020, 0.0765), 0.0120, 0.0120),
    ("head", (0.009, 0.6785, 0.1050), (0.011, 0.6775, 0.1010), 0.0080, 0.0080),
    ("head", (0.077, 0.678, 0.010), (0.085, 0.712, -0.004), 0.0090, 0.0105),
    ("head", (0.085, 0.712, -0.004), (0.080, 0.721, 0.012), 0.0100, 0.0090),
)  # fmt: skip
_ARM: Final = (
    ("left_shoulder", (0.180, 0.462, -0.030), (0.250, 0.456, -0.035), 0.050, 0.045),
    ("left_shoulder", (0.220, 0.452, -0.032), (0.440, 0.450, -0.049), 0.042, 0.035),
    ("left_shoulder", (0.290, 0.450, -0.024), (0.370, 0.449, -0.032), 0.033, 0.031),
    ("left_elbow", (0.440, 0.450, -0.049), (0.700, 0.459, -0.060), 0.0350, 0.0195),
    ("left_elbow", (0.470, 0.450, -0.044), (0.560, 0.452, -0.049), 0.034, 0.030),
    ("left_elbow", (0.640, 0.457, -0.052), (0.705, 0.459, -0.049), 0.0175, 0.0155),
    ("left_elbow", (0.640, 0.457, -0.062), (0.705, 0.459, -0.071), 0.0175, 0.0150),
)  # fmt: skip
_LEG: Final = (
    ("left_hip", (0.090, -0.10, -0.004), (0.100, -0.46, 0.004), 0.080, 0.050),
    ("left_hip", (0.098, -0.17, 0.028), (0.102, -0.36, 0.024), 0.052, 0.042),
    ("left_hip", (0.102, -0.16, -0.030), (0.099, -0.38, -0.016), 0.052, 0.040),
    ("left_knee", (0.100, -0.460, 0.010), (0.099, -0.52, 0.006), 0.046, 0.041),
    ("left_knee", (0.099, -0.48, -0.006), (0.090, -0.86, -0.030), 0.046, 0.029),
    ("left_knee", (0.107, -0.545, -0.028), (0.101, -0.70, -0.034), 0.038, 0.026),
    ("left_knee", (0.085, -0.550, -0.026), (0.085, -0.68, -0.032), 0.034, 0.024),
    ("left_knee", (0.090, -0.80, -0.040), (0.089, -0.90, -0.054), 0.021, 0.026),
)  # fmt: skip
_FOOT: Final = (
    ("left_ankle", (0.088, -0.935, -0.062), (0.094, -0.935, -0.010), 0.037, 0.038),
    ("left_ankle", (0.091, -0.880, -0.022), (0.114, -0.930, 0.075), 0.036, 0.033),
    ("left_ankle", (0.094, -0.940, -0.020), (0.124, -0.945, 0.080), 0.037, 0.040),
    ("left_foot", (0.106, -0.945, 0.085), (0.142, -0.947, 0.072), 0.034, 0.028),
    ("left_foot", (0.112, -0.945, 0.085), (0.112, -0.946, 0.132), 0.036, 0.031),
    ("left_foot", (0.132, -0.947, 0.085), (0.138, -0.949, 0.112), 0.030, 0.026),
)  # fmt: skip
_METACARPALS: Final = ((-0.046, 0.0125), (-0.057, 0.0130), (-0.066, 0.0125), (-0.074, 0.0115))
_FINGER_RADII: Final = ((0.0120, 0.0085), (0.0100, 0.0074), (0.0102, 0.0076), (0.0098, 0.0072), (0.0088, 0.0064))


def mean_capsules() -> tuple[Capsule, ...]:
    """Every capsule of the mean person, left ones followed by their mirror images."""
    middle = [_capsule(row) for row in (*_TORSO, *_HEAD)]
    left = [_capsule(row) for row in (*_TORSO_LEFT, *_HEAD_LEFT, *_ARM, *_LEG, *_FOOT, *_hand())]
    return (*middle, *left, *(_mirrored(capsule) for capsule in left))


def _capsule(row: tuple[str, Point, Point, float, float]) -> Capsule:
    return Capsule(joint_index(row[0]), *row[1:])


def _mirrored(capsule: Capsule) -> Capsule:
    name = JOINT_NAMES[capsule.joint].replace("left", "right")
    (ax, ay, az), (bx, by, bz) = capsule.start, capsule.end
    return Capsule(joint_index(name), (-ax, ay, az), (-bx, by, bz), capsule.start_radius, capsule.end_radius)


def _hand() -> list[tuple[str, Point, Point, float, float]]:
    """Palm bones on the wrist joint; thumb and fingers, straight, on the hand joint."""
    rows: list[tuple[str, Point, Point, float, float]] = []
    for finger, (z, radius) in zip(LEFT_FINGERS[1:], _METACARPALS, strict=True):
        rows.append(("left_wrist", (0.705, 0.459, z), _point(finger[0]), radius + 0.003, radius - 0.001))
    thumb = LEFT_FINGERS[0]
    rows.append(("left_wrist", (0.715, 0.455, -0.046), _point(thumb[1]), 0.0145, 0.0125))
    rows.append(("left_hand", _point(thumb[1]), _point(thumb[3]), *_FINGER_RADII[0]))
    for finger, radii in zip(LEFT_FINGERS[1:], _FINGER_RADII[1:], strict=True):
        rows.append(("left_hand", _point(finger[0]), _point(finger[2]), radii[0], (radii[0] + 2 * radii[1]) / 3))
        rows.append(("left_hand", _point(finger[2]), _point(finger[3]), (radii[0] + 2 * radii[1]) / 3, radii[1]))
    return rows


def _point(p: Array) -> Point:
    return float(p[0]), float(p[1]), float(p[2])
