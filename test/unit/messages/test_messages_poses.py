"""Poses, odometry and path: laws and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.bag import RosbagsFactory
from ego_perception.errors import FrameError
from ego_perception.geometry import make_transform, so3_exp, transform_points
from ego_perception.messages import (
    PathBuilder,
    StampedPose,
    matrix_from_pose,
    matrix_from_transform,
    odometry_message,
    pose_message,
    split_stamp,
    stamp_ns_of,
    transform_message,
)
from ego_perception.messages.factory import make_time
from ego_perception.messages.poses import covariance_from_field, shift_covariance

vectors = st.tuples(*[st.floats(-3, 3)] * 3)


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
@settings(max_examples=50, deadline=None)
def test_stamps_survive_to_the_nanosecond(stamp_ns):
    time = make_time(RosbagsFactory(), stamp_ns)
    assert 0 <= time.nanosec < 10**9
    assert stamp_ns_of(time) == stamp_ns


def test_stamps_beyond_ros_time_are_refused():
    with pytest.raises(FrameError, match="does not fit"):
        split_stamp(2**31 * 10**9)


@given(vectors, vectors)
@settings(max_examples=50, deadline=None)
def test_poses_and_transforms_survive(rotation, translation):
    T = make_transform(so3_exp(rotation), translation)
    pose = pose_message(RosbagsFactory(), T, 5, "odom")
    np.testing.assert_allclose(matrix_from_pose(pose), T, atol=1e-12)
    np.testing.assert_allclose(matrix_from_pose(pose.pose), T, atol=1e-12)
    transform = transform_message(RosbagsFactory(), T, 5, "odom", "head")
    assert (transform.header.frame_id, transform.child_frame_id) == ("odom", "head")
    np.testing.assert_allclose(matrix_from_transform(transform), T, atol=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_unusable_poses_are_refused(factory, wrong):
    pose = pose_message(factory, np.eye(4), 5, "odom")
    pose.pose.position.y = wrong
    with pytest.raises(FrameError, match="not usable"):
        matrix_from_pose(pose)
    pose = pose_message(factory, np.eye(4), 5, "odom")
    pose.pose.orientation.w = 0.0
    with pytest.raises(FrameError, match="not usable"):
        matrix_from_pose(pose)


def test_twist_is_the_motion_in_the_child_frame(factory):
    """A body that faces along +y of odom and moves along +y has a forward speed."""
    R = so3_exp([0, 0, np.pi / 2])
    before = StampedPose(0, make_transform(R, [0, 0, 0]))
    now = StampedPose(500_000_000, make_transform(so3_exp([0, 0, np.pi / 2 + 0.1]), [0, 1, 0]))
    odom = odometry_message(factory, now, before, "odom", "head")
    forward = so3_exp([0, 0, -0.1]) @ [2.0, 0, 0]
    linear, angular = odom.twist.twist.linear, odom.twist.twist.angular
    np.testing.assert_allclose([linear.x, linear.y, linear.z], forward, atol=1e-12)
    np.testing.assert_allclose([angular.x, angular.y, angular.z], [0, 0, 0.2], atol=1e-12)


@pytest.mark.parametrize("stamp_ns", [0, -5, 3_000_000_000])
def test_twist_is_unknown_without_a_pose_just_before(factory, stamp_ns):
    odom = odometry_message(factory, StampedPose(stamp_ns, np.eye(4)), StampedPose(0, np.eye(4)), "odom", "head")
    assert odom.twist.covariance[0] == -1
    assert odom.twist.twist.linear.x == 0
    assert odometry_message(factory, StampedPose(1, np.eye(4)), None, "odom", "head").twist.covariance[0] == -1


def test_covariances_are_filled_or_marked(factory):
    C = np.diag([1.0, 2, 3, 4, 5, 6]) + 0.1
    before, now = StampedPose(0, np.eye(4), C), StampedPose(1_000_000_000, np.eye(4), C)
    odom = odometry_message(factory, now, before, "odom", "head")
    np.testing.assert_allclose(covariance_from_field(odom.pose.covariance), C)
    np.testing.assert_allclose(covariance_from_field(odom.twist.covariance), 2 * C)
    unknown = odometry_message(factory, StampedPose(1, np.eye(4)), None, "odom", "head")
    assert covariance_from_field(unknown.pose.covariance) is None


def test_shifted_covariance_agrees_with_samples():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6)) * 0.01
    C, lever = A @ A.T, np.array([0.3, -0.2, 0.5])
    noise = rng.multivariate_normal(np.zeros(6), C, 200_000)
    moved = np.concatenate([noise[:, :3] + np.cross(noise[:, 3:], lever), noise[:, 3:]], axis=1)
    np.testing.assert_allclose(shift_covariance(C, lever), np.cov(moved.T), atol=0.02 * C.max())


def test_path_is_bounded_and_keeps_its_ends(factory):
    path = PathBuilder(factory, "odom", capacity=8)
    for i in range(100):
        assert path.add(make_transform(np.eye(3), [i, 0, 0]), i)
        assert len(path) <= 8
    msg = path.message(7)
    xs = [p.pose.position.x for p in msg.poses]
    assert xs[0] == 0
    assert xs[-1] == 99
    assert xs == sorted(xs)
    assert (msg.header.frame_id, stamp_ns_of(msg)) == ("odom", 7)


def test_path_ignores_standing_still_but_not_turning(factory):
    path = PathBuilder(factory, "odom")
    assert path.add(np.eye(4), 0)
    assert not path.add(make_transform(np.eye(3), [0.001, 0, 0]), 1)
    assert path.add(make_transform(so3_exp([0, 0, 0.5]), [0, 0, 0]), 2)
    path.clear()
    assert len(path) == 0


def test_a_message_of_the_path_does_not_change_later(factory):
    path = PathBuilder(factory, "odom")
    path.add(np.eye(4), 0)
    msg = path.message(0)
    path.add(make_transform(np.eye(3), [1, 0, 0]), 1)
    assert len(msg.poses) == 1


def test_transform_maps_child_points_to_the_parent(factory):
    T = make_transform(so3_exp([0, 0, np.pi / 2]), [1, 0, 0])
    back = matrix_from_transform(transform_message(factory, T, 0, "a", "b"))
    np.testing.assert_allclose(transform_points(back, np.array([1.0, 0, 0])), [1, 1, 0], atol=1e-12)
