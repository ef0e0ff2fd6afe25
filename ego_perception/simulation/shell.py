"""Floor, ceiling, walls with doors and windows, skirting, cornice; outside a window lie a lawn and the picture of a suburb."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ego_perception.data import SceneLabel
from ego_perception.simulation.assembly import Part, Rect, Shape, Vec3, mesh_part
from ego_perception.simulation.lathe import tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.outdoors import HORIZON
from ego_perception.simulation.roundbox import curtain, extruded, plain_box, rounded_box
from ego_perception.simulation.surface import Surface, merged
from ego_perception.simulation.textures import Rng

WALL_M = 0.1
OUTSIDE_M = 4.0
"""Distance of the picture that a window shows; far enough for parallax against the frame."""
GROUND_M = -0.7
"""Height of the lawn outside."""
_VIEW_M = 12.0
"""Side of the picture on the panel outside, which repeats it sideways."""
_EYES_M = 1.5

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
    has_cornice, has_curtains = rng.random() < 0.5, rng.random() < 0.6
    all_openings: list[list[Opening]] = []
    for frame in walls_of(half):
        accent = book.pick(Role.WALL) if rng.random() < 0.25 else wall
        openings = _openings(rng, frame, height, has_door=frame.index == door_wall)
        builder = _Wall(frame, add)
        builder.pieces(openings, height, accent)
        builder.baseboards(openings, trim)
        if has_cornice:
            builder.cornice(height, trim)
        for opening in openings:
            if opening.is_door:
                builder.door(opening, book, trim)
            else:
                builder.window(opening, book, trim)
                if has_curtains:
                    builder.curtains(opening, height, book)
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
        self._add((Part(Shape.BOX, (cx, cy, z), half, material, SceneLabel.ROOM, self._frame.yaw_rad), 0))

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

    def mesh(self, surface: Surface, t: float, y: float, z: float, material: int) -> None:
        part = mesh_part(surface, material)
        cx, cy = self._frame.to_room(t + part.center[0], y + part.center[1])
        center = (cx, cy, z + part.center[2])
        self._add((replace(part, center=center, label=SceneLabel.ROOM, yaw_rad=self._frame.yaw_rad), 0))

    def baseboards(self, openings: list[Opening], trim: int) -> None:
        """Skirting with a chamfered edge, interrupted at doors."""
        outline = [(0.0, 0.0), (0.0, 0.08), (-0.004, 0.08), (-0.012, 0.068), (-0.012, 0.0)]
        t = -self._frame.half
        for t1 in [o.t0 - 0.06 for o in openings if o.is_door] + [self._frame.half]:
            if t1 > t:
                self.mesh(extruded(outline, (t1 - t) / 2), (t + t1) / 2, 0.0, 0.0, trim)
            t = max([t, *(o.t1 + 0.06 for o in openings if o.is_door)])

    def cornice(self, height: float, trim: int) -> None:
        """A moulding along the ceiling."""
        bend = np.linspace(0, math.pi / 2, 5)
        cove = [(-0.012 - 0.045 * (1 - math.cos(b)), -0.07 + 0.058 * math.sin(b)) for b in bend]
        outline = [(0.0, 0.0), (-0.068, 0.0), (-0.068, -0.012), *reversed(cove[:-1]), (0.0, -0.07)]
        self.mesh(extruded(outline, self._frame.half), 0.0, 0.0, height, trim)

    def door(self, o: Opening, book: MaterialBook, trim: int) -> None:
        """A closed door with sunk panels, a handle on its plate, hinges and a frame."""
        t, w, leaf, metal = (o.t0 + o.t1) / 2, (o.t1 - o.t0) / 2, book.pick(Role.DOOR), book.pick(Role.METAL)
        self.box(t, 0.04, o.z1 / 2, (w, 0.02, o.z1 / 2), leaf)
        rail = 0.055
        bars = [plain_box((rail, 0.005, o.z1 / 2)).moved((s * (w - rail), 0, o.z1 / 2)) for s in (-1, 1)]
        bars += [
            plain_box((w - 2 * rail, 0.005, h)).moved((0, 0, z)) for z, h in ((0.12, 0.12), (0.98, 0.09), (o.z1 - 0.07, 0.07))
        ]
        if o.z1 - 1.07 > 0.6:
            bars.append(plain_box((0.035, 0.005, (o.z1 - 0.14 - 1.07) / 2)).moved((0, 0, (o.z1 - 0.14 + 1.07) / 2)))
        self.mesh(merged(bars), t, 0.015, 0.0, leaf)
        x = 0.86 * w
        lever = tube([(x, 0.0, 1.02), (x, -0.045, 1.02), (x - 0.02, -0.05, 1.02), (x - 0.12, -0.05, 1.02)], 0.009, segments=8)
        plate = rounded_box((0.02, 0.004, 0.1), 0.003).moved((x, 0.006, 0.98))
        hinges = [tube([(-w + 0.004, 0.005, z), (-w + 0.004, 0.005, z + 0.09)], 0.008) for z in (0.22, o.z1 - 0.3)]
        self.mesh(merged([lever, plate, *hinges]), t, 0.0, 0.0, metal)
        self._frame_around(o, trim)

    def window(self, o: Opening, book: MaterialBook, trim: int) -> None:
        """Frame, sashes, cross bars, handle, sill, and the world outside."""
        t, z, w, h = (o.t0 + o.t1) / 2, (o.z0 + o.z1) / 2, (o.t1 - o.t0) / 2, (o.z1 - o.z0) / 2
        self._frame_around(o, trim)
        bars = [rounded_box((0.03, 0.02, h), 0.006)]
        if h > 0.45:
            bars.append(plain_box((w, 0.014, 0.013)).moved((0, 0, 0.3 * h)))
        for s in (-1, 1):
            bars.append(plain_box((0.03, 0.022, h)).moved((s * (w - 0.03), 0, 0)))
            bars.append(plain_box((w, 0.022, 0.03)).moved((0, 0, s * (h - 0.03))))
        self.mesh(merged(bars), t, 0.05, z, trim)
        grip = tube([(0, 0.0, 0), (0, -0.03, 0), (0, -0.035, -0.02), (0, -0.035, -0.1)], 0.007)
        self.mesh(grip, t, 0.03, z, book.pick(Role.METAL))
        self.mesh(rounded_box((w + 0.09, 0.09, 0.015), 0.01), t, -0.05, o.z0 - 0.015, trim)
        top = _EYES_M + HORIZON * _VIEW_M
        panel = plain_box((15.0, 0.02, _VIEW_M / 2)).pictured(0.0, 0.0, 30.0 / _VIEW_M, 1.0)
        self.mesh(panel, t, OUTSIDE_M, top - _VIEW_M / 2, book.pick(Role.OUTSIDE))
        depth = (OUTSIDE_M - WALL_M) / 2
        self.mesh(plain_box((15.0, depth, 0.02)), t, WALL_M + depth, GROUND_M, book.pick(Role.LAWN))

    def curtains(self, o: Opening, height: float, book: MaterialBook) -> None:
        """Two curtains drawn aside, on a rod."""
        top = min(o.z1 + 0.14, height - 0.06)
        cloth, width = book.pick(Role.CURTAIN), 0.15 + 0.1 * (o.t1 - o.t0)
        for s, edge in ((-1, o.t0), (1, o.t1)):
            if abs(edge + s * 0.16) + width < self._frame.half:
                self.mesh(curtain(width, top - max(o.z0 - 0.25, 0.08)), edge + s * 0.1, -0.055, top, cloth)
        reach = min((o.t1 - o.t0) / 2 + 0.38, self._frame.half - abs(o.t0 + o.t1) / 2 - 0.01)
        rod = tube([(-reach, -0.1, 0), (reach, -0.1, 0)], 0.011, segments=8)
        self.mesh(rod, (o.t0 + o.t1) / 2, 0.0, top, book.pick(Role.METAL))

    def _frame_around(self, o: Opening, trim: int) -> None:
        """Moulded casing; a window's goes all round."""
        w, h = (o.t1 - o.t0) / 2, (o.z1 - o.z0) / 2
        sides = [rounded_box((0.04, 0.011, h + 0.04), 0.006).moved((s * (w + 0.035), 0, 0.04)) for s in (-1, 1)]
        head = rounded_box((w + 0.085, 0.014, 0.04), 0.006).moved((0, 0, h + 0.038))
        self.mesh(merged([*sides, head]), (o.t0 + o.t1) / 2, -0.01, (o.z0 + o.z1) / 2, trim)


def _box(center: Vec3, half: Vec3, material: int) -> Part:
    return Part(Shape.BOX, center, half, material, SceneLabel.ROOM)
