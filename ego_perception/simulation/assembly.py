"""The pieces a room is put together from: parts (one shape each), surfaces that carry things, and assemblies of both."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.textures import Rng

Vec3 = tuple[float, float, float]


class Shape(enum.Enum):
    """Primitive solids; the value is MuJoCo's name."""

    BOX = "BOX"
    CYLINDER = "CYLINDER"
    ELLIPSOID = "ELLIPSOID"


class Label(enum.IntEnum):
    """Class ids of the segmentation; 0 is nothing."""

    ROOM = 1
    FURNITURE = 2
    OBJECT = 3


@dataclass(frozen=True)
class Part:
    """One solid.

    Attributes:
        half: half extents; (radius, radius, half height) of a cylinder.
        material: index into the room's `MaterialBook`.
        yaw_rad, tilt_rad: rotation about z, applied after one about the part's own x.
    """

    shape: Shape
    center: Vec3
    half: Vec3
    material: int
    label: Label = Label.FURNITURE
    yaw_rad: float = 0.0
    tilt_rad: float = 0.0


@dataclass(frozen=True)
class Support:
    """A horizontal rectangle that carries things.

    Attributes:
        half: half extents along the assembly's x and y.
        clearance: free height above it, metres.
        is_worktop: True where people work and look (table, counter), False on shelves and seats.
    """

    center: Vec3
    half: tuple[float, float]
    clearance: float = 0.4
    is_worktop: bool = False
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class Rect:
    """An axis-aligned rectangle on the floor, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    def grown(self, margin: float) -> Rect:
        """The rectangle with every side moved out by `margin`."""
        return Rect(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def overlaps(self, other: Rect) -> bool:
        """True where the open rectangles share an area."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def contains(self, x: float, y: float) -> bool:
        """True for a point inside or on the border."""
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1


@dataclass
class Assembly:
    """A thing of several parts in its own frame, z up from the floor. What stands at a wall has the wall along y = 0.

    Attributes:
        kind: what it is called, such as "table".
        rng, book: where sizes and finishes are drawn from.
    """

    kind: str
    rng: Rng
    book: MaterialBook
    parts: list[Part] = field(default_factory=list)
    supports: list[Support] = field(default_factory=list)
    is_walkable: bool = False

    def box(self, center: Vec3, half: Vec3, material: int, *, yaw: float = 0.0, tilt: float = 0.0) -> None:
        """Add a box; angles in radians."""
        self.parts.append(Part(Shape.BOX, center, half, material, yaw_rad=yaw, tilt_rad=tilt))

    def cylinder(
        self, center: Vec3, radius: float, half_height: float, material: int, *, tilt: float = 0.0, yaw: float = 0.0
    ) -> None:
        """Add a cylinder along z, tilted about x by `tilt` radians."""
        self.parts.append(Part(Shape.CYLINDER, center, (radius, radius, half_height), material, yaw_rad=yaw, tilt_rad=tilt))

    def ellipsoid(self, center: Vec3, half: Vec3, material: int, *, yaw: float = 0.0) -> None:
        """Add an ellipsoid."""
        self.parts.append(Part(Shape.ELLIPSOID, center, half, material, yaw_rad=yaw))

    def u(self, low: float, high: float) -> float:
        """A uniform draw."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    @property
    def height(self) -> float:
        """Top of the highest part, metres."""
        return max(p.center[2] + p.half[2] for p in self.parts)

    def footprint(self, x: float = 0.0, y: float = 0.0, yaw_rad: float = 0.0) -> Rect:
        """The floor rectangle around all parts after placing."""
        xs, ys = [], []
        for part in placed_parts(self.parts, x, y, yaw_rad):
            c, s = abs(math.cos(part.yaw_rad)), abs(math.sin(part.yaw_rad))
            depth = abs(math.cos(part.tilt_rad)) * part.half[1] + abs(math.sin(part.tilt_rad)) * part.half[2]
            hx, hy = c * part.half[0] + s * depth, s * part.half[0] + c * depth
            xs += [part.center[0] - hx, part.center[0] + hx]
            ys += [part.center[1] - hy, part.center[1] + hy]
        return Rect(min(xs), min(ys), max(xs), max(ys))


def placed_parts(parts: list[Part], x: float, y: float, yaw_rad: float) -> Iterator[Part]:
    """Move parts from an assembly's frame to the room's."""
    for part in parts:
        yield replace(part, center=_placed(part.center, x, y, yaw_rad), yaw_rad=part.yaw_rad + yaw_rad)


def placed_supports(supports: list[Support], x: float, y: float, yaw_rad: float) -> Iterator[Support]:
    """Move supports from an assembly's frame to the room's."""
    for support in supports:
        yield replace(support, center=_placed(support.center, x, y, yaw_rad), yaw_rad=support.yaw_rad + yaw_rad)


def _placed(p: Vec3, x: float, y: float, yaw: float) -> Vec3:
    c, s = math.cos(yaw), math.sin(yaw)
    return x + c * p[0] - s * p[1], y + s * p[0] + c * p[1], p[2]
