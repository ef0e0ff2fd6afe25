"""Where the hands are: a sequence of anchors (beside the body, before the chest, at a world pose, with the other hand) and
minimum-jerk transitions from each to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.motion.curves import bump, min_jerk, progress
from ego_perception.motion.rotations import about, apply, between, transposed, unit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What anchors refer to, over time.

    Attributes:
        times: (T,); throat: (T, 3) midway between the shoulders; shoulders: (T, 2, 3); pelvis: (T, 3).
        heading: (T,) of the chest; pelvis_heading: (T,); swing: (T, 2) forward swing of each arm, -1..1.
        arm_m: length of the arm to the hand joint.
    """

    times: Array
    throat: Array
    shoulders: Array
    pelvis: Array
    heading: Array
    pelvis_heading: Array
    swing: Array
    arm_m: float


@dataclass(frozen=True, eq=False)
class HandPath:
    """Hand joint over time: positions (T, 3) and rotations (T, 3, 3), hand to world."""

    position: Array
    rotation: Array


Anchor = Callable[[Surroundings, HandPath | None], HandPath]
"""Gives the hand's path; the second argument is the other hand's path, where it is known already."""


def hand_rotation(hand: int, fingers: Array, palm: Array) -> Array:
    """(..., 3, 3) hand to world from the directions of the fingers and of the palm's outward normal."""
    fingers = unit(np.asarray(fingers, dtype=np.float64))
    palm = np.asarray(palm, dtype=np.float64)
    palm = unit(palm - (palm * fingers).sum(-1, keepdims=True) * fingers)
    x = fingers if hand == 0 else -fingers
    return np.stack([x, -palm, np.cross(x, -palm)], axis=-1)


def outward(hand: int) -> float:
    """+1 for the left, -1 for the right hand: the sign of the person's own left."""
    return 1.0 if hand == 0 else -1.0


def hang(hand: int) -> Anchor:
    """Beside the body, swinging with the step; the elbow is a little bent."""
    side = outward(hand)

    def path(around: Surroundings, _: HandPath | None) -> HandPath:
        swing, arm = around.swing[:, hand], around.arm_m
        angle = 0.05 + 0.36 * swing
        length = arm * (0.955 - 0.03 * np.maximum(swing, 0.0))
        offset = np.stack([length * np.sin(angle), np.full_like(angle, side * 0.075), -length * np.cos(angle)], axis=-1)
        turn = about("z", around.heading)
        tilt = angle + 0.16 + 0.12 * np.maximum(swing, 0.0)
        fingers = np.stack([np.sin(tilt), np.full_like(tilt, -side * 0.05), -np.cos(tilt)], axis=-1)
        palm = np.array([-0.25, -side, 0.0])
        rotation = turn @ hand_rotation(hand, fingers, np.broadcast_to(palm, fingers.shape))
        return HandPath(around.shoulders[:, hand] + apply(turn, offset), rotation)

    return path


def before_chest(hand: int, offset: Array, rotation: Array, motion: Callable[[Array], Array] | None = None) -> Anchor:
    """At a place relative to the chest, (3,) forward, left, up from midway between the shoulders.

    Args:
        rotation: (3, 3) hand to the upright frame of the chest (x forward, y left).
        motion: adds (T, 3) to the offset, given the times.
    """

    def path(around: Surroundings, _: HandPath | None) -> HandPath:
        turn = about("z", around.heading)
        moved = offset + (motion(around.times) if motion is not None else np.zeros((len(around.times), 3)))
        return HandPath(around.throat + apply(turn, moved), turn @ rotation)

    return path


def waving(hand: int, start_s: float) -> Anchor:
    """Beside the head, the forearm to and fro about the elbow."""
    side = outward(hand)

    def path(around: Surroundings, _: HandPath | None) -> HandPath:
        turn = about("z", around.heading)
        tilt = -side * (0.12 + 0.32 * np.sin(2.0 * math.pi * 1.6 * (around.times - start_s)))
        elbow = np.array([0.16, side * 0.30, -0.20])
        forearm = apply(about("x", tilt), np.array([0.10, 0.0, 0.31]))
        fingers = apply(about("x", 1.2 * tilt), np.array([0.12, 0.0, 1.0]))
        palm = np.broadcast_to(np.array([0.45, -0.9 * side, -0.1]), fingers.shape)
        return HandPath(around.throat + apply(turn, elbow + forearm), turn @ hand_rotation(hand, fingers, palm))

    return path


def on_lap(hand: int, thigh_m: float) -> Anchor:
    """Flat on the thigh of somebody who sits."""
    side = outward(hand)
    rotation = hand_rotation(hand, np.array([1.0, -side * 0.45, -0.12]), np.array([0.0, -side * 0.6, -1.0]))
    offset = np.array([0.62 * thigh_m, side * 0.115, 0.035])

    def path(around: Surroundings, _: HandPath | None) -> HandPath:
        turn = about("z", around.pelvis_heading)
        return HandPath(around.pelvis + apply(turn, offset), turn @ rotation)

    return path


def at_world(position: Array, rotation: Array) -> Anchor:
    """At a fixed pose of the world."""

    def path(around: Surroundings, _: HandPath | None) -> HandPath:
        n = len(around.times)
        return HandPath(np.tile(position, (n, 1)), np.tile(rotation, (n, 1, 1)))

    return path


def with_other(T_other_hand: Array) -> Anchor:
    """At a fixed pose relative to the other hand, (4, 4) this hand to the other: both carry one thing."""

    def path(_: Surroundings, other: HandPath | None) -> HandPath:
        assert other is not None, "the leading hand is evaluated first"
        return HandPath(other.position + other.rotation @ T_other_hand[:3, 3], other.rotation @ T_other_hand[:3, :3])

    return path


@dataclass
class HandTrack:
    """The anchors of one hand in the order of time.

    Attributes:
        first: where the hand is at the start.
    """

    first: Anchor
    _keys: list[tuple[float, float, Anchor, float]] = field(default_factory=list)

    def to(self, anchor: Anchor, start: float, end: float, lift: float = 0.0) -> None:
        """Go to an anchor during the interval, over an arc that rises by `lift` metres."""
        self._keys.append((start, end, anchor, lift))

    def sample(self, around: Surroundings, other: HandPath | None) -> HandPath:
        """Evaluate; anchors that matter at no time are skipped."""
        path = self.first(around, other)
        position, rotation = path.position.copy(), path.rotation
        for start, end, anchor, lift in self._keys:
            x = progress(around.times, start, end)
            goal, weight = anchor(around, other), min_jerk(x)
            position += weight[:, None] * (goal.position - position)
            position[:, 2] += lift * bump(x)
            rotation = between(rotation, goal.rotation, weight)
        return HandPath(position, rotation)


def relative(T_world_first: Array, T_world_second: Array) -> Array:
    """(4, 4) second pose in the frame of the first."""
    R = transposed(T_world_first[:3, :3])
    out = np.eye(4)
    out[:3, :3] = R @ T_world_second[:3, :3]
    out[:3, 3] = R @ (T_world_second[:3, 3] - T_world_first[:3, 3])
    return out
