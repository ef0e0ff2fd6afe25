"""Linear blend skinning in torch: batches, gradients, any device and precision (Loper et al., SIGGRAPH Asia 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ego_perception.body.landmarks import LANDMARK_INDICES
from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import NUM_JOINTS, PARENTS


@dataclass(frozen=True, eq=False)
class BodyTensors:
    """A body on one device; shapes as in `BodyModel`.

    Attributes:
        joint_mean: (24, 3) joints of the mean shape.
        joint_directions: (24, 3, 10) their change per shape coefficient; both fold the regressor away.
        posedirs: (207, 3 V), or None when the body has none.
        landmarks: (21,) vertices that serve as joints 24..44.
    """

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor | None
    weights: Tensor
    joint_mean: Tensor
    joint_directions: Tensor
    faces: Tensor
    landmarks: Tensor


@dataclass(frozen=True, eq=False)
class PosedBody:
    """Skinned bodies.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3), or (B, 45, 3) with landmarks.
        transforms: (B, 24, 4, 4), from rest space of the shaped body to posed space; what skinning blends.
    """

    vertices: Tensor
    joints: Tensor
    transforms: Tensor


def body_tensors(model: BodyModel, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> BodyTensors:
    """Put a body on a device."""
    directions = torch.as_tensor(model.shapedirs.copy()).to(device, dtype)
    regressor = torch.as_tensor(model.joint_regressor.copy())
    joint_directions = torch.einsum("jv,vkb->jkb", regressor, torch.as_tensor(model.shapedirs.copy()))
    posedirs = None
    if model.posedirs is not None:
        posedirs = torch.as_tensor(model.posedirs.copy()).reshape(-1, model.posedirs.shape[-1]).T.contiguous().to(device, dtype)
    return BodyTensors(
        v_template=torch.as_tensor(model.v_template.copy()).to(device, dtype),
        shapedirs=directions,
        posedirs=posedirs,
        weights=torch.as_tensor(model.weights.copy()).to(device, dtype),
        joint_mean=(regressor @ torch.as_tensor(model.v_template.copy())).to(device, dtype),
        joint_directions=joint_directions.to(device, dtype),
        faces=torch.as_tensor(model.faces.copy()).to(device),
        landmarks=torch.as_tensor(LANDMARK_INDICES.copy()).to(device),
    )


def body_vertices(
    body: BodyTensors,
    betas: Tensor,
    body_pose: Tensor,
    global_orient: Tensor,
    transl: Tensor,
    *,
    landmarks: bool = False,
) -> PosedBody:
    """Shape, pose and skin a batch of bodies.

    Args:
        body: from `body_tensors`.
        betas: (B, up to 10) shape coefficients.
        body_pose: (B, 23, 3) or (B, 69) rotation vectors, radians, or (B, 23, 3, 3) rotation matrices.
        global_orient: (B, 3), (B, 1, 3), (B, 3, 3) or (B, 1, 3, 3), of the same kind as `body_pose`.
        transl: (B, 3) added last, metres.
        landmarks: whether to append 21 vertices of face, feet and finger tips to the joints.
    """
    batch = betas.shape[0]
    rotations = _local_rotations(body_pose, global_orient, batch)
    count = betas.shape[-1]
    shaped = body.v_template + torch.einsum("vkb,nb->nvk", body.shapedirs[..., :count], betas)
    rest = body.joint_mean + torch.einsum("jkb,nb->njk", body.joint_directions[..., :count], betas)
    if body.posedirs is not None:
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        shaped = shaped + ((rotations[:, 1:] - identity).reshape(batch, -1) @ body.posedirs).reshape(batch, -1, 3)
    positions, world = _chain(rest, rotations)
    offsets = positions - torch.einsum("njab,njb->nja", world, rest)
    blended = torch.einsum("vj,njk->nvk", body.weights, torch.cat([world.reshape(batch, NUM_JOINTS, 9), offsets], dim=-1))
    vertices = torch.einsum("nvab,nvb->nva", blended[..., :9].reshape(batch, -1, 3, 3), shaped) + blended[..., 9:]
    vertices, positions = vertices + transl[:, None], positions + transl[:, None]
    joints = torch.cat([positions, vertices[:, body.landmarks]], dim=1) if landmarks else positions
    return PosedBody(vertices, joints, _homogeneous(world, offsets + transl[:, None]))


def rotation_matrices(rotvec: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), radians; smooth at zero.

    R = I + sin(a)/a K + (1 - cos(a))/a^2 K^2 with its Taylor series for small angles (Rodrigues).
    """
    squared = (rotvec * rotvec).sum(dim=-1)[..., None, None]
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*rotvec.shape[:-1], 3, 3)
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return identity + first * cross + second * (cross @ cross)


def _local_rotations(body_pose: Tensor, global_orient: Tensor, batch: int) -> Tensor:
    if body_pose.shape[-2:] == (3, 3):
        return torch.cat([global_orient.reshape(batch, 1, 3, 3), body_pose.reshape(batch, NUM_JOINTS - 1, 3, 3)], dim=1)
    vectors = torch.cat([global_orient.reshape(batch, 1, 3), body_pose.reshape(batch, NUM_JOINTS - 1, 3)], dim=1)
    return rotation_matrices(vectors)


def _chain(rest: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (B, 24, 3) and rotations to the world (B, 24, 3, 3) of all joints, before translation."""
    positions, world = [rest[:, 0]], [rotations[:, 0]]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        offset = (rest[:, joint] - rest[:, parent])[..., None]
        positions.append(positions[parent] + (world[parent] @ offset)[..., 0])
        world.append(world[parent] @ rotations[:, joint])
    return torch.stack(positions, dim=1), torch.stack(world, dim=1)


def _homogeneous(rotations: Tensor, offsets: Tensor) -> Tensor:
    top = torch.cat([rotations, offsets[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1.0
    return torch.cat([top, bottom], dim=-2)
