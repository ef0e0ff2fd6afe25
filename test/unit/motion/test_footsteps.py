"""Steps: how many, in which order, and that a foot on the floor does not move."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.motion import Physique
from ego_perception.motion.footsteps import SWING_SHARE, pendulum, sample_feet, shuffle, stance, walk

TIMES = np.arange(0, 8.0, 1 / 60)


def straight(length: float) -> np.ndarray:
    return np.stack([np.linspace(0, length, 40), np.zeros(40)], axis=1)


def test_three_metres_are_six_steps_and_one_to_close(physique: Physique) -> None:
    feet = stance(physique, (0, 0), 0.0)
    steps = walk(physique, feet, straight(3.0), 0.3, 0.6, 0.5, None)
    assert len(steps) == 7
    assert [s.foot for s in steps] == [1, 0, 1, 0, 1, 0, 1]
    ends = {s.foot: s.target for s in steps}
    np.testing.assert_allclose(np.stack([ends[0], ends[1]]), stance(physique, (3.0, 0), 0.0), atol=1e-9)
    assert all(b.lift_s > a.land_s for a, b in itertools.pairwise(steps)), "double support between steps"
    assert steps[0].land_s - steps[0].lift_s == pytest.approx(SWING_SHARE * 0.6)


def test_contact_alternates_and_planted_feet_are_locked(physique: Physique) -> None:
    feet = stance(physique, (0, 0), 0.0)
    plan = sample_feet(physique, feet, walk(physique, feet, straight(3.0), 0.3, 0.6, 0.5, None), TIMES)
    assert plan.contact.any(axis=1).all(), "one foot is always on the floor"
    assert plan.contact.all(axis=1)[30:200].any(), "and sometimes both"
    for f in (0, 1):
        both = plan.contact[1:, f] & plan.contact[:-1, f]
        assert np.abs(np.diff(plan.ankles[:, f], axis=0)[both]).max() < 1e-12
        assert np.abs(np.diff(plan.rotations[:, f], axis=0)[both]).max() < 1e-12
    assert plan.ankles[..., 2].min() > physique.sole_drop_m - 0.005
    assert plan.ankles[..., 2].max() > physique.sole_drop_m + 0.06, "feet leave the floor"


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-3.1, 3.1))
def test_a_shuffle_arrives(x: float, y: float, heading: float) -> None:
    body = Physique(np.zeros((24, 3)) + _rest())
    feet = stance(body, (0, 0), 0.3)
    steps = shuffle(body, feet, np.array([x, y]), heading, 0.0, 0.5)
    ends = {s.foot: s.target for s in steps}
    goal = stance(body, (x, y), heading)
    for f in (0, 1):
        np.testing.assert_allclose(ends[f][:2], goal[f, :2], atol=1e-9)
        assert math.cos(ends[f][2] - heading) == pytest.approx(1.0)
    assert max(abs(s.target[2] - s.origin[2]) for s in steps) < 1.0, "no foot turns by more than it can"


def _rest() -> np.ndarray:
    from ego_perception.body.model import load_body

    return load_body().rest_joints(np.zeros(10))


def test_the_pendulum_rests_over_its_foot_and_leans_ahead_of_a_change() -> None:
    still = np.tile([0.2, -0.1], (200, 1))
    np.testing.assert_allclose(pendulum(still, 0.95, 60.0), still, atol=1e-9)
    step = np.where(np.arange(400) < 200, 0.0, 0.1)[:, None] * np.ones(2)
    path = pendulum(step, 0.95, 60.0)
    assert path[200, 0] == pytest.approx(0.05, abs=0.002) and 0.0 < path[185, 0] < 0.05
    acceleration = np.diff(path[:, 0], 2) * 60.0**2
    np.testing.assert_allclose(path[1:-1, 0] - 0.95 / 9.81 * acceleration, step[1:-1, 0], atol=1e-9)
