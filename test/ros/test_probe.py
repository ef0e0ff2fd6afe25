"""The listener of the benchmarks: rates and ages from the first bytes of a message."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message
from ros_support import Graph, wait_for

from ego_perception.messages import SceneTopic, make_time
from ego_perception.messages.hand_removal import RemovalTopic
from ego_perception.nodes.probe import REMOVAL_TOPICS, TOPICS, Arrivals, Probe
from ego_perception.ros.factory import RclpyFactory, message_class


def test_rate_counts_the_steps_between_messages() -> None:
    assert Arrivals([1.0, 1.5, 2.0, 3.0]).rate_hz == pytest.approx(1.5)
    assert Arrivals([1.0]).rate_hz == 0.0
    assert Arrivals().rate_hz == 0.0
    assert Arrivals([1.0, 1.0]).rate_hz == 0.0


def test_age_is_a_percentile_and_unknown_without_messages() -> None:
    assert Arrivals([], list(np.arange(101.0))).age_ms(95) == pytest.approx(95.0)
    assert math.isnan(Arrivals().age_ms(50))


def test_every_output_is_heard_with_its_age(graph: Graph, namespace: str) -> None:
    observer, factory = graph.observer(namespace), RclpyFactory()
    kinds = {topic: message_class(topic.type_name) for topic in TOPICS}
    publishers = {topic: observer.create_publisher(kind, f"slam/{topic.value}", 10) for topic, kind in kinds.items()}
    latched = {topic for topic in TOPICS if topic.is_latched}
    with Probe(namespace, "slam") as probe:
        wait_for(lambda: all(p.get_subscription_count() for t, p in publishers.items() if t not in latched))
        for topic in set(TOPICS) - latched:
            message = kinds[topic]()
            message.header.stamp = make_time(factory, time.time_ns() - 250_000_000)
            publishers[topic].publish(message)
        wait_for(lambda: all(probe.arrivals[topic].times_s for topic in set(TOPICS) - latched))
        arrivals = probe.arrivals[SceneTopic.ODOM]
        assert 250 <= arrivals.age_ms(50) < 5000
        assert isinstance(deserialize_message(arrivals.newest, Odometry), Odometry)
        assert not any(probe.arrivals[topic].times_s for topic in latched), "a volatile publisher is no match for a latched one"
        probe.clear()
        assert not probe.arrivals[SceneTopic.ODOM].times_s


def test_hand_removal_is_heard_where_it_is_named(graph: Graph, namespace: str) -> None:
    observer, factory = graph.observer(namespace), RclpyFactory()
    image = observer.create_publisher(message_class("sensor_msgs/msg/Image"), "hands/image", 10)
    with Probe(namespace, reconstruction="", hand_removal="hands") as probe:
        assert set(probe.arrivals) == set(REMOVAL_TOPICS)
        wait_for(image.get_subscription_count)
        message = message_class("sensor_msgs/msg/Image")()
        message.header.stamp = make_time(factory, time.time_ns())
        image.publish(message)
        wait_for(lambda: probe.arrivals[RemovalTopic.IMAGE].times_s)
