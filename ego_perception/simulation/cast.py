"""The other people: what they do near the wearer, so that they are in view and in nobody's way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.state import JointFrames
from ego_perception.motion import Gaze, Manner, Start
from ego_perception.motion import script as ask
from ego_perception.motion.compose import RATE_HZ
from ego_perception.motion.grips import choose_grip
from ego_perception.simulation import episodes
from ego_perception.simulation.motion_world import MotionWorld, is_graspable
from ego_perception.simulation.mount import HEAD, CameraMount, head_camera
from ego_perception.simulation.rehearsal import Company, Performer, frames_of, perform

Array = NDArray[np.float64]
Rng = np.random.Generator

CHEST = joint_index("spine3")
NEAR_M, FAR_M = 0.8, 4.5
MEETING_M = 1.0
"""Distance of two people who hand something over."""
_CANDIDATES = 7
_GOOD_SHARE = 0.45


@dataclass(eq=False)
class Audience:
    """The wearer as others see him: where he is, where he looks, and how to follow him with the eyes.

    Attributes:
        fov_x_rad: horizontal field of view; before_s, until_s: the part of the time that will be kept.
    """

    wearer: Performer
    mount: CameraMount
    fov_x_rad: float
    before_s: float
    until_s: float

    @cached_property
    def frames(self) -> JointFrames:
        """Joints of the wearer at every sample."""
        return frames_of(self.wearer.physique, self.wearer.clip(self.until_s))

    @cached_property
    def cameras(self) -> Array:
        """(T, 4, 4) camera poses at every sample."""
        return head_camera(self.frames, self.mount)

    def share_in_view(self, joints: Array) -> float:
        """Share of the kept time in which a chest is before the camera at a good distance."""
        first = round(self.before_s * RATE_HZ)
        gap = joints[first : len(self.cameras), CHEST] - self.cameras[first : len(joints), :3, 3]
        local = np.einsum("tji,tj->ti", self.cameras[first : len(joints), :3, :3], gap)
        angle = np.arctan2(local[:, 0], local[:, 2])
        distance = np.linalg.norm(gap, axis=1)
        return float(((np.abs(angle) < 0.5 * self.fov_x_rad) & (distance > NEAR_M) & (distance < FAR_M)).mean())

    def spot_in_view(self, rng: Rng, world: MotionWorld) -> tuple[Array, float] | None:
        """A free place before the camera at some moment, and the heading from there to the wearer."""
        for _ in range(30):
            k = int(rng.integers(round(self.before_s * RATE_HZ), len(self.cameras)))
            eye, ahead = self.cameras[k, :3, 3], self.cameras[k, :3, 2]
            yaw = math.atan2(ahead[1], ahead[0]) + float(rng.uniform(-0.35, 0.35)) * self.fov_x_rad
            place = eye[:2] + float(rng.uniform(1.0, 3.6)) * np.array([math.cos(yaw), math.sin(yaw)])
            if world.is_clear(place, 0.3) and world.is_reachable(place):
                return place, math.atan2(eye[1] - place[1], eye[0] - place[0])
        return None

    def attract(self, rng: Rng, others: Sequence[Performer]) -> None:
        """Let the wearer look at the others instead of at walls now and then."""
        if not others:
            return
        gazes = [_follow(frames_of(p.physique, p.clip(self.until_s))) for p in others]
        score = self.wearer.planner.score
        score.gaze = [
            (t, replace(gazes[int(rng.integers(len(gazes)))], is_idle=True)) if g.is_idle and rng.random() < 0.6 else (t, g)
            for t, g in score.gaze
        ]


def _follow(frames: JointFrames) -> Gaze:
    """Look at somebody's face."""
    face = frames.positions[:, HEAD] + np.array([0.0, 0.0, 0.05])
    at = np.arange(len(face)) / RATE_HZ

    def point(times: Array) -> Array:
        return np.stack([np.interp(times, at, face[:, k]) for k in range(3)], axis=-1)

    return Gaze(follow=point)


def join_in(
    rng: Rng, world: MotionWorld, model: BodyModel, betas: Array, audience: Audience, others: Sequence[Performer]
) -> Performer | None:
    """Find something for one more person to do; the best seen of a few ideas, or None where none is possible."""
    company = [Company(audience.frames.positions)]
    company += [Company(frames_of(p.physique, p.clip(audience.until_s)).positions) for p in others]
    roles: tuple[Role, ...] = (_walk_by, _greet, _greet, _sit_there, _busy)
    best, best_share = None, 0.0
    for _ in range(_CANDIDATES):
        role = roles[int(rng.integers(len(roles)))]
        person = role(rng, _Stage(world, model, betas, audience, company))
        if person is None:
            continue
        linger(rng, person, audience)
        clip = person.clip(audience.until_s)
        if not person.is_lawful(clip, person.planner):
            continue
        share = audience.share_in_view(frames_of(person.physique, clip).positions)
        if best is None or share > best_share:
            best, best_share = person, share
        if share > _GOOD_SHARE:
            break
    return best


@dataclass(frozen=True, eq=False)
class _Stage:
    world: MotionWorld
    model: BodyModel
    betas: Array
    audience: Audience
    company: Sequence[Company]

    def enter(self, rng: Rng, place: Array, heading: float, seat_height: float | None = None) -> Performer | None:
        start = Start((float(place[0]), float(place[1])), heading, seat_height)
        return perform(self.world, self.model, self.betas, start, manner_of(rng), self.company)


Role = Callable[[Rng, _Stage], Performer | None]


def manner_of(rng: Rng) -> Manner:
    """How somebody moves who wears no camera."""
    return Manner(
        seed=int(rng.integers(2**31)),
        step_m=float(rng.uniform(0.43, 0.54)),
        eyes_down_rad=0.12,
        lean_rad=float(rng.uniform(0.0, 0.05)),
        arm_swing=float(rng.uniform(0.6, 1.15)),
        reach_s=float(rng.uniform(0.95, 1.3)),
    )


def _walk_by(rng: Rng, stage: _Stage) -> Performer | None:
    """Cross the view."""
    spot = stage.audience.spot_in_view(rng, stage.world)
    if spot is None:
        return None
    middle, facing = spot
    points = stage.world.plan.points
    aside = np.array([-math.sin(facing), math.cos(facing)])
    offsets = (points - middle) @ aside
    reach = np.abs((points - middle) @ np.array([math.cos(facing), math.sin(facing)]))
    ends = [np.flatnonzero((sign * offsets > 0.6) & (reach < 1.2)) for sign in (1.0, -1.0)]
    if not len(ends[0]) or not len(ends[1]):
        return None
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    start, goal = (points[int(rng.choice(ends[k]))] for k in order)
    way = stage.world.way(start, goal)
    first = way[min(8, len(way) - 1)] - way[0]
    person = stage.enter(rng, start, math.atan2(first[1], first[0]))
    looks = (ask.AHEAD, _follow(stage.audience.frames)) if rng.random() < 0.5 else (ask.AHEAD,)
    if person is None:
        return None
    wait = float(rng.uniform(0.0, 0.4)) * stage.audience.until_s
    tasks: list[ask.Task] = [ask.Stand(wait + 0.1)] if wait > 0.5 else []
    walked = person.rehearse(*tasks, ask.WalkTo(way, float(rng.uniform(0.65, 0.95)), gaze=looks))
    return person if walked else None


def _greet(rng: Rng, stage: _Stage) -> Performer | None:
    """Stand before the wearer, wave or talk."""
    spot = stage.audience.spot_in_view(rng, stage.world)
    person = stage.enter(rng, spot[0], spot[1] + float(rng.uniform(-0.4, 0.4))) if spot is not None else None
    if person is not None:
        _talk(rng, person, stage.audience)
    return person


def _sit_there(rng: Rng, stage: _Stage) -> Performer | None:
    """Sit on a seat from the beginning."""
    if not stage.world.seats:
        return None
    seat = stage.world.seats[int(rng.integers(len(stage.world.seats)))]
    person = stage.enter(rng, seat.place, seat.heading)
    if person is None:
        return None
    for depth in episodes.SEAT_DEPTHS_M:
        _, down = episodes.seat_for(person, seat, depth)
        seated = stage.enter(rng, np.asarray(down.place), seat.heading, down.height)
        if seated is not None:
            _talk(rng, seated, stage.audience)
            return seated
    return None


def _busy(rng: Rng, stage: _Stage) -> Performer | None:
    """Handle things at a surface."""
    works = [w for w in stage.world.works if stage.world.things_at(w, {})]
    if not works:
        return None
    work = works[int(rng.integers(len(works)))]
    person = stage.enter(rng, work.place, work.heading)
    return person if person is not None and episodes.work(rng, person) else None


def _talk(rng: Rng, person: Performer, audience: Audience) -> None:
    look = (_follow(audience.frames),)
    if rng.random() < 0.6:
        person.rehearse(ask.Wave(int(rng.integers(2)), float(rng.uniform(1.2, 2.5)), look))
    person.rehearse(ask.Gesture(float(rng.uniform(2.0, 4.0)), look))


def linger(rng: Rng, person: Performer, audience: Audience) -> None:
    """Go on until the end of the clip."""
    failures = 0
    while person.planner.t < audience.until_s and failures < 4:
        kind, before = float(rng.random()), person.planner.t
        if kind < 0.35 or person.planner.is_seated:
            person.rehearse(ask.Stand(float(rng.uniform(1.0, 2.5)), gaze=(_follow(audience.frames),)))
        elif kind < 0.55:
            _talk(rng, person, audience)
        elif kind < 0.8:
            episodes.roam(rng, person)
        else:
            episodes.put_away(rng, person)
        failures += int(person.planner.t == before)


def stay_on(rng: Rng, guest: Performer, audience: Audience) -> None:
    """Let the person who handed something over go on with something else."""
    guest.company = (Company(audience.frames.positions, may_touch=True),)
    linger(rng, guest, audience)


def plan_hand_over(
    rng: Rng, world: MotionWorld, model: BodyModel, shapes: tuple[Array, Array], manners: tuple[Manner, Manner]
) -> tuple[Performer, Performer] | None:
    """Two people meet, the second gives something to the first; None where there is no place or no thing for it."""
    things = [m for m in world.room.movables if is_graspable(m) and choose_grip(m.size) is ask.Grip.SIDE]
    points = world.plan.points
    for _ in range(8 if things else 0):
        here, heading = points[int(rng.integers(len(points)))], float(rng.uniform(-math.pi, math.pi))
        forward = np.array([math.cos(heading), math.sin(heading)])
        there = here + MEETING_M * forward
        gap = points - here
        bearing = np.abs((np.arctan2(gap[:, 1], gap[:, 0]) - heading + math.pi) % (2 * math.pi) - math.pi)
        far = np.flatnonzero((bearing < 0.8) & (np.abs(np.hypot(gap[:, 0], gap[:, 1]) - 2.1) < 0.6))
        if not len(far) or not world.is_clear(there, 0.3) or not world.is_reachable(there):
            continue
        thing = things[int(rng.integers(len(things)))]
        giver_start = points[int(rng.choice(far))]
        pair = _exchange(world, model, shapes, manners, (here, heading, there, giver_start), thing.id, thing.size)
        if pair is not None:
            return pair
    return None


def _exchange(
    world: MotionWorld,
    model: BodyModel,
    shapes: tuple[Array, Array],
    manners: tuple[Manner, Manner],
    places: tuple[Array, float, Array, Array],
    object_id: str,
    size: tuple[float, float, float],
) -> tuple[Performer, Performer] | None:
    here, heading, there, begin = places
    way = world.way(begin, there)
    first = way[min(8, len(way) - 1)] - way[0]
    start = Start((float(begin[0]), float(begin[1])), math.atan2(first[1], first[0]), None, ask.Carrying(object_id, size, 1))
    wearer = perform(world, model, shapes[0], Start((float(here[0]), float(here[1])), heading), manners[0])
    giver = perform(world, model, shapes[1], start, manners[1])
    if wearer is None or giver is None:
        return None
    if not giver.rehearse(ask.WalkTo(way, 0.75, heading + math.pi)):
        return None
    at_s = giver.planner.t + 1.8
    forward = np.array([math.cos(heading), math.sin(heading)])
    shoulder = wearer.planner.pelvis[2] + float(wearer.physique.offset("left_shoulder", "pelvis")[1])
    spot = here + 0.5 * (there - here) + 0.04 * np.array([-forward[1], forward[0]])
    point = (float(spot[0]), float(spot[1]), shoulder - 0.38)
    if not giver.rehearse(ask.Offer(point, at_s)):
        return None
    hold = next(h for h in giver.planner.score.holds if h.object_id == object_id)
    follow = replace(_follow(frames_of(giver.physique, giver.clip(at_s + 1.0))), is_idle=True)
    giver_joints = frames_of(giver.physique, giver.clip(at_s + 2.0)).positions
    wearer.company = (Company(giver_joints, may_touch=True),)
    wait = ask.Stand(at_s - 1.6, gaze=(follow,))
    if not wearer.rehearse(wait, ask.Take(object_id, hold.T_world_end, size, 1, at_s)):
        return None
    giver.poses.pop(object_id, None)
    return wearer, giver
