"""Measures of the shipped body and of other shapes."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.body.limits import limit_violation
from ego_perception.body.model import load_body
from ego_perception.motion import Grip, Physique, measure_physique
from ego_perception.motion.grips import choose_grip
from ego_perception.motion.joint_limits import joint_excess
from ego_perception.motion.rotations import about


def test_measures_of_the_mean_body_are_a_persons(physique: Physique) -> None:
    assert 0.05 < physique.sole_drop_m < 0.12
    assert 0.08 < physique.seat_drop_m < 0.25
    assert 0.85 < physique.standing_pelvis_m < 1.05
    assert physique.stance_half_m == pytest.approx(0.09, abs=0.02)
    assert physique.stature_scale == pytest.approx(1.0, abs=0.01)


def test_longer_legs_stand_higher(physique: Physique) -> None:
    tall = measure_physique(load_body(), np.array([2.0] + [0.0] * 9))
    assert tall.standing_pelvis_m > physique.standing_pelvis_m + 0.02
    assert tall.legs[0].reach > physique.legs[0].reach


def test_grips_suit_the_size() -> None:
    assert choose_grip((0.08, 0.08, 0.2)) is Grip.SIDE
    assert choose_grip((0.2, 0.15, 0.02)) is Grip.TOP
    assert choose_grip((0.25, 0.2, 0.2)) is Grip.BOTH


def test_gimbal_lock_is_no_violation_and_a_broken_elbow_is_one() -> None:
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[18] = about("x", np.array(0.03)) @ about("y", np.array(-np.radians(90.5))) @ about("z", np.array(0.04))
    assert joint_excess(rotations)[18] == 0.0
    rotations[18] = about("y", np.array(1.2))
    assert joint_excess(rotations)[18] == pytest.approx(limit_violation(rotations)[18])
    assert joint_excess(rotations)[18] > 0.5
