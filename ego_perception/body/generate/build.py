"""Builds the shipped body from the table of capsules. No random numbers: the same code gives the same bytes."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.anatomy import LEFT_FINGERS, MIRROR, mean_capsules, mean_joints
from ego_perception.body.generate.field import BodyField
from ego_perception.body.generate.refine import best_half_surface, flip_edges, mirrored, relax, split_to
from ego_perception.body.generate.shape_space import shape_directions
from ego_perception.body.generate.skin import joint_regressor, skinning_weights
from ego_perception.body.landmarks import LANDMARKS, NUM_VERTICES
from ego_perception.body.skeleton import NUM_JOINTS, PARENTS

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_LOG = logging.getLogger(__name__)
_MICROMETRE = 2.0**-20

_LEFT_LANDMARKS: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 0.682, 0.13), "left_eye": (0.032, 0.703, 0.10), "left_ear": (0.093, 0.70, 0.0),
    "left_big_toe": (0.110, -0.945, 0.17), "left_small_toe": (0.148, -0.95, 0.13), "left_heel": (0.088, -0.94, -0.11),
}  # fmt: skip


def build_body() -> dict[str, np.ndarray]:
    """Make the arrays of the shipped body under SMPL's names."""
    field = BodyField(mean_capsules())
    half = best_half_surface(field, NUM_VERTICES)
    half = flip_edges(relax(field, half))
    half = split_to(field, half, NUM_VERTICES)
    vertices, faces, image = mirrored(half)
    vertices = np.round(vertices / _MICROMETRE) * _MICROMETRE
    _LOG.info("meshed: %d vertices, %d faces", len(vertices), len(faces))
    vertices, faces, image = _with_landmarks(vertices, faces, image)
    joints = mean_joints()
    regressor = joint_regressor(vertices, image, joints)
    weights = skinning_weights(field, vertices, faces, image)
    shapes = shape_directions(vertices, faces, joints)
    return {
        "v_template": vertices.astype(np.float32),
        "f": faces.astype(np.uint16),
        "shapedirs": shapes.astype(np.float32),
        "J_regressor": regressor.astype(np.float32),
        "weights": weights.astype(np.float32),
        "kintree_table": np.array([PARENTS, range(NUM_JOINTS)], dtype=np.int32),
    }


def landmark_targets() -> dict[str, Array]:
    """Where each landmark should lie on the mean person, metres."""
    targets = {name: np.array(point) for name, point in _LEFT_LANDMARKS.items()}
    for name, finger in zip(("thumb", "index", "middle", "ring", "pinky"), LEFT_FINGERS, strict=True):
        tip = finger[3] - finger[2]
        targets[f"left_{name}"] = finger[3] + 0.008 * tip / np.linalg.norm(tip)
    return targets | {name.replace("left", "right"): p * MIRROR for name, p in targets.items() if name.startswith("left")}


def _with_landmarks(vertices: Array, faces: Index, image: Index) -> tuple[Array, Index, Index]:
    """Renumber so that each landmark's fixed index is the nearest vertex; images stay images."""
    order = np.arange(len(vertices))  # order[new] = old
    for name, target in landmark_targets().items():
        if name.startswith("right"):
            continue
        old = int(np.argmin(np.linalg.norm(vertices - target, axis=1)))
        _swap(order, LANDMARKS[name], old)
        if name.startswith("left"):
            _swap(order, LANDMARKS[name.replace("left", "right")], int(image[old]))
    new_of_old = np.empty_like(order)
    new_of_old[order] = np.arange(len(order))
    return vertices[order], new_of_old[faces], new_of_old[image[order]]


def _swap(order: Index, new: int, old: int) -> None:
    place = int(np.flatnonzero(order == old)[0])
    order[place], order[new] = order[new], order[place]
