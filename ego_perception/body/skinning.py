"""Linear blend skinning of one body in numpy; the batched form with gradients is `ego_perception.body.lbs`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel
from ego_perception.body.state import BodyState, JointFrames, forward_kinematics

Array = NDArray[np.float64]


def pose_joints(model: BodyModel, state: BodyState) -> JointFrames:
    """World poses of the 24 joints."""
    return forward_kinematics(model.rest_joints(state.betas), state.rotations, state.transl)


def pose_vertices(model: BodyModel, state: BodyState) -> Array:
    """Skin the mesh: vertices in the world, (V, 3) metres. Fingers stay straight; `body.rig` curls them.

    A vertex is the weighted sum over joints of R_j (v - J_j) + p_j, with J_j the joint at rest and p_j posed
    (Loper et al. 2015, equations 2 and 3, with pose correctives where the body has them).
    """
    rest = model.rest_joints(state.betas)
    frames = forward_kinematics(rest, state.rotations, state.transl)
    vertices = model.shaped(state.betas)
    if model.posedirs is not None:
        vertices = vertices + model.posedirs @ (state.rotations[1:] - np.eye(3)).ravel()
    offsets = frames.positions - np.einsum("jab,jb->ja", frames.rotations, rest)
    transforms = np.concatenate([frames.rotations, offsets[..., None]], axis=-1).reshape(len(rest), 12)
    blended = (model.weights @ transforms).reshape(-1, 3, 4)
    posed: Array = np.einsum("vab,vb->va", blended[..., :3], vertices) + blended[..., 3]
    return posed
