"""Finger bones below SMPL's hand joint, which has none: where they are, how they bend, which skin they move.

Each hand gets 15 bones: metacarpal, proximal and distal of the thumb, proximal, middle and distal of the other fingers. They
are those of `anatomy`, moved to the hand and finger-tip landmarks of the mesh and with its shape. A straight finger leaves the
skin exactly where SMPL's skinning puts it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from ego_perception.body.anatomy import FINGER_NAMES, LEFT_FINGERS, MIRROR, mean_joints
from ego_perception.body.landmarks import LANDMARKS
from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.geometry.transforms import so3_exp

Array = NDArray[np.float64]

SIDES: Final = ("left", "right")
FINGER_BONES: Final = tuple(f"{side}_{finger}{k}" for side in SIDES for finger in FINGER_NAMES for k in (1, 2, 3))
"""Names of the 30 bones: left hand first, thumb to little finger, from the palm to the tip."""
WRISTS: Final = tuple(joint_index(f"{side}_wrist") for side in SIDES)
HANDS: Final = tuple(joint_index(f"{side}_hand") for side in SIDES)

FLEXION_DEG: Final = np.array(
    [[21.0, 55.0, 73.0], [80.0, 98.0, 62.0], [84.0, 100.0, 64.0], [86.0, 98.0, 62.0], [86.0, 94.0, 60.0]]
)
"""(5, 3) bend of each joint in a full fist; the shares of the joints are those of a natural grasp."""

_FIST_AXES: Final = np.array(
    [
        [[0.945, -0.16, -0.285], [0.45, 0.70, -0.555], [0.435, 0.70, -0.56]],
        [[0.12, 0.06, -1.00], [0.06, 0.03, -1.00], [0.06, 0.03, -1.00]],
        [[0.00, 0.02, -1.00], [0.00, 0.00, -1.00], [0.00, 0.00, -1.00]],
        [[-0.14, -0.08, -1.00], [-0.14, -0.04, -1.00], [-0.14, -0.04, -1.00]],
        [[-0.34, -0.16, -1.00], [-0.34, -0.08, -1.00], [-0.34, -0.08, -1.00]],
    ]
)
"""(5, 3, 3) axes of the left hand in the rest pose (fingers along x, palm down): towards the palm and a little together; the
thumb also swings in front of it."""
_MIRROR: Final = np.array([1.0, -1.0, -1.0])
"""What mirroring left and right does to an axis of rotation."""

_GRASP_DIAMETER_M: Final = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12])
_GRASP_CURL: Final = np.array(
    [
        [0.80, 0.89, 0.84, 0.89, 0.87], [0.72, 0.80, 0.76, 0.79, 0.68], [0.65, 0.72, 0.69, 0.70, 0.555],
        [0.58, 0.66, 0.63, 0.63, 0.465], [0.52, 0.60, 0.58, 0.57, 0.40], [0.46, 0.55, 0.53, 0.52, 0.35],
        [0.42, 0.51, 0.49, 0.475, 0.31], [0.38, 0.47, 0.455, 0.44, 0.275], [0.31, 0.41, 0.40, 0.38, 0.225],
        [0.26, 0.365, 0.355, 0.335, 0.19],
    ]
)  # fmt: skip
"""Curl at which the fingers of the mean hand lie on a round bar in the palm: solved on the chains of `anatomy`."""
_TIP_DEPTH_M: Final = 0.008
"""Depth of the tip's centre below the landmark at the end of a finger."""
_BLEND_M: Final = 0.0045
"""Standard deviation over which the skin passes from one bone to the next."""


def finger_rotations(curl: Array) -> Array:
    """Local rotations of the finger bones.

    Args:
        curl: (2, 5), 0 straight as at rest (exactly the identity), 1 a full fist.

    Returns:
        (2, 15, 3, 3) in the order of `FINGER_BONES`.
    """
    # The knuckle starts late and the last joint follows the middle one, as tendons make them.
    share = np.stack([curl**1.15, curl, curl**1.1], axis=-1)
    angle = share * np.deg2rad(FLEXION_DEG)
    axes = _FIST_AXES / np.linalg.norm(_FIST_AXES, axis=-1, keepdims=True)
    vectors = angle[..., None] * np.stack([axes, axes * _MIRROR])
    return so3_exp(vectors.reshape(-1, 3)).reshape(2, 15, 3, 3)


def grasp_curl(diameter_m: float) -> Array:
    """Curl (5,) with which a hand holds a round thing that touches the palm, see `rig.palm_frame`.

    Args:
        diameter_m: across the fingers; below 1 cm and above 12 cm the nearest of these.
    """
    return np.array([np.interp(diameter_m, _GRASP_DIAMETER_M, column) for column in _GRASP_CURL.T])


@lru_cache(maxsize=4)
def finger_chains(model: BodyModel) -> Array:
    """Joints of every finger of the mean shape, (2, 5, 4, 3) metres: three joints and the tip."""
    return np.stack([_chains_of_hand(model, side) for side in range(2)])


def finger_joints(model: BodyModel, betas: Array) -> Array:
    """Finger joints (2, 15, 3) of a shape at rest, metres: each moves as the skin around it does."""
    ids, weights = _followed_skin(model)
    moved = np.einsum("jk,jkab,b->ja", weights, model.shapedirs[ids], np.asarray(betas, np.float64))
    return finger_chains(model)[:, :, :3].reshape(2, 15, 3) + moved.reshape(2, 15, 3)


@lru_cache(maxsize=4)
def finger_weights(model: BodyModel) -> Array:
    """Share of each hand joint's skinning weight that a finger bone takes, (V, 30); rows sum to at most 1."""
    shares = np.zeros((len(model.v_template), 30))
    for side in range(2):
        ids = np.flatnonzero(model.weights[:, HANDS[side]] > 0)
        owner = _nearest_bone(model, side, model.v_template[ids])
        smooth = _diffuse(model, ids, np.eye(16)[owner])
        shares[ids, 15 * side : 15 * side + 15] = smooth[:, 1:]
    return shares


def _chains_of_hand(model: BodyModel, side: int) -> Array:
    """The joints of `anatomy`, with knuckles moved along with the hand joint and tips to the landmarks."""
    mirror = MIRROR if side else np.ones(3)
    chains = LEFT_FINGERS * mirror
    hand = (model.joint_regressor @ model.v_template)[HANDS[side]]
    end = chains[:, 3] - chains[:, 2]
    end = end / np.linalg.norm(end, axis=1, keepdims=True)
    tips = np.array([model.v_template[LANDMARKS[f"{SIDES[side]}_{name}"]] for name in FINGER_NAMES]) - _TIP_DEPTH_M * end
    length = np.linalg.norm(np.diff(chains, axis=1), axis=2).cumsum(axis=1)
    share = np.concatenate([np.zeros((5, 1)), length / length[:, -1:]], axis=1)[..., None]
    to_hand, to_tip = hand - mean_joints()[HANDS[side]], tips - chains[:, 3]
    return chains + (1 - share) * to_hand + share * to_tip[:, None]


@lru_cache(maxsize=4)
def _followed_skin(model: BodyModel, count: int = 24) -> tuple[NDArray[np.int64], Array]:
    joints = finger_chains(model)[:, :, :3].reshape(-1, 3)
    distance, ids = KDTree(model.v_template).query(joints, k=count)
    weights = np.exp(-0.5 * (distance / 0.012) ** 2)
    return np.asarray(ids, np.int64), weights / weights.sum(axis=1, keepdims=True)


def _nearest_bone(model: BodyModel, side: int, points: Array) -> NDArray[np.int64]:
    """0 for the palm, else 1 + the bone of the hand whose axis is nearest, counted from the skin of each."""
    chains = finger_chains(model)[side]
    wrist = (model.joint_regressor @ model.v_template)[WRISTS[side]]
    distances = [np.min([_to_segment(points, wrist, chains[f, 0]) for f in range(1, 5)], axis=0)]
    for finger in range(5):
        # Distances to axes say which finger only after the thumb's greater radius is taken off.
        thickness = 0.003 if finger == 0 else 0.0
        distances += [_to_segment(points, *chains[finger, k : k + 2]) - thickness for k in range(3)]
    return np.argmin(distances, axis=0).astype(np.int64)


def _to_segment(points: Array, a: Array, b: Array) -> Array:
    way = b - a
    t = np.clip((points - a) @ way / (way @ way), 0, 1)
    distance: Array = np.linalg.norm(points - a - t[:, None] * way, axis=1)
    return distance


def _diffuse(model: BodyModel, ids: NDArray[np.int64], labels: Array) -> Array:
    """Let labels flow over the skin for a while, so that neighbouring fingers do not mix through the air between them.

    One implicit step of the heat equation with the cotangent Laplacian (Crane et al., ACM TOG 2013).
    """
    local = np.full(len(model.v_template), -1)
    local[ids] = np.arange(len(ids))
    faces = local[model.faces]
    faces = faces[(faces >= 0).all(axis=1)]
    points, n = model.v_template[ids], len(ids)
    stiffness = sp.csc_matrix((n, n))
    area = np.full(n, 1e-12)
    for corner in range(3):
        i, j, k = faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3], faces[:, corner]
        u, v = points[i] - points[k], points[j] - points[k]
        twice = np.linalg.norm(np.cross(u, v), axis=1)
        half_cot = np.maximum(0.5 * np.einsum("ij,ij->i", u, v) / np.maximum(twice, 1e-12), 0.0)
        stiffness = stiffness + sp.csc_matrix((-half_cot, (i, j)), (n, n)) + sp.csc_matrix((-half_cot, (j, i)), (n, n))
        np.add.at(area, k, twice / 6)
    stiffness = stiffness - sp.diags(np.asarray(stiffness.sum(axis=1)).ravel())
    mass = sp.diags(area)
    smooth = splu(sp.csc_matrix(mass + 0.5 * _BLEND_M**2 * stiffness)).solve(np.asarray(mass @ labels))
    smooth = np.maximum(smooth, 0.0)
    smooth[smooth < 0.004] = 0.0  # far bones would cost time and move nothing
    return smooth / smooth.sum(axis=1, keepdims=True)
