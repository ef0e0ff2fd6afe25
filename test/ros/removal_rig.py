"""The hand removal node with fake networks, a camera that sees hands, and an observer: what the tests of the node share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from removal_fakes import FaultyEstimator, frame_with_hand, labels_of_hand
from ros_support import Camera, CountingFactory, Graph, Listener, wait_for
from sensor_msgs.msg import Image

from ego_msgs.msg import NodeStatus
from ego_perception.data import Frame
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import image_message
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.nodes.hand_removal_node import HandRemovalNode
from ego_perception.nodes.model import ModelIdentity, RemovalModel

S = 1_000_000_000
T0 = 1_700_000_000 * S
STEP_NS = S // 15


class RemovalRig:
    """The node, a camera and an observer in one namespace."""

    def __init__(self, graph: Graph, namespace: str, *parameters: str, compressed: bool = False, refine: Any = None) -> None:
        self.namespace = namespace
        self.factory = CountingFactory()
        self.refine = refine
        self.estimator = FaultyEstimator()
        self.node: HandRemovalNode = graph.add(
            HandRemovalNode(
                make_model=self.make_model,
                factory=self.factory,
                namespace=namespace,
                cli_args=["--ros-args", *[x for p in parameters for x in ("-p", p)]],
                status_period_s=0.1,
            )
        )
        self.observer = graph.observer(namespace)
        self.camera = Camera(self.observer, compressed=compressed, width=96, height=72)
        self.camera.frame = self.frame  # type: ignore[method-assign]
        self.masks = self.observer.create_publisher(Image, "hand_mask_in", 10)
        self.stamp_ns, self.index = T0, 0
        self.patience_s = 10.0
        self.shows_hand = True

    def make_model(self, config: HandRemovalNodeConfig) -> RemovalModel:
        source = "frame" if config.mask_source == "topic" else config.mask_source
        self.estimator = FaultyEstimator(source, remove_held_object=config.masks.remove_held_object)
        return RemovalModel(self.estimator, ModelIdentity("fake", "00"), self.refine)

    def frame(self, stamp_ns: int) -> Frame:
        size = (self.camera.width, self.camera.height)
        frame = frame_with_hand(self.index, stamp_ns, size=size, hand=self.shows_hand)
        camera = PinholeCamera.from_fov(*size, 1.0)
        return Frame(stamp_ns, frame.image, camera=camera, frame_id="cam_optical")

    def activate(self) -> RemovalRig:
        self.node.trigger_configure()
        assert self.node.state == "inactive", self.node.last_error
        self.node.trigger_activate()
        assert self.node.state == "active", self.node.last_error
        wait_for(self.camera.image.get_subscription_count, what="image subscription")
        return self

    def listen(self, kind: type, topic: str, profile: Any = 10) -> Listener:
        listener = Listener(self.observer, kind, f"{self.namespace}/hand_removal/{topic}", profile)
        wait_for(lambda: listener.connected, what=f"publisher of {topic}")
        return listener

    def send(self, step_ns: int = STEP_NS, *, mask: bool = False) -> int:
        """Publish the next frame and wait until it went through."""
        self.stamp_ns += step_ns
        self.index += 1
        before = self.handled
        if mask:
            self.send_mask()
        self.camera.send(self.stamp_ns)
        wait_for(lambda: self.handled > before, self.patience_s, "frame handled")
        return self.stamp_ns

    def send_mask(self, change: Callable[[Any], Any] = lambda m: m, *, shift_ns: int = 0, encoding: str = "mono8") -> None:
        labels = change(labels_of_hand(self.frame(self.stamp_ns)))
        self.masks.publish(image_message(self.camera.factory, labels, encoding, self.stamp_ns + shift_ns, "cam_optical"))

    @property
    def counters(self) -> Any:
        assert self.node._work is not None
        return self.node._work.pipeline.counters

    @property
    def handled(self) -> int:
        c = self.counters
        return int(c.processed + c.failed + c.refused)

    def publish_until(self, done: Callable[[], Any], what: str = "", **options: Any) -> Any:
        """Publish frames until something is true; the first ones may precede discovery."""

        def step() -> Any:
            self.send(**options)
            return done()

        return wait_for(step, what=what)

    def status(self) -> Listener:
        return self.listen(NodeStatus, "status")
