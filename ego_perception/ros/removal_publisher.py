"""The ROS end of hand removal: each estimate on its topics, built only for those that somebody listens to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.publisher import Publisher

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, RemovalState
from ego_perception.messages.factory import MessageFactory
from ego_perception.messages.hand_removal import PER_FRAME, RemovalMessages, RemovalTopic
from ego_perception.ros.factory import RclpyFactory, message_class
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.runtime import LatencyBook


class RemovalPublisher:
    """A pipeline stage that publishes what passes through it; of a withheld image there is nothing to publish but its mask.

    Args:
        node, scope: own the publishers; use in `setup`, so that they follow the lifecycle.
        on_publish: called after each frame, in the worker.
        factory: makes the messages.
        with_refined: also offer the images that were generated beside the live ones.
    """

    name = "publish"

    def __init__(
        self,
        node: EgoLifecycleNode[Any],
        scope: ExitStack,
        on_publish: Callable[[HandRemovalEstimate], None],
        factory: MessageFactory | None = None,
        *,
        with_refined: bool = False,
    ) -> None:
        self.age = LatencyBook()
        self._mask_sent_ns: int | None = None
        self._node = node
        self._on_publish = on_publish
        self._factory = factory or RclpyFactory()
        topics = (*PER_FRAME, RemovalTopic.REFINED) if with_refined else PER_FRAME
        self._publishers: dict[RemovalTopic, Publisher] = {
            topic: node.publisher(scope, message_class(topic.type_name), f"~/{topic.value}") for topic in topics
        }

    @property
    def age_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of the time from image stamp to publication, milliseconds; NaN before the first."""
        for stage in self.age.summary():
            return stage.p50_ms, stage.p95_ms
        return float("nan"), float("nan")

    def process(self, item: HandRemovalEstimate) -> HandRemovalEstimate:
        """Publish one estimate; its mask only where `send_mask` did not."""
        messages = RemovalMessages(self._factory, item)
        for topic in PER_FRAME:
            if topic is not RemovalTopic.HAND_MASK or self._mask_sent_ns != item.frame.stamp_ns:
                self._send(topic, messages)
        if item.image is not None:
            self.age.record("age", self._node.get_clock().now().nanoseconds - item.frame.stamp_ns)
        self._on_publish(item)
        return item

    def send_mask(self, frame: Frame, labels: NDArray[np.uint8]) -> None:
        """Publish the mask of a frame before the rest of its estimate, for whoever waits for it."""
        found = HandRemovalEstimate(frame, RemovalState.WITHHELD, hand_mask=labels)
        self._send(RemovalTopic.HAND_MASK, RemovalMessages(self._factory, found))
        self._mask_sent_ns = frame.stamp_ns

    def send_refined(self, estimate: HandRemovalEstimate) -> None:
        """Publish an image that was generated beside the live ones; call from any thread."""
        self._send(RemovalTopic.REFINED, RemovalMessages(self._factory, estimate))

    @property
    def wants_refined(self) -> bool:
        """Somebody listens to refined images."""
        publisher = self._publishers.get(RemovalTopic.REFINED)
        return publisher is not None and publisher.get_subscription_count() > 0

    def reset(self) -> None:
        """Start anew."""
        self.age.reset()
        self._mask_sent_ns = None

    def flush(self) -> list[HandRemovalEstimate]:
        """Nothing is held back."""
        return []

    def _send(self, topic: RemovalTopic, messages: RemovalMessages) -> None:
        publisher = self._publishers[topic]
        if publisher.get_subscription_count() and (message := messages.build(topic)) is not None:
            publisher.publish(message)
