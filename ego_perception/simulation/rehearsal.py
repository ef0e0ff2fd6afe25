"""Plan, check, reject: a person whose tasks are taken on only if the movement keeps the laws."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.state import JointFrames, forward_kinematics
from ego_perception.motion import Manner, MotionClip, MotionError, Physique, Planner, Script, Start, measure_physique
from ego_perception.motion.compose import RATE_HZ, compose
from ego_perception.motion.joint_limits import joint_excess
from ego_perception.motion.script import Task
from ego_perception.simulation.clearance import Skin, sinking, skin_of
from ego_perception.simulation.motion_world import MotionWorld

Array = NDArray[np.float64]

FIXED_M, MOVABLE_M, FINAL_M = 0.006, 0.03, 0.009
"""How deep skin may be in fixed things and in small ones; the stated law is 10 mm, and not all of the skin is checked."""
LIMIT_RAD = math.radians(3.0)
APART_M, TRUNKS_APART_M = 0.17, 0.5
"""Least distance of two people's joints, and of their pelves over the floor."""
CHECK_HZ = 10.0
TRIAL_HZ = 20.0
_ARMS = [joint_index(f"{s}_{j}") for s in ("left", "right") for j in ("elbow", "wrist", "hand")]


def frames_of(physique: Physique, clip: MotionClip) -> JointFrames:
    """Joints of every sample of a clip."""
    return forward_kinematics(physique.rest_joints, clip.rotations, clip.transl)


@dataclass(frozen=True, eq=False)
class Company:
    """Somebody whose movement is settled.

    Attributes:
        joints: (T, 24, 3) at 60 Hz; may_touch: arms come close on purpose, as when a thing is handed over.
    """

    joints: Array
    may_touch: bool = False


@dataclass(eq=False)
class Performer:
    """A person in a world, and the tasks taken on so far.

    Attributes:
        company: the others who are there.
    """

    world: MotionWorld
    physique: Physique
    skin: Skin
    planner: Planner
    poses: dict[str, Array] = field(default_factory=dict)
    company: tuple[Company, ...] = ()

    def rehearse(self, *tasks: Task) -> bool:
        """Take on tasks together, or none of them if a law would break."""
        trial = copy.deepcopy(self.planner)
        begin = trial.t
        try:
            for task in tasks:
                trial.add(task)
        except MotionError:
            return False
        if not self.is_lawful(compose(trial.score, duration_s=trial.t + 0.8, rate_hz=TRIAL_HZ), trial, begin - 0.3):
            return False
        self.planner = trial
        for hold in trial.score.holds:
            if math.isfinite(hold.end_s):
                self.poses[hold.object_id] = hold.T_world_end
        return True

    def is_lawful(self, clip: MotionClip, planner: Planner, begin_s: float = 0.0) -> bool:
        """True where a clip keeps clear of room and company, and joints in their ranges, from a time on."""
        rate = 1.0 / float(clip.times[1])
        first = max(0, round(begin_s * rate))
        if joint_excess(clip.rotations[first :: max(1, round(rate / 20.0))]).max() > LIMIT_RAD:
            return False
        held = {hold.object_id for hold in planner.score.holds}
        solids = self.world.solids.without(m.instance for m in self.world.room.movables if m.id in held)
        deepest = sinking(clip, self.skin, solids, rate_hz=CHECK_HZ, start_s=max(begin_s, 0.0))
        if deepest.fixed > FIXED_M or deepest.movable > MOVABLE_M:
            return False
        frames = frames_of(self.physique, clip)
        return self._holds_fit(clip, frames, begin_s) and self._keeps_apart(frames.positions, first, rate)

    def clip(self, duration_s: float) -> MotionClip:
        """What was taken on, cut or prolonged to a duration."""
        return compose(self.planner.score, duration_s=duration_s)

    def _holds_fit(self, clip: MotionClip, frames: JointFrames, begin_s: float) -> bool:
        """Hands really are where they let go of a thing."""
        for hold in clip.holds:
            if begin_s <= hold.end_s <= clip.duration_s:
                k, joint = round(hold.end_s / clip.times[1]), joint_index(("left_hand", "right_hand")[hold.hand])
                T = hold.T_hand_object
                place = frames.positions[k, joint] + frames.rotations[k, joint] @ T[:3, 3]
                if np.abs(place - hold.T_world_end[:3, 3]).max() > 0.006:
                    return False
        return True

    def _keeps_apart(self, joints: Array, first: int, rate: float) -> bool:
        for other in self.company:
            every = max(1, round(rate / CHECK_HZ))
            a = joints[first::every]
            # Whoever has no more plans stays where he is.
            at = np.arange(first, len(joints), every) * round(RATE_HZ / rate)
            b = other.joints[np.minimum(at, len(other.joints) - 1)]
            if not len(a):
                continue
            if np.linalg.norm(a[:, 0, :2] - b[:, 0, :2], axis=1).min() < TRUNKS_APART_M:
                return False
            if other.may_touch:
                a, b = np.delete(a, _ARMS, axis=1), np.delete(b, _ARMS, axis=1)
            if np.linalg.norm(a[:, :, None] - b[:, None], axis=-1).min() < APART_M:
                return False
        return True


def perform(
    world: MotionWorld, model: BodyModel, betas: Array, start: Start, manner: Manner, company: Sequence[Company] = ()
) -> Performer | None:
    """Put a person somewhere; None where even standing there is not possible."""
    physique = measure_physique(model, betas)
    planner = Planner(physique, Script(start, (), manner))
    person = Performer(world, physique, skin_of(model, betas), planner, company=tuple(company))
    return person if person.is_lawful(compose(planner.score, duration_s=0.2), planner) else None


def is_clean(world: MotionWorld, model: BodyModel, clip: MotionClip) -> bool:
    """The last word on a finished clip: every vertex and every sample, where rehearsals look at some."""
    if joint_excess(clip.rotations).max() > LIMIT_RAD:
        return False
    held = {hold.object_id for hold in clip.holds}
    solids = world.solids.without(m.instance for m in world.room.movables if m.id in held)
    return sinking(clip, skin_of(model, clip.betas, None), solids, rate_hz=CHECK_HZ).fixed < FINAL_M
