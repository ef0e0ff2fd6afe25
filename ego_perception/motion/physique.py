"""The measures of one person that motion needs: limbs, sole, and how far a seat is below the pelvis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.skinning import pose_vertices
from ego_perception.body.state import BodyState
from ego_perception.motion.inverse_kinematics import Limb
from ego_perception.motion.rotations import about

Array = NDArray[np.float64]

SIDES = ("left", "right")
PALM_DEPTH_M = 0.03
"""From the hand joint to the skin of the palm, with a little give."""
FINGER_DIRECTION = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
"""Of the left and right hand at rest, arms sideways; palms look down (-y), thumbs forward (+z)."""


@dataclass(frozen=True, eq=False)
class Physique:
    """Measures of one person, metres.

    Attributes:
        rest_joints: (24, 3) as in `BodyModel.rest_joints`.
        sole_drop_m: height of the ankle joint over the floor with the foot flat.
        seat_drop_m: height of the pelvis joint over the seat when sitting.
        depth_m: from the pelvis joint to the front of the belly.
        back_m: from the pelvis joint to the back of the seated body.
        betas: (10,) the shape they belong to.
    """

    rest_joints: Array
    sole_drop_m: float = 0.093
    seat_drop_m: float = 0.17
    depth_m: float = 0.15
    back_m: float = 0.14
    betas: Array = field(default_factory=lambda: np.zeros(10))

    def offset(self, joint: str, parent: str) -> Array:
        """(3,) from one joint to another at rest."""
        return self.rest_joints[joint_index(joint)] - self.rest_joints[joint_index(parent)]

    @cached_property
    def legs(self) -> tuple[Limb, Limb]:
        """Hip, knee, ankle of the left and right side; a knee bends about the body's x axis."""
        x = np.array([1.0, 0.0, 0.0])
        left, right = (Limb(self.offset(f"{s}_knee", f"{s}_hip"), self.offset(f"{s}_ankle", f"{s}_knee"), x) for s in SIDES)
        return left, right

    @cached_property
    def arms(self) -> tuple[Limb, Limb]:
        """Shoulder, elbow, wrist; an elbow brings the hand forward, about -y on the left and +y on the right."""
        left, right = (
            Limb(
                self.offset(f"{s}_elbow", f"{s}_shoulder"),
                self.offset(f"{s}_wrist", f"{s}_elbow"),
                np.array([0.0, -1.0 if s == "left" else 1.0, 0.0]),
            )
            for s in SIDES
        )
        return left, right

    @property
    def stance_half_m(self) -> float:
        """Half the distance of the ankles in quiet standing."""
        return abs(float(self.offset("left_ankle", "pelvis")[0]))

    @property
    def ankle_back_m(self) -> float:
        """How far the ankles are behind the pelvis in quiet standing."""
        return -float(self.offset("left_ankle", "pelvis")[2])

    @property
    def standing_pelvis_m(self) -> float:
        """Height of the pelvis over the floor in quiet standing, knees not locked."""
        hip, ankle = self.offset("left_hip", "pelvis"), self.offset("left_ankle", "pelvis")
        level = math.hypot(*(ankle - hip)[[0, 2]])
        return math.sqrt((0.988 * self.legs[0].reach) ** 2 - level**2) - float(hip[1]) + self.sole_drop_m

    @property
    def stature_scale(self) -> float:
        """Leg length over that of the mean body."""
        return self.legs[0].reach / 0.793


def measure_physique(model: BodyModel, betas: Array) -> Physique:
    """Take the measures of a shape from its mesh."""
    rest, vertices = model.rest_joints(betas), model.shaped(betas)
    owner = model.weights.argmax(axis=1)
    feet = np.isin(owner, [joint_index(f"{s}_{j}") for s in SIDES for j in ("ankle", "foot")])
    ankle = rest[[joint_index("left_ankle"), joint_index("right_ankle")], 1].mean()
    trunk = np.isin(owner, [joint_index(j) for j in ("pelvis", "spine1", "spine2")])
    seated = pose_vertices(model, sitting_state(betas))
    under = np.isin(owner, [joint_index(j) for j in ("pelvis", "left_hip", "right_hip")])
    pelvis = rest[0]
    return Physique(
        rest_joints=rest,
        sole_drop_m=float(ankle - vertices[feet, 1].min()),
        seat_drop_m=float(pelvis[1] - seated[under, 1].min()),
        depth_m=float(vertices[trunk, 2].max() - pelvis[2]),
        back_m=float(pelvis[2] - seated[under | trunk, 2].min()),
        betas=np.asarray(betas, dtype=np.float64),
    )


def sitting_state(betas: Array) -> BodyState:
    """A person on a chair with level thighs, y up and at rest position: to take measures, not to look at."""
    rotations = np.tile(np.eye(3), (24, 1, 1))
    for side in SIDES:
        rotations[joint_index(f"{side}_hip")] = about("x", -math.pi / 2)
        rotations[joint_index(f"{side}_knee")] = about("x", math.pi / 2)
    return BodyState(rotations, np.zeros(3), np.asarray(betas, dtype=np.float64))
