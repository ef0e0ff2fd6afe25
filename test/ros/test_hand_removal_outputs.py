"""What hand removal publishes, put to use: equal to an offline run, recorded, shown, and as the mask of reconstruction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from reconstruction_rig import Rig
from removal_fakes import PAINTER_FAULTS, FaultyEstimator, frame_with_hand, hand_pixels, labels_of_hand
from removal_rig import STEP_NS, T0, RemovalRig, S
from ros_support import Graph, wait_for
from sensor_msgs.msg import CompressedImage, Image

from ego_msgs.msg import Provenance
from ego_perception.bag import BagReader, BagSource, BagWriter, RosbagsFactory, SceneBagSink, jazzy_types
from ego_perception.cli.tasks import TaskEstimator
from ego_perception.data import SceneEstimate
from ego_perception.data.hand_removal import HandLabel, RemovalState
from ego_perception.data.result import ResultReader
from ego_perception.hand_removal.guard import RemovalGuard
from ego_perception.messages import image_from_frame, image_message, stamp_ns_of
from ego_perception.messages.mask_pairing import HandMaskRequest
from ego_perception.nodes.recorder_node import RecorderNode
from ego_perception.nodes.scene_listener import ListenerOptions, SceneListener
from ego_perception.runtime import EstimatorStage, Pipeline

NUM_FRAMES = 6
KINDS: dict[str, type] = {
    "image/compressed": CompressedImage,
    "provenance": Provenance,
    "provenance/image": Image,
    "hand_mask/image": Image,
}


def canonical(message: Any, kind: type) -> bytes:
    """Serialise through the bag's library: the middleware's own bytes hold uninitialised padding between fields."""
    store, name = jazzy_types(), f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
    return bytes(store.serialize_cdr(store.deserialize_cdr(serialize_message(message), name), name))


class Clip:
    """The frames that the rig's camera sends."""

    name, is_live = "clip", False

    def __init__(self, rig: RemovalRig) -> None:
        self.rig = rig

    def __iter__(self) -> Any:
        for k in range(NUM_FRAMES):
            self.rig.index = k + 1
            yield self.rig.frame(T0 + (k + 1) * STEP_NS)

    def close(self) -> None:
        pass


def test_live_messages_equal_those_of_a_result_bag(graph: Graph, namespace: str, tmp_path: Path) -> None:
    rig = RemovalRig(graph, namespace, "input.queue_policy:=all").activate()
    listeners = {topic: rig.listen(kind, topic) for topic, kind in KINDS.items()}
    wait_for(rig.camera.ready)
    for _ in range(NUM_FRAMES):
        rig.send()
    wait_for(lambda: all(len(x) == NUM_FRAMES for x in listeners.values()), what="all messages")

    removal = TaskEstimator(None, RemovalGuard(FaultyEstimator()))
    Pipeline([EstimatorStage(removal)], [SceneBagSink(tmp_path / "bag")]).run(Clip(rig))
    found = removal_messages(tmp_path / "bag")
    for topic, kind in KINDS.items():
        assert found[topic] == [canonical(m, kind) for m in listeners[topic].messages], topic


def removal_messages(path: Path) -> dict[str, list[bytes]]:
    """Messages of a result bag by topic of the node."""
    found: dict[str, list[bytes]] = {topic: [] for topic in KINDS}
    with BagReader(path) as bag:
        for message in bag.raw():
            topic = message.topic.removeprefix("/hand_removal/")
            if topic in found and message.topic.startswith("/hand_removal/"):
                found[topic].append(message.data)
    return found


@pytest.mark.parametrize("source", ["topic", "auto"])
def test_masks_on_a_topic_give_the_same_live_and_from_a_bag(graph: Graph, namespace: str, tmp_path: Path, source: str) -> None:
    """Masks of several sizes, one of another shape, one missing: what is published live is what a replay writes."""
    rig = RemovalRig(graph, namespace, "input.queue_policy:=all", f"mask_source:={source}", "mask_timeout_s:=0.3").activate()
    wait_for(rig.masks.get_subscription_count)
    listeners = {topic: rig.listen(kind, topic) for topic, kind in KINDS.items()}
    wait_for(rig.camera.ready)
    factory = rig.camera.factory
    good = [lambda m: m, lambda m: np.kron(m, np.ones((2, 2), np.uint8)), lambda m: m[::2, ::2].copy()]
    shapes = [*good, None, lambda m: m[:, :48].copy(), lambda m: (m > 0).astype(np.uint8) * 255, good[0]]
    with BagWriter(tmp_path / "in") as writer:
        for topic in ("/image", "/hand_mask_in"):
            writer.add_topic(topic, "sensor_msgs/msg/Image")
        for change in shapes:
            rig.stamp_ns += STEP_NS
            rig.index += 1
            before, frame = rig.handled, rig.frame(rig.stamp_ns)
            writer.write("/image", image_from_frame(RosbagsFactory(), frame), rig.stamp_ns)
            if change is not None:
                rig.send_mask(change)
                pixels = change(labels_of_hand(frame))
                mask = image_message(RosbagsFactory(), pixels, "mono8", rig.stamp_ns, "cam_optical")
                writer.write("/hand_mask_in", mask, rig.stamp_ns + 1)
            rig.camera.image.publish(image_from_frame(factory, frame))
            wait_for(lambda before=before: rig.handled > before)
    shown = len(shapes) - (2 if source == "topic" else 0)
    wait_for(lambda: len(listeners["provenance"]) >= shown and len(listeners["hand_mask/image"]) >= shown)

    estimator = TaskEstimator(None, RemovalGuard(FaultyEstimator("frame" if source == "topic" else "auto")))
    request = HandMaskRequest(timeout_s=0.3, is_required=source == "topic")
    sink = SceneBagSink(tmp_path / "out")
    Pipeline([EstimatorStage(estimator)], [sink]).run(BagSource(tmp_path / "in", hand_masks=request))
    found = removal_messages(tmp_path / "out")
    assert len(found["provenance"]) == shown
    for topic, kind in KINDS.items():
        assert found[topic] == [canonical(m, kind) for m in listeners[topic].messages], topic


class Suite:
    """Both nodes with fakes on one camera, the reconstruction waiting for the mask of each image."""

    def __init__(self, graph: Graph, namespace: str, *parameters: str) -> None:
        self.removal = RemovalRig(graph, namespace, "input.queue_policy:=all").activate()
        self.scene = Rig(graph, namespace, "input.queue_policy:=all", "input.ignore_mask:=true", *parameters)
        self.scene.camera = self.removal.camera
        self.masks = self.scene.observer.create_publisher(Image, "ignore_mask", 10)
        self.scene.activate()
        wait_for(self.masks.get_subscription_count)
        self.heard = self.removal.listen(Image, "hand_mask/image")

    def forward(self, count: int) -> None:
        """What the launch file's remap does: pass masks on."""
        for message in self.heard.messages[count:]:
            self.masks.publish(message)

    def step(self) -> int:
        """One image through both nodes."""
        rig, count, before = self.removal, len(self.heard), self.scene.received
        rig.stamp_ns += STEP_NS
        rig.index += 1
        rig.camera.send(rig.stamp_ns)
        wait_for(lambda: len(self.heard) > count)
        self.forward(count)
        wait_for(lambda: self.scene.received > before)
        return rig.stamp_ns


def test_reconstruction_leaves_out_the_hands_of_the_very_image(graph: Graph, namespace: str) -> None:
    suite = Suite(graph, namespace, "input.ignore_mask_wait_s:=5.0")
    for _ in range(4):
        suite.step()
    for frame in suite.scene.estimator.frames[-3:]:
        assert frame.ignore is not None
        assert np.array_equal(frame.ignore, (frame.rgb == np.array((255, 0, 255))).all(axis=2))


def test_reconstruction_does_not_stall_when_the_mask_is_late_or_never_comes(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.ignore_mask:=true", "input.ignore_mask_age_s:=0.3").activate()
    masks = rig.observer.create_publisher(Image, "ignore_mask", 10)
    wait_for(masks.get_subscription_count)
    rig.publish_until(lambda: rig.counters.processed > 2)
    assert all(frame.ignore is None for frame in rig.estimator.frames)
    pixels = np.zeros((48, 64), np.uint8)
    pixels[20:30, 20:30] = 2

    def masked() -> bool:
        # The mask of the frame that went through already: one frame late.
        masks.publish(image_message(rig.camera.factory, pixels, "mono8", rig.stamp_ns, "cam_optical"))
        rig.send()
        return rig.estimator.frames[-1].ignore is not None

    wait_for(masked)
    ignore = rig.estimator.frames[-1].ignore
    assert ignore is not None and ignore[18:32, 18:32].all(), "an older mask must be widened"
    assert not ignore[:15].any()
    rig.send(S)
    assert rig.estimator.frames[-1].ignore is None, "one that is too old serves no more"
    assert rig.counters.failed == 0


def test_a_mask_of_another_size_from_before_a_change_of_resolution_is_passed_over(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.ignore_mask:=true", "input.ignore_mask_age_s:=2.0").activate()
    masks = rig.observer.create_publisher(Image, "ignore_mask", 10)
    wait_for(masks.get_subscription_count)
    assert rig.node._input is not None
    book = rig.node._input._masks
    masks.publish(image_message(rig.camera.factory, np.ones((10, 10), np.uint8), "mono8", rig.stamp_ns + 1, "cam_optical"))
    wait_for(book.latest)
    rig.publish_until(lambda: rig.counters.processed > 2)
    assert all(frame.ignore is None for frame in rig.estimator.frames)
    assert rig.counters.failed == 0


def test_the_recorder_writes_what_both_nodes_say(graph: Graph, namespace: str, tmp_path: Path) -> None:
    suite = Suite(graph, namespace, "input.ignore_mask_wait_s:=5.0")
    arguments = ["--ros-args", "-p", f"path:='{tmp_path}'", "-p", "reliability:=reliable"]
    recorder = graph.add(RecorderNode(namespace=namespace, cli_args=arguments))
    recorder.trigger_configure()
    recorder.trigger_activate()
    wait_for(lambda: suite.scene.observer.count_subscribers(f"{namespace}/hand_removal/image"))
    wait_for(lambda: suite.removal.camera.image.get_subscription_count() == 3)
    wait_for(lambda: suite.removal.observer.count_subscribers(f"{namespace}/hand_removal/provenance/image"))
    for _ in range(8):
        suite.step()
    recorder.trigger_deactivate()
    reader = ResultReader(tmp_path)
    with_hands = [f for f in reader.frames if "hand_free" in f.files]
    assert len(with_hands) >= 4
    for record in with_hands:
        free, mask = reader.hand_free(record), reader.hand_mask(record)
        assert free is not None and hand_pixels(free) == 0
        assert hand_pixels(reader.image(record)) > 0
        assert mask is not None and (mask == HandLabel.LEFT).any()
    with BagReader(tmp_path / "result") as bag:
        assert bag.topics["/hand_removal/image/compressed"].count == len(with_hands)


class Kept:
    """A sink that keeps estimates."""

    name = "kept"

    def __init__(self) -> None:
        self.estimates: list[SceneEstimate] = []

    def write(self, item: SceneEstimate) -> None:
        self.estimates.append(item)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("age_s", [0.0, 1.0])
def test_the_viewers_way_shows_the_newest_picture_without_hands(graph: Graph, namespace: str, age_s: float) -> None:
    """The listener in front of the page: a withheld image takes the picture away and gives the reason."""
    from contextlib import ExitStack

    from ego_perception.nodes.viewer_node import ViewerNode

    suite = Suite(graph, namespace, "input.ignore_mask_wait_s:=5.0")
    host = graph.add(ViewerNode(namespace=namespace))
    kept = Kept()
    options = ListenerOptions(truth=False, hand_removal="hand_removal", removal_age_s=age_s, reliable=True)
    with ExitStack() as scope:
        SceneListener(host, [kept], options).start(scope)
        wait_for(lambda: suite.removal.camera.image.get_subscription_count() == 3)
        wait_for(lambda: suite.removal.observer.count_subscribers(f"{namespace}/hand_removal/image"))

        def shown() -> bool:
            suite.step()
            return any(e.hand_removal is not None and e.hand_removal.image is not None for e in kept.estimates)

        wait_for(shown)
        suite.removal.estimator.backend.fault = PAINTER_FAULTS["painter gives NaN"]
        wait_for(lambda: suite.step() and kept.estimates[-1].hand_removal is not None
                 and kept.estimates[-1].hand_removal.state is RemovalState.WITHHELD)  # fmt: skip
    for estimate in kept.estimates:
        removed = estimate.hand_removal
        if removed is not None and removed.image is not None:
            assert hand_pixels(removed.image) == 0
            assert removed.frame.stamp_ns <= estimate.frame.stamp_ns


def test_stamps_of_all_outputs_are_those_of_the_images(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace).activate()
    codes = rig.listen(Image, "provenance/image")
    sent = {rig.send() for _ in range(3)}
    rig.publish_until(lambda: sent.add(rig.stamp_ns) or len(codes) > 3)
    sent.add(rig.stamp_ns)
    assert {stamp_ns_of(m) for m in codes.messages} <= sent


def test_the_frames_of_the_rig_and_of_the_fakes_agree(graph: Graph, namespace: str) -> None:
    """Live and offline compare equal only if they start from the same pixels."""
    rig = RemovalRig(graph, namespace)
    rig.index = 3
    assert np.array_equal(rig.frame(T0).image, frame_with_hand(3, T0).image)
    assert replace(rig.frame(T0), camera=None).camera is None
