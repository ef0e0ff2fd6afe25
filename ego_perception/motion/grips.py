"""How hands meet objects: where the hand joint is and how it is turned for each grip, and how the trunk helps a reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import make_transform
from ego_perception.motion.hands import hand_rotation, outward, relative
from ego_perception.motion.limbs import girdle
from ego_perception.motion.physique import PALM_DEPTH_M, SIDES, Physique
from ego_perception.motion.rotations import about
from ego_perception.motion.script import Grip, MotionError
from ego_perception.motion.torso import Posture, hip_shift, pose_torso

Array = NDArray[np.float64]
Size = tuple[float, float, float]

LEANS_RAD = np.linspace(0.0, 0.95, 20)
TWIST_RAD = 0.25
CROUCHES_M = np.linspace(0.0, 0.32, 9)
COMFORT = 0.975
"""Share of the arm that a planned reach uses at most."""
CURL = {Grip.SIDE: 0.55, Grip.TOP: 0.3, Grip.BOTH: 0.12}
LOW_M = 0.085
"""What is lower than this is taken from above."""
WIDE_M = 0.125
"""What is wider than this does not fit between thumb and fingers."""


@dataclass(frozen=True, eq=False)
class Grasp:
    """Hand poses for one object.

    Attributes:
        hand: the leading hand, the right one where both are needed.
        T_world_hand: (4, 4) of the leading hand; azimuth: direction about z in which its fingers point.
        T_hand_other: (4, 4) pose of the other hand in the leading one, None where one is enough.
        T_hand_object: (4, 4); palm: (3,) outward normal of the leading palm.
    """

    hand: int
    grip: Grip
    T_world_hand: Array
    azimuth: float
    T_hand_object: Array
    palm: Array
    T_hand_other: Array | None = None

    @property
    def upright(self) -> Array:
        """(3, 3) rotation of the hand where the fingers point along +x."""
        return about("z", -self.azimuth) @ self.T_world_hand[:3, :3]

    def holding_at(self, point: Array, azimuth: float) -> Array:
        """(4, 4) hand pose that holds the object, turned to another azimuth, with its foot at `point`."""
        R = about("z", azimuth) @ self.upright
        return make_transform(R, point - R @ self.T_hand_object[:3, 3])


def choose_grip(size: Size) -> Grip:
    """The natural grip of a thing of this size, or BOTH where it is too large for one hand."""
    wide, high = min(size[0], size[1]), size[2]
    if high < LOW_M:
        return Grip.TOP
    return Grip.SIDE if wide < WIDE_M else Grip.BOTH


def grasp_object(hand: int, grip: Grip, T_world_object: Array, size: Size, azimuth: float, drop: float) -> Grasp:
    """Place the hands on an object.

    Args:
        T_world_object: (4, 4) origin at the middle of its foot; azimuth: from the shoulder to the object;
            drop: height of the shoulder over the object, metres; the lower it is, the steeper the hand.
    """
    if grip is Grip.BOTH:
        hand = 1
    turn = about("z", azimuth)
    base, high = T_world_object[:3, 3], size[2]
    if grip is Grip.TOP:
        fingers, palm = turn @ np.array([1.0, 0.0, -0.3]), np.array([0.0, 0.0, -1.0])
        position = base + np.array([0.0, 0.0, high + PALM_DEPTH_M + 0.02]) - 0.05 * turn[:, 0]
        T_hand = make_transform(hand_rotation(hand, fingers, palm), position)
        return Grasp(hand, grip, T_hand, azimuth, relative(T_hand, T_world_object), palm)
    down = -float(np.clip(0.12 + 1.3 * (drop - 0.35), 0.1, 0.55))
    poses = []
    for side in (hand,) if grip is Grip.SIDE else (1, 0):
        palm = -outward(side) * turn[:, 1]
        gap = _half_extent(T_world_object, size, palm) + PALM_DEPTH_M
        rise = float(np.clip(0.55 * high, min(0.075, high), max(high - 0.02, 0.075)))
        position = base + np.array([0.0, 0.0, rise]) - gap * palm - 0.03 * turn[:, 0]
        poses.append(make_transform(hand_rotation(side, turn @ np.array([1.0, 0.0, down]), palm), position))
    other = relative(poses[0], poses[1]) if len(poses) == 2 else None
    return Grasp(hand, grip, poses[0], azimuth, relative(poses[0], T_world_object), -outward(hand) * turn[:, 1], other)


def _half_extent(T: Array, size: Size, direction: Array) -> float:
    """Half width of an object along a level direction; round ones are as wide from everywhere."""
    if abs(size[0] - size[1]) < 0.012:
        return 0.25 * (size[0] + size[1])
    return 0.5 * float(abs(direction @ T[:3, 0]) * size[0] + abs(direction @ T[:3, 1]) * size[1])


@dataclass(frozen=True)
class Bend:
    """How the trunk helps a reach: lean forward, twist to the left (radians), crouch (metres)."""

    lean: float = 0.0
    twist: float = 0.0
    crouch: float = 0.0


UPRIGHT = Bend()


def bend_for(physique: Physique, pelvis: Array, heading: float, targets: Sequence[tuple[int, Array]], *, seated: bool) -> Bend:
    """The least bend that brings hands to their targets with arms not quite stretched.

    Args:
        pelvis: (3,) upright; targets: hands with (4, 4) poses of the hand joint.

    Raises:
        MotionError: out of reach however far one leans.
    """
    crouches = CROUCHES_M[:1] if seated else CROUCHES_M
    lean, crouch = (g.ravel() for g in np.meshgrid(LEANS_RAD, crouches, indexing="ij"))
    n, zero = len(lean), np.zeros(len(lean))
    # One hand brings its shoulder forward.
    twist = zero if len(targets) > 1 else -outward(targets[0][0]) * TWIST_RAD * np.minimum(lean / 0.3, 1.0)
    back = zero if seated else hip_shift(lean, crouch)
    at = pelvis - np.stack([back * math.cos(heading), back * math.sin(heading), crouch], axis=1)
    torso = pose_torso(physique, at, Posture(np.full(n, heading), lean, twist, zero, zero))
    fits = np.ones(n, dtype=bool)
    for hand, T in targets:
        offset = physique.offset(f"{SIDES[hand]}_hand", f"{SIDES[hand]}_wrist")
        wrist = np.tile(T[:3, 3] - T[:3, :3] @ offset, (n, 1))
        _, shoulder = girdle(physique, hand, torso, wrist)
        fits &= np.linalg.norm(shoulder - wrist, axis=1) < COMFORT * physique.arms[hand].reach
    if not fits.any():
        where = ", ".join(f"({T[0, 3]:.2f}, {T[1, 3]:.2f}, {T[2, 3]:.2f})" for _, T in targets)
        raise MotionError(f"a hand target at {where} m is out of reach from ({pelvis[0]:.2f}, {pelvis[1]:.2f}); stand nearer")
    best = int(np.where(fits, lean + 12.0 * crouch, np.inf).argmin())
    return Bend(float(lean[best]), float(twist[best]), float(crouch[best]))
