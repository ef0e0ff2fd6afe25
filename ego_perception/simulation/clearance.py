"""How deep bodies are in furniture, walls and floor: solids of the room against points of the posed skin."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.state import forward_kinematics
from ego_perception.data import SceneLabel
from ego_perception.motion import MotionClip
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.room import Room
from ego_perception.simulation.surface import Surface

Array = NDArray[np.float64]

SKIN_POINTS, HAND_POINTS = 520, 160
_GROUP = 24  # points that share a box when solids near them are looked for
HAND_JOINTS = tuple(joint_index(f"{side}_{name}") for side in ("left", "right") for name in ("wrist", "hand"))


@dataclass(frozen=True, eq=False)
class Solids:
    """Boxes, cylinders and ellipsoids; meshes count as boxes around their pieces.

    Attributes:
        center, half: (N, 3); rotation: (N, 3, 3) solid to room; shape: (N,) 0 box, 1 cylinder, 2 ellipsoid.
        instance: (N,) the thing each belongs to; is_small: (N,) part of a small thing;
        reach: (N, 3) half extents of the upright box around each.
    """

    center: Array
    half: Array
    rotation: Array
    shape: NDArray[np.int64]
    instance: NDArray[np.int64]
    is_small: NDArray[np.bool_]
    reach: Array

    def without(self, instances: Iterable[int]) -> Solids:
        """The solids that belong to none of these things."""
        stay = ~np.isin(self.instance, list(instances))
        return Solids(*(getattr(self, f.name)[stay] for f in fields(self)))

    def depth(self, points: Array) -> tuple[Array, NDArray[np.int64]]:
        """How deep each of (T, P, 3) points lies below the surface of a solid, metres, 0 outside, and in which (-1: none).

        Points that are near to one another in P, as those of `Skin` are, make it fast: boxes around all points of a time and
        around groups of them decide which solids are looked at.
        """
        depth, solid = np.zeros(points.shape[:2]), np.full(points.shape[:2], -1)
        starts = np.arange(0, points.shape[1], _GROUP)
        low, high = np.minimum.reduceat(points, starts, axis=1), np.maximum.reduceat(points, starts, axis=1)
        bottom, top = self.center - self.reach, self.center + self.reach
        meets = ((bottom < high.max(axis=1)[:, None]) & (top > low.min(axis=1)[:, None])).all(axis=2)
        for k in np.flatnonzero(meets.any(axis=0)):
            times = np.flatnonzero(meets[:, k])
            rows, groups = np.nonzero(((low[times] < top[k]) & (high[times] > bottom[k])).all(axis=2))
            rows = np.repeat(times[rows], _GROUP)
            columns = (groups[:, None] * _GROUP + np.arange(_GROUP)).ravel()
            rows, columns = rows[columns < points.shape[1]], columns[columns < points.shape[1]]
            offset = points[rows, columns] - self.center[k]
            inside = (np.abs(offset) < self.reach[k]).all(axis=1)
            rows, columns = rows[inside], columns[inside]
            below = _depth(np.abs(offset[inside] @ self.rotation[k]), self.half[k], int(self.shape[k]))
            deeper = below > depth[rows, columns]
            depth[rows[deeper], columns[deeper]], solid[rows[deeper], columns[deeper]] = below[deeper], k
        return depth, solid


def _depth(local: Array, half: Array, shape: int) -> Array:
    gap: Array
    if shape == 1:
        gap = np.minimum(half[0] - np.hypot(local[:, 0], local[:, 1]), half[2] - local[:, 2])
    elif shape == 2:
        gap = (1.0 - np.linalg.norm(local / half, axis=1)) * half.min()
    else:
        gap = (half - local).min(axis=1)
    return gap


def solids_of(room: Room) -> Solids:
    """The solids of a room; a mesh of several pieces is a box around each."""
    pieces = [(part, k, *piece) for part, k in room.parts for piece in _pieces(part)]
    rotation = np.stack([_rotation(part) for part, *_ in pieces])
    half = np.array([h for *_, h in pieces])
    center = np.array([part.center for part, *_ in pieces]) + np.einsum("nij,nj->ni", rotation, [m for *_, m, _ in pieces])
    shape = np.array([{Shape.CYLINDER: 1, Shape.ELLIPSOID: 2}.get(part.shape, 0) for part, *_ in pieces])
    small = np.array([part.label is SceneLabel.OBJECT for part, *_ in pieces])
    reach = (np.abs(rotation) * half[:, None, :]).sum(axis=2)
    return Solids(center, half, rotation, shape, np.array([k for _, k, *_ in pieces]), small, reach)


def _pieces(part: Part) -> Sequence[tuple[Array, Array]]:
    """Middle and half extents, (3,) each in the part's own frame, of the pieces of a part."""
    if part.surface is None:
        return [(np.zeros(3), np.asarray(part.half, dtype=np.float64))]
    return _mesh_pieces(part.surface)


@functools.lru_cache(maxsize=4096)
def _mesh_pieces(surface: Surface) -> Sequence[tuple[Array, Array]]:
    """Boxes around the connected pieces of a mesh; vertices at the same place belong together."""
    keys = np.round(surface.vertices * 1e5).astype(np.int64) @ np.array([1, 1 << 20, 1 << 40])
    _, same = np.unique(keys, return_inverse=True)
    triangles = same.reshape(-1)[surface.triangles]
    rows, cols = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    count = int(same.max()) + 1
    _, piece = connected_components(coo_array((np.ones(len(rows)), (rows, cols)), shape=(count, count)), directed=False)
    out = []
    for k in np.unique(piece[triangles[:, 0]]):
        points = surface.vertices[piece[same.reshape(-1)] == k]
        low, high = points.min(axis=0), points.max(axis=0)
        out.append((0.5 * (low + high), np.maximum(0.5 * (high - low), 1e-4)))
    return out


def _rotation(part: Part) -> Array:
    cy, sy, ct, st = np.cos(part.yaw_rad), np.sin(part.yaw_rad), np.cos(part.tilt_rad), np.sin(part.tilt_rad)
    return np.array([[cy, -sy * ct, sy * st], [sy, cy * ct, -cy * st], [0.0, st, ct]])


@dataclass(frozen=True, eq=False)
class Skin:
    """Points spread evenly over a body, with what skinning needs.

    Attributes:
        points: (P, 3) at rest; weights: (P, 24); is_hand: (P,) moved mostly by wrist or hand.
    """

    points: Array
    weights: Array
    is_hand: NDArray[np.bool_]
    rest_joints: Array

    def pose(self, rotations: Array, transl: Array) -> Array:
        """(T, P, 3) in the room for T poses."""
        frames = forward_kinematics(self.rest_joints, rotations, transl)
        offsets = frames.positions - np.einsum("tjab,jb->tja", frames.rotations, self.rest_joints)
        moved = np.concatenate([frames.rotations, offsets[..., None]], axis=-1).reshape(len(rotations), -1, 12)
        blended = (self.weights @ moved).reshape(len(rotations), -1, 3, 4)
        return np.einsum("tpab,pb->tpa", blended[..., :3], self.points) + blended[..., 3]


def skin_of(model: BodyModel, betas: Array, count: int | None = SKIN_POINTS) -> Skin:
    """Choose points of a shape's mesh as far from one another as possible, by body part; None takes every vertex."""
    chosen = np.arange(len(model.v_template)) if count is None else _chosen(model, count)
    chosen = chosen[np.argsort(model.weights[chosen].argmax(axis=1), kind="stable")]
    is_hand = np.isin(model.weights[chosen].argmax(axis=1), HAND_JOINTS)
    return Skin(model.shaped(betas)[chosen], model.weights[chosen], is_hand, model.rest_joints(betas))


@functools.lru_cache(maxsize=4)
def _chosen(model: BodyModel, count: int) -> NDArray[np.int64]:
    """Vertices all over the body, and more on the hands, which are thin and come near to things."""
    hands = np.flatnonzero(np.isin(model.weights.argmax(axis=1), HAND_JOINTS))
    everywhere = _spread(model.v_template, count)
    return np.unique(np.concatenate([everywhere, hands[_spread(model.v_template[hands], HAND_POINTS)]]))


def _spread(points: Array, count: int) -> NDArray[np.int64]:
    """Rows of points as far from one another as possible, greedily."""
    chosen = [int(points[:, 1].argmin())]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


@dataclass(frozen=True, eq=False)
class Sinking:
    """The deepest penetration of a clip, metres, and of what by what.

    Attributes:
        fixed: into walls, floor and furniture; movable: into small things (a hand in what it holds does not count).
        time_s, instance: where and into which thing the fixed one is.
    """

    fixed: float
    movable: float
    time_s: float
    instance: int


def sinking(clip: MotionClip, skin: Skin, solids: Solids, *, rate_hz: float = 10.0, start_s: float = 0.0) -> Sinking:
    """Check a clip against a room.

    Args:
        solids: of the room; rate_hz: how often the clip is looked at; start_s: from when on.
    """
    every = max(1, round(1.0 / (rate_hz * (clip.times[1] - clip.times[0]))))
    index = np.arange(np.searchsorted(clip.times, start_s), len(clip.times), every)
    points = skin.pose(clip.rotations[index], clip.transl[index])
    depth, solid = solids.depth(points)
    is_small = solids.is_small[solid] & (solid >= 0)
    fixed = np.where(is_small, 0.0, depth)
    worst = np.unravel_index(int(fixed.argmax()), fixed.shape)
    which = int(solids.instance[solid[worst]]) if solid[worst] >= 0 else -1
    return Sinking(float(fixed.max()), float(np.where(is_small, depth, 0.0).max()), float(clip.times[index[worst[0]]]), which)
