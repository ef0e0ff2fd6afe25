"""From a score (steps, hands, gaze, leans over time) to the joint rotations of every sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import NUM_JOINTS, joint_index
from ego_perception.motion.clip import Hold, MotionClip
from ego_perception.motion.curves import KeyTrack, lower_envelope, smooth, wander
from ego_perception.motion.footsteps import Feet, Step, pendulum, sample_feet
from ego_perception.motion.gaze import gaze_angles, head_rotations
from ego_perception.motion.hands import HandTrack, Surroundings
from ego_perception.motion.limbs import solve_arm, solve_leg
from ego_perception.motion.physique import Physique
from ego_perception.motion.rotations import apply
from ego_perception.motion.script import Gaze, Manner
from ego_perception.motion.torso import SPINE, Posture, Torso, hip_positions, hip_shift, pose_torso, root_rotation

Array = NDArray[np.float64]

RATE_HZ = 60.0
LEG_STRETCH = 0.991
"""A leg is never longer than this share of its bones; the pelvis comes down instead."""
_ENVELOPE_S = 0.13


def _scalar() -> KeyTrack:
    return KeyTrack(np.zeros(()))


@dataclass
class Score:
    """Everything a person does, as curves and events; the planner writes it.

    Attributes:
        feet: (2, 3) at the start.
        lean, twist, crouch: of the trunk (radians, radians, metres the pelvis is lower).
        seat_shift, seat_drop: pelvis relative to standing over the feet, (2,) and scalar, metres; seated: 0 to 1.
        hands: anchors of left and right; the right one leads where both carry one thing.
        curl: (5,) of each hand; unrest: scale of the head's small movements.
        gaze, activity: (time, value), in order.
    """

    physique: Physique
    manner: Manner
    feet: Array
    hands: tuple[HandTrack, HandTrack]
    steps: list[Step] = field(default_factory=list)
    lean: KeyTrack = field(default_factory=_scalar)
    twist: KeyTrack = field(default_factory=_scalar)
    crouch: KeyTrack = field(default_factory=_scalar)
    seat_shift: KeyTrack = field(default_factory=lambda: KeyTrack(np.zeros(2)))
    seat_drop: KeyTrack = field(default_factory=_scalar)
    seated: KeyTrack = field(default_factory=_scalar)
    curl: tuple[KeyTrack, KeyTrack] = field(default_factory=lambda: (KeyTrack(np.full(5, 0.22)), KeyTrack(np.full(5, 0.22))))
    unrest: KeyTrack = field(default_factory=lambda: KeyTrack(np.ones(())))
    gaze: list[tuple[float, Gaze]] = field(default_factory=list)
    activity: list[tuple[float, str]] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    end_s: float = 0.0


def compose(score: Score, *, duration_s: float | None = None, rate_hz: float = RATE_HZ) -> MotionClip:
    """Solve a score for all its samples at once.

    Args:
        duration_s: length of the clip; None for the score's own. A longer clip keeps the last pose.
        rate_hz: samples per second; a coarse clip is for checks.
    """
    physique, manner = score.physique, score.manner
    times = np.arange(max(2, round((duration_s or score.end_s) * rate_hz) + 1)) / rate_hz
    rng = np.random.default_rng([manner.seed, 7])
    feet = sample_feet(physique, score.feet, score.steps, times)
    posture = _posture(score, feet, times, rng, rate_hz)
    pelvis = _pelvis(score, feet, posture, times, rng, rate_hz)
    torso = pose_torso(physique, pelvis, posture)
    rotations = np.tile(np.eye(3), (len(times), NUM_JOINTS, 1, 1))
    rotations[:, 0] = torso.root
    for k, name in enumerate(SPINE):
        rotations[:, joint_index(name)] = torso.spine[:, k]
    hips = hip_positions(physique, pelvis, torso.root)
    for side in (0, 1):
        solve_leg(physique, side, torso, hips[:, side], feet, rotations)
    around = _surroundings(score, feet, torso, posture, times, rate_hz)
    right = score.hands[1].sample(around, None)
    for side, path in ((1, right), (0, score.hands[0].sample(around, right))):
        solve_arm(physique, side, torso, path, rotations)
    eyes = torso.neck + apply(torso.chest, np.array([0.0, 0.15, 0.1]))
    yaw, pitch = gaze_angles(score.gaze, times, eyes, posture.heading, manner.eyes_down_rad, rate_hz)
    unrest = score.unrest.sample(times)
    neck, head = head_rotations(rng, times, torso.chest, yaw, pitch, unrest)
    rotations[:, joint_index("neck")], rotations[:, joint_index("head")] = neck, head
    curl = np.stack([np.clip(track.sample(times), 0.0, 1.0) for track in score.curl], axis=1)
    activity = _labels(score, times)
    transl = pelvis - physique.rest_joints[0]
    return MotionClip(physique.betas, times, rotations, transl, curl, feet.contact, activity, tuple(score.holds))


def _posture(score: Score, feet: Feet, times: Array, rng: np.random.Generator, rate_hz: float) -> Posture:
    """Leans of the trunk: what the tasks ask, the step's own roll and counter-rotation, and breathing."""
    heading = smooth(feet.yaw.mean(axis=1), 0.08, rate_hz)
    stride = _stride(feet, heading, rate_hz)
    seated = score.seated.sample(times)
    quiet = 0.25 + 0.75 * score.unrest.sample(times)
    lean = score.lean.sample(times) + score.manner.lean_rad + 0.006 * quiet * wander(rng, times, 0.15, 0.35)
    twist = score.twist.sample(times) + 0.16 * stride + 0.012 * quiet * wander(rng, times, 0.1, 0.3)
    roll = 0.05 * smooth(feet.swing[:, 1] - feet.swing[:, 0], 0.06, rate_hz)
    return Posture(heading - 0.09 * stride, lean, twist, roll, -0.12 * seated)


def _stride(feet: Feet, heading: Array, rate_hz: float) -> Array:
    """(T,) how far the left foot is ahead of the right, in steps."""
    gap = feet.ankles[:, 0, :2] - feet.ankles[:, 1, :2]
    ahead = gap[:, 0] * np.cos(heading) + gap[:, 1] * np.sin(heading)
    return smooth(np.clip(ahead / 0.55, -1.3, 1.3), 0.05, rate_hz)


def _pelvis(score: Score, feet: Feet, posture: Posture, times: Array, rng: np.random.Generator, rate_hz: float) -> Array:
    """(T, 3): over the pendulum's path, lowered wherever a leg would not reach, or onto the seat."""
    physique = score.physique
    height = physique.standing_pelvis_m
    xy = pendulum(feet.weight, height, rate_hz) + score.seat_shift.sample(times)
    standing = 1.0 - score.seated.sample(times)
    lean, crouch = score.lean.sample(times), score.crouch.sample(times)
    back = standing * hip_shift(lean, crouch)
    xy -= back[:, None] * np.stack([np.cos(posture.heading), np.sin(posture.heading)], axis=1)
    sway = standing * 0.004 * (0.3 + 0.7 * score.unrest.sample(times))
    xy += np.stack([sway * wander(rng, times, 0.12, 0.4) for _ in range(2)], axis=1)
    wanted = height - crouch + score.seat_drop.sample(times)
    pelvis = np.concatenate([xy, wanted[:, None]], axis=1)
    hips = hip_positions(physique, pelvis, root_rotation(posture))
    gap = hips - feet.ankles
    level = np.hypot(gap[..., 0], gap[..., 1])
    reach = np.array([LEG_STRETCH * leg.reach for leg in physique.legs])
    room = feet.ankles[..., 2] + np.sqrt(np.maximum(reach**2 - level**2, 0.01)) - hips[..., 2]
    pelvis[:, 2] = lower_envelope(wanted + np.minimum(room.min(axis=1), 0.0), max(3, round(_ENVELOPE_S * rate_hz)))
    return pelvis


def _surroundings(score: Score, feet: Feet, torso: Torso, posture: Posture, times: Array, rate_hz: float) -> Surroundings:
    limb = score.physique.arms[0]
    arm = limb.reach + float(np.linalg.norm(score.physique.offset("left_hand", "left_wrist")))
    stride = score.manner.arm_swing * _stride(feet, posture.heading, rate_hz)
    swing = np.stack([-stride, stride], axis=1)
    return Surroundings(times, torso.throat, torso.shoulders, torso.pelvis, torso.heading, posture.heading, swing, arm)


def _labels(score: Score, times: Array) -> tuple[str, ...]:
    starts = np.array([t for t, _ in score.activity])
    names = [name for _, name in score.activity]
    return tuple(names[i] for i in np.maximum(np.searchsorted(starts, times + 1e-9, side="right") - 1, 0))
