"""Arms and legs of many samples: local joint rotations that bring hands and feet where they are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import joint_index
from ego_perception.motion.curves import min_jerk, soft_limit
from ego_perception.motion.footsteps import Feet
from ego_perception.motion.hands import HandPath, outward
from ego_perception.motion.inverse_kinematics import swivel, twist_about, two_bone
from ego_perception.motion.physique import SIDES, Physique
from ego_perception.motion.rotations import about, apply, transposed, unit
from ego_perception.motion.torso import Torso

Array = NDArray[np.float64]

ELBOW_POLE = np.array([-0.4, 0.5, -1.0])
"""Where an elbow points, in the upright frame of the chest: back, outwards, down."""
PRONATION_RAD, SWIVEL_RAD = 0.8, 0.9
COLLAR_FORWARD_RAD, COLLAR_UP_RAD = 0.32, 0.4


def solve_leg(physique: Physique, side: int, torso: Torso, hip: Array, feet: Feet, rotations: Array) -> None:
    """Fill hip, knee, ankle and toes of one leg into (T, 24, 3, 3) local rotations."""
    name, limb = SIDES[side], physique.legs[side]
    yaw = 0.5 * (feet.yaw[:, side] + feet.yaw.mean(axis=1))
    # The knee points along the foot, a little outwards, and upwards when it is far forward as in sitting.
    pole = apply(about("z", yaw), np.broadcast_to(np.array([1.0, 0.06 * outward(side), 0.25]), (len(yaw), 3)))
    pose = two_bone(limb, hip, feet.ankles[:, side], pole)
    rotations[:, joint_index(f"{name}_hip")] = transposed(torso.root) @ pose.upper
    rotations[:, joint_index(f"{name}_knee")] = transposed(pose.upper) @ pose.lower
    rotations[:, joint_index(f"{name}_ankle")] = transposed(pose.lower) @ feet.rotations[:, side]
    rotations[:, joint_index(f"{name}_foot")] = about("x", feet.toes[:, side])


def solve_arm(physique: Physique, side: int, torso: Torso, hand: HandPath, rotations: Array) -> None:
    """Fill collar, shoulder, elbow and wrist of one arm into (T, 24, 3, 3) local rotations."""
    name, limb = SIDES[side], physique.arms[side]
    wrist = hand.position - apply(hand.rotation, physique.offset(f"{name}_hand", f"{name}_wrist"))
    collar, shoulder = girdle(physique, side, torso, wrist)
    gap = wrist - shoulder
    distance = np.linalg.norm(gap, axis=-1, keepdims=True)
    wrist = shoulder + unit(gap) * soft_limit(distance, 0.998 * limb.reach, 0.985 * limb.reach)
    pole = apply(about("z", torso.heading), np.broadcast_to(ELBOW_POLE * (1.0, outward(side), 1.0), gap.shape))
    pose = two_bone(limb, shoulder, wrist, pole)
    # The forearm turns only so far; the rest comes from the shoulder, which swings the elbow out or in.
    twist = twist_about(transposed(pose.lower) @ hand.rotation, unit(limb.lower))
    excess = np.sign(twist) * soft_limit(np.maximum(np.abs(twist) - PRONATION_RAD, 0.0), SWIVEL_RAD, 0.6 * SWIVEL_RAD)
    pose = two_bone(limb, shoulder, wrist, swivel(pole, unit(gap), 1.25 * excess))
    rotations[:, joint_index(f"{name}_collar")] = collar
    rotations[:, joint_index(f"{name}_shoulder")] = transposed(torso.chest @ collar) @ pose.upper
    rotations[:, joint_index(f"{name}_elbow")] = transposed(pose.upper) @ pose.lower
    rotations[:, joint_index(f"{name}_wrist")] = transposed(pose.lower) @ hand.rotation


def girdle(physique: Physique, side: int, torso: Torso, wrist: Array) -> tuple[Array, Array]:
    """The shoulder girdle helps a far reach: forwards when the arm is nearly stretched, upwards when it is raised.

    Returns:
        (T, 3, 3) local rotation of the collar and (T, 3) world position of the shoulder.
    """
    name = SIDES[side]
    local = apply(transposed(torso.chest), wrist - torso.shoulders[:, side]) / physique.arms[side].reach
    stretch = min_jerk((np.linalg.norm(local, axis=-1) - 0.55) / 0.55)
    forward = COLLAR_FORWARD_RAD * stretch * np.clip(local[:, 2], 0.0, 1.0) ** 2
    up = COLLAR_UP_RAD * min_jerk((local[:, 1] + 0.3) / 1.4)
    collar = about("z", outward(side) * up) @ about("y", -outward(side) * forward)
    offset = physique.offset(f"{name}_shoulder", f"{name}_collar")
    return collar, torso.collars[:, side] + apply(torso.chest @ collar, offset)
