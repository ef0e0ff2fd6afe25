"""The graph as a bystander sees it: topics, endpoints, and pairs that cannot hear each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_support import Graph, wait_for
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from ego_perception.ros.graph import Endpoint, Topic, find_mismatches, observe, read_topics

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def topic(publisher: QoSProfile, subscriber: QoSProfile, types: tuple[str, str] = ("t", "t")) -> Topic:
    return Topic("/t", (Endpoint("/talker", types[0], publisher),), (Endpoint("/listener", types[1], subscriber),))


@pytest.mark.parametrize(
    ("publisher", "subscriber"),
    [(RELIABLE, RELIABLE), (RELIABLE, BEST_EFFORT), (LATCHED, RELIABLE), (BEST_EFFORT, BEST_EFFORT)],
)
def test_compatible_pairs_are_not_reported(publisher: QoSProfile, subscriber: QoSProfile) -> None:
    assert find_mismatches([topic(publisher, subscriber)]) == []


@pytest.mark.parametrize(
    ("publisher", "subscriber", "words"),
    [
        (BEST_EFFORT, RELIABLE, ["best effort", "reliable"]),
        (RELIABLE, LATCHED, ["volatile", "transient"]),
        (BEST_EFFORT, LATCHED, ["best effort", "volatile"]),
    ],
)
def test_mismatch_names_both_peers_and_the_policy(publisher: QoSProfile, subscriber: QoSProfile, words: list[str]) -> None:
    (mismatch,) = find_mismatches([topic(publisher, subscriber)])
    assert (mismatch.topic, mismatch.publisher, mismatch.subscriber) == ("/t", "/talker", "/listener")
    for word in words:
        assert word in mismatch.reason.lower()
    assert "/listener hears nothing from /talker" in str(mismatch)


def test_types_that_differ_are_a_mismatch() -> None:
    (mismatch,) = find_mismatches([topic(RELIABLE, RELIABLE, ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"))])
    assert "sensor_msgs/msg/CompressedImage" in mismatch.reason


def test_one_bad_pair_among_good_ones_is_found() -> None:
    ends = [Endpoint(f"/{name}", "t", qos) for name, qos in (("good", RELIABLE), ("bad", BEST_EFFORT))]
    (mismatch,) = find_mismatches([Topic("/t", tuple(ends), (Endpoint("/listener", "t", RELIABLE),))])
    assert mismatch.publisher == "/bad"


def test_live_best_effort_publisher_and_reliable_subscriber(graph: Graph, namespace: str) -> None:
    talker, listener, bystander = (graph.observer(namespace) for _ in range(3))
    name = f"{namespace}/image"
    talker.create_publisher(Image, name, BEST_EFFORT)
    listener.create_subscription(Image, name, lambda _: None, RELIABLE)

    def found() -> Any:
        return [m for m in find_mismatches(read_topics(bystander)) if m.topic == name]

    (mismatch,) = wait_for(found, what="discovery of the mismatch")
    assert mismatch.publisher == f"{namespace}/{talker.get_name()}"
    assert mismatch.subscriber == f"{namespace}/{listener.get_name()}"
    assert "reliable" in mismatch.reason.lower()


def test_live_types_that_differ(graph: Graph, namespace: str) -> None:
    listener, bystander = (graph.observer(namespace) for _ in range(2))
    name = f"{namespace}/image"
    listener.create_subscription(Image, name, lambda _: None, RELIABLE)
    # One participant cannot hold a topic with two types, so the other one needs a context of its own.
    context = Context()
    context.init()
    talker = Node("talker", context=context, start_parameter_services=False)
    try:
        talker.create_publisher(CompressedImage, name, RELIABLE)
        # The name of a peer becomes known a moment after its topics.
        (mismatch,) = wait_for(lambda: [m for m in find_mismatches(read_topics(bystander)) if m.publisher == "/talker"])
    finally:
        talker.destroy_node()
        context.try_shutdown()
    assert mismatch.topic == name
    assert mismatch.reason == "it sends sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image"


def test_observer_sees_others_but_not_itself(graph: Graph, namespace: str) -> None:
    name = f"{namespace}/words"
    talker = graph.observer(namespace)
    talker.create_publisher(String, name, RELIABLE)
    # A topic may be known a moment before the name of the node behind it.
    seen = wait_for(
        lambda: {t.name: t for t in observe(0.5) if t.name == name and all(end.node.startswith("/") for end in t.publishers)},
        timeout_s=20.0,
    )
    assert [end.node for end in seen[name].publishers] == [f"{namespace}/{talker.get_name()}"]
    assert seen[name].publishers[0].type_name == "std_msgs/msg/String"
    assert seen[name].subscribers == ()
    assert not any("ego_graph_observer" in end.node for t in observe(0.2) for end in (*t.publishers, *t.subscribers))


def test_peer_without_a_name_is_called_so() -> None:
    info = SimpleNamespace(
        node_name="_NODE_NAME_UNKNOWN_", node_namespace="_NODE_NAMESPACE_UNKNOWN_", topic_type="t", qos_profile=RELIABLE
    )
    node = SimpleNamespace(
        get_topic_names_and_types=lambda: [("/t", ["t"])],
        get_publishers_info_by_topic=lambda _: [info],
        get_subscriptions_info_by_topic=lambda _: [],
    )
    (found,) = read_topics(cast(Node, node))
    assert found.publishers[0].node == "(unnamed peer)"


def test_plumbing_of_every_node_is_left_out(graph: Graph) -> None:
    bystander = graph.observer()
    assert not {"/rosout", "/parameter_events"} & {t.name for t in read_topics(bystander)}
