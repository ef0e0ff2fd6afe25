"""The ROS end of reconstruction: each estimate on its topics, built only for those that somebody listens to."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rclpy.publisher import Publisher

from ego_perception.data import SceneEstimate
from ego_perception.messages import EstimateMessages, FrameNames, MessageFactory, PointOptions, SceneMessages, SceneTopic
from ego_perception.ros import qos
from ego_perception.ros.factory import RclpyFactory, message_class
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.tf import TransformBroadcaster
from ego_perception.runtime import LatencyBook

PER_FRAME: Final = (SceneTopic.POINTS, SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE, SceneTopic.ODOM)
SLOW: Final = (SceneTopic.PATH, SceneTopic.MAP_POINTS)


@dataclass(frozen=True)
class PublishOptions:
    """How a `ScenePublisher` publishes.

    Attributes:
        names: TF frames; where `names.optical` is empty, the frame of the image is taken.
        T_head_camera: (4, 4) `camera_link` to `head_link`.
        send_tf, send_static_tf: what goes to /tf and /tf_static.
        slow_period_s: least time between two messages of the path and of the map.
    """

    names: FrameNames = field(default_factory=FrameNames)
    T_head_camera: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    points: PointOptions = field(default_factory=PointOptions)
    send_tf: bool = True
    send_static_tf: bool = True
    slow_period_s: float = 1.0


class ScenePublisher:
    """A pipeline stage that publishes what passes through it.

    The map is built at its keyframes also for nobody, as it is latched: a late subscriber must find the last one.

    Args:
        node, scope: own the publishers; use in `setup`, so that they follow the lifecycle.
        on_publish: called after each frame, in the worker.
        factory: makes the messages.
    """

    name = "publish"

    def __init__(
        self,
        node: EgoLifecycleNode[Any],
        scope: ExitStack,
        options: PublishOptions,
        on_publish: Callable[[SceneEstimate], None],
        factory: MessageFactory | None = None,
    ) -> None:
        self.age = LatencyBook()
        self._node = node
        self._options = options
        self._on_publish = on_publish
        self._factory = factory or RclpyFactory()
        self._publishers: dict[SceneTopic, Publisher] = {}
        for topic in (*PER_FRAME, *SLOW):
            profile = qos.LATCHED if topic.is_latched else qos.RESULT
            self._publishers[topic] = node.publisher(scope, message_class(topic.type_name), f"~/{topic.value}", profile)
        self._tf = TransformBroadcaster(node)
        scope.callback(self._tf.close)
        self._static_tf = node.publisher(scope, message_class(SceneTopic.TF_STATIC.type_name), "/tf_static", qos.LATCHED)
        self._scene: SceneMessages | None = None
        self._last_slow: dict[SceneTopic, float] = {}
        self._waiting_map: Any = None

    @property
    def age_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of the time from image stamp to publication, milliseconds; NaN before the first."""
        for stage in self.age.summary():
            return stage.p50_ms, stage.p95_ms
        return float("nan"), float("nan")

    def process(self, item: SceneEstimate) -> SceneEstimate:
        """Publish one estimate."""
        messages = self._messages_of(item)
        for topic in PER_FRAME:
            self._send(topic, messages)
        for topic in SLOW:
            self._send_slow(topic, messages)
        if self._options.send_tf and (transforms := messages.build(SceneTopic.TF)) is not None:
            self._tf.send(transforms.transforms)
        self.age.record("age", self._node.get_clock().now().nanoseconds - item.frame.stamp_ns)
        self._on_publish(item)
        return item

    def reset(self) -> None:
        """Start a new path."""
        if self._scene is not None:
            self._scene.reset()
        self.age.reset()
        self._waiting_map = None

    def flush(self) -> list[SceneEstimate]:
        """Nothing is held back."""
        return []

    def _messages_of(self, estimate: SceneEstimate) -> EstimateMessages:
        """Take the estimate into the stream; the frames are announced first, so that no message names an unknown one."""
        optical = self._options.names.optical or estimate.frame.frame_id
        if self._scene is None or self._scene.names.optical != optical:
            names = replace(self._options.names, optical=optical)
            options = self._options
            self._scene = SceneMessages(self._factory, names, T_head_camera=options.T_head_camera, options=options.points)
            if options.send_static_tf:
                self._static_tf.publish(self._scene.static_transforms(estimate.frame.stamp_ns))
        return self._scene.of(estimate)

    def _send(self, topic: SceneTopic, messages: EstimateMessages) -> None:
        publisher = self._publishers[topic]
        if publisher.get_subscription_count() and (message := messages.build(topic)) is not None:
            publisher.publish(message)

    def _send_slow(self, topic: SceneTopic, messages: EstimateMessages) -> None:
        publisher = self._publishers[topic]
        due = time.monotonic() - self._last_slow.get(topic, -np.inf) >= self._options.slow_period_s
        if topic is SceneTopic.MAP_POINTS:
            # A keyframe that comes too early for the period still has the newest map: it waits.
            self._waiting_map = messages.build(topic) or self._waiting_map
            message = self._waiting_map if due else None
        else:
            message = messages.build(topic) if due and publisher.get_subscription_count() else None
        if message is not None:
            publisher.publish(message)
            self._last_slow[topic] = time.monotonic()
            if topic is SceneTopic.MAP_POINTS:
                self._waiting_map = None
