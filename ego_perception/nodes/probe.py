"""Listens to what reconstruction and hand removal publish, and says how often and how old; for benchmarks.

Messages are taken serialised: the stamp is read from the first bytes of the header and nothing else is decoded, so that the
listener costs as little as a listener in another language would.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from rclpy.node import Node

from ego_perception.messages import SceneTopic
from ego_perception.messages.hand_removal import PER_FRAME, RemovalTopic
from ego_perception.ros import qos
from ego_perception.ros.factory import message_class
from ego_perception.ros.process import SpinThread

TOPICS: Final = (
    SceneTopic.POINTS,
    SceneTopic.DEPTH,
    SceneTopic.DEPTH_INFO,
    SceneTopic.CONFIDENCE,
    SceneTopic.ODOM,
    SceneTopic.PATH,
    SceneTopic.MAP_POINTS,
    SceneTopic.STATUS,
)
REMOVAL_TOPICS: Final = (*PER_FRAME, RemovalTopic.STATUS)
Topic = SceneTopic | RemovalTopic
_STAMP = struct.Struct("<iI")  # after the four bytes that name the encapsulation


@dataclass
class Arrivals:
    """Arrival times (s) and ages (ms) of one topic's messages, and the newest message itself, serialised."""

    times_s: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    newest: bytes = b""

    @property
    def rate_hz(self) -> float:
        """Messages per second between the first and the last."""
        span = self.times_s[-1] - self.times_s[0] if len(self.times_s) > 1 else 0.0
        return (len(self.times_s) - 1) / span if span > 0 else 0.0

    def age_ms(self, percentile: float) -> float:
        """Age on arrival: now minus the header's stamp; NaN without messages."""
        return float(np.percentile(self.ages_ms, percentile)) if self.ages_ms else float("nan")


class Probe:
    """Subscribes to every output of a reconstruction or a hand removal node, or both; use within an initialised rclpy.

    Args:
        namespace: of the nodes.
        reconstruction, hand_removal: their names; empty for one that is not there.
    """

    def __init__(self, namespace: str, reconstruction: str = "reconstruction", hand_removal: str = "") -> None:
        names: dict[Topic, str] = {topic: reconstruction for topic in TOPICS if reconstruction}
        names |= {topic: hand_removal for topic in REMOVAL_TOPICS if hand_removal}
        self.arrivals: dict[Topic, Arrivals] = {topic: Arrivals() for topic in names}
        self._node = Node("probe", namespace=namespace)
        for topic, node in names.items():
            self._node.create_subscription(
                message_class(topic.type_name),
                f"{node}/{topic.value}",
                partial(self._take, topic),
                qos.LATCHED if topic.is_latched else qos.RESULT,
                raw=True,
            )
        self._spin = SpinThread(self._node)

    def clear(self) -> None:
        """Forget what arrived so far."""
        self.arrivals = {topic: Arrivals() for topic in self.arrivals}

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: Any) -> None:
        self._spin.stop()
        self._node.destroy_node()

    def _take(self, topic: Topic, data: bytes) -> None:
        seconds, nanoseconds = _STAMP.unpack_from(data, 4)
        arrivals = self.arrivals[topic]
        arrivals.times_s.append(time.monotonic())
        arrivals.ages_ms.append((time.time_ns() - seconds * 1_000_000_000 - nanoseconds) * 1e-6)
        arrivals.newest = data
