"""Estimates to messages and back: frames, stamps, silence while lost, and one covariance that moves with the head."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.data import TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, invert, make_transform, so3_exp
from ego_perception.messages import (
    NODE_ERROR,
    FrameNames,
    IntrinsicsSource,
    NodeFacts,
    PointOptions,
    SceneMessages,
    SceneTopic,
    camera_from_info,
    decode_depth,
    diagnostics_message,
    matrix_from_pose,
    matrix_from_transform,
    scene_facts,
    stamp_ns_of,
    status_message,
    unpack_cloud,
)
from ego_perception.runtime import LatencyBook, PipelineCounters

POSED = (SceneTopic.ODOM, SceneTopic.PATH, SceneTopic.MAP_POINTS, SceneTopic.TF)


def test_every_topic_has_the_stamp_and_a_right_frame(factory, make_estimate):
    names = FrameNames("m", "o", "h", "c", "opt")
    messages = SceneMessages(factory, names).of(make_estimate(0))
    frames = {SceneTopic.ODOM: "o", SceneTopic.PATH: "o", SceneTopic.MAP_POINTS: "o"}
    for topic in SceneTopic:
        msg = messages.build(topic)
        assert msg.__msgtype__ == topic.type_name
        if topic in (SceneTopic.TF, SceneTopic.TF_STATIC):
            assert all(stamp_ns_of(t) == 1_000_000_000 for t in msg.transforms)
            continue
        assert stamp_ns_of(msg) == 1_000_000_000
        assert msg.header.frame_id == frames.get(topic, "camera_optical_frame")


def test_tf_is_one_tree_with_the_camera_where_the_estimate_says(factory, make_estimate):
    mount = make_transform(so3_exp([0.1, 0.2, 0.3]), [0.1, -0.05, 0.02])
    scene = SceneMessages(factory, T_head_camera=mount)
    estimate = make_estimate(3)
    transforms = scene.static_transforms(0).transforms + scene.of(estimate).transforms().transforms
    parents = {t.child_frame_id: (t.header.frame_id, matrix_from_transform(t)) for t in transforms}
    assert len(parents) == len(transforms) == 4
    frame, T = "camera_optical_frame", np.eye(4)
    chain = [frame]
    while frame in parents:
        frame, T_parent = parents[frame]
        T = T_parent @ T
        chain.append(frame)
    assert chain == ["camera_optical_frame", "camera_link", "head_link", "odom", "map"]
    np.testing.assert_allclose(T, estimate.T_world_cam, atol=1e-9)


def test_a_camera_that_looks_ahead_is_an_upright_head(factory, make_estimate):
    estimate = make_estimate(0, T_world_cam=make_transform(R_FLU_OPTICAL, [1.0, 2.0, 3.0]))
    odom = SceneMessages(factory).of(estimate).odom()
    assert odom.child_frame_id == "head_link"
    np.testing.assert_allclose(matrix_from_pose(odom), make_transform(np.eye(3), [1, 2, 3]), atol=1e-12)


def test_nothing_with_a_pose_is_made_while_lost(factory, make_estimate):
    scene = SceneMessages(factory)
    scene.of(make_estimate(0))
    # Even an estimator that forgets to clear its pose cannot get it out.
    lost = make_estimate(2, TrackingState.LOST, T_world_cam=np.eye(4), covariance=np.eye(6))
    messages = scene.of(lost)
    assert [messages.build(topic) for topic in POSED] == [None] * 4
    assert messages.status().state == TrackingState.LOST
    assert messages.points() is not None


def test_an_infinite_pose_is_not_made(factory, make_estimate):
    T = np.eye(4)
    T[0, 3] = np.nan
    assert SceneMessages(factory).of(make_estimate(0, T_world_cam=T)).odom() is None


def test_twist_is_unknown_after_a_loss(factory, make_estimate):
    scene = SceneMessages(factory)
    assert scene.of(make_estimate(0)).odom().twist.covariance[0] == -1
    moving = scene.of(make_estimate(1)).odom()
    assert moving.twist.covariance[0] > 0
    assert moving.twist.twist.linear.x == pytest.approx(1.0, abs=0.01)
    scene.of(make_estimate(2, TrackingState.LOST))
    assert scene.of(make_estimate(3)).odom().twist.covariance[0] == -1


def test_a_new_map_starts_a_new_path(factory, make_estimate):
    scene = SceneMessages(factory)
    scene.of(make_estimate(0))
    assert len(scene.of(make_estimate(1)).path().poses) == 2
    messages = scene.of(make_estimate(2, map_id=1))
    assert len(messages.path().poses) == 1
    assert messages.odom().twist.covariance[0] == -1


def test_cloud_and_depth_agree(factory, make_estimate):
    estimate = make_estimate(0)
    messages = SceneMessages(factory).of(estimate)
    cloud = messages.points()
    points, rgb = unpack_cloud(cloud)
    assert (cloud.height, cloud.width, cloud.is_dense) == (6, 8, False)
    assert rgb.shape == points.shape
    np.testing.assert_array_equal(points[..., 2], decode_depth(messages.depth()))
    camera = camera_from_info(messages.depth_info())
    assert camera == estimate.camera.resized(8, 6)
    pixels = camera.project(points.astype(np.float64))
    np.testing.assert_allclose(pixels[3, 5], [5, 3], atol=1e-4)


def test_without_depth_there_is_no_cloud(factory, make_estimate):
    messages = SceneMessages(factory).of(make_estimate(0, depth=None, confidence=None))
    topics = (SceneTopic.POINTS, SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE)
    assert [messages.build(topic) for topic in topics] == [None] * 4


def test_options_thin_the_cloud(factory, make_estimate):
    cloud = SceneMessages(factory, options=PointOptions(stride=2)).of(make_estimate(0)).points()
    assert (cloud.height, cloud.width) == (3, 4)


def test_map_points_come_with_keyframes(factory, make_estimate):
    scene = SceneMessages(factory)
    assert scene.of(make_estimate(0)).map_points().width == 5
    assert scene.of(make_estimate(1)).map_points() is None


def test_covariance_follows_the_lever_to_the_head(factory, make_estimate):
    mount = make_transform(np.eye(3), [0.0, 0.0, 1.0])
    estimate = make_estimate(0, T_world_cam=mount @ make_transform(R_FLU_OPTICAL, [0, 0, 0]))
    C = SceneMessages(factory, T_head_camera=mount).of(estimate).odom().pose.covariance.reshape(6, 6)
    # One metre below the camera, a roll or pitch error of 1e-6 rad^2 is a position error of 1e-6 m^2.
    np.testing.assert_allclose(np.diag(C)[:3], [1.01e-4, 1.01e-4, 1e-4], rtol=1e-9)
    np.testing.assert_allclose(C, C.T)


def test_head_pose_is_the_camera_pose_times_the_mount(factory, make_estimate):
    mount = make_transform(so3_exp([0.3, 0, 0.1]), [0.1, 0, 0.2])
    estimate = make_estimate(5)
    T = matrix_from_pose(SceneMessages(factory, T_head_camera=mount).of(estimate).odom())
    expected = estimate.T_world_cam @ invert(mount @ make_transform(R_FLU_OPTICAL, np.zeros(3)))
    np.testing.assert_allclose(T, expected, atol=1e-12)


def test_status_reports_intrinsics(make_estimate):
    estimate = make_estimate(0)
    assert scene_facts(estimate)["intrinsics_source"] is IntrinsicsSource.GIVEN
    refined = make_estimate(0, camera=estimate.camera.with_focal(1.1))
    assert scene_facts(refined)["intrinsics_source"] is IntrinsicsSource.REFINED
    assert scene_facts(refined)["focal_ratio"] == pytest.approx(1.1)
    estimated = scene_facts(make_estimate(0, camera_is_estimated=True))
    assert estimated["intrinsics_source"] is IntrinsicsSource.ESTIMATED
    assert np.isnan(estimated["focal_ratio"])


def test_status_carries_counters_and_latency(factory):
    book = LatencyBook()
    book.record("decode", 2_000_000)
    counters = PipelineCounters(received=9, processed=5, dropped=1, refused=2, failed=1, resets=3, last_error="why")
    facts = NodeFacts(node="/r", state=TrackingState.DEGRADED, reason="dark", counters=counters, stages=book.summary())
    msg = status_message(factory, facts, 5)
    assert (msg.num_received, msg.num_processed, msg.num_dropped, msg.num_refused) == (9, 5, 1, 2)
    assert (msg.num_failed, msg.num_resets, msg.last_error, msg.reason) == (1, 3, "why", "dark")
    assert (msg.stages[0].stage, msg.stages[0].p95_ms, msg.stages[0].count) == ("decode", 2.0, 1)
    assert np.isnan(msg.input_rate_hz)


@pytest.mark.parametrize(
    ("state", "level", "text"),
    [(1, 0, "TRACKING"), (2, 1, "DEGRADED"), (3, 1, "LOST"), (0, 0, "UNKNOWN"), (NODE_ERROR, 2, "ERROR")],
)
def test_diagnostics_levels(factory, state, level, text):
    array = diagnostics_message(factory, NodeFacts(node="/r", state=state), 5)
    (status,) = array.status
    assert (status.level, status.message, status.name) == (level, text, "/r")
    values = {v.key: v.value for v in status.values}
    assert values["state"] == text
    assert values["received"] == "0"
