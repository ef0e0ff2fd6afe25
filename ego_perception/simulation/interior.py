"""A furnished room as data: parts, surfaces, seats, obstacles, lamps and things, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneLabel
from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import (
    Assembly,
    Part,
    Rect,
    Seat,
    Support,
    placed_parts,
    placed_seats,
    placed_supports,
)
from ego_perception.simulation.materials import MaterialBook


@dataclass(frozen=True)
class Obstacle:
    """A piece of furniture on the floor plan, with the height of its top."""

    kind: str
    rect: Rect
    height: float
    is_walkable: bool = False


@dataclass(frozen=True)
class Light:
    """A lamp; the first one of a room casts shadows.

    Attributes:
        is_spot: a spot shines along `direction`, a point light everywhere.
        falloff: linear attenuation, 1/m.
    """

    position: tuple[float, float, float]
    rgb: tuple[float, float, float]
    is_spot: bool = False
    direction: tuple[float, float, float] = (0.0, 0.0, -1.0)
    falloff: float = 0.0


@dataclass(frozen=True, eq=False)
class Movable:
    """A thing small enough to be taken in a hand.

    Attributes:
        instance: the id that its parts carry in `Room.parts`.
        T_world_object: (4, 4) where it stands at first; origin at the middle of its foot, z up.
        size: (3,) full extent along its own axes, metres.
    """

    label: str
    instance: int
    T_world_object: NDArray[np.float64]
    size: tuple[float, float, float]

    @property
    def id(self) -> str:
        """A name that no other thing of the room has."""
        return f"{self.label}_{self.instance}"


@dataclass
class Room:
    """A furnished room, before it becomes a MuJoCo model.

    Attributes:
        half: half of its sides along x and y, metres; the floor is z = 0 and its middle the origin.
        parts: every solid with the id of the thing it belongs to; `names[id]` says what that is.
        seats: where one can sit, with the direction one looks then.
        kind: "living", "bedroom", "kitchen", "office" or "mixed".
    """

    half: tuple[float, float]
    height: float
    book: MaterialBook
    parts: list[tuple[Part, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: ["room"])
    supports: list[Support] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    movables: list[Movable] = field(default_factory=list)
    ambient: float = 0.3
    headlight: float = 0.2
    kind: str = "mixed"

    def place(
        self, a: Assembly, x: float, y: float, yaw: float, label: SceneLabel = SceneLabel.FURNITURE, z: float = 0.0
    ) -> None:
        """Put an assembly into the room."""
        self.names.append(a.kind)
        for part in placed_parts(a.parts, x, y, yaw):
            center = (part.center[0], part.center[1], part.center[2] + z)
            self.parts.append((replace(part, center=center, label=label), len(self.names) - 1))
        self.supports.extend(placed_supports(a.supports, x, y, yaw))
        self.seats.extend(placed_seats(a.seats, x, y, yaw, len(self.names) - 1))
        if label is SceneLabel.FURNITURE:
            self.obstacles.append(Obstacle(a.kind, a.footprint(x, y, yaw), a.height, a.is_walkable))

    def place_movable(self, a: Assembly, x: float, y: float, yaw: float, z: float) -> None:
        """Put a small thing on a surface of height `z`; a hand can take it where it is graspable."""
        self.place(a, x, y, yaw, SceneLabel.OBJECT, z=z)
        if not a.is_graspable:
            return
        box = a.footprint()
        c, s = math.cos(yaw), math.sin(yaw)
        pose = make_transform([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], (x, y, z))
        self.movables.append(Movable(a.kind, len(self.names) - 1, pose, (box.x1 - box.x0, box.y1 - box.y0, a.height)))

    def is_free(self, rect: Rect) -> bool:
        """True where `rect` lies inside the walls and touches no furniture."""
        x, y = self.half
        inside = rect.x0 >= -x - 1e-6 and rect.x1 <= x + 1e-6 and rect.y0 >= -y - 1e-6 and rect.y1 <= y + 1e-6
        return inside and not any(rect.overlaps(o.rect) for o in self.obstacles)


def worktops(room: Room) -> Iterator[Support]:
    """The surfaces where people work and look."""
    return (s for s in room.supports if s.is_worktop)
