"""Frames of any source as live topics: image, camera, and ground truth where the source knows it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ego_perception.data import Frame, FrameTruth
from ego_perception.messages import (
    compressed_from_frame,
    image_from_frame,
    image_message,
    info_from_camera,
    make_time,
    pose_message,
    transform_message,
)
from ego_perception.ros.factory import RclpyFactory
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.tf import TransformBroadcaster

TRUTH_DEPTH_TOPIC: Final = "sim/depth/image"
TRUTH_POSE_TOPIC: Final = "sim/pose"
TRUTH_WORLD_FRAME: Final = "sim_world"
TRUTH_CAMERA_FRAME: Final = "sim_camera_optical_frame"
"""Ground truth keeps its own frames, so that it never becomes a second parent of the estimated ones."""


@dataclass(frozen=True)
class FrameOutputs:
    """What is sent besides image and camera_info.

    Attributes:
        truth: ground truth on `sim/depth/image`, `sim/pose` and /tf.
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
        if outputs.truth:
            self._depth = node.publisher(scope, Image, TRUTH_DEPTH_TOPIC)
            self._pose = node.publisher(scope, PoseStamped, TRUTH_POSE_TOPIC)
            self._tf = TransformBroadcaster(node)
            scope.callback(self._tf.close)

    @property
    def num_image_subscribers(self) -> int:
        """Who listens to the image, raw or compressed."""
        return int(self._image.get_subscription_count() + self._compressed.get_subscription_count())

    def publish(self, frame: Frame) -> int:
        """Publish one frame; the camera goes first, so that it is there when the image is.

        Returns:
            The stamp that it went out with, nanoseconds.
        """
        if self._outputs.stamp_now:
            frame = replace(frame, stamp_ns=self._node.get_clock().now().nanoseconds)
        stamp_ns = frame.stamp_ns
        if self._clock is not None:
            self._clock.publish(Clock(clock=make_time(self._factory, stamp_ns)))
        if self._outputs.truth and frame.truth is not None:
            self._publish_truth(frame, frame.truth)
        if frame.camera is not None:
            self._info.publish(info_from_camera(self._factory, frame.camera, stamp_ns, frame.frame_id))
        if self._compressed.get_subscription_count():
            self._compressed.publish(compressed_from_frame(self._factory, frame))
        if self._image.get_subscription_count():
            self._image.publish(image_from_frame(self._factory, frame))
        return stamp_ns

    def _publish_truth(self, frame: Frame, truth: FrameTruth) -> None:
        if truth.depth is not None and self._depth.get_subscription_count():
            # Unknown depth is NaN in messages (REP-118) and zero in a FrameTruth.
            metres = np.where(truth.depth > 0, truth.depth, np.float32(np.nan))
            self._depth.publish(image_message(self._factory, metres, "32FC1", frame.stamp_ns, frame.frame_id))
        if truth.T_world_cam is not None:
            world, camera = TRUTH_WORLD_FRAME, TRUTH_CAMERA_FRAME
            self._pose.publish(pose_message(self._factory, truth.T_world_cam, frame.stamp_ns, world))
            self._tf.send([transform_message(self._factory, truth.T_world_cam, frame.stamp_ns, world, camera)])
