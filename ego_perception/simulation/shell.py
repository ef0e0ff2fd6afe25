"""Floor, ceiling and walls with doors and windows; behind a window hangs the picture of a street."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ego_perception.simulation.assembly import Label, Part, Rect, Shape, Vec3
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.textures import Rng

WALL_M = 0.1
OUTSIDE_M = 4.0
"""Distance of the picture that a window shows; far enough for parallax against the frame."""

AddPart = Callable[[tuple[Part, int]], None]


@dataclass(frozen=True)
class WallFrame:
    """A wall seen from inside: `t` runs along it from -half to half, y = 0 is its surface and the room lies in y < 0."""

    index: int
    yaw_rad: float
    half: float
    distance: float

    def to_room(self, t: float, y: float = 0.0) -> tuple[float, float]:
        """Floor coordinates of the point `t` along the wall and `y` beyond its surface."""
        c, s = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        return c * t - s * (self.distance + y), s * t + c * (self.distance + y)


@dataclass(frozen=True)
class Opening:
    """A door or window: an interval along the wall and one of heights, metres."""

    t0: float
    t1: float
    z0: float
    z1: float
    is_door: bool

    def overlaps(self, t0: float, t1: float, z0: float, z1: float) -> bool:
        """True where the rectangle covers part of the opening or its frame."""
        return t0 < self.t1 + 0.1 and t1 > self.t0 - 0.1 and z0 < self.z1 + 0.1 and z1 > self.z0 - 0.1

    def hides(self, t0: float, t1: float, height: float) -> bool:
        """True where furniture of this height would stand in front of the opening."""
        return self.overlaps(t0, t1, 0.0, height - 0.12)

    def approach(self, frame: WallFrame, depth: float) -> Rect:
        """The floor in front of the opening."""
        corners = [frame.to_room(t, y) for t in (self.t0, self.t1) for y in (0.0, -depth)]
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        return Rect(min(xs), min(ys), max(xs), max(ys))


def walls_of(half: tuple[float, float]) -> tuple[WallFrame, ...]:
    """The four walls, counter-clockwise from +y."""
    x, y = half
    sides = ((0.0, x, y), (math.pi / 2, y, x), (math.pi, x, y), (-math.pi / 2, y, x))
    return tuple(WallFrame(i, yaw, along, distance) for i, (yaw, along, distance) in enumerate(sides))


def build_shell(rng: Rng, add: AddPart, book: MaterialBook, half: tuple[float, float], height: float) -> list[list[Opening]]:
    """Add the shell's parts under instance 0 and return each wall's openings."""
    x, y = half
    add((_box((0, 0, -0.05), (x + WALL_M, y + WALL_M, 0.05), book.pick(Role.FLOOR)), 0))
    add((_box((0, 0, height + 0.05), (x + WALL_M, y + WALL_M, 0.05), book.pick(Role.CEILING)), 0))
    wall, trim = book.pick(Role.WALL), book.pick(Role.TRIM)
    door_wall = int(rng.integers(4))
    all_openings: list[list[Opening]] = []
    for frame in walls_of(half):
        accent = book.pick(Role.WALL) if rng.random() < 0.25 else wall
        openings = _openings(rng, frame, height, has_door=frame.index == door_wall)
        builder = _Wall(frame, add)
        builder.pieces(openings, height, accent)
        builder.baseboards(openings, trim)
        for opening in openings:
            if opening.is_door:
                builder.door(opening, book, trim)
            else:
                builder.window(opening, book, trim)
        all_openings.append(openings)
    return all_openings


def _openings(rng: Rng, frame: WallFrame, height: float, *, has_door: bool) -> list[Opening]:
    out: list[Opening] = []
    if has_door and frame.half > 0.8:
        t = float(rng.uniform(-frame.half + 0.6, frame.half - 0.6))
        out.append(Opening(t - 0.43, t + 0.43, 0.0, 2.02, is_door=True))
    if rng.random() < 0.5:
        w, t = float(rng.uniform(0.35, 0.8)), float(rng.uniform(-0.6, 0.6)) * frame.half
        window = Opening(
            t - w, t + w, float(rng.uniform(0.85, 1.1)), min(float(rng.uniform(1.9, 2.2)), height - 0.15), is_door=False
        )
        is_inside = window.t0 > -frame.half + 0.15 and window.t1 < frame.half - 0.15
        if is_inside and not any(o.overlaps(window.t0 - 0.2, window.t1 + 0.2, 0.0, 3.0) for o in out):
            out.append(window)
    return sorted(out, key=lambda o: o.t0)


class _Wall:
    """Adds boxes given in a wall's own axes."""

    def __init__(self, frame: WallFrame, add: AddPart) -> None:
        self._frame, self._add = frame, add

    def box(self, t: float, y: float, z: float, half: Vec3, material: int) -> None:
        cx, cy = self._frame.to_room(t, y)
        self._add((Part(Shape.BOX, (cx, cy, z), half, material, Label.ROOM, self._frame.yaw_rad), 0))

    def panel(self, t0: float, t1: float, z0: float, z1: float, material: int) -> None:
        if t1 - t0 > 1e-3 and z1 - z0 > 1e-3:
            half = ((t1 - t0) / 2, WALL_M / 2, (z1 - z0) / 2)
            self.box((t0 + t1) / 2, WALL_M / 2, (z0 + z1) / 2, half, material)

    def pieces(self, openings: list[Opening], height: float, material: int) -> None:
        """The wall around its openings."""
        t = -self._frame.half - WALL_M
        for o in openings:
            self.panel(t, o.t0, 0.0, height, material)
            self.panel(o.t0, o.t1, 0.0, o.z0, material)
            self.panel(o.t0, o.t1, o.z1, height, material)
            t = o.t1
        self.panel(t, self._frame.half + WALL_M, 0.0, height, material)

    def baseboards(self, openings: list[Opening], trim: int) -> None:
        t = -self._frame.half
        for t1 in [o.t0 - 0.05 for o in openings if o.is_door] + [self._frame.half]:
            if t1 > t:
                self.box((t + t1) / 2, -0.008, 0.045, ((t1 - t) / 2, 0.008, 0.045), trim)
            t = max([t, *(o.t1 + 0.05 for o in openings if o.is_door)])

    def door(self, o: Opening, book: MaterialBook, trim: int) -> None:
        """A closed door with panels, handle and frame."""
        t, w, leaf, metal = (o.t0 + o.t1) / 2, (o.t1 - o.t0) / 2, book.pick(Role.FRONT), book.pick(Role.METAL)
        self.box(t, 0.04, o.z1 / 2, (w, 0.02, o.z1 / 2), leaf)
        for z, h in ((0.55, 0.36), (1.45, 0.4)):
            for s in (-0.5, 0.5):
                self.box(t + s * w, 0.015, z, (w * 0.36, 0.006, h), leaf)
        self.box(t + 0.84 * w, 0.005, 1.0, (0.016, 0.012, 0.09), metal)
        self.box(t + 0.72 * w, -0.03, 1.02, (0.06, 0.009, 0.009), metal)
        self._frame_around(o, trim)

    def window(self, o: Opening, book: MaterialBook, trim: int) -> None:
        """Frame, cross bars, sill and the street outside."""
        t, z, w, h = (o.t0 + o.t1) / 2, (o.z0 + o.z1) / 2, (o.t1 - o.t0) / 2, (o.z1 - o.z0) / 2
        self._frame_around(o, trim)
        self.box(t, 0.05, z, (0.022, 0.02, h), trim)
        if h > 0.45:
            self.box(t, 0.05, z + 0.3 * h, (w, 0.02, 0.018), trim)
        for s in (-1, 1):
            self.box(t + s * (w - 0.02), 0.05, z, (0.02, 0.025, h), trim)
            self.box(t, 0.05, z + s * (h - 0.02), (w, 0.025, 0.02), trim)
        self.box(t, -0.06, o.z0 - 0.015, (w + 0.08, 0.08, 0.015), trim)
        # Its horizon, two thirds down the picture, is at eye level.
        self.box(t, OUTSIDE_M, 4.4, (14.0, 0.02, 9.0), book.pick(Role.OUTSIDE))

    def _frame_around(self, o: Opening, trim: int) -> None:
        for t in (o.t0 - 0.03, o.t1 + 0.03):
            self.box(t, -0.012, (o.z0 + o.z1) / 2, (0.035, 0.014, (o.z1 - o.z0) / 2 + 0.03), trim)
        self.box((o.t0 + o.t1) / 2, -0.012, o.z1 + 0.03, ((o.t1 - o.t0) / 2 + 0.065, 0.014, 0.035), trim)


def _box(center: Vec3, half: Vec3, material: int) -> Part:
    return Part(Shape.BOX, center, half, material, Label.ROOM)
