"""A room and its people as one list of triangles in the world, in groups that are shown, hidden and moved together."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.simulation.chunks import Chunks
from ego_perception.simulation.lighting import LightRig, light_rig
from ego_perception.simulation.materials import Material
from ego_perception.simulation.occlusion import DistanceField, distance_field
from ego_perception.simulation.partmesh import VERTEX, Triangles, Vertices, part_mesh
from ego_perception.simulation.room import Movable, Room
from ego_perception.simulation.skin import DrawnActor, Skin

NEAR_M, FAR_M = 0.03, 30.0
MAX_PICTURE_PX: Final = 256


class GroupKind(enum.Enum):
    """How a group behaves."""

    STATIC = "static"
    MOVABLE = "movable"
    PERSON = "person"
    WEARER = "wearer"


@dataclass(frozen=True, eq=False)
class Group:
    """Consecutive vertices and triangles.

    Attributes:
        vertices: first index and how many.
        first_triangle: where `chunks` start counting; `chunks` also counts vertices from the group's first.
        movable: what a MOVABLE is; `actor`: who a PERSON or WEARER is.
    """

    kind: GroupKind
    vertices: tuple[int, int]
    first_triangle: int
    chunks: Chunks
    movable: Movable | None = None
    actor: Skin | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that can be drawn. Pixel numbers ("instances") are 0 nothing, room ids + 1, then the pieces of actors.

    Attributes:
        vertices: (V,) of `partmesh.VERTEX`, everything where the room has it; actors are not posed yet.
        triangles: (F, 3).
        groups: static parts first, then movables, then actors.
        materials: what the first of a vertex's `ids` counts; those of actors follow the room's.
        instance_names: what each instance is; "" for 0.
        class_of_instance: (N,) `SceneLabel` of each instance where nobody holds it.
        field: dims ambient light.
        lights: how it is lit.
    """

    room: Room
    actors: tuple[Skin, ...]
    vertices: Vertices
    triangles: Triangles
    groups: tuple[Group, ...]
    instance_names: list[str]
    class_of_instance: NDArray[np.uint8]
    field: DistanceField
    lights: LightRig

    def instance_of(self, room_id: int) -> int:
        """The pixel number of a thing of the room, such as `Movable.instance`."""
        return room_id + 1

    @cached_property
    def pictures(self) -> NDArray[np.uint8]:
        """(N, S, S, 3) all textures of the room in one size, at least one."""
        images = [m.image for m in self.room.book.materials if m.image is not None]
        size = min(MAX_PICTURE_PX, max((max(image.shape[:2]) for image in images), default=1))
        resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
        return np.stack(resized).astype(np.uint8) if resized else np.zeros((1, 1, 1, 3), np.uint8)

    @cached_property
    def finishes(self) -> NDArray[np.float32]:
        """(2 M, 4): colour as on a display and layer of the picture or -1; specular, shininess, emission and 0."""
        rows, layer = [], 0
        for material in self.room.book.materials:
            has_picture = material.image is not None
            rows += [[*material.rgb, layer if has_picture else -1], _gloss(material)]
            layer += has_picture
        for actor in self.actors:
            rows += [[1.0, 1.0, 1.0, 0.0], [0.25 * actor.specular, 0.2, 0.0, 0.0]]
        return np.array(rows, np.float32)


def _gloss(material: Material) -> list[float]:
    return [0.25 * material.specular, material.shininess, material.emission, 0.0]


def compile_scene(room: Room, actors: Sequence[DrawnActor] = ()) -> Scene:
    """Turn a room, and the people in it, into triangles.

    Raises:
        SimulationError: a part without extent.
    """
    builder = _Builder(room)
    moving = {movable.instance: movable for movable in room.movables}
    by_id: dict[int, list[int]] = {}
    for i, (part, thing) in enumerate(room.parts):
        if min(part.half) <= 0:
            raise SimulationError(f"the room does not compile: part {i} ({room.names[thing]}) has half extents {part.half}")
        by_id.setdefault(thing, []).append(i)
    builder.add_parts(GroupKind.STATIC, [i for thing, parts in by_id.items() if thing not in moving for i in parts])
    for thing, movable in moving.items():
        builder.add_parts(GroupKind.MOVABLE, by_id.get(thing, []), movable)
    for actor in actors:
        builder.add_actor(Skin(actor))
    return builder.scene()


class _Builder:
    """Collects the groups of a scene."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._vertices: list[Vertices] = []
        self._triangles: list[Triangles] = []
        self._groups: list[Group] = []
        self._num_vertices = self._num_triangles = 0
        self._actors: list[Skin] = []
        self._names = ["", *room.names]
        self._classes = [SceneLabel.NONE] * len(self._names)
        for part, thing in room.parts:
            self._classes[thing + 1] = part.label

    def add_parts(self, kind: GroupKind, indices: Sequence[int], movable: Movable | None = None) -> None:
        vertices, triangles, count = [], [], 0
        for i in indices:
            part, thing = self._room.parts[i]
            v, t = part_mesh(part, self._room.book.materials[part.material], thing + 1)
            vertices.append(v)
            triangles.append(t + np.uint32(count))
            count += len(v)
        if vertices:
            chunks = Chunks.of(np.concatenate(triangles), [len(t) for t in triangles])
            self._add(kind, np.concatenate(vertices), np.concatenate(triangles), chunks, movable, None)

    def add_actor(self, skin: Skin) -> None:
        first = len(self._names)
        self._names += [f"{skin.name} {label.name.lower().replace('_', ' ')}" for label in skin.labels]
        self._classes += skin.labels
        vertices = np.zeros(len(skin.source), VERTEX)
        vertices["texcoord"] = skin.texcoords
        vertices["ids"][:, 0] = len(self._room.book.materials) + len(self._actors)
        vertices["ids"][:, 1] = first + skin.piece_of_vertex
        self._actors.append(skin)
        self._add(GroupKind.WEARER if skin.is_wearer else GroupKind.PERSON, vertices, skin.triangles, skin.chunks, None, skin)

    def _add(
        self,
        kind: GroupKind,
        vertices: Vertices,
        triangles: Triangles,
        chunks: Chunks,
        movable: Movable | None,
        actor: Skin | None,
    ) -> None:
        first = self._num_vertices
        self._groups.append(Group(kind, (first, len(vertices)), self._num_triangles, chunks, movable, actor))
        self._vertices.append(vertices)
        self._triangles.append(triangles + np.uint32(first))
        self._num_vertices += len(vertices)
        self._num_triangles += len(triangles)

    def scene(self) -> Scene:
        room = self._room
        return Scene(
            room,
            tuple(self._actors),
            np.concatenate([np.zeros(0, VERTEX), *self._vertices]),
            np.concatenate([np.zeros((0, 3), np.uint32), *self._triangles]),
            tuple(self._groups),
            self._names,
            np.array(self._classes, np.uint8),
            distance_field(room),
            light_rig(room),
        )
