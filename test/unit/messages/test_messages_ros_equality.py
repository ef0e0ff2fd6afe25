"""Messages built for recordings and for live ROS are the same bytes, and ROS reads what we record."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fixtures.truth_frames import full_frame, scene_truth

from ego_perception.bag import RosbagsFactory, jazzy_types
from ego_perception.data import TrackingState
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.messages import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    NodeFacts,
    SceneMessages,
    SceneTopic,
    TruthMessages,
    compressed_from_frame,
    diagnostics_message,
    frame_from_image,
    image_from_frame,
    info_from_camera,
    pose_message,
    scene_message,
    unpack_cloud,
)
from ego_perception.runtime import StageLatency

pytestmark = pytest.mark.ros
rclpy_serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
ros_factory = pytest.importorskip("ego_perception.ros.factory", reason="the ROS layer is not installed")


def canonical(cdr: bytes, type_name: str) -> bytes:
    """CDR bytes with zeros between fields, where ROS leaves what was in memory."""
    store = jazzy_types()
    return bytes(store.serialize_cdr(store.deserialize_cdr(bytes(cdr), type_name), type_name))


def build_all(factory, make_estimate):
    """One message of every type that the product writes."""
    scene = SceneMessages(factory)
    scene.of(make_estimate(0))
    messages = scene.of(make_estimate(2, TrackingState.DEGRADED))
    built = {topic.type_name + topic.value: messages.build(topic) for topic in SceneTopic}
    frame = messages.estimate.frame
    facts = NodeFacts(node="/r", stages=[StageLatency("decode", 3, 1.0, 2.0, 3.0, 4.0)])
    lens = PinholeCamera(16, 12, 9.0, 9.0, 7.5, 5.5, DistortionModel.RATIONAL, tuple(0.1 * i for i in range(1, 9)))
    built["image"] = image_from_frame(factory, frame)
    built["compressed"] = compressed_from_frame(factory, frame)
    built["info"] = info_from_camera(factory, lens, 5, "cam")
    built["pose"] = pose_message(factory, messages.estimate.T_world_cam, 5, "world")
    built["diagnostics"] = diagnostics_message(factory, facts, 5)
    for truth_topic in FRAME_TOPICS:
        built[truth_topic.value] = TruthMessages(factory, full_frame(2)).build(truth_topic)
    for truth_topic in SCENE_TOPICS:
        built[truth_topic.value] = scene_message(factory, scene_truth(), truth_topic, 5)
    return built


def test_both_factories_build_the_same_bytes(make_estimate):
    store = jazzy_types()
    ours = build_all(RosbagsFactory(), make_estimate)
    live = build_all(ros_factory.RclpyFactory(), make_estimate)
    assert ours.keys() == live.keys()
    for name, message in ours.items():
        recorded = bytes(store.serialize_cdr(message, message.__msgtype__))
        assert recorded == canonical(rclpy_serialization.serialize_message(live[name]), message.__msgtype__), name


def test_ros_reads_what_is_recorded(make_estimate):
    store = jazzy_types()
    live = build_all(ros_factory.RclpyFactory(), make_estimate)
    for name, message in build_all(RosbagsFactory(), make_estimate).items():
        cdr = bytes(store.serialize_cdr(message, message.__msgtype__))
        read = rclpy_serialization.deserialize_message(cdr, type(live[name]))
        if "ego_msgs" not in message.__msgtype__:  # unknown rates are NaN there, which equals nothing
            assert read == live[name] or "nan" in repr(live[name]), name
        assert canonical(rclpy_serialization.serialize_message(read), message.__msgtype__) == cdr, name


@pytest.mark.parametrize(
    "type_name",
    sorted({t.type_name for t in SceneTopic} | {"geometry_msgs/msg/PoseStamped", "diagnostic_msgs/msg/DiagnosticArray"}),
)
def test_defaults_are_those_of_ros(type_name):
    live = ros_factory.message_class(type_name)()
    ours = RosbagsFactory().make(type_name)
    cdr = bytes(jazzy_types().serialize_cdr(ours, type_name))
    assert cdr == canonical(rclpy_serialization.serialize_message(live), type_name)


def test_live_messages_are_read_by_the_same_code(make_estimate):
    built = build_all(ros_factory.RclpyFactory(), make_estimate)
    frame = make_estimate(2).frame
    np.testing.assert_array_equal(frame_from_image(built["image"]).image, frame.image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points, _ = unpack_cloud(built["sensor_msgs/msg/PointCloud2points"])
    np.testing.assert_array_equal(points, make_estimate(2).points)
