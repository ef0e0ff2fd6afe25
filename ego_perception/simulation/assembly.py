"""The pieces a room is put together from: parts (one shape each), surfaces that carry things, and assemblies of both."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneLabel
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.surface import Surface, rotation
from ego_perception.simulation.textures import Rng

Vec3 = tuple[float, float, float]


class Shape(enum.Enum):
    """Kinds of solids; the value is MuJoCo's name. A mesh brings its own surface."""

    BOX = "BOX"
    CYLINDER = "CYLINDER"
    ELLIPSOID = "ELLIPSOID"
    MESH = "MESH"


@dataclass(frozen=True)
class Part:
    """One solid.

    Attributes:
        half: half extents; (radius, radius, half height) of a cylinder.
        material: index into the room's `MaterialBook`.
        yaw_rad, tilt_rad: rotation about z, applied after one about the part's own x.
        surface: the mesh of a `Shape.MESH`, about the middle of its bounding box.
    """

    shape: Shape
    center: Vec3
    half: Vec3
    material: int
    label: SceneLabel = SceneLabel.FURNITURE
    yaw_rad: float = 0.0
    tilt_rad: float = 0.0
    surface: Surface | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Seat:
    """A flat place to sit on.

    Attributes:
        center: middle of the surface; z is its height above the floor, metres.
        facing_rad: direction a sitting person looks, about z, 0 along +x.
        half: half extents across and along that direction, metres.
        kind: "chair", "stool", "sofa", "armchair" or "bed".
        instance: the id of the furniture, as in `Room.parts`.
        free_m: free floor in front of the front edge up to the next thing or wall, metres; small under a table.
    """

    center: Vec3
    facing_rad: float
    half: tuple[float, float]
    kind: str
    instance: int = 0
    free_m: float = 0.0

    @property
    def height(self) -> float:
        """Height of the surface above the floor, metres."""
        return self.center[2]


@dataclass(frozen=True)
class Support:
    """A horizontal rectangle that carries things.

    Attributes:
        half: half extents along the assembly's x and y.
        clearance: free height above it, metres.
        is_worktop: True where people work and look (table, counter), False on shelves and seats.
        use: what is done there, which decides about the things: "table", "kitchen", "desk", "living" or "shelf".
    """

    center: Vec3
    half: tuple[float, float]
    clearance: float = 0.4
    is_worktop: bool = False
    yaw_rad: float = 0.0
    use: str = "table"


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
        is_walkable: one can walk over it, as over a rug.
        is_graspable: one hand can take it; meant for small things.
    """

    kind: str
    rng: Rng
    book: MaterialBook
    parts: list[Part] = field(default_factory=list)
    supports: list[Support] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)
    is_walkable: bool = False
    is_graspable: bool = False

    def seat(self, center: Vec3, half: tuple[float, float], facing_rad: float = -math.pi / 2) -> None:
        """Offer a place to sit on; by default one looks along -y, away from the wall."""
        self.seats.append(Seat(center, facing_rad, half, self.kind))

    def mesh(self, surface: Surface, material: int, at: Vec3 = (0.0, 0.0, 0.0), *, yaw: float = 0.0, tilt: float = 0.0) -> None:
        """Add a mesh whose own origin is put at `at`; angles in radians, about that origin."""
        self.parts.append(mesh_part(surface, material, at, yaw=yaw, tilt=tilt))

    def add(self, piece: Assembly, dx: float) -> None:
        """Take over the parts and surfaces of another assembly, shifted along x."""
        self.parts.extend(placed_parts(piece.parts, dx, 0.0, 0.0))
        self.supports.extend(placed_supports(piece.supports, dx, 0.0, 0.0))

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
        return max(p.center[2] + rise(p) for p in self.parts)

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


def mesh_part(surface: Surface, material: int, at: Vec3 = (0.0, 0.0, 0.0), *, yaw: float = 0.0, tilt: float = 0.0) -> Part:
    """A part whose surface has its own origin at `at`, turned about it by `yaw` and `tilt` radians."""
    low, high = surface.bounds
    middle = (low + high) / 2
    center = np.asarray(at) + rotation("z", yaw) @ rotation("x", tilt) @ middle
    half = _vec3(np.maximum((high - low) / 2, 1e-4))
    return Part(Shape.MESH, _vec3(center), half, material, yaw_rad=yaw, tilt_rad=tilt, surface=surface.moved(-middle))


def rise(part: Part) -> float:
    """Half the height of the box around a part, metres."""
    return abs(math.cos(part.tilt_rad)) * part.half[2] + abs(math.sin(part.tilt_rad)) * part.half[1]


def placed_parts(parts: list[Part], x: float, y: float, yaw_rad: float) -> Iterator[Part]:
    """Move parts from an assembly's frame to the room's."""
    for part in parts:
        yield replace(part, center=_placed(part.center, x, y, yaw_rad), yaw_rad=part.yaw_rad + yaw_rad)


def placed_supports(supports: list[Support], x: float, y: float, yaw_rad: float) -> Iterator[Support]:
    """Move supports from an assembly's frame to the room's."""
    for support in supports:
        yield replace(support, center=_placed(support.center, x, y, yaw_rad), yaw_rad=support.yaw_rad + yaw_rad)


def placed_seats(seats: list[Seat], x: float, y: float, yaw_rad: float, instance: int) -> Iterator[Seat]:
    """Move seats from an assembly's frame to the room's."""
    for seat in seats:
        center = _placed(seat.center, x, y, yaw_rad)
        yield replace(seat, center=center, facing_rad=seat.facing_rad + yaw_rad, instance=instance)


def _vec3(v: NDArray[np.float64]) -> Vec3:
    return float(v[0]), float(v[1]), float(v[2])


def _placed(p: Vec3, x: float, y: float, yaw: float) -> Vec3:
    c, s = math.cos(yaw), math.sin(yaw)
    return x + c * p[0] - s * p[1], y + s * p[0] + c * p[1], p[2]
