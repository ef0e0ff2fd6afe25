"""QoS profiles by meaning, overridable per topic with the standard `qos_overrides.<topic>.*` parameters.

`qos_overrides./reconstruction/points.publisher.reliability: best_effort` in a YAML file changes one publisher; policies are
reliability, depth, history and, for publishers and subscribers alike, durability. `config/qos/` holds ready sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    InvalidQoSProfileException,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from ego_perception.errors import ConfigError

SENSOR_INPUT: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE
)
"""Camera streams we receive: matches every publisher; an old image is worth nothing."""

RESULT: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE
)
"""What we publish: a reliable publisher matches reliable and best-effort subscribers, RViz's default included."""

LATCHED: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Slow state (maps, static transforms): a late subscriber still gets the last message."""

RELIABLE_INPUT: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE
)
"""Streams of which nothing may be missed (recording); the publisher must be reliable too."""

_OPTIONS: Final = QoSOverridingOptions(
    (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
)

QosProblem = Callable[[str, str], None]
"""Called with the topic and the incompatible policy."""


def create_publisher(
    node: Any, msg_type: type, topic: str, qos: QoSProfile, on_problem: QosProblem, *, managed: bool = False
) -> Publisher:
    """Create a publisher whose QoS can be overridden and whose mismatches are reported.

    Args:
        managed: the publisher is silent until its lifecycle node is activated.

    Raises:
        ConfigError: a `qos_overrides` parameter with a value that is no such policy.
    """
    create = node.create_lifecycle_publisher if managed else node.create_publisher
    events = PublisherEventCallbacks(incompatible_qos=_reporter(node, topic, on_problem))
    with _override_errors(node, topic):
        return create(msg_type, topic, copy(qos), event_callbacks=events, qos_overriding_options=_OPTIONS)


def create_subscription(
    node: Node, msg_type: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile, on_problem: QosProblem
) -> Subscription:
    """Create a subscription whose QoS can be overridden and whose mismatches are reported.

    Raises:
        ConfigError: a `qos_overrides` parameter with a value that is no such policy.
    """
    events = SubscriptionEventCallbacks(incompatible_qos=_reporter(node, topic, on_problem))
    with _override_errors(node, topic):
        return node.create_subscription(
            msg_type, topic, callback, copy(qos), event_callbacks=events, qos_overriding_options=_OPTIONS
        )


def copy(qos: QoSProfile) -> QoSProfile:
    """A copy that rclpy may write overrides into; it changes the profile that it is given."""
    return QoSProfile(history=qos.history, depth=qos.depth, reliability=qos.reliability, durability=qos.durability)


def _reporter(node: Node, topic: str, on_problem: QosProblem) -> Callable[[Any], None]:
    resolved = node.resolve_topic_name(topic)

    def report(event: Any) -> None:
        on_problem(resolved, qos_policy_name_from_kind(event.last_policy_kind))

    return report


@contextmanager
def _override_errors(node: Node, topic: str) -> Iterator[None]:
    """rclpy reports an override it cannot read as a bare RuntimeError or TypeError."""
    try:
        yield
    except (RuntimeError, TypeError, InvalidQoSProfileException) as error:
        raise ConfigError(f"QoS of '{node.resolve_topic_name(topic)}': {error}; correct its qos_overrides parameter") from error
