"""Two bones meet what is in reach exactly, bend towards the pole, and stretch towards the rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.geometry import so3_exp
from ego_perception.motion.inverse_kinematics import Limb, swivel, twist_about, two_bone
from ego_perception.motion.rotations import about, apply, between, frame, upright

LEG = Limb(np.array([0.04, -0.39, 0.0]), np.array([-0.01, -0.4, -0.03]), np.array([1.0, 0.0, 0.0]))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 0.76), st.floats(-3, 3), st.floats(-1.2, 1.2))
def test_the_end_meets_a_target_in_reach(distance: float, yaw: float, pitch: float) -> None:
    target = distance * np.array([[np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)]])
    pole = np.cross(target, [[0.3, 0.2, 0.9]])
    pose = two_bone(LEG, np.zeros((1, 3)), target, pole)
    np.testing.assert_allclose(pose.end, target, atol=1e-9)
    middle = apply(pose.upper, LEG.upper)
    assert (middle * pole).sum() > 0, "the knee is on the pole's side"
    for R in (pose.upper, pose.lower):
        np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.eye(3)[None], atol=1e-12)
        assert np.linalg.det(R[0]) > 0


def test_out_of_reach_the_limb_is_straight() -> None:
    pose = two_bone(LEG, np.zeros((1, 3)), np.array([[0.0, -5.0, 0.0]]), np.array([[0.0, 0.0, 1.0]]))
    assert abs(np.linalg.norm(pose.end) - LEG.reach) < 1e-4


def test_the_rest_pose_is_its_own_solution() -> None:
    end = (LEG.upper + LEG.lower)[None]
    pose = two_bone(LEG, np.zeros((1, 3)), end, np.array([[0.0, 0.0, 1.0]]))
    for R in (pose.upper, pose.lower):
        np.testing.assert_allclose(R[0], np.eye(3), atol=0.12)


def test_twist_and_swivel() -> None:
    axis = np.array([0.0, 0.6, 0.8])
    R = so3_exp(np.array([[0.7 * axis[0], 0.7 * axis[1], 0.7 * axis[2]]]))
    np.testing.assert_allclose(twist_about(R, axis), [0.7], atol=1e-12)
    np.testing.assert_allclose(twist_about(R, np.array([1.0, 0.0, 0.0])), [0.0], atol=1e-12)
    turned = swivel(np.array([[1.0, 0, 0]]), np.array([[0, 0, 1.0]]), np.array([np.pi / 2]))
    np.testing.assert_allclose(turned, [[0, 1, 0]], atol=1e-12)


def test_rotations_agree_with_their_definitions() -> None:
    np.testing.assert_allclose(about("z", np.array(np.pi / 2)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    R = upright(np.array(0.5))
    np.testing.assert_allclose(R @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(R @ [0, 0, 1], [np.cos(0.5), np.sin(0.5), 0], atol=1e-12)
    half = between(np.eye(3)[None], about("x", np.array([0.8])), np.array([0.5]))
    np.testing.assert_allclose(half[0], about("x", np.array(0.4)), atol=1e-12)
    F = frame(np.array([[0.0, 2.0, 0.0]]), np.array([[1.0, 5.0, 0.0]]))
    np.testing.assert_allclose(F[0], [[0, 1, 0], [1, 0, 0], [0, 0, -1]], atol=1e-12)
