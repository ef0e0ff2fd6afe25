"""Footsteps: where and when each foot is put down, the arcs between, and the weight shift they ask of the body.

A foot on the floor does not move at all: contact means flat and locked. What is between, from the rise of the heel over the
ball to the landing on the heel, is the swing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from ego_perception.motion.curves import bump, min_jerk, progress, wrap_angle
from ego_perception.motion.physique import Physique
from ego_perception.motion.rotations import about, apply, upright

Array = NDArray[np.float64]

SWING_SHARE = 0.86
"""Of a step's duration; the rest is double support."""
SHIFT_S = 0.3
"""Time to bring the weight over one foot before the first step, and back after the last."""
HEEL_BACK_M = 0.05
_GRAVITY = 9.81


@dataclass(frozen=True, eq=False)
class Step:
    """One foot's way to its next place.

    Attributes:
        foot: 0 left, 1 right; lift_s, land_s: the swing.
        origin, target: (3,) floor point under the ankle and yaw.
    """

    foot: int
    lift_s: float
    land_s: float
    origin: Array
    target: Array

    @property
    def length(self) -> float:
        """Metres over the floor."""
        return float(np.hypot(*(self.target - self.origin)[:2]))


@dataclass(frozen=True, eq=False)
class Feet:
    """Both feet over time.

    Attributes:
        ankles: (T, 2, 3) world; rotations: (T, 2, 3, 3) foot to world; toes: (T, 2) bend of the toes, radians, negative is up.
        yaw: (T, 2) unwrapped; contact: (T, 2); swing: (T, 2) hills of height one while a foot is in the air.
        weight: (T, 2) floor point that carries the weight.
    """

    ankles: Array
    rotations: Array
    toes: Array
    yaw: Array
    contact: NDArray[np.bool_]
    swing: Array
    weight: Array


def stance(physique: Physique, place: Sequence[float] | Array, heading: float, width: float = 1.0) -> Array:
    """(2, 3) feet of a person who stands at a place; `width` scales the distance of the feet."""
    c, s = math.cos(heading), math.sin(heading)
    back, half = physique.ankle_back_m, physique.stance_half_m * width
    return np.array(
        [[place[0] - c * back - side * s * half, place[1] - s * back + side * c * half, heading] for side in (1, -1)]
    )


def walk(
    physique: Physique, feet: Array, way: Array, start_s: float, step_s: float, step_m: float, heading: float | None
) -> list[Step]:
    """Steps along a way, alternately left and right, and one more that closes the feet.

    Args:
        feet: (2, 3) where they stand; way: (N, 2) floor points; heading: to face at the end, None for the way's own direction.
    """
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    count = max(1, math.ceil(along[-1] / step_m - 0.05))
    stations = np.linspace(0.0, along[-1], count + 1)[1:]
    yaws = _directions(way, along, stations, float(feet[:, 2].mean()))
    if heading is not None:
        yaws[-1] += float(wrap_angle(heading - yaws[-1]))
    points = np.stack([np.interp(stations, along, way[:, k]) for k in (0, 1)], axis=1)
    turn = float(wrap_angle(yaws[0] - feet[:, 2].mean()))
    foot = 0 if turn > 0.05 else 1
    feet, steps, t = feet.copy(), [], start_s
    for k in range(count + 1):
        i, width = min(k, count - 1), 0.85 if k < count - 1 else 1.0
        target = stance(physique, points[i], yaws[i], width)[foot]
        steps.append(_step(foot, t, step_s, feet[foot], target))
        feet[foot] = target
        foot, t = 1 - foot, t + step_s
    return steps


def shuffle(physique: Physique, feet: Array, place: Array, heading: float, start_s: float, step_s: float) -> list[Step]:
    """Small steps to a place nearby, sideways or backwards, and round to a heading; both feet take part in each."""
    here = _middle(physique, feet)
    yaw = float(feet[:, 2].mean())
    turn = float(wrap_angle(heading - yaw))
    gap = np.asarray(place) - here
    count = max(1, math.ceil(float(np.hypot(*gap)) / 0.28), math.ceil(abs(turn) / 0.95))
    leftward = -math.sin(yaw) * gap[0] + math.cos(yaw) * gap[1] + 0.3 * turn
    feet, steps, t = feet.copy(), [], start_s
    for k in range(1, count + 1):
        goal = stance(physique, here + k / count * gap, yaw + k / count * turn)
        for foot in (0, 1) if leftward > 0 else (1, 0):
            steps.append(_step(foot, t, step_s, feet[foot], goal[foot]))
            feet[foot] = goal[foot]
            t += step_s
    return steps


def sample_feet(physique: Physique, feet: Array, steps: Sequence[Step], times: Array) -> Feet:
    """Evaluate a plan of steps.

    Args:
        feet: (2, 3) at the start; steps: in the order of time, not overlapping.
    """
    n = len(times)
    flat = np.tile(feet, (n, 1, 1)).astype(np.float64)
    pitch, lift, toes, swing = np.zeros((n, 2)), np.zeros((n, 2)), np.zeros((n, 2)), np.zeros((n, 2))
    contact = np.ones((n, 2), dtype=bool)
    for step in steps:
        p, f = progress(times, step.lift_s, step.land_s), step.foot
        size = min(1.0, step.length / 0.7)
        flat[:, f] += min_jerk((p - 0.2) / 0.72)[:, None] * (step.target - step.origin)
        pitch[:, f] += math.radians(8 + 34 * size) * bump(p / 0.6) - math.radians(13 * size) * bump((p - 0.6) / 0.4)
        lift[:, f] += (0.03 + 0.02 * size) * bump((p - 0.12) / 0.8)
        swing[:, f] += bump(p)
        contact[:, f] &= (p <= 0.0) | (p >= 1.0)
    toes = -0.9 * np.maximum(pitch, 0.0)
    rotations = upright(flat[..., 2]) @ about("x", pitch)
    ball = physique.offset("left_foot", "left_ankle")
    ankles = np.concatenate([flat[..., :2], physique.sole_drop_m + lift[..., None]], axis=-1)
    for f in (0, 1):
        toe_pivot = np.array([ball[0] if f == 0 else -ball[0], ball[1], ball[2]])
        heel_pivot = np.array([0.0, -physique.sole_drop_m, -HEEL_BACK_M])
        pivot = np.where((pitch[:, f] > 0)[:, None], toe_pivot, heel_pivot)
        ankles[:, f] += apply(upright(flat[:, f, 2]), pivot) - apply(rotations[:, f], pivot)
    weight = _weight(physique, feet, steps, times)
    return Feet(ankles, rotations, toes, flat[..., 2], contact, swing, weight)


def pendulum(weight: Array, height: float, rate_hz: float) -> Array:
    """Path of the centre of mass over the points that carry it: the linear inverted pendulum (Kajita et al., IROS 2001).

    Solves c - (h / g) c'' = z for all samples at once (Kajita et al. 2003 use the same relation in preview control).
    """
    n, k = len(weight), height / _GRAVITY * rate_hz**2
    bands = np.empty((3, n))
    bands[0], bands[1], bands[2] = -k, 1.0 + 2.0 * k, -k
    bands[1, [0, -1]] = 1.0 + k
    out: Array = solve_banded((1, 1), bands, weight)
    return out


def _directions(way: Array, along: Array, stations: Array, yaw: float) -> Array:
    """Unwrapped direction of travel at each station, taken over 0.3 m."""
    ahead, behind = (
        np.stack([np.interp(np.clip(stations + d, 0, along[-1]), along, way[:, k]) for k in (0, 1)], axis=1)
        for d in (0.15, -0.15)
    )
    delta = ahead - behind
    angles = np.arctan2(delta[:, 1], delta[:, 0])
    return np.unwrap(np.concatenate([[yaw], angles]))[1:]


def _step(foot: int, t: float, step_s: float, origin: Array, target: Array) -> Step:
    target = target.copy()
    target[2] = origin[2] + float(wrap_angle(target[2] - origin[2]))
    rest = 0.5 * (1.0 - SWING_SHARE) * step_s
    return Step(foot, t + rest, t + step_s - rest, origin.copy(), target)


def _middle(physique: Physique, feet: Array) -> Array:
    """(2,) place of a person by the feet."""
    return np.array([_center(physique, feet[f]) for f in (0, 1)]).mean(axis=0)


def _center(physique: Physique, foot: Array) -> Array:
    """(2,) the point of a foot that carries the weight in quiet standing."""
    return foot[:2] + physique.ankle_back_m * np.array([math.cos(foot[2]), math.sin(foot[2])])


def _weight(physique: Physique, feet: Array, steps: Sequence[Step], times: Array) -> Array:
    """(T, 2) the point that carries the weight: under the standing foot during a swing, else on the way to the next."""
    feet = feet.copy()
    knots = [(-1.0, _middle(physique, feet))]
    for step in steps:
        middle = _middle(physique, feet)
        standing = _center(physique, feet[1 - step.foot])
        roll = 0.12 * (step.target - step.origin)[:2]
        if step.lift_s - knots[-1][0] > 2.0 * SHIFT_S:
            knots += [(knots[-1][0] + SHIFT_S, middle), (step.lift_s - SHIFT_S, middle)]
        knots += [(step.lift_s, standing - 0.5 * roll), (step.land_s, standing + 0.5 * roll)]
        feet[step.foot] = step.target
    knots.append((knots[-1][0] + SHIFT_S, _middle(physique, feet)))
    at = np.array([k[0] for k in knots])
    return np.stack([np.interp(times, at, [k[1][i] for k in knots]) for i in (0, 1)], axis=1)
