"""The drawing mesh of one shaped person: SMPL's vertices on 54 bones, 24 joints and 15 finger bones per hand.

With straight fingers it is exactly what `body.skinning.pose_vertices` gives; pose-dependent correctives of official files are
not part of it, because a renderer's skin cannot show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.fingers import FINGER_BONES, HANDS, finger_joints, finger_rotations, finger_weights
from ego_perception.body.model import BodyError, BodyModel
from ego_perception.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from ego_perception.body.state import BodyState, JointFrames, forward_kinematics

Array = NDArray[np.float64]

BONE_NAMES: Final = (*JOINT_NAMES, *FINGER_BONES)
NUM_BONES: Final = len(BONE_NAMES)
BONE_PARENTS: Final = PARENTS + tuple(
    HANDS[hand] if k == 0 else NUM_JOINTS + 15 * hand + 3 * finger + k - 1
    for hand in range(2)
    for finger in range(5)
    for k in range(3)
)
"""Parent of each bone, -1 for the root."""
_PALM_BEHIND_KNUCKLES_M: Final = 0.02


@dataclass(frozen=True, eq=False)
class SkinRig:
    """A skinned mesh at rest.

    Attributes:
        vertices: (V, 3) metres, in the order of the body model.
        faces: (F, 3) int64.
        weights: (V, 54), rows sum to 1.
        rest_positions: (54, 3) of the bones; their rest rotations are the identity.
        betas: (10,) the shape it was made for.
    """

    vertices: Array
    faces: NDArray[np.int64]
    weights: Array
    rest_positions: Array
    betas: Array


def make_rig(model: BodyModel, betas: Array) -> SkinRig:
    """Rig one shape of a body."""
    betas = np.asarray(betas, np.float64)
    fingers = finger_weights(model)
    weights = np.concatenate([model.weights, np.zeros_like(fingers)], axis=1)
    for hand, joint in enumerate(HANDS):
        part = slice(15 * hand, 15 * hand + 15)
        weights[:, NUM_JOINTS:][:, part] = model.weights[:, joint, None] * fingers[:, part]
        weights[:, joint] -= weights[:, NUM_JOINTS:][:, part].sum(axis=1)
    np.maximum(weights, 0.0, out=weights)
    rest = np.concatenate([model.rest_joints(betas), finger_joints(model, betas).reshape(-1, 3)])
    return SkinRig(model.shaped(betas), model.faces, weights, rest, betas)


def bone_frames(rig: SkinRig, state: BodyState) -> JointFrames:
    """World poses of the 54 bones: positions (54, 3) and rotations (54, 3, 3).

    Raises:
        BodyError: the state belongs to another shape.
    """
    if not np.array_equal(state.betas, rig.betas):
        raise BodyError("the state has other shape coefficients than the rig; make a rig for this shape")
    body = forward_kinematics(rig.rest_positions[:NUM_JOINTS], state.rotations, state.transl)
    positions, rotations = np.empty((NUM_BONES, 3)), np.empty((NUM_BONES, 3, 3))
    positions[:NUM_JOINTS], rotations[:NUM_JOINTS] = body.positions, body.rotations
    rest = rig.rest_positions[NUM_JOINTS:].reshape(2, 5, 3, 3)
    local = finger_rotations(state.finger_curl).reshape(2, 5, 3, 3, 3)
    hands = np.array(HANDS)
    origin = np.repeat(body.positions[hands][:, None], 5, axis=1)
    frame = np.repeat(body.rotations[hands][:, None], 5, axis=1)
    start = np.repeat(rig.rest_positions[hands][:, None], 5, axis=1)
    out_p = positions[NUM_JOINTS:].reshape(2, 5, 3, 3)
    out_r = rotations[NUM_JOINTS:].reshape(2, 5, 3, 3, 3)
    for k in range(3):
        origin = origin + (frame @ (rest[:, :, k] - start)[..., None])[..., 0]
        frame = frame @ local[:, :, k]
        start = rest[:, :, k]
        out_p[:, :, k], out_r[:, :, k] = origin, frame
    return JointFrames(positions, rotations)


def pose_rig(rig: SkinRig, state: BodyState) -> Array:
    """Vertices in the world, (V, 3) metres.

    Raises:
        BodyError: the state belongs to another shape.
    """
    frames = bone_frames(rig, state)
    offsets = frames.positions - np.einsum("bij,bj->bi", frames.rotations, rig.rest_positions)
    transforms = np.concatenate([frames.rotations, offsets[..., None]], axis=-1).reshape(NUM_BONES, 12)
    blended = (rig.weights @ transforms).reshape(-1, 3, 4)
    posed: Array = np.einsum("vab,vb->va", blended[..., :3], rig.vertices) + blended[..., 3]
    return posed


def palm_frame(rig: SkinRig, hand: int) -> tuple[Array, Array]:
    """Where a hand holds things: the middle of the palm's skin, and its outward normal, in the frame of the hand joint.

    A bar of radius r that is held lies at `centre + r * normal`, along the joint frame's z axis.

    Args:
        hand: 0 left, 1 right.

    Returns:
        (3,) metres and (3,) unit vector.
    """
    joint = rig.rest_positions[HANDS[hand]]
    knuckles = rig.rest_positions[NUM_JOINTS + 15 * hand + np.array([3, 6, 9, 12])].mean(axis=0)
    centre = knuckles - _PALM_BEHIND_KNUCKLES_M * np.sign(joint[0]) * np.array([1.0, 0.0, 0.0])
    beside = np.abs(rig.vertices[:, [0, 2]] - centre[[0, 2]]).max(axis=1) < 0.02
    skin = rig.vertices[beside & (rig.vertices[:, 1] < joint[1]), 1]
    centre[1] = np.partition(skin, 4)[:5].mean() if len(skin) >= 5 else joint[1] - 0.01
    return centre - joint, np.array([0.0, -1.0, 0.0])
