"""Messages put together again: the estimates come back, in order, whatever order the messages take."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.data import TrackingState
from ego_perception.geometry import make_transform, so3_exp
from ego_perception.messages import SceneAssembler, SceneMessages, SceneTopic, image_from_frame, info_from_camera

MOUNT = make_transform(so3_exp([0.1, 0, 0.2]), [0.1, 0.0, 0.05])


@pytest.fixture
def replay(factory):
    """Feeds estimates through messages into an assembler; `shuffle` changes the order of topics inside a frame."""

    def run(estimates, assembler, *, shuffle=False, without=()):
        scene = SceneMessages(factory, T_head_camera=MOUNT)
        rng = np.random.default_rng(0)
        given = []
        for estimate in estimates:
            messages = scene.of(estimate)
            topics = [t for t in SceneTopic if t not in without]
            if shuffle:
                rng.shuffle(topics)
            feeds = [(t, messages.build(t)) for t in topics if t not in (SceneTopic.TF, SceneTopic.TF_STATIC)]
            given += assembler.add_image(image_from_frame(factory, estimate.frame)) if not shuffle else []
            for topic, msg in feeds:
                if msg is not None:
                    given += assembler.add(topic, msg)
            given += assembler.add_image(image_from_frame(factory, estimate.frame)) if shuffle else []
        return given + assembler.flush()

    return run


def assert_same(a, b):
    assert a.frame.stamp_ns == b.frame.stamp_ns
    assert (a.state, a.reason, a.map_id, a.is_keyframe) == (b.state, b.reason, b.map_id, b.is_keyframe)
    np.testing.assert_array_equal(a.frame.image, b.frame.image)
    np.testing.assert_array_equal(a.depth, b.depth)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    assert a.camera.fx == pytest.approx(b.camera.fx)
    if b.T_world_cam is None:
        assert a.T_world_cam is None
        return
    np.testing.assert_allclose(a.T_world_cam, b.T_world_cam, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-12)
    if b.is_keyframe:
        np.testing.assert_array_equal(a.landmarks, b.landmarks)


@pytest.mark.parametrize("shuffle", [False, True])
def test_estimates_come_back(make_estimate, replay, factory, shuffle):
    states = [TrackingState.TRACKING, TrackingState.TRACKING, TrackingState.DEGRADED, TrackingState.TRACKING]
    estimates = [make_estimate(i, s) for i, s in enumerate(states)]
    assembler = SceneAssembler(T_head_camera=MOUNT)
    assembler.set_camera_info(info_from_camera(factory, estimates[0].frame.camera, 0, "cam"))
    given = replay(estimates, assembler, shuffle=shuffle)
    assert len(given) == 4
    for a, b in zip(given, estimates, strict=True):
        assert_same(a, b)
    assert assembler.num_incomplete == 0
    assert given[0].frame.camera == estimates[0].frame.camera


def test_lost_frames_come_back_without_a_pose(make_estimate, replay):
    estimates = [make_estimate(i, TrackingState.LOST if i in (2, 3) else TrackingState.TRACKING) for i in range(6)]
    given = replay(estimates, SceneAssembler(T_head_camera=MOUNT))
    assert [e.state for e in given] == [e.state for e in estimates]
    assert [e.T_world_cam is None for e in given] == [False, False, True, True, False, False]
    assert [e.frame.index for e in given] == list(range(6))


def test_estimates_are_given_while_the_stream_runs(make_estimate, factory):
    assembler, scene = SceneAssembler(), SceneMessages(factory)
    counts = []
    for i in range(5):
        messages, given = scene.of(make_estimate(i)), 0
        given += len(assembler.add_image(image_from_frame(factory, messages.estimate.frame)))
        for topic in (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE, SceneTopic.ODOM):
            given += len(assembler.add(topic, messages.build(topic)))
        counts.append(given)
    assert counts == [0, 1, 1, 1, 1]
    assert len(assembler.flush()) == 1


def test_dropped_images_and_missing_images_are_counted(make_estimate, factory, replay):
    assembler = SceneAssembler(T_head_camera=MOUNT)
    assembler.add_image(image_from_frame(factory, make_estimate(0).frame))
    scene = SceneMessages(factory)
    assembler.add(SceneTopic.ODOM, scene.of(make_estimate(1)).odom())
    given = replay([make_estimate(i) for i in (2, 3)], assembler)
    assert [e.frame.stamp_ns for e in given] == [1_200_000_000, 1_300_000_000]
    assert assembler.num_incomplete == 2


def test_waiting_is_bounded(make_estimate, factory):
    assembler = SceneAssembler(capacity=5)
    for i in range(100):
        assembler.add_image(image_from_frame(factory, make_estimate(i).frame))
        assert len(assembler._pending) <= 5
    assert assembler.num_incomplete == 95


def test_late_messages_do_not_bring_a_frame_back(make_estimate, factory, replay):
    assembler = SceneAssembler(T_head_camera=MOUNT)
    assert len(replay([make_estimate(i) for i in range(3)], assembler)) == 3
    assert assembler.add_image(image_from_frame(factory, make_estimate(0).frame)) == []
    assert assembler.flush() == []


def test_a_broken_message_costs_its_frame_only(make_estimate, factory, replay):
    class Breaking(SceneAssembler):
        def add(self, topic, msg):
            if topic is SceneTopic.DEPTH and msg.header.stamp.nanosec == 100_000_000:
                msg.encoding = "nonsense"
            return super().add(topic, msg)

    assembler = Breaking(T_head_camera=MOUNT)
    assert len(replay([make_estimate(i) for i in range(3)], assembler)) == 2
    assert assembler.num_incomplete == 1


def test_frames_without_any_intrinsics_are_given_up(make_estimate, replay):
    without = (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE)
    assembler = SceneAssembler(T_head_camera=MOUNT)
    assert replay([make_estimate(0)], assembler, without=without) == []
    assert assembler.num_incomplete == 1


def test_without_status_a_pose_means_tracking(make_estimate, replay):
    (estimate,) = replay([make_estimate(0)], SceneAssembler(T_head_camera=MOUNT), without=(SceneTopic.STATUS,))
    assert estimate.state is TrackingState.TRACKING


def test_error_state_of_a_node_is_lost(make_estimate, factory):
    from ego_perception.messages import NODE_ERROR, NodeFacts, status_message

    assembler, messages = SceneAssembler(), SceneMessages(factory).of(make_estimate(0, TrackingState.LOST))
    assembler.add(SceneTopic.STATUS, status_message(factory, NodeFacts(state=NODE_ERROR), 0))
    assembler.add_image(image_from_frame(factory, messages.estimate.frame))
    for topic in (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO):
        assembler.add(topic, messages.build(topic))
    assert [e.state for e in assembler.flush()] == [TrackingState.LOST]
