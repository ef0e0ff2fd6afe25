"""One person and one script with everything in it, made once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.body.model import load_body
from ego_perception.body.state import JointFrames, forward_kinematics
from ego_perception.geometry import make_transform
from ego_perception.motion import Grip, Manner, MotionClip, Physique, Script, Start, measure_physique, plan
from ego_perception.motion import script as ask

MUG = make_transform(np.eye(3), (2.42, -0.1, 0.76))
MUG_SIZE = (0.08, 0.08, 0.1)


def frames_of(physique: Physique, clip: MotionClip) -> JointFrames:
    return forward_kinematics(physique.rest_joints, clip.rotations, clip.transl)


@pytest.fixture(scope="session")
def physique() -> Physique:
    return measure_physique(load_body(), np.zeros(10))


@pytest.fixture(scope="session")
def day(physique: Physique) -> MotionClip:
    """Walk, take, inspect, put down, turn, sit, wave, rise, walk, talk."""
    tasks = (
        ask.WalkTo(np.array([[0.0, 0.0], [1.0, 0.3], [2.05, 0.0]]), heading=0.0),
        ask.PickUp("mug", MUG, MUG_SIZE, 1, Grip.SIDE), ask.Inspect(1.0), ask.PutDown((2.4, 0.05, 0.76)),
        ask.StepTo((1.8, 0.0), math.pi), ask.SitDown((2.15, 0.0), 0.46), ask.Stand(1.0, still=True), ask.Wave(0),
        ask.StandUp(), ask.WalkTo(np.array([[1.78, 0.0], [0.5, 0.4], [0.0, 1.2]])), ask.Gesture(1.5),
    )  # fmt: skip
    return plan(physique, Script(Start((0.0, 0.0), 0.0), tasks, Manner(seed=3)))
