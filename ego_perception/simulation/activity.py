"""Who does what in a room: the wearer's and the others' movements for one configuration, from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel, load_body
from ego_perception.body.state import forward_kinematics
from ego_perception.errors import SimulationError
from ego_perception.motion import Hold, Manner, MotionClip, Start
from ego_perception.simulation import episodes
from ego_perception.simulation.cast import Audience, join_in, plan_hand_over, stay_on
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.motion_world import MotionWorld, motion_world
from ego_perception.simulation.mount import CameraMount, draw_mount, head_camera
from ego_perception.simulation.rehearsal import Performer, is_clean, perform
from ego_perception.simulation.room import Room

Array = NDArray[np.float64]
Rng = np.random.Generator

_HANDLESS, _IDLE_FIRST = 0.2, 0.3
"""Shares of clips without hands before the camera, and of those that begin idly; the way to the work makes others late too."""
_HAND_OVER = 0.2
_ATTEMPTS = 12
_TAKES = 5


@dataclass(frozen=True, eq=False)
class Activity:
    """What everybody does during a clip; times begin at 0 with its first frame.

    Attributes:
        wearer: also planned where nobody is drawn, because the camera rides on the head.
        others: the other people, "person_0" first.
        mount: how the camera sits on the wearer's head; rest_joints: (24, 3) of the wearer.
    """

    wearer: MotionClip
    others: tuple[MotionClip, ...]
    mount: CameraMount
    rest_joints: Array

    def camera(self, t: float) -> Array:
        """(4, 4) camera-to-world pose at a time, seconds; clamped to the clip."""
        state = self.wearer.at(t)
        return head_camera(forward_kinematics(self.rest_joints, state.rotations, state.transl), self.mount)


def plan_activity(room: Room, config: EgoSimConfig) -> Activity:
    """Choose and plan what the people of a configuration do.

    Raises:
        SimulationError: no free floor, or no room for as many people as were asked for.
    """
    rng = np.random.default_rng([config.seed, 4])
    world, model = motion_world(room), load_body()
    for _ in range(_TAKES):
        activity = _take(rng, world, model, config)
        if all(is_clean(world, model, clip) for clip in (activity.wearer, *activity.others)):
            return activity
    raise SimulationError(f"no lawful movement was found for seed {config.seed} in {_TAKES} tries; choose another seed")


def _take(rng: Rng, world: MotionWorld, model: BodyModel, config: EgoSimConfig) -> Activity:
    """Plan everybody once."""
    room = world.room
    betas = _draw_shape(rng)
    mount = draw_mount(rng, model, betas)
    # Clips begin in the middle of something; short ones would otherwise all show its beginning.
    before = float(rng.uniform(0.0, 1.5 if config.duration_s > 4.0 else 6.0))
    total = before + config.duration_s
    wanted, least = _how_many(rng, config)
    wearer, guest = _plan_wearer(rng, world, model, betas, mount, total, hand_over=wanted > 0)
    audience = Audience(wearer, mount, config.camera.fov_rad[0], before, total)
    others: list[Performer] = []
    if guest is not None:
        stay_on(rng, guest, audience)
        others.append(guest)
    while len(others) < wanted:
        person = join_in(rng, world, model, _draw_shape(rng), audience, others)
        if person is None:
            break
        others.append(person)
    if len(others) < least:
        raise SimulationError(
            f"the room of {2 * room.half[0]:.1f} x {2 * room.half[1]:.1f} m has room for {len(others)} beside the wearer, "
            f"asked for are {least}; choose a larger room_size_m, another seed, or people.others=-1"
        )
    audience.attract(rng, others)
    clips = [_cut(p.clip(total), before, config.duration_s) for p in (wearer, *others)]
    tilted = replace(mount, pitch_rad=mount.pitch_rad - math.radians(config.camera_tilt_deg))
    return Activity(clips[0], tuple(clips[1:]), tilted, wearer.physique.rest_joints)


def _how_many(rng: Rng, config: EgoSimConfig) -> tuple[int, int]:
    """Wanted number of other people, and the least that will do."""
    drawn = int(rng.choice(3, p=(0.3, 0.4, 0.3)))
    return (drawn, 0) if config.people.others < 0 else (config.people.others, config.people.others)


def _draw_shape(rng: Rng) -> Array:
    return np.clip(rng.normal(0.0, 0.8, 10), -1.8, 1.8)


def _draw_manner(rng: Rng, mount: CameraMount | None) -> Manner:
    return Manner(
        seed=int(rng.integers(2**31)),
        step_m=float(rng.uniform(0.43, 0.52)),
        # A camera that is tilted down sees what the wearer looks at without a bent neck.
        eyes_down_rad=0.18 if mount is None else -0.85 * mount.pitch_rad,
        lean_rad=float(rng.uniform(0.0, 0.05)),
        arm_swing=float(rng.uniform(0.6, 1.1)),
        reach_s=float(rng.uniform(0.95, 1.3)),
    )


def _plan_wearer(
    rng: Rng,
    world: MotionWorld,
    model: BodyModel,
    betas: Array,
    mount: CameraMount,
    total: float,
    *,
    hand_over: bool,
) -> tuple[Performer, Performer | None]:
    """The wearer, and the person who hands something over where that is the plot."""
    plot = float(rng.random())
    if hand_over and total > 5.5 and rng.random() < _HAND_OVER:
        pair = plan_hand_over(rng, world, model, (betas, _draw_shape(rng)), (_draw_manner(rng, mount), _draw_manner(rng, None)))
        if pair is not None:
            _fill(rng, pair[0], total, hands=1.0)
            return pair
    person = _place_wearer(rng, world, model, betas, mount, early=plot > _HANDLESS + _IDLE_FIRST)
    if plot < _HANDLESS:
        _fill(rng, person, total, hands=0.0)
        return person, None
    if plot < _HANDLESS + _IDLE_FIRST:
        # Long walks would leave no time for the hands; the way to the work is one.
        (episodes.stand_still if rng.random() < 0.5 else episodes.look_around)(rng, person)
    # Where nothing is in reach, people at least talk with their hands.
    for bring_hands_up in (episodes.work, episodes.touch, episodes.talk):
        if bring_hands_up(rng, person):
            break
    _fill(rng, person, total, hands=1.0)
    return person, None


def _place_wearer(
    rng: Rng, world: MotionWorld, model: BodyModel, betas: Array, mount: CameraMount, *, early: bool
) -> Performer:
    """Start somewhere on the free floor, or at a surface where hands are to be seen at once."""
    points, manner = world.plan.points, _draw_manner(rng, mount)
    for attempt in range(_ATTEMPTS):
        place = points[int(rng.integers(len(points)))]
        heading = _open_direction(rng, world, place)
        busy = [w for w in world.works if world.things_at(w, {})]
        if early and busy and attempt < _ATTEMPTS // 2:
            work = busy[int(rng.integers(len(busy)))]
            place, heading = work.place, work.heading
        person = perform(world, model, betas, Start((float(place[0]), float(place[1])), heading), manner)
        if person is not None:
            return person
    raise SimulationError(
        f"nowhere in the room of {2 * world.room.half[0]:.1f} x {2 * world.room.half[1]:.1f} m can a person stand; "
        "choose a larger room_size_m or another seed"
    )


def _open_direction(rng: Rng, world: MotionWorld, place: Array) -> float:
    """A heading with some free floor ahead."""
    some = world.plan.points[rng.integers(len(world.plan.points), size=6)]
    goal = some[int(np.linalg.norm(some - place, axis=1).argmax())]
    return math.atan2(goal[1] - place[1], goal[0] - place[0]) + float(rng.uniform(-0.4, 0.4))


def _fill(rng: Rng, person: Performer, until_s: float, *, hands: float) -> None:
    """Take on episodes until a time; `hands` scales how often the hands have work."""
    kinds: Sequence[tuple[episodes.Episode, float]] = (
        (episodes.roam, 0.3), (episodes.look_around, 0.08), (episodes.stand_still, 0.3), (episodes.sit, 0.08),
        (episodes.step_back, 0.05), (episodes.work, 0.8 * hands), (episodes.touch, 0.2 * hands),
    )  # fmt: skip
    weights = np.array([w for _, w in kinds])
    failures, last = 0, -1
    while person.planner.t < until_s:
        if person.planner.work.held and rng.random() < 0.5:
            done = episodes.put_away(rng, person)
        else:
            # Nobody does the same thing over and over.
            now = np.where(np.arange(len(kinds)) == last, 0.25 * weights, weights)
            last = int(rng.choice(len(kinds), p=now / now.sum()))
            done = kinds[last][0](rng, person)
        failures = 0 if done else failures + 1
        if failures > 8 and not episodes.stand_still(rng, person):
            return  # the clip is filled with quiet standing


def _cut(clip: MotionClip, start_s: float, duration_s: float) -> MotionClip:
    """The part of a clip from a time on, with its own time from 0."""
    step = clip.times[1] - clip.times[0]
    first, count = round(start_s / step), round(duration_s / step) + 1
    at, shift = slice(first, first + max(2, count)), first * step
    holds = tuple(_shifted(h, shift) for h in clip.holds)
    return replace(
        clip,
        times=np.arange(len(clip.times[at])) * step,
        rotations=clip.rotations[at],
        transl=clip.transl[at],
        finger_curl=clip.finger_curl[at],
        foot_contact=clip.foot_contact[at],
        activity=clip.activity[at],
        holds=holds,
    )


def _shifted(hold: Hold, by: float) -> Hold:
    return replace(hold, start_s=hold.start_s - by, end_s=hold.end_s - by)
