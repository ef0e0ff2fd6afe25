"""Frames of any source as live topics: image, camera, and ground truth where the source knows it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ego_perception.data import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.messages import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    TruthMessages,
    TruthTopic,
    compressed_from_frame,
    image_from_frame,
    info_from_camera,
    make_time,
    scene_message,
)
from ego_perception.ros import qos
from ego_perception.ros.factory import RclpyFactory, message_class
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.tf import TransformBroadcaster

TRUTH_DEPTH_TOPIC: Final = TruthTopic.DEPTH.value
TRUTH_POSE_TOPIC: Final = TruthTopic.POSE.value


@dataclass(frozen=True)
class FrameOutputs:
    """What is sent besides image and camera_info.

    Attributes:
        truth: ground truth on the topics of `messages.TruthTopic` and /tf.
        clock: the stamps on /clock.
        stamp_now: replace the stamps by the node's clock.
    """

    truth: bool = True
    clock: bool = False
    stamp_now: bool = False


class FramePublisher:
    """Publishes frames of one stream; use in `setup`, so that the publishers follow the lifecycle."""

    def __init__(self, node: EgoLifecycleNode[Any], scope: ExitStack, outputs: FrameOutputs) -> None:
        self._node = node
        self._outputs = outputs
        self._factory = RclpyFactory()
        self._image = node.publisher(scope, Image, "image")
        self._compressed = node.publisher(scope, CompressedImage, "image/compressed")
        self._info = node.publisher(scope, CameraInfo, "camera_info")
        self._clock = node.publisher(scope, Clock, "/clock") if outputs.clock else None
        self._truth: dict[TruthTopic, Publisher] = {}
        self._scene: SceneTruth | None = None
        if outputs.truth:
            for topic in TruthTopic:
                profile = qos.LATCHED if topic.is_latched else qos.RESULT
                self._truth[topic] = node.publisher(scope, message_class(topic.type_name), topic.value, profile)
            self._tf = TransformBroadcaster(node)
            scope.callback(self._tf.close)

    @property
    def num_image_subscribers(self) -> int:
        """Who listens to the image, raw or compressed."""
        return int(self._image.get_subscription_count() + self._compressed.get_subscription_count())

    @property
    def wanted_products(self) -> frozenset[str]:
        """Products of the simulator that some topic with a listener needs."""
        return frozenset(t.product for t, publisher in self._truth.items() if t.product and publisher.get_subscription_count())

    def publish(self, frame: Frame, scene: SceneTruth | None = None) -> int:
        """Publish one frame; the camera goes first, so that it is there when the image is.

        Args:
            scene: what belongs to the whole clip; sent when it is another than before.

        Returns:
            The stamp that it went out with, nanoseconds.
        """
        if self._outputs.stamp_now:
            frame = replace(frame, stamp_ns=self._node.get_clock().now().nanoseconds)
        stamp_ns = frame.stamp_ns
        if self._clock is not None:
            self._clock.publish(Clock(clock=make_time(self._factory, stamp_ns)))
        if self._outputs.truth and scene is not None and scene is not self._scene:
            self._scene = scene
            self._publish_scene(scene, stamp_ns)
        if self._outputs.truth and frame.truth is not None:
            self._publish_truth(frame)
        if frame.camera is not None:
            self._info.publish(info_from_camera(self._factory, frame.camera, stamp_ns, frame.frame_id))
        if self._compressed.get_subscription_count():
            self._compressed.publish(compressed_from_frame(self._factory, frame))
        if self._image.get_subscription_count():
            self._image.publish(image_from_frame(self._factory, frame))
        return stamp_ns

    def _publish_truth(self, frame: Frame) -> None:
        """Send what has a listener; nothing else is built."""
        messages = TruthMessages(self._factory, frame)
        for topic in FRAME_TOPICS:
            publisher = self._truth[topic]
            if publisher.get_subscription_count() and (message := messages.build(topic)) is not None:
                publisher.publish(message)
        if (transforms := messages.transforms()) is not None:
            self._tf.send(transforms.transforms)

    def _publish_scene(self, scene: SceneTruth, stamp_ns: int) -> None:
        for topic in SCENE_TOPICS:
            if (message := scene_message(self._factory, scene, topic, stamp_ns)) is not None:
                self._truth[topic].publish(message)
