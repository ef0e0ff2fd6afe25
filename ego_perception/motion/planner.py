"""The planner: turns a script into a score, task by task, and the score into a clip. See README.md for the method."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import make_transform
from ego_perception.motion import script as ask
from ego_perception.motion.clip import MotionClip
from ego_perception.motion.compose import Score, compose
from ego_perception.motion.curves import KeyTrack, wrap_angle
from ego_perception.motion.footsteps import Step, shuffle, stance, walk
from ego_perception.motion.hands import Anchor, HandTrack, hang, on_lap
from ego_perception.motion.handwork import Handwork
from ego_perception.motion.physique import Physique
from ego_perception.motion.script import MotionError, Script

Array = NDArray[np.float64]

SEAT_BACK_M = 0.37
"""How far the pelvis moves back when sitting down, at the mean leg length."""
SHUFFLE_STEP_S = 0.5
_SIT_S = 2.1
_SHARP_TURN_RAD = 0.6


@dataclass(frozen=True, eq=False)
class Ending:
    """Where a script leaves the person."""

    place: Array
    heading: float
    end_s: float
    is_seated: bool
    is_carrying: bool


def plan(physique: Physique, script: Script, *, duration_s: float | None = None) -> MotionClip:
    """Plan a script and solve it.

    Args:
        duration_s: length of the clip; None for as long as the script takes. A longer clip keeps the last pose, a shorter one
            breaks off.

    Raises:
        MotionError: a task that cannot follow the one before, or a target out of reach.
    """
    return compose(Planner(physique, script).run().score, duration_s=duration_s)


class Planner:
    """Writes the score of one script; tasks can also be added one by one."""

    def __init__(self, physique: Physique, script: Script) -> None:
        start = script.start
        self.physique, self.script, self.manner = physique, script, script.manner
        self.heading = start.heading
        self.place = np.asarray(start.place, dtype=np.float64)
        self.t = 0.0
        self.is_seated = start.seat_height is not None
        forward = np.array([math.cos(start.heading), math.sin(start.heading)])
        self.stand = self.place + (self.seat_back if self.is_seated else 0.0) * forward
        feet = stance(physique, self.stand, start.heading)
        hands = (HandTrack(self.rest_anchor(0)), HandTrack(self.rest_anchor(1)))
        self.score = Score(physique, script.manner, feet.copy(), hands)
        self.score.gaze.append((-1.0, ask.AHEAD))
        self.score.activity.append((-1.0, "sit" if self.is_seated else "stand"))
        if start.seat_height is not None:
            self.score.seat_shift = KeyTrack(self.place - self.stand)
            self.score.seat_drop = KeyTrack(np.array(self._drop(start.seat_height)))
            self.score.seated = KeyTrack(np.ones(()))
        self.feet = feet
        self.work = Handwork(self)
        if start.carrying is not None:
            self.work.begin_with(start.carrying)

    def run(self) -> Planner:
        """Plan every task of the script."""
        for task in self.script.tasks:
            self.add(task)
        return self

    def add(self, task: ask.Task) -> None:
        """Plan one more task."""
        self._do(task)
        self.label("sit" if self.is_seated else "stand")
        self.score.end_s = self.t

    @property
    def ending(self) -> Ending:
        """Where the tasks so far lead."""
        return Ending(self.place.copy(), self.heading, self.t, self.is_seated, bool(self.work.held))

    @property
    def seat_back(self) -> float:
        """Way of the pelvis from standing before a seat to sitting on it, metres."""
        return SEAT_BACK_M * self.physique.stature_scale

    @property
    def pelvis(self) -> Array:
        """(3,) the pelvis joint in quiet standing or sitting."""
        height = self.physique.standing_pelvis_m + float(self.score.seat_drop.last)
        return np.array([*self.place, height])

    def rest_anchor(self, hand: int) -> Anchor:
        """Where an idle hand belongs."""
        return on_lap(hand, self.physique.legs[hand].lengths[0]) if self.is_seated else hang(hand)

    def label(self, name: str) -> None:
        """Name what is done from now on."""
        self.score.activity.append((self.t, name))

    def look(self, gaze: Sequence[ask.Gaze], seconds: float) -> None:
        """Look at things in turn during the next seconds."""
        for k, target in enumerate(gaze):
            self.score.gaze.append((self.t + seconds * k / len(gaze), target))

    @functools.singledispatchmethod
    def _do(self, task: ask.Task) -> None:
        raise MotionError(f"no way to do {type(task).__name__}; tasks are the classes of motion.script")

    @_do.register
    def _(self, task: ask.WalkTo) -> None:
        self.need(not self.is_seated, "walk", "stand up first")
        way = np.asarray(task.way, dtype=np.float64)
        if way.ndim != 2 or way.shape[1:] != (2,) or len(way) < 2 or not np.isfinite(way).all():
            raise MotionError(f"a way is (N, 2) finite floor points with N > 1, got shape {way.shape}")
        if float(np.hypot(*(way[0] - self.place))) > 0.15:
            raise MotionError(
                f"the way begins at ({way[0, 0]:.2f}, {way[0, 1]:.2f}), {np.hypot(*(way[0] - self.place)):.2f} m away"
            )
        if not 0.2 <= task.speed <= 1.2:
            raise MotionError(f"a walking speed is 0.2 to 1.2 m/s, got {task.speed}")
        length = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        if length < 0.3:
            self._shuffle(way[-1], self.heading if task.heading is None else task.heading, task.gaze, "step")
            return
        first = way[_ahead(way, 0.3)] - way[0]
        direction = math.atan2(first[1], first[0])
        if abs(wrap_angle(direction - self.heading)) > _SHARP_TURN_RAD:
            self._shuffle(self.place, direction, task.gaze[:1], "turn")
        final = way[-1] - way[-1 - _ahead(way[::-1], 0.3)]
        arrival = math.atan2(final[1], final[0])
        turn = 0.0 if task.heading is None else float(wrap_angle(task.heading - arrival))
        heading = task.heading if abs(turn) < _SHARP_TURN_RAD else None
        step_m = self.manner.step_m * self.physique.stature_scale
        step_s = float(np.clip(step_m / task.speed, 0.5, 0.85))
        step_m = task.speed * step_s
        start = self._footing()
        steps = walk(self.physique, self.feet, way, start, step_s, step_m, heading)
        self._take(steps, start, "carry" if self.work.held else "walk", task.gaze, step_s)
        if task.heading is not None and heading is None:
            self._shuffle(self.place, task.heading, task.gaze[-1:], "turn")

    @_do.register
    def _(self, task: ask.StepTo) -> None:
        self._shuffle(np.asarray(task.place, dtype=np.float64), task.heading, task.gaze, "step")

    @_do.register
    def _(self, task: ask.TurnTo) -> None:
        self._shuffle(self.place, task.heading, task.gaze, "turn")

    @_do.register
    def _(self, task: ask.Stand) -> None:
        _positive(task.seconds, "Stand")
        self.label("sit" if self.is_seated else "look" if task.gaze else "stand")
        self.look(task.gaze, task.seconds)
        if task.still:
            self.score.unrest.to(0.12, self.t, self.t + 0.5)
            self.score.unrest.to(1.0, self.t + task.seconds, self.t + task.seconds + 0.5)
        self.t += task.seconds

    @_do.register
    def _(self, task: ask.SitDown) -> None:
        self.need(not self.is_seated, "sit down", "the person sits already")
        if not 0.3 <= task.height <= 0.75:
            raise MotionError(f"a seat is 0.3 to 0.75 m high, got {task.height}")
        shift = np.asarray(task.place) - self.place
        if float(np.hypot(*shift)) > 0.6:
            raise MotionError(f"the seat is {np.hypot(*shift):.2f} m behind; stand with the back to it, at most 0.6 m away")
        t, score = self.t, self.score
        self.label("sit_down")
        score.lean.to(0.62, t, t + 1.0)
        score.lean.to(0.02, t + 1.0, t + _SIT_S)
        score.seat_shift.to(shift, t + 0.15, t + 1.65)
        score.seat_drop.to(self._drop(task.height), t + 0.1, t + 1.75)
        score.seated.to(1.0, t, t + 1.75)
        self.is_seated, self.place = True, np.asarray(task.place, dtype=np.float64)
        self.work.rest_hands(t + 0.4, t + _SIT_S - 0.1)
        self.t = t + _SIT_S
        self.label("sit")

    @_do.register
    def _(self, task: ask.StandUp) -> None:
        self.need(self.is_seated, "stand up", "the person stands already")
        t, score = self.t, self.score
        self.label("stand_up")
        score.lean.to(0.66, t, t + 0.95)
        score.lean.to(0.0, t + 1.05, t + _SIT_S)
        score.seat_shift.to(np.zeros(2), t + 0.35, t + 1.75)
        score.seat_drop.to(0.0, t + 0.5, t + 1.9)
        score.seated.to(0.0, t + 0.4, t + 1.8)
        self.is_seated, self.place = False, self.stand.copy()
        self.work.rest_hands(t + 0.3, t + 1.6)
        self.t = t + _SIT_S
        self.label("stand")

    @_do.register(ask.Reach)
    @_do.register(ask.PickUp)
    @_do.register(ask.PutDown)
    @_do.register(ask.Inspect)
    @_do.register(ask.Wave)
    @_do.register(ask.Gesture)
    @_do.register(ask.Offer)
    @_do.register(ask.Take)
    def _(self, task: ask.Task) -> None:
        self.work.do(task)

    def _shuffle(self, place: Array, heading: float, gaze: Sequence[ask.Gaze], name: str) -> None:
        self.need(not self.is_seated, name, "stand up first")
        if not (np.isfinite(place).all() and math.isfinite(heading)):
            raise MotionError(f"a place must be finite, got {place} and heading {heading}")
        if float(np.hypot(*(place - self.place))) < 0.02 and abs(wrap_angle(heading - self.heading)) < 0.05:
            return
        start = self._footing()
        steps = shuffle(self.physique, self.feet, place, heading, start, SHUFFLE_STEP_S)
        self._take(steps, start, name, gaze, SHUFFLE_STEP_S)

    def _footing(self) -> float:
        """When the next step can begin: the weight must be over one foot first."""
        last = self.score.steps[-1].land_s if self.score.steps else -1.0
        return max(self.t, last + 0.1) + (0.0 if self.t - last < 0.35 else 0.25)

    def _take(self, steps: list[Step], start: float, name: str, gaze: Sequence[ask.Gaze], step_s: float) -> None:
        self.label(name)
        end = start + len(steps) * step_s
        self.look(gaze, end - self.t)
        self.score.steps += steps
        for step in steps:
            self.feet[step.foot] = step.target
        self.heading = float(self.feet[:, 2].mean())
        back = self.physique.ankle_back_m
        centers = self.feet[:, :2] + back * np.stack([np.cos(self.feet[:, 2]), np.sin(self.feet[:, 2])], axis=1)
        self.place = self.stand = centers.mean(axis=0)
        self.t = end + 0.12
        self.label("stand")

    def _drop(self, height: float) -> float:
        return height + self.physique.seat_drop_m - self.physique.standing_pelvis_m

    def need(self, holds: bool, what: str, remedy: str) -> None:
        if not holds:
            raise MotionError(f"cannot {what} at {self.t:.1f} s: {remedy}")

    def checked_pose(self, T: Array) -> Array:
        """A copy of a pose; raises for what is not one."""
        T = np.array(T, dtype=np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise MotionError(f"a pose is a finite (4, 4) matrix, got shape {T.shape}")
        return make_transform(T[:3, :3], T[:3, 3])


def _ahead(way: Array, distance: float) -> int:
    """Index of the first point of a way at least `distance` along it, the last one of a short way."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    return min(int(np.searchsorted(along, distance)), len(way) - 1)


def _positive(seconds: float, name: str) -> None:
    if not (math.isfinite(seconds) and seconds > 0.0):
        raise MotionError(f"{name} needs a positive duration, got {seconds} s")
