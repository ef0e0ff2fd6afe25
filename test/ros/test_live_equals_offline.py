"""The same frames give the same messages live over topics and offline in a result bag, field by field to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from ros_support import FakeEstimator, FakeSource, FlatPrior, Graph, Listener, wait_for
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from ego_perception.bag import BagReader, SceneBagSink, jazzy_types
from ego_perception.data import TrackingState
from ego_perception.nodes.egosim_node import EgoSimNode
from ego_perception.nodes.model import ModelIdentity
from ego_perception.nodes.reconstruction_node import ReconstructionNode
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.runtime import EstimatorStage, Pipeline

NUM_FRAMES = 6
KINDS: dict[str, type] = {
    "points": PointCloud2,
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "confidence/image": Image,
    "odom": Odometry,
}


def live(graph: Graph, namespace: str, estimator: Any, source: Any) -> dict[str, list[bytes]]:
    """Messages of a reconstruction node that a player feeds, serialised."""
    observer = graph.observer(namespace)

    def arguments(*parameters: str) -> list[str]:
        return ["--ros-args", *[x for p in parameters for x in ("-p", p)]]

    node = graph.add(
        ReconstructionNode(
            make_estimator=lambda _: (estimator, ModelIdentity()),
            namespace=namespace,
            cli_args=arguments("input.queue_policy:=all"),
        )
    )
    player = graph.add(
        EgoSimNode(
            make_source=lambda _: source,
            namespace=namespace,
            cli_args=arguments("playback.rate:=0.0", "playback.loop:=false", "playback.stamps:=recording"),
            status_period_s=0.1,
        )
    )
    node.trigger_configure()
    listeners = {name: Listener(observer, kind, f"reconstruction/{name}") for name, kind in KINDS.items()}
    wait_for(lambda: all(x.connected for x in listeners.values()))
    node.trigger_activate()
    player.trigger_configure()
    player.trigger_activate()
    wait_for(lambda: player.is_finished, 60, "the end of the clip")
    wait_for(lambda: len(listeners["depth/image"]) == NUM_FRAMES, what="the last depth image")
    wait_for(lambda: len(listeners["points"]) == len(listeners["depth/image"]))
    return {name: [canonical(m, KINDS[name]) for m in x.messages] for name, x in listeners.items()}


def canonical(message: Any, kind: type) -> bytes:
    """Serialise through the bag's library: the middleware's own bytes hold uninitialised padding between fields."""
    store, name = jazzy_types(), f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
    return bytes(store.serialize_cdr(store.deserialize_cdr(serialize_message(message), name), name))


def offline(path: Path, estimator: Any, source: Any) -> dict[str, list[bytes]]:
    """Messages of a result bag of the same frames."""
    Pipeline(stages=[EstimatorStage(estimator)], sinks=[SceneBagSink(path)]).run(source)
    reader = BagReader(path)
    found: dict[str, list[bytes]] = {name: [] for name in KINDS}
    for message in reader.raw():
        name = message.topic.removeprefix("/reconstruction/")
        if name in found:
            found[name].append(message.data)
    reader.close()
    return found


def test_with_known_estimates(graph: Graph, namespace: str, tmp_path: Path) -> None:
    over_topics = live(graph, namespace, FakeEstimator(), FakeSource(NUM_FRAMES))
    in_bag = offline(tmp_path / "bag", FakeEstimator(), FakeSource(NUM_FRAMES))
    for name in KINDS:
        assert len(in_bag[name]) == NUM_FRAMES
        assert over_topics[name] == in_bag[name], name


def test_without_a_pose_while_lost(graph: Graph, namespace: str, tmp_path: Path) -> None:
    estimators = FakeEstimator(), FakeEstimator()
    for estimator in estimators:
        estimator.state = TrackingState.LOST
    over_topics = live(graph, namespace, estimators[0], FakeSource(NUM_FRAMES))
    in_bag = offline(tmp_path / "bag", estimators[1], FakeSource(NUM_FRAMES))
    assert over_topics == in_bag
    assert over_topics["odom"] == []


@pytest.mark.slow
def test_with_the_real_estimator_on_a_simulated_walk(graph: Graph, namespace: str, tmp_path: Path) -> None:
    from ego_perception.reconstruction.config import ReconstructionConfig
    from ego_perception.simulation import EgoSimConfig, SimSource

    config = EgoSimConfig(preset="plain", width=320, height=240, duration_s=NUM_FRAMES / 15.0, supersample=1, shadow_map_px=0)
    assert config.num_frames == NUM_FRAMES

    def estimator() -> ReconstructionEstimator:
        return ReconstructionEstimator(ReconstructionConfig(), FlatPrior())

    over_topics = live(graph, namespace, estimator(), SimSource(config))
    in_bag = offline(tmp_path / "bag", estimator(), SimSource(config))
    assert len(over_topics["odom"]) > 0
    for name in KINDS:
        assert over_topics[name] == in_bag[name], name
