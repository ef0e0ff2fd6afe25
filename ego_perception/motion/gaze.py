"""The head: looks from target to target ahead of the body, no faster than a head turns, and never quite still."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ego_perception.motion.curves import smooth_to_rate, soft_limit, wander, wrap_angle
from ego_perception.motion.rotations import about, transposed, upright
from ego_perception.motion.script import Gaze

Array = NDArray[np.float64]
Rng = np.random.Generator

MAX_RATE_RAD_S = 1.35
"""Of yaw and of pitch; unrest and the trunk add a little."""
LEAD_S = 0.2
"""The gaze turns before the body does."""
NOSE_SHARE = 0.65
"""Of the pitch of a target; the eyes do the rest."""
MAX_YAW_RAD, MAX_UP_RAD, MAX_DOWN_RAD = 1.15, 0.35, 0.7
NECK_SHARE = 0.5
_DEGREE = math.pi / 180.0


def gaze_angles(
    keys: Sequence[tuple[float, Gaze]], times: Array, eyes: Array, heading: Array, eyes_down: float, rate_hz: float
) -> tuple[Array, Array]:
    """Yaw and pitch of the nose, (T,) radians; pitch is positive upwards.

    Args:
        keys: start times and targets, in order, the first at or before 0.
        eyes: (T, 3); heading: (T,) of the pelvis, unwrapped; eyes_down: pitch that the eyes take themselves.
    """
    ahead = heading[np.minimum(np.arange(len(times)) + round(LEAD_S * rate_hz), len(times) - 1)]
    turn, pitch = np.zeros_like(times), np.zeros_like(times)
    starts = [k[0] for k in keys] + [math.inf]
    for (start, gaze), end in zip(keys, starts[1:], strict=True):
        now = (times >= start) & (times < end)
        if not now.any():
            continue
        if gaze.point is None and gaze.follow is None:
            pitch[now] = gaze.pitch_rad
            continue
        target = gaze.follow(times[now]) if gaze.follow is not None else np.asarray(gaze.point)
        gap = target - eyes[now]
        turn[now] = wrap_angle(np.arctan2(gap[:, 1], gap[:, 0]) - ahead[now])
        pitch[now] = np.arctan2(gap[:, 2], np.maximum(np.hypot(gap[:, 0], gap[:, 1]), 0.25))
    yaw = ahead + np.sign(turn) * soft_limit(np.abs(turn), MAX_YAW_RAD, 0.8)
    nose = NOSE_SHARE * pitch + eyes_down
    nose = np.where(nose < 0.0, -soft_limit(-nose, MAX_DOWN_RAD, 0.55), soft_limit(nose, MAX_UP_RAD, 0.15))
    both = smooth_to_rate(np.stack([yaw, nose], axis=1), 0.16, rate_hz, MAX_RATE_RAD_S)
    return both[:, 0], both[:, 1]


def head_rotations(rng: Rng, times: Array, chest: Array, yaw: Array, pitch: Array, unrest: Array) -> tuple[Array, Array]:
    """Local rotations of neck and head, (T, 3, 3) each, that make the nose point along yaw and pitch.

    Args:
        chest: (T, 3, 3) world; unrest: (T,) scale of the small movements of 0.5-2 Hz, 1 is usual.
    """
    yaw = yaw + 0.7 * _DEGREE * unrest * wander(rng, times, 0.5, 1.6)
    pitch = pitch + 0.6 * _DEGREE * unrest * wander(rng, times, 0.5, 1.6)
    roll = 0.9 * _DEGREE * unrest * wander(rng, times, 0.2, 0.9)
    wanted = upright(yaw) @ about("x", -pitch) @ about("z", roll)
    twist, nod, tilt = _yxz(transposed(chest) @ wanted)
    neck = about("y", NECK_SHARE * twist) @ about("x", NECK_SHARE * nod) @ about("z", NECK_SHARE * tilt)
    return neck, transposed(neck) @ transposed(chest) @ wanted


def _yxz(R: Array) -> tuple[Array, Array, Array]:
    """Angles of R = Ry Rx Rz."""
    x = np.arcsin(np.clip(-R[:, 1, 2], -1.0, 1.0))
    return np.arctan2(R[:, 0, 2], R[:, 2, 2]), x, np.arctan2(R[:, 1, 0], R[:, 1, 1])
