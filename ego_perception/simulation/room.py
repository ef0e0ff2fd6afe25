"""The layout grammar: a shell with openings, furniture along the walls and in the middle, clutter on every surface, lights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import make_transform
from ego_perception.simulation import clutter, decor, furniture
from ego_perception.simulation.assembly import Assembly, Label, Part, Rect, Support, placed_parts, placed_supports
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.shell import Opening, WallFrame, build_shell, walls_of
from ego_perception.simulation.textures import Rng

PASSAGE_M = 0.6
"""Free width kept between furniture at the walls and in the middle, so that one can walk around."""
WALL_GAP_M = 1.05
"""Distance of a table from the walls, so that something fits between them."""

WallTemplate = Callable[[Rng, MaterialBook], Assembly]

_KITCHEN: tuple[WallTemplate, ...] = (furniture.counter,) * 4 + (furniture.cabinet, furniture.shelf, furniture.dresser)
_LIVING: tuple[WallTemplate, ...] = (
    furniture.sofa, furniture.sofa, furniture.shelf, furniture.shelf, furniture.cabinet, furniture.dresser, furniture.desk,
    furniture.tv_stand, furniture.bed,
)  # fmt: skip


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
    """

    half: tuple[float, float]
    height: float
    book: MaterialBook
    parts: list[tuple[Part, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: ["room"])
    supports: list[Support] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    movables: list[Movable] = field(default_factory=list)
    ambient: float = 0.3
    headlight: float = 0.2

    def place(self, a: Assembly, x: float, y: float, yaw: float, label: Label = Label.FURNITURE, z: float = 0.0) -> None:
        """Put an assembly into the room."""
        self.names.append(a.kind)
        for part in placed_parts(a.parts, x, y, yaw):
            center = (part.center[0], part.center[1], part.center[2] + z)
            self.parts.append((replace(part, center=center, label=label), len(self.names) - 1))
        self.supports.extend(placed_supports(a.supports, x, y, yaw))
        if label is Label.FURNITURE:
            self.obstacles.append(Obstacle(a.kind, a.footprint(x, y, yaw), a.height, a.is_walkable))

    def place_movable(self, a: Assembly, x: float, y: float, yaw: float, z: float) -> None:
        """Put a small thing on a surface of height `z`."""
        self.place(a, x, y, yaw, Label.OBJECT, z=z)
        box = a.footprint()
        c, s = math.cos(yaw), math.sin(yaw)
        pose = make_transform([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], (x, y, z))
        self.movables.append(Movable(a.kind, len(self.names) - 1, pose, (box.x1 - box.x0, box.y1 - box.y0, a.height)))

    def is_free(self, rect: Rect) -> bool:
        """True where `rect` lies inside the walls and touches no furniture."""
        x, y = self.half
        inside = rect.x0 >= -x - 1e-6 and rect.x1 <= x + 1e-6 and rect.y0 >= -y - 1e-6 and rect.y1 <= y + 1e-6
        return inside and not any(rect.overlaps(o.rect) for o in self.obstacles)


def build_room(config: EgoSimConfig) -> Room:
    """Make the room of a configuration; equal seeds give equal rooms."""
    layout, looks = (np.random.default_rng([config.seed, stream]) for stream in (1, 2))
    randomness = float(looks.uniform(0.25, 1.0)) if config.preset == "hard" else 0.0
    book = MaterialBook(looks, randomness=randomness, size=128 if config.preset != "default" else 256)
    room = Room(*_size(layout, config), book)
    walls = walls_of(room.half)
    openings = build_shell(layout, room.parts.append, book, room.half, room.height)
    for frame in walls:
        for opening in openings[frame.index]:
            if opening.is_door:
                room.obstacles.append(Obstacle("door", opening.approach(frame, depth=0.9), 0.0, is_walkable=True))
    if config.preset == "hard":
        _furnish_walls(layout, room, walls, openings, config)
        _furnish_middle(layout, room, config)
    else:
        _lounge(layout, room, walls, openings, config)
        _furnish_middle(layout, room, config)
        _furnish_walls(layout, room, walls, openings, config)
    _furnish_rest(layout, room, config)
    _clutter(layout, room, config)
    _decorate(layout, room, walls, openings)
    _light(layout, room, config)
    return room


def _size(rng: Rng, config: EgoSimConfig) -> tuple[tuple[float, float], float]:
    low, high = ((1.5, 1.5), (3.6, 3.2)) if config.preset == "hard" else ((2.2, 2.0), (3.1, 2.7))
    half = rng.uniform(low, high)
    if config.room_size_m > 0:
        half = np.full(2, config.room_size_m / 2)
    elif config.preset == "plain":
        half = np.array([2.4, 2.0])
    return (float(half[0]), float(half[1])), float(rng.uniform(2.35, 2.9))


def _furnish_walls(
    rng: Rng, room: Room, walls: tuple[WallFrame, ...], openings: list[list[Opening]], config: EgoSimConfig
) -> None:
    is_kitchen = rng.random() < 0.5
    crowding = float(rng.uniform(0.55, 1.0)) if config.preset == "hard" else 0.4 if config.preset == "plain" else 0.9
    for frame in walls:
        templates = _KITCHEN if is_kitchen and (config.preset == "hard" or frame.index < 2) else _LIVING
        t = -frame.half + float(rng.uniform(0.0, 0.3))
        while t < frame.half - 0.4:
            a = templates[int(rng.integers(len(templates)))](rng, room.book)
            box = a.footprint()
            x, y = frame.to_room(t - box.x0)
            rect = a.footprint(x, y, frame.yaw_rad)
            blocks = any(o.hides(t, t + box.x1 - box.x0, a.height) for o in openings[frame.index])
            is_free = room.is_free(rect.grown(-0.005)) and _leaves_floor(room, rect) and _leaves_passage(room, rect, config)
            if rng.random() < crowding and not blocks and is_free:
                room.place(a, x, y, frame.yaw_rad)
                t += box.x1 - box.x0 + (0.0 if a.kind == "counter" else float(rng.uniform(0.02, 0.4)))
            else:
                t += float(rng.uniform(0.15, 0.5))


def _lounge(rng: Rng, room: Room, walls: tuple[WallFrame, ...], openings: list[list[Opening]], config: EgoSimConfig) -> None:
    """A sofa in two of three realistic rooms; placed first, because it needs the most room."""
    if config.preset == "plain" or rng.random() > 0.67:
        return
    sofa = furniture.sofa(rng, room.book)
    box = sofa.footprint()
    for _ in range(20):
        frame = walls[int(rng.integers(4))]
        slack = frame.half - 0.5 * (box.x1 - box.x0)
        if slack <= 0:
            continue
        t = float(rng.uniform(-slack, slack))
        x, y = frame.to_room(t)
        blocks = any(o.hides(t + box.x0, t + box.x1, sofa.height) for o in openings[frame.index])
        if not blocks and room.is_free(sofa.footprint(x, y, frame.yaw_rad).grown(-0.01)):
            room.place(sofa, x, y, frame.yaw_rad)
            return


def _leaves_passage(room: Room, rect: Rect, config: EgoSimConfig) -> bool:
    """Keep away from tables and chairs in the middle."""
    if config.preset == "hard":
        return True
    wide = rect.grown(PASSAGE_M)
    return not any(wide.overlaps(o.rect) for o in room.obstacles if o.kind in ("table", "coffee table", "chair"))


def _leaves_floor(room: Room, rect: Rect) -> bool:
    """Refuse what would leave hardly any floor to walk on in a small room."""
    area = sum((o.rect.x1 - o.rect.x0) * (o.rect.y1 - o.rect.y0) for o in room.obstacles if not o.is_walkable)
    area += (rect.x1 - rect.x0) * (rect.y1 - rect.y0)
    return area < 0.5 * 4 * room.half[0] * room.half[1]


def _furnish_middle(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    """Rug, tables with their chairs. In the realistic presets this comes before the walls: nearly always a table."""
    is_hard = config.preset == "hard"
    if config.preset != "plain" and rng.random() < 0.7:
        _try_place(rng, room, furniture.carpet(rng, room.book), gap=0.0, free_yaw=is_hard)
    for k in range(int(rng.integers(1, 4)) if is_hard else 1 + int(rng.random() < 0.4)):
        is_dining = rng.random() < (0.75 if is_hard or k == 0 else 0.3)
        a = furniture.table(rng, room.book) if is_dining else furniture.coffee_table(rng, room.book)
        at = _try_place(rng, room, a, gap=0.35 if is_hard else WALL_GAP_M if k == 0 else PASSAGE_M, free_yaw=is_hard)
        if at is not None and a.kind == "table":
            _seats(rng, room, a, at)


def _furnish_rest(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    """Small pieces that stand around, in the realistic presets near the walls."""
    extras = (
        furniture.stool,
        furniture.floor_lamp,
        furniture.plant,
        furniture.carton,
        furniture.chair,
        _armchair,
        furniture.floor_lamp,
    )
    for _ in range(0 if config.preset == "plain" else int(rng.integers(2, 6))):
        a = extras[int(rng.integers(len(extras)))](rng, room.book)
        _try_place(rng, room, a, gap=0.05, free_yaw=True, near_wall=config.preset != "hard")


def _armchair(rng: Rng, book: MaterialBook) -> Assembly:
    return furniture.sofa(rng, book, seats=1)


def _try_place(
    rng: Rng, room: Room, a: Assembly, *, gap: float, free_yaw: bool, near_wall: bool = False
) -> tuple[float, float, float] | None:
    """Place by rejection; None where 40 draws found no free floor."""
    for _ in range(40):
        yaw = float(rng.uniform(0, 2 * math.pi)) if free_yaw else float(rng.integers(4)) * math.pi / 2
        x, y = (float(rng.uniform(-0.92, 0.92)) * h for h in room.half)
        if near_wall and abs(x) < room.half[0] - 0.6 and abs(y) < room.half[1] - 0.6:
            continue
        rect = a.footprint(x, y, yaw)
        if (
            room.is_free(rect)
            and room.is_free(_clip(rect.grown(gap), room.half))
            and (a.is_walkable or _leaves_floor(room, rect))
        ):
            room.place(a, x, y, yaw)
            return x, y, yaw
    return None


def _clip(rect: Rect, half: tuple[float, float]) -> Rect:
    return Rect(max(rect.x0, -half[0]), max(rect.y0, -half[1]), min(rect.x1, half[0]), min(rect.y1, half[1]))


def _seats(rng: Rng, room: Room, table: Assembly, at: tuple[float, float, float]) -> None:
    """Chairs at the sides of a table, some pushed in and some not."""
    x, y, yaw = at
    box = table.footprint()
    for k in range(int(rng.integers(1, 5))):
        seat = furniture.chair(rng, room.book)
        angle = yaw + k * math.pi / 2
        reach = (box.y1 if k % 2 == 0 else box.x1) + float(rng.uniform(-0.08, 0.3))
        cx, cy = x - reach * math.sin(angle), y + reach * math.cos(angle)
        turn = angle + float(rng.normal(0, 0.15))
        rect = seat.footprint(cx, cy, turn)
        inside = abs(cx) < room.half[0] - 0.3 and abs(cy) < room.half[1] - 0.3
        if inside and not any(rect.overlaps(o.rect) for o in room.obstacles if o.kind not in ("table", "rug")):
            room.place(seat, cx, cy, turn)


def _clutter(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    density = {"plain": 4.0, "default": float(rng.uniform(6, 14)), "hard": float(rng.uniform(3, 25))}[config.preset]
    for support in list(room.supports):
        area = 4 * support.half[0] * support.half[1]
        count = min(14, int(rng.poisson(density * area * (1.0 if support.is_worktop else 0.7))))
        c, s = math.cos(support.yaw_rad), math.sin(support.yaw_rad)
        for item, x, y, yaw in clutter.scatter(rng, room.book, support, count):
            px, py = support.center[0] + c * x - s * y, support.center[1] + s * x + c * y
            room.place_movable(item, px, py, yaw + support.yaw_rad, support.center[2])


def _decorate(rng: Rng, room: Room, walls: tuple[WallFrame, ...], openings: list[list[Opening]]) -> None:
    """Hang things on the wall space that is left."""
    for frame in walls:
        for a, t, z in decor.hangings(rng, room.book, frame.half):
            box, top = a.footprint(), a.height
            low = z + min(p.center[2] - p.half[2] for p in a.parts)
            x, y = frame.to_room(t)
            rect = a.footprint(x, y, frame.yaw_rad).grown(0.03)
            is_hidden = any(rect.overlaps(o.rect) and o.height > low for o in room.obstacles)
            if not is_hidden and not any(o.overlaps(t + box.x0, t + box.x1, low, z + top) for o in openings[frame.index]):
                room.place(a, x, y, frame.yaw_rad, Label.OBJECT, z=z)
                room.obstacles.append(Obstacle(a.kind, rect, z + top, is_walkable=True))


def _light(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    hx, hy, z = room.half[0], room.half[1], room.height
    lamp = decor.ceiling_lamp(rng, room.book)
    x, y = float(rng.uniform(-0.3, 0.3)) * hx, float(rng.uniform(-0.3, 0.3)) * hy
    room.place(lamp, x, y, 0.0, Label.OBJECT, z=z)
    if config.preset == "hard":
        room.ambient, room.headlight = float(rng.uniform(0.2, 0.65)), float(rng.uniform(0.05, 0.45))
        for i in range(int(rng.integers(1, 4))):
            at = (float(rng.uniform(-0.8, 0.8)) * hx, float(rng.uniform(-0.8, 0.8)) * hy, z - 0.1)
            rgb = rng.uniform(0.75, 1, 3) * rng.uniform(0.3, 0.9)
            direction = (float(rng.normal(0, 0.3)), float(rng.normal(0, 0.3)), -1.0)
            room.lights.append(Light(at, _rgb(rgb), i == 0, direction, float(rng.uniform(0, 0.2))))
        return
    room.ambient, room.headlight = float(rng.uniform(0.34, 0.44)), 0.12
    warm = rng.uniform((0.54, 0.50, 0.44), (0.64, 0.60, 0.55))
    # The lamp that casts shadows stands beside the drawn one, or that would darken half of the room.
    aside = (-0.6 * hx if x > 0 else 0.6 * hx, -0.5 * hy if y > 0 else 0.5 * hy, z - 0.1)
    room.lights.append(Light(aside, _rgb(warm), True, (-0.35 * aside[0] / hx, -0.35 * aside[1] / hy, -1.0)))
    for _ in range(2):
        at = (float(rng.uniform(-0.8, 0.8)) * hx, float(rng.uniform(-0.8, 0.8)) * hy, float(rng.uniform(1.6, 2.2)))
        room.lights.append(Light(at, _rgb(rng.uniform(0.12, 0.22) * np.array([0.95, 1.0, 1.08])), falloff=0.08))


def _rgb(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def worktops(room: Room) -> Iterator[Support]:
    """The surfaces where people work and look."""
    return (s for s in room.supports if s.is_worktop)
