"""What a room offers to people: ways over the floor, places to stand and work at, seats, things to take, things to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.motion.curves import wrap_angle
from ego_perception.simulation.assembly import Seat, Support
from ego_perception.simulation.clearance import Solids, solids_of
from ego_perception.simulation.floorplan import FloorPlan
from ego_perception.simulation.room import Movable, Room

Array = NDArray[np.float64]
Rng = np.random.Generator

WALK_RADIUS_M = 0.33
"""Half the width a walking person takes with swinging arms; narrower rooms are tried with `NARROW_RADIUS_M`."""
NARROW_RADIUS_M = 0.27
STAND_RADIUS_M = 0.225
"""Free floor around somebody who stands at a table."""
FEET_BEFORE_SEAT_M = 0.14
"""How far the ankles are before the front edge of a seat."""
WORK_HEIGHTS_M = (0.35, 1.12)
REACH_M = 0.58
"""Level distance from the pelvis at which a thing can still be taken."""
_WALL_M = 0.28


@dataclass(frozen=True, eq=False)
class WorkPlace:
    """A place to stand at a surface: floor point and heading, metres and radians."""

    support: Support
    place: Array
    heading: float


@dataclass(frozen=True, eq=False)
class SeatPlace:
    """A place to stand with the back to a seat; `edge` is the floor point below the middle of its front edge."""

    seat: Seat
    place: Array
    heading: float
    edge: Array


@dataclass(frozen=True, eq=False)
class MotionWorld:
    """A room as people use it.

    Attributes:
        plan: where one can walk; works: where one can stand and work; seats: where one can sit.
        sights: (N, 3) points worth a look.
    """

    room: Room
    plan: FloorPlan
    works: tuple[WorkPlace, ...] = field(default=())
    seats: tuple[SeatPlace, ...] = field(default=())
    sights: Array = field(default_factory=lambda: np.zeros((0, 3)))

    @cached_property
    def solids(self) -> Solids:
        """What bodies must not sink into."""
        return solids_of(self.room)

    def way(self, start: Array, goal: Array) -> Array:
        """(N, 2) way between two floor points."""
        return self.plan.way(np.asarray(start, dtype=np.float64), np.asarray(goal, dtype=np.float64))

    def is_clear(self, place: Array, radius: float = STAND_RADIUS_M, ignore: Seat | None = None) -> bool:
        """True where a person of a radius stands clear of walls and furniture."""
        x, y = float(place[0]), float(place[1])
        if abs(x) > self.room.half[0] - _WALL_M or abs(y) > self.room.half[1] - _WALL_M:
            return False
        for o in self.room.obstacles:
            if o.is_walkable or o.height < 0.05:
                continue
            if ignore is not None and o.rect.grown(0.02).contains(*ignore.center[:2]) and o.kind == ignore.kind:
                continue
            gap = math.hypot(max(o.rect.x0 - x, 0.0, x - o.rect.x1), max(o.rect.y0 - y, 0.0, y - o.rect.y1))
            if gap < radius:
                return False
        return True

    def is_reachable(self, place: Array) -> bool:
        """True where the free floor is a step or two away."""
        nearest = self.plan.points[self.plan.nearest(place)]
        steps = np.linspace(0.0, 1.0, 6)[:, None]
        return float(np.hypot(*(nearest - place))) < 0.5 and all(
            self.is_clear(p, 0.2) for p in place + steps * (nearest - place)
        )

    def things_at(self, work: WorkPlace, poses: dict[str, Array]) -> list[Movable]:
        """Things on a surface that a person who stands there can take.

        Args:
            poses: (4, 4) by id, of what no longer stands where the room put it.
        """
        out = []
        for thing in self.room.movables:
            T = poses.get(thing.id, thing.T_world_object)
            gap = T[:2, 3] - work.place
            bearing = float(wrap_angle(math.atan2(gap[1], gap[0]) - work.heading))
            is_on = abs(T[2, 3] - work.support.center[2]) < 0.03
            if is_on and float(np.hypot(*gap)) < REACH_M and abs(bearing) < 0.85 and is_graspable(thing):
                out.append(thing)
        return out

    def spots_at(self, rng: Rng, work: WorkPlace, thing: Movable, poses: dict[str, Array]) -> Iterator[Array]:
        """Free spots (3,) on a surface within reach, for one more thing."""
        radius = 0.5 * math.hypot(thing.size[0], thing.size[1])
        others = [(poses.get(m.id, m.T_world_object), m) for m in self.room.movables if m.id != thing.id]
        near = [(T[:2, 3], 0.5 * math.hypot(*m.size[:2])) for T, m in others if abs(T[2, 3] - work.support.center[2]) < 0.3]
        c, s = math.cos(work.support.yaw_rad), math.sin(work.support.yaw_rad)
        half = np.asarray(work.support.half) - min(radius, 0.08)
        if half.min() < 0.0:
            return
        for _ in range(40):
            u, v = rng.uniform(-1.0, 1.0, 2) * half
            spot = np.array([work.support.center[0] + c * u - s * v, work.support.center[1] + s * u + c * v])
            gap = spot - work.place
            bearing = abs(float(wrap_angle(math.atan2(gap[1], gap[0]) - work.heading)))
            is_free = all(float(np.hypot(*(spot - p))) > radius + r + 0.02 for p, r in near)
            if is_free and float(np.hypot(*gap)) < REACH_M - 0.03 and bearing < 0.7:
                yield np.array([*spot, work.support.center[2]])


def is_graspable(thing: Movable) -> bool:
    """True for what one or two hands can take without tools."""
    wide, long, high = min(thing.size[:2]), max(thing.size[:2]), thing.size[2]
    return 0.012 < high < 0.36 and long < 0.34 and (wide < 0.3 or high > 0.05)


def motion_world(room: Room) -> MotionWorld:
    """Find out what a room offers.

    Raises:
        SimulationError: no free floor to walk on.
    """
    try:
        plan = FloorPlan(room, WALK_RADIUS_M)
    except SimulationError:
        plan = FloorPlan(room, NARROW_RADIUS_M)
    world = MotionWorld(room, plan)
    works = tuple(w for s in room.supports if s.is_worktop for w in _work_places(world, s))
    seats = tuple(p for seat in room.seats for p in _seat_places(world, seat))
    return MotionWorld(room, plan, works, seats, _sights(room))


def _work_places(world: MotionWorld, support: Support) -> Iterator[WorkPlace]:
    """Stand facing each side of a surface, as near as the furniture below allows."""
    if not WORK_HEIGHTS_M[0] < support.center[2] < WORK_HEIGHTS_M[1]:
        return
    center = np.array(support.center[:2])
    for k in range(4):
        yaw = support.yaw_rad + k * math.pi / 2
        out, along = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
        depth, width = (support.half[0], support.half[1]) if k % 2 == 0 else (support.half[1], support.half[0])
        slack = max(0.0, width - 0.2)
        for side in np.linspace(-slack, slack, 1 + 2 * round(slack / 0.25)):
            # Knees and toes need more room at a low table.
            nearest = 0.2 if support.center[2] > 0.6 else 0.29
            for gap in np.arange(nearest, 0.42, 0.02):
                place = center + (depth + gap) * out + side * along
                if world.is_clear(place):
                    if world.is_reachable(place):
                        yield WorkPlace(support, place, yaw + math.pi)
                    break


def _seat_places(world: MotionWorld, seat: Seat) -> Iterator[SeatPlace]:
    """Stand before a seat, the calves nearly at its edge."""
    if not 0.34 < seat.height < 0.66 or seat.free_m < 0.35:
        return
    forward = np.array([math.cos(seat.facing_rad), math.sin(seat.facing_rad)])
    aside = np.array([-forward[1], forward[0]])
    slack = max(0.0, seat.half[0] - 0.3)
    for side in np.linspace(-slack, slack, 1 + round(slack / 0.2)):
        edge = np.array(seat.center[:2]) + side * aside + seat.half[1] * forward
        place = edge + (FEET_BEFORE_SEAT_M + 0.03) * forward
        if world.is_clear(place, 0.17, ignore=seat) and world.is_reachable(place + 0.15 * forward):
            yield SeatPlace(seat, place, seat.facing_rad, edge)


def _sights(room: Room) -> Array:
    """Tops of furniture, things on them, pictures and windows at eye height."""
    tops = [s.center for s in room.supports]
    things = [tuple(m.T_world_object[:3, 3]) for m in room.movables]
    hung = [p.center for p, k in room.parts if k > 0 and 1.0 < p.center[2] < 2.0]
    walls = [(sx * room.half[0], sy * room.half[1], 1.3) for sx, sy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    return np.array([*tops, *things, *hung[::3], *walls], dtype=np.float64)
