"""Episodes: short runs of tasks that make sense in a room, for the wearer and for others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ego_perception.motion import script as ask
from ego_perception.motion.curves import wrap_angle
from ego_perception.motion.grips import choose_grip
from ego_perception.motion.script import Gaze, Task
from ego_perception.simulation.motion_world import SeatPlace, WorkPlace
from ego_perception.simulation.rehearsal import Performer

Array = NDArray[np.float64]
Rng = np.random.Generator
SEAT_GIVE_M = 0.015
SEAT_DEPTHS_M = (0.22, 0.17, 0.12)
Episode = Callable[[Rng, Performer], bool]
"""Tries to take on tasks; False where nothing came of it."""


def roam(rng: Rng, person: Performer) -> bool:
    """Walk to another place."""
    p = person.planner
    points = person.world.plan.points
    some = points[rng.integers(len(points), size=8)]
    gap = some - p.place
    turn = np.abs(wrap_angle(np.arctan2(gap[:, 1], gap[:, 0]) - p.heading))
    # People rather go where they look than turn on the spot.
    goal = some[int((np.abs(np.linalg.norm(gap, axis=1) - rng.uniform(1.0, 3.5)) + 0.8 * turn).argmin())]
    return person.rehearse(*walk_to(rng, person, goal, None))


def look_around(rng: Rng, person: Performer) -> bool:
    """Stand and look at two or three things."""
    count = int(rng.integers(2, 4))
    return person.rehearse(ask.Stand(float(rng.uniform(1.0, 1.6)) * count, gaze=sights(rng, person, count)))


def stand_still(rng: Rng, person: Performer) -> bool:
    """Look at one thing for a while and hardly move."""
    return person.rehearse(ask.Stand(float(rng.uniform(2.5, 4.5)), gaze=sights(rng, person, 1), still=True))


def work(rng: Rng, person: Performer) -> bool:
    """Take something from a surface; keep it, or put it elsewhere on the same or another one."""
    world, p = person.world, person.planner
    options = [(w, thing) for w in world.works for thing in world.things_at(w, person.poses)]
    if p.work.held or not options:
        return False
    nearness = np.array([np.hypot(*(w.place - p.place)) for w, _ in options])
    order = np.argsort(nearness + rng.uniform(0.0, 0.8, len(options)))
    for k in order[:4]:
        place, thing = options[int(k)]
        T = person.poses.get(thing.id, thing.T_world_object)
        grip = choose_grip(thing.size)
        gap = T[:2, 3] - place.place
        leftward = -math.sin(place.heading) * gap[0] + math.cos(place.heading) * gap[1]
        hand = 0 if leftward > 0.03 or (leftward > -0.03 and rng.random() < 0.3) else 1
        tasks = walk_to(rng, person, place.place, place.heading)
        if rng.random() < 0.35:
            tasks.append(ask.Stand(float(rng.uniform(0.5, 1.2)), gaze=(Gaze(_triple(T[:3, 3])),), still=True))
        tasks.append(ask.PickUp(thing.id, T, thing.size, hand, grip))
        if person.rehearse(*tasks):
            if rng.random() < 0.5:
                person.rehearse(ask.Inspect(float(rng.uniform(1.0, 2.2))))
            if rng.random() < 0.8:
                _bring(rng, person, place)
            return True
    return False


def put_away(rng: Rng, person: Performer) -> bool:
    """Put what is held on some surface."""
    if not person.planner.work.held:
        return False
    works = sorted(person.world.works, key=lambda w: float(np.hypot(*(w.place - person.planner.place))))
    return any(_put_at(rng, person, w) for w in works[:4])


def touch(rng: Rng, person: Performer) -> bool:
    """Reach for a point above a surface, as to wipe or feel it."""
    world, p = person.world, person.planner
    hands = [hand for hand in (0, 1) if not p.work.is_busy(hand)]
    if not world.works or not hands:
        return False
    place = min(world.works, key=lambda w: float(np.hypot(*(w.place - p.place))) + float(rng.uniform(0.0, 1.5)))
    side, ahead = float(rng.uniform(-0.25, 0.25)), float(rng.uniform(0.33, 0.5))
    c, s = math.cos(place.heading), math.sin(place.heading)
    xy = place.place + np.array([c * ahead - s * side, s * ahead + c * side])
    point = (float(xy[0]), float(xy[1]), place.support.center[2] + float(rng.uniform(0.08, 0.25)))
    hand = 0 if (side > 0 and 0 in hands) or 1 not in hands else 1
    tasks = walk_to(rng, person, place.place, place.heading)
    return person.rehearse(*tasks, ask.Reach(hand, point, hold_s=float(rng.uniform(0.3, 1.0))))


def talk(rng: Rng, person: Performer) -> bool:
    """Speak with both hands."""
    return person.rehearse(ask.Gesture(float(rng.uniform(2.0, 4.0)), gaze=(Gaze(pitch_rad=-0.35),)))


def sit(rng: Rng, person: Performer) -> bool:
    """Go to a seat, sit for a while, and rise again."""
    if not person.world.seats:
        return False
    seats = sorted(person.world.seats, key=lambda s: float(np.hypot(*(s.place - person.planner.place))))
    for k in rng.permutation(min(3, len(seats))):
        seat = seats[int(k)]
        for depth in SEAT_DEPTHS_M:
            place, down = seat_for(person, seat, depth)
            # Turn round where there is room for it, then step back to the seat.
            before = place + 0.28 * np.array([math.cos(seat.heading), math.sin(seat.heading)])
            back = ask.StepTo((float(place[0]), float(place[1])), seat.heading)
            if not person.rehearse(*walk_to(rng, person, before, seat.heading), back, down):
                continue
            person.rehearse(
                ask.Stand(float(rng.uniform(1.5, 4.0)), gaze=sights(rng, person, 2), still=bool(rng.random() < 0.4))
            )
            person.rehearse(ask.StandUp())
            return True
    return False


def step_back(rng: Rng, person: Performer) -> bool:
    """A step or two back from where one faces."""
    p = person.planner
    back = p.place - float(rng.uniform(0.25, 0.45)) * np.array([math.cos(p.heading), math.sin(p.heading)])
    turned = p.heading + float(rng.uniform(-0.6, 0.6))
    return person.world.is_clear(back, 0.3) and person.rehearse(ask.StepTo((float(back[0]), float(back[1])), turned))


def seat_for(person: Performer, seat: SeatPlace, depth_m: float) -> tuple[Array, ask.SitDown]:
    """Where to stand before a seat, and the task that sits down with the pelvis this far behind its front edge."""
    forward = np.array([math.cos(seat.heading), math.sin(seat.heading)])
    pelvis = seat.edge - depth_m * forward
    sit_down = ask.SitDown((float(pelvis[0]), float(pelvis[1])), seat.seat.height + SEAT_GIVE_M)
    return pelvis + person.planner.seat_back * forward, sit_down


def walk_to(rng: Rng, person: Performer, goal: Array, heading: float | None) -> list[Task]:
    """Tasks that bring a person somewhere, stepping or walking as the distance asks."""
    p = person.planner
    tasks: list[Task] = []
    if p.is_seated:
        tasks.append(ask.StandUp())
    here = p.stand if p.is_seated else p.place
    gap = goal - here
    distance = float(np.hypot(*gap))
    facing = p.heading if heading is None else heading
    if distance < 0.08 and abs(float(wrap_angle(facing - p.heading))) < 0.1:
        return tasks
    if distance < 0.55:
        tasks.append(ask.StepTo((float(goal[0]), float(goal[1])), facing))
        return tasks
    gaze = sights(rng, person, 1 + int(distance > 1.5)) if rng.random() < 0.6 else (Gaze(is_idle=True),)
    tasks.append(ask.WalkTo(person.world.way(here, goal), float(rng.uniform(0.55, 0.78)), heading, (Gaze(is_idle=True), *gaze)))
    return tasks


def sights(rng: Rng, person: Performer, count: int) -> Sequence[Gaze]:
    """Things to look at in front of the person."""
    p = person.planner
    gap = person.world.sights[:, :2] - p.place
    distance = np.hypot(gap[:, 0], gap[:, 1])
    turn = np.abs(wrap_angle(np.arctan2(gap[:, 1], gap[:, 0]) - p.heading))
    fit = np.flatnonzero((distance > 0.5) & (distance < 4.5) & (turn < 0.9))
    if not len(fit):
        return (Gaze(pitch_rad=float(rng.uniform(-0.4, -0.05)), is_idle=True),)
    return tuple(Gaze(_triple(person.world.sights[int(k)]), is_idle=True) for k in rng.choice(fit, count))


def _bring(rng: Rng, person: Performer, place: WorkPlace) -> bool:
    works = list(person.world.works)
    if rng.random() < 0.5 and len(works) > 1:
        far = [w for w in works if float(np.hypot(*(w.place - place.place))) > 0.5]
        if far and _put_at(rng, person, far[int(rng.integers(len(far)))]):
            return True
    return _put_at(rng, person, place) or person.rehearse(ask.Inspect(1.0))


def _put_at(rng: Rng, person: Performer, place: WorkPlace) -> bool:
    held = person.planner.work.held[-1].object_id
    thing = next(m for m in person.world.room.movables if m.id == held)
    for count, spot in enumerate(person.world.spots_at(rng, place, thing, person.poses)):
        tasks = walk_to(rng, person, place.place, place.heading)
        if person.rehearse(*tasks, ask.PutDown(_triple(spot))):
            return True
        if count == 3:
            break
    return False


def _triple(v: Array) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])
