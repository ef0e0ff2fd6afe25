"""The room of a configuration: shell, furniture, clutter on every surface, things on the walls, lamps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ego_perception.data import SceneLabel
from ego_perception.simulation import clutter, decor, furniture, kitchen, storage
from ego_perception.simulation.assembly import Part, Rect, Seat, Shape, rise
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.interior import Light, Movable, Obstacle, Room, worktops
from ego_perception.simulation.layout import KINDS, Furnisher, Template, armchair, chairs_around
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.shell import Opening, WallFrame, build_shell, walls_of
from ego_perception.simulation.textures import Rng

__all__ = ["Light", "Movable", "Obstacle", "Room", "build_room", "worktops"]

_WALL_TEMPLATES: tuple[Template, ...] = (
    furniture.sofa, furniture.bed, storage.shelf, storage.shelf, storage.cabinet, storage.dresser, storage.desk,
    storage.tv_stand, storage.nightstand, kitchen.counter, kitchen.counter, kitchen.fridge,
)  # fmt: skip
_FREE_TEMPLATES: tuple[Template, ...] = (
    furniture.stool, furniture.floor_lamp, furniture.plant, furniture.carton, furniture.chair, armchair,
    furniture.office_chair, kitchen.island,
)  # fmt: skip


def build_room(config: EgoSimConfig) -> Room:
    """Make the room of a configuration; equal seeds give equal rooms."""
    layout, looks = (np.random.default_rng([config.seed, stream]) for stream in (1, 2))
    randomness = float(looks.uniform(0.25, 1.0)) if config.preset == "hard" else 0.0
    book = MaterialBook(looks, randomness=randomness, size=128 if config.preset != "default" else 256)
    room = Room(*_size(layout, config), book)
    room.kind = str(layout.choice(KINDS)) if config.preset == "default" else "mixed"
    walls = walls_of(room.half)
    openings = build_shell(layout, room.parts.append, book, room.half, room.height)
    for frame in walls:
        for opening in openings[frame.index]:
            if opening.is_door:
                room.obstacles.append(Obstacle("door", opening.approach(frame, depth=0.9), 0.0, is_walkable=True))
    if config.preset != "plain":
        _structure(layout, room, walls, openings)
    furnisher = Furnisher(layout, room, walls, openings)
    if config.preset == "default":
        furnisher.furnish()
    else:
        _furnish_at_random(layout, furnisher, config)
    _clutter(layout, room, config)
    _decorate(layout, room, walls, openings)
    _light(layout, room, config)
    room.seats = [replace(seat, free_m=_free_ahead(room, seat)) for seat in room.seats]
    return room


def _free_ahead(room: Room, seat: Seat, longest: float = 1.5) -> float:
    """Free floor in front of a seat, metres."""
    step, (c, s) = 0.05, (math.cos(seat.facing_rad), math.sin(seat.facing_rad))
    x, y = seat.center[:2]
    solid = [o.rect for o in room.obstacles if not o.is_walkable and not (o.kind == seat.kind and o.rect.contains(x, y))]
    for k in range(1, round(longest / step) + 1):
        reach = seat.half[1] + 0.05 + k * step
        x, y = seat.center[0] + c * reach, seat.center[1] + s * reach
        if abs(x) > room.half[0] or abs(y) > room.half[1] or any(rect.contains(x, y) for rect in solid):
            return (k - 1) * step
    return longest


def _size(rng: Rng, config: EgoSimConfig) -> tuple[tuple[float, float], float]:
    low, high = ((1.5, 1.5), (3.6, 3.2)) if config.preset == "hard" else ((2.2, 2.0), (3.1, 2.7))
    half = rng.uniform(low, high)
    if config.room_size_m > 0:
        half = np.full(2, config.room_size_m / 2)
    elif config.preset == "plain":
        half = np.array([2.4, 2.0])
    return (float(half[0]), float(half[1])), float(rng.uniform(2.35, 2.9))


def _structure(rng: Rng, room: Room, walls: tuple[WallFrame, ...], openings: list[list[Opening]]) -> None:
    """Break the rectangle: a chimney breast with its niches, a stub of a wall, or a partition of half height."""
    kind = float(rng.random())
    if kind < 0.35:
        return
    if kind < 0.6:
        width, depth, height = float(rng.uniform(0.45, 0.7)), float(rng.uniform(0.12, 0.2)), room.height
    elif kind < 0.8:
        width, depth, height = 0.06, float(rng.uniform(0.3, 0.5)), room.height
    else:
        width, depth, height = 0.06, float(rng.uniform(0.4, 0.6)), float(rng.uniform(1.0, 1.2))
    for _ in range(8):
        frame = walls[int(rng.integers(4))]
        t = float(rng.uniform(-0.65, 0.65)) * frame.half
        rect = _on_floor(frame, t, width, depth)
        is_shut = any(o.overlaps(t - width - 0.3, t + width + 0.3, 0.0, height) for o in openings[frame.index])
        if not is_shut and room.is_free(rect.grown(-1e-3)):
            _add_structure(room, frame, t, (width, depth, height))
            room.obstacles.append(Obstacle("wall", rect, height))
            return


def _on_floor(frame: WallFrame, t: float, width: float, depth: float) -> Rect:
    corners = [frame.to_room(t + s * width, y) for s in (-1, 1) for y in (0.0, -2 * depth)]
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    return Rect(min(xs), min(ys), max(xs), max(ys))


def _add_structure(room: Room, frame: WallFrame, t: float, size: tuple[float, float, float]) -> None:
    """Masonry with a skirting and, below the ceiling, a board on top."""
    width, depth, height = size
    x, y = frame.to_room(t, -depth)
    solids = [(height / 2, (width, depth, height / 2), Role.WALL), (0.04, (width + 0.01, depth + 0.01, 0.04), Role.TRIM)]
    if height < room.height:
        solids.append((height - 0.015, (width + 0.015, depth + 0.015, 0.015), Role.TRIM))
    for z, half, role in solids:
        room.parts.append((Part(Shape.BOX, (x, y, z), half, room.book.pick(role), SceneLabel.ROOM, frame.yaw_rad), 0))


def _furnish_at_random(rng: Rng, furnisher: Furnisher, config: EgoSimConfig) -> None:
    """A few things (plain) or many at random (hard), without regard to what a room is for."""
    room, is_hard = furnisher.room, config.preset == "hard"
    if is_hard and rng.random() < 0.7:
        furnisher.anywhere(furniture.carpet(rng, room.book), gap=0.0, any_yaw=True)
    for k in range(int(rng.integers(1, 4)) if is_hard else 1):
        a = furniture.table(rng, room.book) if k == 0 or rng.random() < 0.6 else furniture.coffee_table(rng, room.book)
        at = furnisher.anywhere(a, gap=0.35 if is_hard else 0.8, any_yaw=is_hard)
        if at is not None and a.kind == "table":
            chairs_around(rng, room, a, at, count=int(rng.integers(1, 5)))
    for _ in range(int(rng.integers(5, 12)) if is_hard else 4):
        a = _WALL_TEMPLATES[int(rng.integers(len(_WALL_TEMPLATES)))](rng, room.book)
        furnisher.somewhere(a, walkway=0.35 if is_hard else 0.62)
    for _ in range(int(rng.integers(2, 6)) if is_hard else 1):
        a = _FREE_TEMPLATES[int(rng.integers(len(_FREE_TEMPLATES)))](rng, room.book)
        furnisher.anywhere(a, gap=0.05, any_yaw=True, near_wall=not is_hard)


def _clutter(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    density = {"plain": 4.0, "default": float(rng.uniform(6, 14)), "hard": float(rng.uniform(3, 25))}[config.preset]
    for support in list(room.supports):
        area = 4 * support.half[0] * support.half[1]
        count = min(14, int(rng.poisson(density * area * (1.0 if support.is_worktop else 0.7))))
        count = max(count, 3 if support.is_worktop else 0)
        c, s = math.cos(support.yaw_rad), math.sin(support.yaw_rad)
        for item, x, y, yaw in clutter.scatter(rng, room.book, support, count):
            px, py = support.center[0] + c * x - s * y, support.center[1] + s * x + c * y
            room.place_movable(item, px, py, yaw + support.yaw_rad, support.center[2])


def _decorate(rng: Rng, room: Room, walls: tuple[WallFrame, ...], openings: list[list[Opening]]) -> None:
    """Hang things on the wall space that is left; one clock in a room."""
    clock_wall = int(rng.integers(4))
    for frame in walls:
        for a, t, z in decor.hangings(rng, room.book, frame.half, has_clock=frame.index == clock_wall):
            box, top = a.footprint(), a.height
            low = z + min(p.center[2] - rise(p) for p in a.parts)
            x, y = frame.to_room(t)
            rect = a.footprint(x, y, frame.yaw_rad).grown(0.03)
            is_hidden = any(rect.overlaps(o.rect) and o.height > low for o in room.obstacles)
            if not is_hidden and not any(o.overlaps(t + box.x0, t + box.x1, low, z + top) for o in openings[frame.index]):
                room.place(a, x, y, frame.yaw_rad, SceneLabel.OBJECT, z=z)
                room.obstacles.append(Obstacle(a.kind, rect, z + top, is_walkable=True))


def _light(rng: Rng, room: Room, config: EgoSimConfig) -> None:
    hx, hy, z = room.half[0], room.half[1], room.height
    lamp = decor.ceiling_lamp(rng, room.book)
    x, y = float(rng.uniform(-0.3, 0.3)) * hx, float(rng.uniform(-0.3, 0.3)) * hy
    room.place(lamp, x, y, 0.0, SceneLabel.OBJECT, z=z)
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
