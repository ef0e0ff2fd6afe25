"""Skinning weights and the joint regressor of the generated mesh."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import diags

from ego_perception.body.generate.field import BodyField
from ego_perception.body.generate.refine import adjacency
from ego_perception.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SOFTNESS: Final = 0.018  # metres over which a capsule's influence falls by e
_SMOOTHING_ROUNDS: Final = 6
_MAX_INFLUENCES: Final = 4
_STEP: Final = 1.0 / 4096
_REGRESSOR_NEIGHBOURS: Final = 400


def other_side() -> Index:
    """For each joint the one on the other side of the body, (24,)."""
    swap = {"left": "right", "right": "left"}
    names = ["_".join(swap.get(part, part) for part in name.split("_")) for name in JOINT_NAMES]
    return np.array([JOINT_NAMES.index(name) for name in names])


def skinning_weights(field: BodyField, vertices: Array, faces: Index, image: Index) -> Array:
    """Weights (V, 24): softened capsule distances of the nearest joint and its kin, smoothed over the surface.

    Rows are multiples of 1/8192 that sum to 1 exactly, at most four per vertex, and mirror images have mirrored weights.
    """
    distance = _joint_distances(field, vertices)
    allowed = _kin()[distance.argmin(axis=1)]
    weights = np.where(allowed, np.exp(-np.clip(distance, -0.1, 1.0) / _SOFTNESS), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    links = adjacency(len(vertices), faces)
    mean = diags(1.0 / np.asarray(links.sum(axis=1)).ravel()) @ links
    for _ in range(_SMOOTHING_ROUNDS):
        weights = 0.5 * weights + 0.5 * (mean @ weights)
    weights = _rounded(0.5 * (weights + weights[image][:, other_side()]))
    return 0.5 * (weights + weights[image][:, other_side()])


def _joint_distances(field: BodyField, vertices: Array) -> Array:
    to_capsule, _ = field.capsule_distances(vertices)
    distance = np.full((len(vertices), NUM_JOINTS), 9.0)
    for joint in range(NUM_JOINTS):
        owned = field.joint == joint
        if owned.any():
            distance[:, joint] = to_capsule[:, owned].min(axis=1)
    return distance


def _kin() -> NDArray[np.bool_]:
    """Whether two joints are the same, or parent and child, (24, 24)."""
    kin = np.eye(NUM_JOINTS, dtype=bool)
    for child, parent in enumerate(PARENTS):
        if parent >= 0:
            kin[child, parent] = kin[parent, child] = True
    return kin


def _rounded(weights: Array) -> Array:
    """Keep the four largest, round, and give what is left to the largest."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :_MAX_INFLUENCES]
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, np.take_along_axis(weights, order, axis=1), axis=1)
    kept = np.round(kept / kept.sum(axis=1, keepdims=True) / _STEP) * _STEP
    rows = np.arange(len(kept))
    kept[rows, order[:, 0]] += 1.0 - kept.sum(axis=1)
    return kept


def joint_regressor(vertices: Array, image: Index, joints: Array) -> Array:
    """Non-negative weights (24, V) of the vertices around each joint whose mean is the joint; left and right are images.

    Solved by non-negative least squares with a small ridge, which spreads the weight over a few hundred vertices.
    """
    regressor = np.zeros((NUM_JOINTS, len(vertices)))
    partner = other_side()
    for joint in range(NUM_JOINTS):
        if partner[joint] < joint:
            regressor[joint] = regressor[partner[joint]][image]
            continue
        row = _regress(vertices, joints[joint])
        regressor[joint] = 0.5 * (row + row[image]) if partner[joint] == joint else row
    return regressor


def _regress(vertices: Array, joint: Array) -> Array:
    near = np.argsort(np.linalg.norm(vertices - joint, axis=1), kind="stable")[:_REGRESSOR_NEIGHBOURS]
    count = len(near)
    system = np.vstack([1e3 * (vertices[near] - joint).T, np.full((1, count), 1e3), 0.1 * np.eye(count)])
    wanted = np.zeros(len(system))
    wanted[3] = 1e3
    row = np.zeros(len(vertices))
    row[near] = nnls(system, wanted)[0]
    return row / row.sum()
