"""One body at one instant, and its forward kinematics. The same numbers drive skinning, rendering and the humanoid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import NUM_JOINTS, PARENTS

Array = NDArray[np.float64]


def _zero_curl() -> Array:
    return np.zeros((2, 5))


def _mean_shape() -> Array:
    return np.zeros(10)


@dataclass(frozen=True, eq=False)
class BodyState:
    """Pose and shape of one person in a z-up world, metres; SMPL's meaning of every number.

    Attributes:
        rotations: (24, 3, 3) local rotations in SMPL's order; the first maps the body frame (y up) to the world.
        transl: (3,) added after skinning: the pelvis is at `rest_joints[0] + transl`.
        betas: (10,) shape coefficients, standard deviations.
        finger_curl: (2, 5) left and right hand, thumb to little finger: 0 straight as at rest, 1 a full fist.
    """

    rotations: Array
    transl: Array
    betas: Array = field(default_factory=_mean_shape)
    finger_curl: Array = field(default_factory=_zero_curl)


@dataclass(frozen=True, eq=False)
class JointFrames:
    """World poses of the joints: positions (..., 24, 3) metres and rotations (..., 24, 3, 3), joint frame to world."""

    positions: Array
    rotations: Array


def forward_kinematics(rest_joints: Array, rotations: Array, transl: Array) -> JointFrames:
    """Pose a skeleton.

    Args:
        rest_joints: (24, 3) joints of the shaped body at rest, metres.
        rotations: (..., 24, 3, 3) local rotations, root first.
        transl: (..., 3) as in `BodyState`.
    """
    world = np.empty_like(rotations)
    positions = np.empty((*rotations.shape[:-3], NUM_JOINTS, 3))
    world[..., 0, :, :] = rotations[..., 0, :, :]
    positions[..., 0, :] = rest_joints[0] + transl
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        offset = rest_joints[joint] - rest_joints[parent]
        positions[..., joint, :] = positions[..., parent, :] + world[..., parent, :, :] @ offset
        world[..., joint, :, :] = world[..., parent, :, :] @ rotations[..., joint, :, :]
    return JointFrames(positions, world)
