"""The triangles of one person as they are drawn, and where they are in a pose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ego_perception.body.rig import SkinRig, pose_rig
from ego_perception.body.state import BodyState
from ego_perception.data import SceneLabel
from ego_perception.simulation.chunks import Chunks
from ego_perception.simulation.partmesh import unit

_BONES = 1000
"""More than a body has."""


class DrawnPiece(Protocol):
    """A part of a person with a class of its own.

    Attributes:
        corner: (n,) vertex of the rig that each vertex of the piece is.
        texcoords: (n, 2) with rows running downwards.
        faces: (m, 3) into `corner`; the first `visible` are drawn.
    """

    @property
    def label(self) -> SceneLabel: ...
    @property
    def corner(self) -> NDArray[np.integer]: ...
    @property
    def texcoords(self) -> NDArray[np.floating]: ...
    @property
    def faces(self) -> NDArray[np.integer]: ...
    @property
    def visible(self) -> int: ...


class DrawnActor(Protocol):
    """What of a person matters for drawing; `simulation.actor.Actor` is one."""

    @property
    def name(self) -> str: ...
    @property
    def is_wearer(self) -> bool: ...
    @property
    def rig(self) -> SkinRig: ...
    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def pieces(self) -> Sequence[DrawnPiece]: ...
    @property
    def specular(self) -> float: ...


class Skin:
    """One person's pieces as one list of vertices.

    Attributes:
        source: (N,) vertex of the rig behind each drawn vertex.
        piece_of_vertex: (N,) number of its piece; `labels[piece]` is the class.
        texcoords: (N, 2); triangles: (F, 3) uint32 into the drawn vertices, in `chunks` of one piece and bone.
        piece_of_chunk: (C,) number of the piece of each chunk.
    """

    def __init__(self, actor: DrawnActor) -> None:
        self.name, self.is_wearer, self.image = actor.name, actor.is_wearer, actor.image
        self.specular = actor.specular
        self.labels = [SceneLabel(piece.label) for piece in actor.pieces]
        faces = [np.asarray(piece.faces[: piece.visible], np.int64) for piece in actor.pieces]
        counts = [int(f.max(initial=-1)) + 1 for f in faces]
        starts = np.cumsum([0, *counts[:-1]])
        cut = list(zip(actor.pieces, counts, strict=True))
        self.source = np.concatenate([np.asarray(piece.corner[:count], np.int64) for piece, count in cut])
        self.texcoords = np.concatenate([piece.texcoords[:count] for piece, count in cut])
        self.piece_of_vertex = np.repeat(np.arange(len(counts)), counts)
        triangles = np.concatenate([f + start for f, start in zip(faces, starts, strict=True)])
        bone = actor.rig.weights.argmax(axis=1)[self.source[triangles[:, 0]]] + _BONES * self.piece_of_vertex[triangles[:, 0]]
        self.triangles = triangles[np.argsort(bone, kind="stable")].astype(np.uint32)
        runs, lengths = np.unique(bone, return_counts=True)
        self.chunks, self.piece_of_chunk = Chunks.of(self.triangles, lengths.tolist()), runs // _BONES
        self._rig = actor.rig
        self._faces_at_vertex = _incidence(actor.rig)

    def posed(self, state: BodyState) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Positions and unit normals of the drawn vertices, (N, 3) each, in the world."""
        vertices = pose_rig(self._rig, state)
        corners = vertices[self._rig.faces]
        faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = unit(self._faces_at_vertex @ faces)
        return vertices[self.source].astype(np.float32), normals[self.source].astype(np.float32)


def _incidence(rig: SkinRig) -> sparse.csr_array:
    """(V, F) with 1 where a face meets a vertex; vertices at one place, as along texture seams, share their faces."""
    _, place = np.unique(np.round(rig.vertices, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    count = len(rig.faces)
    rows, columns = place[rig.faces].ravel(), np.repeat(np.arange(count), 3)
    at_place = sparse.csr_array((np.ones(3 * count), (rows, columns)), shape=(int(place.max()) + 1, count))
    return at_place[place]
