"""The 24 joints of the body: SMPL's order and tree, and the order of the MuJoCo humanoid.

In the rest pose every joint frame is axis-aligned with the body: x to the person's left, y up, z forward.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JOINT_NAMES: Final = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3",
    "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
"""Joint names in SMPL's order (Loper et al., SIGGRAPH Asia 2015)."""

PARENTS: Final = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Parent of each joint, -1 for the root; parents come before their children."""

NUM_JOINTS: Final = len(JOINT_NAMES)

HUMANOID_NAMES: Final = (
    "Pelvis", "L_Hip", "L_Knee", "L_Ankle", "L_Toe", "R_Hip", "R_Knee", "R_Ankle", "R_Toe", "Torso", "Spine", "Chest", "Neck",
    "Head", "L_Thorax", "L_Shoulder", "L_Elbow", "L_Wrist", "L_Hand", "R_Thorax", "R_Shoulder", "R_Elbow", "R_Wrist", "R_Hand",
)  # fmt: skip
"""Body names of the MuJoCo humanoid, in the order of its joints (kin-poly, Luo et al., NeurIPS 2021)."""

HUMANOID_FROM_SMPL: Final = (0, 1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12, 15, 13, 16, 18, 20, 22, 14, 17, 19, 21, 23)
"""`HUMANOID_NAMES[i]` is `JOINT_NAMES[HUMANOID_FROM_SMPL[i]]`."""

WORLD_FROM_UPRIGHT_BODY: Final = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Root rotation (body to world) of a person who stands upright in a z-up world and faces world -y: +90 degrees about x."""


def joint_index(name: str) -> int:
    """Index of a joint in SMPL's order."""
    return JOINT_NAMES.index(name)


def upright_rotation(heading_rad: float) -> Array:
    """Root rotation (body to world) of a person who stands upright in a z-up world.

    Args:
        heading_rad: direction the person faces, about z, 0 along world +x.
    """
    c, s = np.cos(heading_rad), np.sin(heading_rad)
    # Columns: the person's left, up and forward.
    return np.array([[-s, 0.0, c], [c, 0.0, s], [0.0, 1.0, 0.0]])
