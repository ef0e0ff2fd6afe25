"""The reconstruction node with a fake estimator, a camera and an observer: what the tests of the node share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ros_support import Camera, CountingFactory, FakeEstimator, Graph, Listener, wait_for

from ego_msgs.msg import NodeStatus
from ego_msgs.srv import Save
from ego_perception.nodes.config import ReconstructionNodeConfig
from ego_perception.nodes.model import ModelIdentity
from ego_perception.nodes.reconstruction_node import ReconstructionNode

S = 1_000_000_000
T0 = 1_700_000_000 * S


class Rig:
    """The node with a fake estimator, a camera and an observer in one namespace."""

    def __init__(self, graph: Graph, namespace: str, *parameters: str, compressed: bool = False) -> None:
        self.graph = graph
        self.estimator = FakeEstimator()
        self.factory = CountingFactory()
        self.namespace = namespace
        arguments = ["--ros-args", *[x for p in parameters for x in ("-p", p)]]
        self.node: ReconstructionNode = graph.add(
            ReconstructionNode(
                make_estimator=self.make_estimator,
                factory=self.factory,
                namespace=namespace,
                cli_args=arguments,
                status_period_s=0.1,
            )
        )
        self.observer = graph.observer(namespace)
        self.camera = Camera(self.observer, compressed=compressed)
        self.stamp_ns = T0

    def make_estimator(self, config: ReconstructionNodeConfig) -> tuple[FakeEstimator, ModelIdentity]:
        self.estimator.config = config.estimator
        return self.estimator, ModelIdentity("fake", "00")

    def activate(self) -> Rig:
        self.node.trigger_configure()
        assert self.node.state == "inactive", self.node.last_error
        self.node.trigger_activate()
        assert self.node.state == "active", self.node.last_error
        wait_for(self.camera.image.get_subscription_count, what="image subscription")
        return self

    def listen(self, kind: type, topic: str, profile: Any = 10) -> Listener:
        listener = Listener(self.observer, kind, f"{self.namespace}/reconstruction/{topic}", profile)
        wait_for(lambda: listener.connected, what=f"publisher of {topic}")
        return listener

    def send(self, step_ns: int = S // 15) -> int:
        """Publish the next frame and wait until it went through."""
        self.stamp_ns += step_ns
        before = self.received
        self.camera.send(self.stamp_ns)
        wait_for(lambda: self.received > before, what="frame received")
        return self.stamp_ns

    @property
    def counters(self) -> Any:
        assert self.node._work is not None
        return self.node._work.pipeline.counters

    @property
    def received(self) -> int:
        """Frames that went through or were refused: received ones whose work is done."""
        c = self.counters
        return int(c.processed + c.failed + c.refused)

    def publish_until(self, done: Callable[[], Any], what: str = "") -> Any:
        """Publish frames until something is true; the first ones may precede discovery."""

        def step() -> Any:
            self.send()
            return done()

        return wait_for(step, what=what)

    def status(self) -> Listener:
        return self.listen(NodeStatus, "status")


def call_save(rig: Rig, **fields: Any) -> Any:
    future = rig.observer.create_client(Save, "reconstruction/save").call_async(Save.Request(**fields))
    wait_for(future.done)
    return future.result()
