"""What is on the ROS graph now: topics with their endpoints, and the pairs that cannot hear each other."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

_OWN_NAME: Final = "ego_graph_observer"
_UNKNOWN_NAME: Final = "_NODE_NAME_UNKNOWN_"
# Every node has these; they would bury the topics that somebody asks about.
_PLUMBING: Final = frozenset({"/rosout", "/parameter_events"})


@dataclass(frozen=True)
class Endpoint:
    """One publisher or subscriber.

    Attributes:
        node: fully qualified name of the node that owns it.
        type_name: message type, for example "sensor_msgs/msg/Image".
    """

    node: str
    type_name: str
    qos: QoSProfile


@dataclass(frozen=True)
class Topic:
    """A topic with everybody on it."""

    name: str
    publishers: tuple[Endpoint, ...]
    subscribers: tuple[Endpoint, ...]


@dataclass(frozen=True)
class Mismatch:
    """A publisher and a subscriber on one topic between which nothing flows, and why."""

    topic: str
    publisher: str
    subscriber: str
    reason: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.subscriber} hears nothing from {self.publisher}: {self.reason}"


def find_mismatches(topics: Iterable[Topic]) -> list[Mismatch]:
    """Name every pair of endpoints that differ in type or offer less than is asked for."""
    found = []
    for topic in topics:
        for publisher in topic.publishers:
            for subscriber in topic.subscribers:
                reason = _reason(publisher, subscriber)
                if reason:
                    found.append(Mismatch(topic.name, publisher.node, subscriber.node, reason))
    return found


def read_topics(node: Node) -> list[Topic]:
    """List the topics that `node` has discovered, in order of name, without what every node brings along."""
    topics = []
    for name, _ in sorted(node.get_topic_names_and_types()):
        if name in _PLUMBING:
            continue
        publishers = _endpoints(node.get_publishers_info_by_topic(name))
        subscribers = _endpoints(node.get_subscriptions_info_by_topic(name))
        topics.append(Topic(name, publishers, subscribers))
    return topics


def observe(duration_s: float) -> list[Topic]:
    """Listen to discovery for a while and list the topics; needs no running rclpy and leaves none behind."""
    context = Context()
    context.init()
    try:
        node = Node(_OWN_NAME, context=context, start_parameter_services=False, enable_rosout=False)
        try:
            time.sleep(duration_s)
            return read_topics(node)
        finally:
            node.destroy_node()
    finally:
        context.try_shutdown()


def _endpoints(infos: Iterable[Any]) -> tuple[Endpoint, ...]:
    ends = [Endpoint(_full_name(info), info.topic_type, info.qos_profile) for info in infos if info.node_name != _OWN_NAME]
    return tuple(sorted(ends, key=lambda end: end.node))


def _full_name(info: Any) -> str:
    # A peer that is no ROS node has no name; one that was discovered this very moment has none yet.
    if info.node_name == _UNKNOWN_NAME:
        return "(unnamed peer)"
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _reason(publisher: Endpoint, subscriber: Endpoint) -> str:
    if publisher.type_name != subscriber.type_name:
        return f"it sends {publisher.type_name}, not {subscriber.type_name}"
    compatibility, reason = qos_check_compatible(publisher.qos, subscriber.qos)
    if compatibility != QoSCompatibility.ERROR:
        return ""
    parts = [part.strip().removeprefix("ERROR: ") for part in reason.split(";") if part.strip().startswith("ERROR")]
    return "; ".join(part[0].lower() + part[1:] for part in parts) or "incompatible QoS"
