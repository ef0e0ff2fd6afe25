"""Pelvis and spine of many samples: from where the pelvis is and how far the body leans and twists to chest and shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import joint_index
from ego_perception.motion.curves import wrap_angle
from ego_perception.motion.physique import SIDES, Physique
from ego_perception.motion.rotations import about, apply, upright

Array = NDArray[np.float64]

SPINE = ("spine1", "spine2", "spine3")
PELVIS_LEAN_SHARE = 0.45
"""Of a lean; the rest is divided equally over the spine."""


@dataclass(frozen=True, eq=False)
class Posture:
    """How the trunk is held; every field (T,) radians.

    Attributes:
        heading: of the pelvis; lean: forward, pelvis and spine together; roll: right side of the pelvis down is positive.
        twist: of the chest against the pelvis, to the left; pelvis_pitch: forward tilt of the pelvis beside the lean.
    """

    heading: Array
    lean: Array
    twist: Array
    roll: Array
    pelvis_pitch: Array


@dataclass(frozen=True, eq=False)
class Torso:
    """The posed trunk.

    Attributes:
        pelvis: (T, 3); root: (T, 3, 3) world rotation; spine: (T, 3, 3, 3) local rotations.
        chest: (T, 3, 3) world rotation of spine3; heading: (T,) of the chest.
        shoulders: (T, 2, 3); collars: (T, 2, 3); neck: (T, 3); throat: (T, 3) midway between the shoulders.
    """

    pelvis: Array
    root: Array
    spine: Array
    chest: Array
    heading: Array
    shoulders: Array
    collars: Array
    neck: Array
    throat: Array


def hip_positions(physique: Physique, pelvis: Array, root: Array) -> Array:
    """(T, 2, 3) world positions of the hips."""
    return np.stack([pelvis + apply(root, physique.offset(f"{s}_hip", "pelvis")) for s in SIDES], axis=1)


def hip_shift(lean: Array, crouch: Array) -> Array:
    """How far the pelvis goes back to keep the balance of somebody who leans (radians) and crouches (metres)."""
    return 0.09 * np.sin(np.maximum(lean, 0.0)) + 0.12 * crouch


def root_rotation(posture: Posture) -> Array:
    """(T, 3, 3) pelvis to world."""
    pitch = PELVIS_LEAN_SHARE * posture.lean + posture.pelvis_pitch
    return upright(posture.heading) @ about("z", posture.roll) @ about("x", pitch)


def pose_torso(physique: Physique, pelvis: Array, posture: Posture) -> Torso:
    """Forward kinematics of the trunk; the spine takes out the pelvis's own roll and pitch, so that the chest stays level.

    Args:
        pelvis: (T, 3) world position of the pelvis joint.
    """
    root = root_rotation(posture)
    lean = ((1.0 - PELVIS_LEAN_SHARE) * posture.lean - posture.pelvis_pitch) / 3.0
    joint = about("y", posture.twist / 3.0) @ about("x", lean) @ about("z", -posture.roll / 3.0)
    world, position, parent = root, pelvis, "pelvis"
    for name in SPINE:
        position = position + apply(world, physique.offset(name, parent))
        world, parent = world @ joint, name
    collars = np.stack([position + apply(world, physique.offset(f"{s}_collar", "spine3")) for s in SIDES], axis=1)
    rest = physique.rest_joints[[joint_index(f"{s}_shoulder") for s in SIDES]] - physique.rest_joints[joint_index("spine3")]
    shoulders = position[:, None] + np.einsum("tij,sj->tsi", world, rest)
    left = world[:, :, 0]  # stays nearly level however deep the body leans
    heading = posture.heading + wrap_angle(np.arctan2(-left[:, 0], left[:, 1]) - posture.heading)
    neck = position + apply(world, physique.offset("neck", "spine3"))
    spine = np.repeat(joint[:, None], 3, axis=1)
    return Torso(pelvis, root, spine, world, heading, shoulders, collars, neck, shoulders.mean(axis=1))
