"""Estimates back from topics: listens to a camera and a reconstruction node and gives their estimates to sinks, on a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ego_perception.data import FrameTruth, SceneEstimate
from ego_perception.errors import CalibrationError
from ego_perception.messages import SceneAssembler, SceneTopic, decode_depth, make_time, matrix_from_pose, stamp_ns_of
from ego_perception.messages.hand_removal import RemovalTopic
from ego_perception.messages.removal_assembler import LISTENED, RemovalAssembler
from ego_perception.ros import qos
from ego_perception.ros.factory import RclpyFactory, message_class
from ego_perception.ros.frame_publisher import TRUTH_DEPTH_TOPIC, TRUTH_POSE_TOPIC
from ego_perception.ros.image_input import StampedBook
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.runtime import BoundedQueue, PipelineCounters, QueuePolicy, Sink

_TOPICS: Final = (
    SceneTopic.DEPTH,
    SceneTopic.DEPTH_INFO,
    SceneTopic.CONFIDENCE,
    SceneTopic.ODOM,
    SceneTopic.MAP_POINTS,
    SceneTopic.STATUS,
)
_Key = str | SceneTopic | RemovalTopic
_QUEUE: Final = 500
_STATUS_AGE_S: Final = 1.0
"""A status that comes later after the newest image speaks of the missing images, and not of a frame."""


@dataclass(frozen=True)
class ListenerOptions:
    """What is listened to.

    Attributes:
        reconstruction: name of the node, relative to the listener's namespace.
        compressed: the image comes as JPEG or PNG on `image/compressed`.
        reliable: ask for the camera's streams reliably, which needs a reliable publisher; else some images may be missed.
        truth: also take ground truth, for evaluation.
        hand_removal: name of the node whose outputs are put beside, relative to the listener's namespace; empty: none.
        removal_age_s: where it said nothing about a frame yet, what it said about an older one serves up to this age.
    """

    reconstruction: str = "reconstruction"
    compressed: bool = False
    reliable: bool = False
    truth: bool = True
    hand_removal: str = ""
    removal_age_s: float = 0.0
    T_head_camera: NDArray[np.float64] | None = None


class SceneListener:
    """Assembles estimates from topics and writes them to sinks.

    Args:
        node: whose namespace the topics are relative to.
        sinks: closed by `stop`; one that fails is counted, the others still get the estimate.
    """

    def __init__(self, node: EgoLifecycleNode[Any], sinks: Sequence[Sink], options: ListenerOptions) -> None:
        self.counters = PipelineCounters()
        self.last_status: Any | None = None
        self._node = node
        self._sinks = sinks
        self._options = options
        self._factory = RclpyFactory()
        self._assembler = SceneAssembler(T_head_camera=options.T_head_camera)
        self._removal = RemovalAssembler(options.removal_age_s)
        self._depths: StampedBook[Any] = StampedBook()
        self._poses: StampedBook[Any] = StampedBook()
        self._newest_ns = 0
        self._image_s = time.monotonic()
        self._seen_failures: set[tuple[str, type[Exception]]] = set()
        self._queue: BoundedQueue[tuple[_Key, Any]] = BoundedQueue(QueuePolicy.ALL, _QUEUE)
        self._thread = threading.Thread(target=self._work, name="scene listener", daemon=True)

    @property
    def queue_length(self) -> int:
        """Messages that wait to be written."""
        return len(self._queue)

    def start(self, scope: ExitStack) -> None:
        """Start the worker, then listen; `scope` undoes both in the right order."""
        self._thread.start()
        scope.callback(self.stop)
        self._subscribe(scope, CompressedImage if self._options.compressed else Image, self._image_topic, "image")
        self._subscribe(scope, CameraInfo, "camera_info", "camera_info")
        if self._options.truth:
            self._subscribe(scope, Image, TRUTH_DEPTH_TOPIC, "truth depth")
            self._subscribe(scope, PoseStamped, TRUTH_POSE_TOPIC, "truth pose")
        for topic in _TOPICS:
            name = f"{self._options.reconstruction}/{topic.value}"
            self._subscribe(scope, message_class(topic.type_name), name, topic)
        for removal in LISTENED if self._options.hand_removal else ():
            name = f"{self._options.hand_removal}/{removal.value}"
            self._subscribe(scope, message_class(removal.type_name), name, removal)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Write what has come, then close the sinks; True when that ended in time."""
        self._queue.close()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._node.get_logger().error("the writer did not end in time; the end of the result is missing")
        return not self._thread.is_alive()

    @property
    def _image_topic(self) -> str:
        return "image/compressed" if self._options.compressed else "image"

    def _subscribe(self, scope: ExitStack, kind: type, name: str, key: _Key) -> None:
        def take(message: Any) -> None:
            now = time.monotonic()
            if key == "image":
                self._image_s = now
            elif key is SceneTopic.STATUS and now - self._image_s > _STATUS_AGE_S:
                return
            self._queue.put((key, message))

        profile = qos.RELIABLE_INPUT
        if isinstance(key, SceneTopic) and key.is_latched:
            profile = qos.LATCHED
        elif key in ("image", "camera_info") and not self._options.reliable:
            profile = qos.SENSOR_INPUT
        self._node.subscription(scope, kind, name, take, profile)

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            try:
                self._write(self._take(*entry))
            except Exception as error:  # one message that cannot be used must not end the recording
                self._fail("message", error)
        self._write(self._assembler.flush())
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:  # the other sinks must still be closed
                self._fail(f"closing {sink.name}", error)

    def _take(self, key: _Key, message: Any) -> list[SceneEstimate]:
        if isinstance(key, RemovalTopic):
            self._removal.add(key, message)
            return []
        if isinstance(key, SceneTopic):
            if key is SceneTopic.STATUS:
                # A status carries the node's clock; in a replay only the newest frame says when, in recorded time, it was sent.
                message.header.stamp = make_time(self._factory, self._newest_ns)
                self.last_status = message
            return self._assembler.add(key, message)
        if key == "image":
            self.counters.received += 1
            self._newest_ns = stamp_ns_of(message)
            return self._assembler.add_image(message)
        if key == "camera_info":
            try:
                self._assembler.set_camera_info(message)
            except CalibrationError as error:
                self._fail("camera_info", error)
        elif key == "truth depth":
            self._depths.add(stamp_ns_of(message), message)
        else:
            self._poses.add(stamp_ns_of(message), message)
        return []

    def _write(self, estimates: Sequence[SceneEstimate]) -> None:
        for assembled in estimates:
            estimate = self._with_removal(self._with_truth(assembled))
            self.counters.processed += 1
            for sink in self._sinks:
                try:
                    sink.write(estimate)
                except Exception as error:  # a full disk stops one sink, not the node
                    self._fail(sink.name, error)

    def _with_truth(self, estimate: SceneEstimate) -> SceneEstimate:
        stamp_ns = estimate.frame.stamp_ns
        depth, pose = self._depths.at(stamp_ns), self._poses.at(stamp_ns)
        if depth is None and pose is None:
            return estimate
        truth = FrameTruth(
            None if depth is None else np.nan_to_num(decode_depth(depth)), None if pose is None else matrix_from_pose(pose)
        )
        return replace(estimate, frame=replace(estimate.frame, truth=truth))

    def _with_removal(self, estimate: SceneEstimate) -> SceneEstimate:
        if not self._options.hand_removal:
            return estimate
        return replace(estimate, hand_removal=self._removal.estimate_of(estimate.frame))

    def _fail(self, where: str, error: Exception) -> None:
        """Count a failure; the log has each kind once, as a full disk fails with every frame."""
        self.counters.failed += 1
        self.counters.last_error = f"{where}: {str(error) or type(error).__name__}"
        if (where, type(error)) not in self._seen_failures:
            self._seen_failures.add((where, type(error)))
            self._node.get_logger().error(self.counters.last_error)
