"""Numbers of the MuJoCo humanoid from those of the body and back: `qpos` (76) and `qvel` (75), without MuJoCo.

`qpos` is the pelvis position (3), its orientation as a quaternion wxyz (4) and three hinge angles of each of the other 23
bodies in the order of `HUMANOID_NAMES`; the hinges turn about z, y, x, so a body's local rotation is Rz Ry Rx (kin-poly, Luo
et al., NeurIPS 2021). `qvel` is the pelvis velocity in the world, its angular velocity in its own frame, and hinge rates.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import HUMANOID_FROM_SMPL, HUMANOID_NAMES, NUM_JOINTS
from ego_perception.body.state import BodyState
from ego_perception.errors import EgoPerceptionError
from ego_perception.geometry.transforms import quat_xyzw_from_matrix, so3_log

Array = NDArray[np.float64]

NUM_QPOS: Final = 76
NUM_QVEL: Final = 75
HINGE_AXES: Final = ("z", "y", "x")
HINGE_NAMES: Final = tuple(f"{body}_{axis}" for body in HUMANOID_NAMES[1:] for axis in HINGE_AXES)
"""Names of the 69 hinges, in the order of `qpos[7:]`."""

_ORDER: Final = np.array(HUMANOID_FROM_SMPL)
_GIMBAL: Final = 1e-10
"""Cosine of the middle angle below which the first angle is free."""


class HumanoidError(EgoPerceptionError):
    """Numbers that are not the state of the humanoid, or a model that cannot be built."""


def qpos_from_state(rest_joints: Array, state: BodyState, previous: Array | None = None) -> Array:
    """Express a body state as the humanoid's generalised position.

    Args:
        rest_joints: (24, 3) joints of the shaped body at rest, metres.
        previous: (76,) of the instant before; of the two triples of angles that give a rotation the one near it is taken, so
            that angles run on without jumps. Without it, the smaller one.

    Returns:
        (76,); the scalar part of the quaternion is not negative, angles lie within pi of zero.
    """
    qpos = np.empty(NUM_QPOS)
    qpos[:3] = rest_joints[0] + state.transl
    qpos[3:7] = quat_xyzw_from_matrix(state.rotations[0])[[3, 0, 1, 2]]
    near = None if previous is None else _checked(previous, NUM_QPOS)[7:].reshape(-1, 3)
    qpos[7:] = hinge_angles(state.rotations[_ORDER[1:]], near).ravel()
    return qpos


def state_from_qpos(rest_joints: Array, qpos: Array, betas: Array | None = None) -> BodyState:
    """Express the humanoid's position as a body state; the inverse of `qpos_from_state`.

    Raises:
        HumanoidError: not 76 finite numbers.
    """
    qpos = _checked(qpos, NUM_QPOS)
    rotations = np.empty((NUM_JOINTS, 3, 3))
    rotations[0] = _matrix_from_wxyz(qpos[3:7])
    rotations[_ORDER[1:]] = rotation_from_hinges(qpos[7:].reshape(-1, 3))
    return BodyState(rotations, qpos[:3] - rest_joints[0], np.zeros(10) if betas is None else betas)


def qvel_between(qpos0: Array, qpos1: Array, dt: float) -> Array:
    """Mean velocity from one position to the next, as `mj_differentiatePos` does.

    A joint that is written by the other triple of angles in `qpos1` is rewritten near `qpos0` first.

    Args:
        dt: seconds between both, positive.

    Returns:
        (75,): m/s in the world, rad/s in the pelvis frame of `qpos0`, rad/s of the hinges.

    Raises:
        HumanoidError: not 76 finite numbers each, or `dt` not positive.
    """
    if not dt > 0:
        raise HumanoidError(f"dt is {dt} s; it must be positive")
    qpos0, qpos1 = _checked(qpos0, NUM_QPOS), _checked(qpos1, NUM_QPOS)
    start, end = qpos0[7:].reshape(-1, 3), qpos1[7:].reshape(-1, 3)
    change = np.empty(NUM_QVEL)
    change[:3] = qpos1[:3] - qpos0[:3]
    change[3:6] = so3_log(_matrix_from_wxyz(qpos0[3:7]).T @ _matrix_from_wxyz(qpos1[3:7]))
    change[6:] = _wrapped(_nearer(end, _other(end), start) - start).ravel()
    return change / dt


def rotation_from_hinges(angles: Array) -> Array:
    """Compose (..., 3) hinge angles z, y, x to (..., 3, 3) rotations Rz Ry Rx."""
    (cz, cy, cx), (sz, sy, sx) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def hinge_angles(rotations: Array, near: Array | None = None) -> Array:
    """Decompose (N, 3, 3) rotations to (N, 3) angles z, y, x within pi of zero; exact at the gimbal too.

    Args:
        near: (N, 3) angles to stay close to; without them the triple of the smaller norm is taken.
    """
    goal = np.zeros((len(rotations), 3)) if near is None else near
    first = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    # At the gimbal only a sum of two angles is determined: the first stays, the third makes up for it.
    first = np.where(np.hypot(rotations[:, 0, 0], rotations[:, 1, 0]) < _GIMBAL, goal[:, 0], first)
    c, s = np.cos(first), np.sin(first)
    middle = np.arctan2(-rotations[:, 2, 0], c * rotations[:, 0, 0] + s * rotations[:, 1, 0])
    last = np.arctan2(
        s * rotations[:, 0, 2] - c * rotations[:, 1, 2], c * rotations[:, 1, 1] - s * rotations[:, 0, 1]
    )  # of Rz^T R, so an uncertain first angle does no harm
    angles = _wrapped(np.stack([first, middle, last], axis=-1))
    return _nearer(angles, _other(angles), goal)


def _other(angles: Array) -> Array:
    """The second triple of angles of the same rotation."""
    return _wrapped(np.stack([angles[:, 0] + np.pi, np.pi - angles[:, 1], angles[:, 2] + np.pi], axis=-1))


def _nearer(a: Array, b: Array, goal: Array) -> Array:
    cost = [np.sum(_wrapped(x - goal) ** 2, axis=-1) for x in (a, b)]
    return np.where((cost[1] < cost[0])[:, None], b, a)


def _wrapped(angles: Array) -> Array:
    return np.pi - np.mod(np.pi - angles, 2 * np.pi)


def _matrix_from_wxyz(quat_wxyz: Array) -> Array:
    w, x, y, z = quat_wxyz / np.linalg.norm(quat_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _checked(values: Array, count: int) -> Array:
    values = np.asarray(values, np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise HumanoidError(f"the humanoid's state has {count} finite numbers, got shape {values.shape}")
    return values
