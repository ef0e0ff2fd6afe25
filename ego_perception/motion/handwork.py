"""What hands do in a script: reach, take, hold, carry, put down, hand over, wave, talk."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import make_transform
from ego_perception.motion import script as ask
from ego_perception.motion.clip import Hold
from ego_perception.motion.curves import wander
from ego_perception.motion.grips import CURL, UPRIGHT, Bend, Grasp, bend_for, choose_grip, grasp_object
from ego_perception.motion.hands import Anchor, at_world, before_chest, hand_rotation, outward, waving, with_other
from ego_perception.motion.physique import SIDES
from ego_perception.motion.rotations import about
from ego_perception.motion.script import Grip, MotionError

if TYPE_CHECKING:
    from ego_perception.motion.planner import Planner

Array = NDArray[np.float64]

Motion = Callable[[Array], Array]

OPEN_CURL, IDLE_CURL = 0.06, 0.22
CARRY_DROP_M = 0.4
CLEARANCE_M = 0.06
"""How far a hand keeps off an object before it takes it and after it let go."""


@dataclass(eq=False)
class _Held:
    """An object in a hand."""

    object_id: str
    grasp: Grasp
    start_s: float


class Handwork:
    """Plans the tasks of the hands into a planner's score."""

    def __init__(self, planner: Planner) -> None:
        self._p = planner
        self.held: list[_Held] = []

    def begin_with(self, carrying: ask.Carrying) -> None:
        """Hold an object from the beginning."""
        hand, grip = _checked_hand(carrying.hand), choose_grip(carrying.size)
        grasp = grasp_object(hand, grip, np.eye(4), carrying.size, 0.0, CARRY_DROP_M)
        hold = _Held(carrying.object_id, grasp, 0.0)
        self.held.append(hold)
        score = self._p.score
        score.hands[grasp.hand].first = self._carry(hold)
        score.curl[grasp.hand].value = np.full(5, CURL[grip])
        if grasp.T_hand_other is not None:
            score.hands[0].first = with_other(grasp.T_hand_other)
        self._write(hold, math.inf, grasp.T_world_hand)

    def rest_hands(self, start: float, end: float) -> None:
        """Bring idle hands where they belong."""
        for hand in (0, 1):
            if not self.is_busy(hand):
                self._p.score.hands[hand].to(self._p.rest_anchor(hand), start, end)

    @functools.singledispatchmethod
    def do(self, task: ask.Task) -> None:
        """Plan one task."""
        raise MotionError(f"hands cannot do {type(task).__name__}")

    @do.register
    def _(self, task: ask.Reach) -> None:
        p, hand = self._p, self._idle(task.hand)
        point = _point(task.point)
        azimuth = self._azimuth(hand, point)
        turn = about("z", azimuth)
        T = make_transform(hand_rotation(hand, turn @ np.array([1.0, 0.0, -0.4]), np.array([0.0, 0.0, -1.0])), point)
        bend = self._reach_out([(hand, T)])
        p.label("reach")
        p.look([ask.Gaze(task.point)], 1.0)
        t, T_s = p.t, p.manner.reach_s
        self._bend(bend, t + 0.1 * T_s, t + 1.1 * T_s)
        self._go(hand, self._ready(hand), t, 0.6 * T_s)
        self._go(hand, at_world(T[:3, 3], T[:3, :3]), t + 0.35 * T_s, 0.8 * T_s)
        self._curl(hand, OPEN_CURL, t, 0.5)
        p.t = t + 1.2 * T_s + task.hold_s
        self._withdraw(hand, p.t)
        p.t += 1.0

    @do.register
    def _(self, task: ask.PickUp) -> None:
        self._idle(task.hand)
        if task.grip is Grip.BOTH:
            self._idle(1 - task.hand)
        grasp = self._grasp(task.hand, task.grip, task.T_world_object, task.size)
        p = self._p
        p.label("reach")
        p.look([ask.Gaze(_triple(p.checked_pose(task.T_world_object)[:3, 3] + [0.0, 0.0, 0.5 * task.size[2]]))], 1.0)
        closed = self._approach(grasp, p.t, p.manner.reach_s)
        self._close(task.object_id, grasp, closed)
        score, raised = p.score, grasp.T_world_hand[:3, 3] + [0.0, 0.0, 0.07]
        p.t = closed
        p.label("grasp")
        self._go(grasp.hand, at_world(raised, grasp.T_world_hand[:3, :3]), closed + 0.08, 0.55)
        self._go(grasp.hand, self._carry(self.held[-1]), closed + 0.4, 0.95)
        self._bend(UPRIGHT, closed + 0.4, closed + 1.5)
        score.gaze.append((closed + 0.7, ask.Gaze(pitch_rad=-0.45)))
        p.t = closed + 1.3

    @do.register
    def _(self, task: ask.PutDown) -> None:
        p = self._p
        p.need(bool(self.held), "put down", "nothing is held")
        hold = self.held[-1]
        grasp, point = hold.grasp, _point(task.point)
        hand = grasp.hand
        azimuth = self._azimuth(hand, point, both=grasp.grip is Grip.BOTH)
        T = grasp.holding_at(point, azimuth)
        bend = self._reach_out(_targets(grasp, T))
        t, T_s = p.t, p.manner.reach_s
        p.label("put_down")
        p.look([ask.Gaze(task.point)], 1.0)
        self._bend(bend, t + 0.1 * T_s, t + 1.15 * T_s)
        self._go(hand, at_world(T[:3, 3] + [0.0, 0.0, 0.09], T[:3, :3]), t, 1.05 * T_s)
        self._go(hand, at_world(T[:3, 3], T[:3, :3]), t + 0.75 * T_s, 0.6 * T_s)
        release = t + 1.35 * T_s + 0.1
        self._release(hold, release, T)
        self._retreat(grasp, T, azimuth, release)
        self._bend(UPRIGHT, release + 0.35, release + 1.45)
        p.t = release + 1.2

    @do.register
    def _(self, task: ask.Inspect) -> None:
        p = self._p
        p.need(bool(self.held), "inspect", "nothing is held")
        _positive(task.seconds, "Inspect")
        hold = self.held[-1]
        p.label("inspect")
        rng = np.random.default_rng([p.manner.seed, 11, round(1000 * p.t)])
        phases = [wander(rng, np.zeros(1), 0.2, 0.2)[0] for _ in range(3)]
        start, end = p.t, p.t + task.seconds

        def turn(times: Array) -> Array:
            return np.stack(
                [0.02 * np.sin(2.0 * math.pi * f * (times - start) + a) for f, a in zip((0.4, 0.55, 0.7), phases, strict=True)],
                -1,
            )

        eye = p.pelvis + np.array([0.45 * math.cos(p.heading), 0.45 * math.sin(p.heading), 0.36])
        p.score.gaze.append((p.t, ask.Gaze(_triple(eye))))
        self._go(hold.grasp.hand, self._carry(hold, np.array([0.02, 0.0, 0.08]), turn, tilt=0.4), start, 0.8)
        self._go(hold.grasp.hand, self._carry(hold), end, 0.8)
        p.t = end
        p.score.gaze.append((p.t, ask.AHEAD))

    @do.register
    def _(self, task: ask.Wave) -> None:
        p, hand = self._p, self._idle(task.hand)
        _positive(task.seconds, "Wave")
        p.label("wave")
        p.look(task.gaze, task.seconds)
        self._go(hand, waving(hand, p.t + 0.7), p.t, 0.85)
        self._curl(hand, 0.03, p.t, 0.6)
        p.t += 0.85 + task.seconds
        self._go(hand, p.rest_anchor(hand), p.t, 0.95)
        self._curl(hand, IDLE_CURL, p.t, 0.8)
        p.t += 0.5

    @do.register
    def _(self, task: ask.Gesture) -> None:
        p = self._p
        _positive(task.seconds, "Gesture")
        free = [hand for hand in (0, 1) if not self.is_busy(hand)]
        p.need(bool(free), "gesture", "both hands are full")
        p.label("gesture")
        p.look(task.gaze, task.seconds)
        for hand in free:
            self._go(hand, self._talking(hand), p.t, 0.8)
            self._curl(hand, 0.15, p.t, 0.6)
        p.t += 0.8 + task.seconds
        self.rest_hands(p.t, p.t + 0.9)
        for hand in free:
            self._curl(hand, IDLE_CURL, p.t, 0.8)
        p.t += 0.4

    @do.register
    def _(self, task: ask.Offer) -> None:
        p = self._p
        p.need(bool(self.held), "offer", "nothing is held")
        p.need(task.until_s > p.t + 1.0, "offer", f"it is to end at {task.until_s:.1f} s, at least 1 s is needed")
        hold = self.held[-1]
        grasp, point = hold.grasp, _point(task.point)
        azimuth = self._azimuth(grasp.hand, point, both=grasp.grip is Grip.BOTH)
        T = grasp.holding_at(point, azimuth)
        bend = self._reach_out(_targets(grasp, T))
        p.label("offer")
        p.look(task.gaze, task.until_s - p.t)
        start = max(p.t, task.until_s - 2.4)
        self._bend(bend, start, start + 1.2)
        self._go(grasp.hand, at_world(T[:3, 3], T[:3, :3]), start, min(1.2, task.until_s - start - 0.05))
        self._release(hold, task.until_s, T)
        self._retreat(grasp, T, azimuth, task.until_s + 0.15)
        self._bend(UPRIGHT, task.until_s + 0.3, task.until_s + 1.3)
        p.t = task.until_s + 1.1

    @do.register
    def _(self, task: ask.Take) -> None:
        p = self._p
        self._idle(task.hand)
        p.need(task.at_s > p.t + 1.0, "take", f"it is to be taken at {task.at_s:.1f} s, at least 1 s is needed")
        grasp = self._grasp(task.hand, Grip.SIDE, task.T_world_object, task.size)
        p.label("take")
        p.look([ask.Gaze(_triple(p.checked_pose(task.T_world_object)[:3, 3]))], 1.0)
        span = min(1.3, (task.at_s - p.t - 0.1) / 1.15)
        self._close(task.object_id, grasp, self._approach(grasp, task.at_s - 1.15 * span - 0.1, span))
        self._go(grasp.hand, self._carry(self.held[-1]), task.at_s + 0.25, 1.0)
        self._bend(UPRIGHT, task.at_s + 0.25, task.at_s + 1.2)
        p.t = task.at_s + 1.2

    def _grasp(self, hand: int, grip: Grip, T_world_object: Array, size: tuple[float, float, float]) -> Grasp:
        if min(size) <= 0.0 or not all(math.isfinite(x) for x in size):
            raise MotionError(f"an object has a positive size, got {size}")
        T, p = self._p.checked_pose(T_world_object), self._p
        drop = float(p.pelvis[2] + p.physique.offset("left_shoulder", "pelvis")[1] - T[2, 3])
        return grasp_object(hand, grip, T, size, self._azimuth(hand, T[:3, 3], both=grip is Grip.BOTH), drop)

    def _approach(self, grasp: Grasp, t: float, span: float) -> float:
        """Bring the hands to an object; returns when they close."""
        bend = self._reach_out(_targets(grasp, grasp.T_world_hand))
        self._bend(bend, t + 0.1 * span, t + 1.1 * span)
        closed = t + 1.15 * span + 0.1
        for hand, T in _targets(grasp, grasp.T_world_hand):
            away = self._away(grasp.grip, hand, T)
            self._go(hand, self._ready(hand), t, 0.6 * span)
            self._go(hand, at_world(T[:3, 3] + away, T[:3, :3]), t + 0.3 * span, 0.65 * span)
            self._go(hand, at_world(T[:3, 3], T[:3, :3]), t + 0.75 * span, 0.4 * span)
            self._curl(hand, OPEN_CURL, t + 0.2 * span, 0.5 * span)
            self._curl(hand, CURL[grasp.grip], closed - 0.3, 0.35)
        return closed

    def _close(self, object_id: str, grasp: Grasp, t: float) -> None:
        """The object is in the hand from now on."""
        self.held.append(_Held(object_id, grasp, t))
        self._write(self.held[-1], math.inf, grasp.T_world_hand)
        if grasp.T_hand_other is not None:
            self._go(0, with_other(grasp.T_hand_other), t - 0.02, 0.06)

    def _release(self, hold: _Held, t: float, T_world_hand: Array) -> None:
        """The object stays where it is from now on."""
        self.held.remove(hold)
        self._p.score.holds.pop()
        self._write(hold, t, T_world_hand)
        for hand in _hands(hold.grasp):
            self._curl(hand, OPEN_CURL, t - 0.05, 0.3)

    def _retreat(self, grasp: Grasp, T_world_hand: Array, azimuth: float, t: float) -> None:
        """Take the hands off an object, out to the side or upwards, and home."""
        back = -0.04 * about("z", azimuth)[:, 0]
        for hand, T in _targets(grasp, T_world_hand):
            away = self._away(grasp.grip, hand, T) + back
            self._go(hand, at_world(T[:3, 3], T[:3, :3]), t - 0.02, 0.06)
            self._go(hand, at_world(T[:3, 3] + away, T[:3, :3]), t + 0.1, 0.5)
            self._withdraw(hand, t + 0.4)

    def _withdraw(self, hand: int, t: float) -> None:
        self._go(hand, self._ready(hand), t, 0.7)
        self._go(hand, self._p.rest_anchor(hand), t + 0.4, 1.0)
        self._curl(hand, IDLE_CURL, t + 0.4, 0.8)
        self._bend(UPRIGHT, t, t + 1.1)

    def _away(self, grip: Grip, hand: int, T: Array) -> Array:
        """(3,) way off an object: against the palm, and a little up."""
        palm = -T[:3, 1]
        if grip is Grip.TOP:
            return np.array([0.0, 0.0, CLEARANCE_M + 0.02])
        return -CLEARANCE_M * palm + np.array([0.0, 0.0, 0.03])

    def _ready(self, hand: int) -> Anchor:
        side = outward(hand)
        R = hand_rotation(hand, np.array([1.0, -0.25 * side, 0.12]), np.array([0.0, -side, -0.35]))
        return before_chest(hand, np.array([0.27, 0.19 * side, -0.27]), R)

    def _carry(self, hold: _Held, extra: Array | float = 0.0, motion: Motion | None = None, tilt: float = 0.0) -> Anchor:
        grasp, up = hold.grasp, about("y", -tilt)
        side = outward(grasp.hand)
        if grasp.T_hand_other is not None:
            offset = np.array([0.33, -0.5 * float(np.linalg.norm(grasp.T_hand_other[:3, 3])), -0.27])
            return before_chest(1, offset + extra, up @ grasp.upright, motion)
        inward = about("z", -0.35 * side)
        return before_chest(grasp.hand, np.array([0.29, 0.13 * side, -0.29]) + extra, inward @ up @ grasp.upright, motion)

    def _talking(self, hand: int) -> Anchor:
        side = outward(hand)
        rng = np.random.default_rng([self._p.manner.seed, 13, hand, round(1000 * self._p.t)])
        f, a = rng.uniform(0.45, 0.95, 3), rng.uniform(0, 2 * math.pi, 3)
        size = np.array([0.05, 0.045, 0.06])

        def motion(times: Array) -> Array:
            return size * np.sin(2.0 * math.pi * f * times[:, None] + a)

        R = hand_rotation(hand, np.array([1.0, -0.55 * side, 0.25]), np.array([0.1, -side, 0.5]))
        return before_chest(hand, np.array([0.29, 0.15 * side, -0.22]), R, motion)

    def _azimuth(self, hand: int, point: Array, *, both: bool = False) -> float:
        """Direction in which the fingers point at a target: from the elbow rather than the shoulder."""
        p = self._p
        lateral = 0.0 if both else 0.9 * float(p.physique.offset(f"{SIDES[hand]}_shoulder", "pelvis")[0])
        origin = p.place + lateral * np.array([-math.sin(p.heading), math.cos(p.heading)])
        gap = point[:2] - origin
        bearing = math.atan2(gap[1], gap[0]) - p.heading
        bearing = (bearing + math.pi) % (2.0 * math.pi) - math.pi
        # Hands turn inwards when they work before the body.
        return p.heading + float(np.clip(bearing, -0.9, 0.9)) - (0.0 if both else 0.2 * outward(hand))

    def _reach_out(self, targets: list[tuple[int, Array]]) -> Bend:
        return bend_for(self._p.physique, self._p.pelvis, self._p.heading, targets, seated=self._p.is_seated)

    def _bend(self, bend: Bend, start: float, end: float) -> None:
        self._p.score.lean.to(bend.lean, start, end)
        self._p.score.twist.to(bend.twist, start, end)
        self._p.score.crouch.to(bend.crouch, start, end)

    def _go(self, hand: int, anchor: Anchor, start: float, seconds: float) -> None:
        self._p.score.hands[hand].to(anchor, start, start + seconds)

    def _curl(self, hand: int, curl: float, start: float, seconds: float) -> None:
        self._p.score.curl[hand].to(np.full(5, curl), start, start + seconds)

    def _write(self, hold: _Held, end: float, T_world_hand: Array) -> None:
        T = hold.grasp.T_hand_object
        self._p.score.holds.append(Hold(hold.object_id, hold.grasp.hand, hold.start_s, end, T, T_world_hand @ T))

    def is_busy(self, hand: int) -> bool:
        """True while a hand holds something."""
        return any(hand in _hands(hold.grasp) for hold in self.held)

    def _idle(self, hand: int) -> int:
        _checked_hand(hand)
        self._p.need(not self.is_busy(hand), f"use the {SIDES[hand]} hand", "it is full")
        return hand


def _hands(grasp: Grasp) -> tuple[int, ...]:
    return (grasp.hand,) if grasp.T_hand_other is None else (1, 0)


def _targets(grasp: Grasp, T_world_hand: Array) -> list[tuple[int, Array]]:
    """Hands with their poses when the leading one is at a pose."""
    if grasp.T_hand_other is None:
        return [(grasp.hand, T_world_hand)]
    return [(1, T_world_hand), (0, T_world_hand @ grasp.T_hand_other)]


def _checked_hand(hand: int) -> int:
    if hand not in (0, 1):
        raise MotionError(f"a hand is 0 (left) or 1 (right), got {hand}")
    return hand


def _point(point: tuple[float, float, float]) -> Array:
    out = np.asarray(point, dtype=np.float64)
    if out.shape != (3,) or not np.isfinite(out).all():
        raise MotionError(f"a point is three finite coordinates, got {point}")
    return out


def _triple(v: Array) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])


def _positive(seconds: float, name: str) -> None:
    if not (math.isfinite(seconds) and seconds > 0.0):
        raise MotionError(f"{name} needs a positive duration, got {seconds} s")
