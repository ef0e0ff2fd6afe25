"""The contract of the hand removal node: topics, types, QoS, stamps, services, and what it says when it withholds."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import ReliabilityPolicy
from removal_fakes import hand_pixels
from removal_rig import STEP_NS, RemovalRig, S
from ros_support import Graph, Listener, wait_for
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from ego_msgs.msg import NodeStatus, Provenance
from ego_perception.data.hand_removal import HandLabel
from ego_perception.messages import decode_confidence, image_view, stamp_ns_of
from ego_perception.messages.image import frame_from_image
from ego_perception.nodes import hand_removal_node
from ego_perception.nodes.hand_removal_node import HandRemovalNode

KINDS: dict[str, type] = {
    "image": Image,
    "image/compressed": CompressedImage,
    "camera_info": CameraInfo,
    "provenance": Provenance,
    "provenance/image": Image,
    "confidence/image": Image,
    "agent/image": Image,
    "hand_mask/image": Image,
}


@pytest.fixture
def rig(graph: Graph, namespace: str) -> RemovalRig:
    """The node, not yet configured."""
    return RemovalRig(graph, namespace)


def documented_topics() -> dict[str, tuple[str, str]]:
    """Published topics with types and the rest of the row, from the table in the module's docstring."""
    rows = re.findall(r"^\| `([~/][\w/]+)`([^|]*)\| (\w+/\w+)", hand_removal_node.__doc__ or "", re.MULTILINE)
    return {topic: (kind, when) for topic, when, kind in rows}


@pytest.mark.parametrize("refined", [False, True])
def test_the_docstring_table_is_what_is_published(graph: Graph, namespace: str, refined: bool) -> None:
    rig = RemovalRig(graph, namespace, "refine_rate_hz:=5.0", refine=(lambda e: e) if refined else None).activate()
    name = f"{namespace}/hand_removal"
    real = {t: kinds[0] for t, kinds in rig.observer.get_publisher_names_and_types_by_node("hand_removal", namespace)}
    for generic in ("/rosout", "/parameter_events", f"{name}/transition_event"):
        real.pop(generic, None)
    documented = {
        topic.replace("~", name): kind.replace("/", "/msg/")
        for topic, (kind, when) in documented_topics().items()
        if refined or not when.strip()
    }
    assert len(documented) >= 10
    assert real == documented


@pytest.mark.parametrize("source", ["builtin", "topic", "auto"])
def test_subscriptions_are_the_documented_ones(graph: Graph, namespace: str, source: str) -> None:
    rig = RemovalRig(graph, namespace, f"mask_source:={source}").activate()
    heard = dict(rig.observer.get_subscriber_names_and_types_by_node("hand_removal", namespace))
    wanted = {"image", "camera_info"} | ({"hand_mask_in"} if source != "builtin" else set())
    wanted |= {f"reconstruction/{topic}" for topic in ("depth/image", "depth/camera_info", "odom")}
    assert {t.removeprefix(f"{namespace}/") for t in heard if t.startswith(namespace)} == wanted


def test_qos_is_reliable_out_and_best_effort_in(rig: RemovalRig) -> None:
    rig.activate()
    for topic in KINDS:
        (info,) = rig.observer.get_publishers_info_by_topic(f"{rig.namespace}/hand_removal/{topic}")
        assert info.qos_profile.reliability is ReliabilityPolicy.RELIABLE, topic
    (info,) = rig.observer.get_subscriptions_info_by_topic(f"{rig.namespace}/image")
    assert info.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT


def test_every_output_carries_stamp_and_frame_of_its_image_and_shows_no_hand(rig: RemovalRig) -> None:
    rig.activate()
    listeners = {topic: rig.listen(kind, topic) for topic, kind in KINDS.items()}
    sent = {rig.stamp_ns}

    def all_heard() -> bool:
        sent.add(rig.stamp_ns)
        return all(len(x) > 2 for x in listeners.values())

    rig.publish_until(all_heard, "all outputs")
    sent.add(rig.stamp_ns)
    for topic, listener in listeners.items():
        assert stamp_ns_of(listener.last) in sent, topic
        assert listener.last.header.frame_id == "cam_optical", topic
    for topic in ("image", "image/compressed"):
        assert [hand_pixels(frame_from_image(m).rgb) for m in listeners[topic].messages] == [0] * len(listeners[topic])
    assert listeners["image"].last.encoding == "rgb8"
    assert listeners["camera_info"].last.width == 96
    agent = image_view(listeners["agent/image"].last)
    mask = image_view(listeners["hand_mask/image"].last)
    assert hand_pixels(agent) == (mask == HandLabel.LEFT).sum() > 0
    assert not agent[mask == 0].any()
    provenance = image_view(listeners["provenance/image"].last)
    assert not (provenance[mask > 0] == Provenance.LIVE).any()
    confidence = decode_confidence(listeners["confidence/image"].last)
    assert (confidence[provenance == 0] == 1).all()


def test_the_summary_of_provenance_adds_up(rig: RemovalRig) -> None:
    rig.activate()
    summary, codes = rig.listen(Provenance, "provenance"), rig.listen(Image, "provenance/image")
    rig.publish_until(lambda: len(summary) > 5 and len(codes) > 5)
    last = summary.last
    picture = next(m for m in reversed(codes.messages) if stamp_ns_of(m) == stamp_ns_of(last))
    shares = np.bincount(image_view(picture).ravel(), minlength=4) / (96 * 72)
    assert list(last.fractions) == pytest.approx(list(shares), abs=1e-6)
    assert (last.image_width, last.image_height) == (96, 72)
    assert last.observed_age_p50_s > 0 or last.fractions[Provenance.OBSERVED] == 0
    assert last.model_id == ("grey" if last.fractions[Provenance.GENERATED] else "")


def test_nothing_is_built_for_nobody(rig: RemovalRig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 4)
    assert sum(rig.factory.built[kind] for kind in rig.factory.built) == 0
    image = rig.listen(Image, "image")
    rig.publish_until(lambda: image)
    assert rig.factory.built["sensor_msgs/msg/Image"] >= len(image)
    assert rig.factory.built["sensor_msgs/msg/CompressedImage"] == 0


def test_a_camera_without_camera_info_is_enough(rig: RemovalRig) -> None:
    rig.camera.info_message = lambda stamp_ns: CameraInfo()  # type: ignore[method-assign]
    rig.activate()
    image, info = rig.listen(Image, "image"), rig.listen(CameraInfo, "camera_info")
    rig.publish_until(lambda: len(image) > 2)
    assert len(info) == 0


def test_compressed_input(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "input.transport:=compressed", compressed=True).activate()
    rig.estimator.segmenter.predict = lambda rgb: fakes.ColourSegmenter().predict(  # type: ignore[method-assign]
        np.where(((rgb[..., 1] < 70) & (rgb[..., 0] > 150))[..., None], np.array(fakes.HAND_RGB, np.uint8), np.uint8(200))
    )
    image = rig.listen(Image, "image")
    rig.publish_until(lambda: len(image) > 2)
    assert all(hand_pixels(image_view(m)) == 0 for m in image.messages)


class TestEarlyMask:
    def test_the_mask_goes_out_while_the_rest_is_still_in_work(self, rig: RemovalRig) -> None:
        rig.activate()
        mask, image = rig.listen(Image, "hand_mask/image"), rig.listen(Image, "image")
        rig.publish_until(lambda: mask and image)
        release = threading.Event()
        paint = rig.estimator.backend.run
        rig.estimator.backend.run = lambda *planes: release.wait(20) and paint(*planes)  # type: ignore[method-assign]
        rig.stamp_ns += STEP_NS
        rig.index = 40  # a place of the hand behind which nothing was seen
        rig.camera.send(rig.stamp_ns)
        wait_for(lambda: stamp_ns_of(mask.last) == rig.stamp_ns, what="the mask")
        assert stamp_ns_of(image.last) < rig.stamp_ns
        release.set()
        wait_for(lambda: stamp_ns_of(image.last) == rig.stamp_ns, what="the image")

    def test_each_goes_out_once_and_also_where_the_image_is_withheld(self, rig: RemovalRig) -> None:
        rig.activate()
        mask, image = rig.listen(Image, "hand_mask/image"), rig.listen(Image, "image")
        rig.publish_until(lambda: mask and image)
        rig.estimator.backend.fault = fakes.PAINTER_FAULTS["painter raises an unexpected error"]
        failed = [rig.send() for _ in range(3)]
        wait_for(lambda: stamp_ns_of(mask.last) == failed[-1])
        stamps = [stamp_ns_of(m) for m in mask.messages]
        assert len(stamps) == len(set(stamps)) and set(failed) <= set(stamps)
        assert not set(failed) & {stamp_ns_of(m) for m in image.messages}


class TestMaskOnATopic:
    @pytest.fixture
    def rig(self, graph: Graph, namespace: str) -> RemovalRig:
        rig = RemovalRig(graph, namespace, "mask_source:=topic").activate()
        wait_for(rig.masks.get_subscription_count)
        return rig

    def test_an_image_goes_out_with_its_mask_and_keeps_the_sides(self, rig: RemovalRig) -> None:
        image, mask = rig.listen(Image, "image"), rig.listen(Image, "hand_mask/image")
        rig.publish_until(lambda: len(image) > 2 and len(mask) > 2, mask=True)
        assert set(np.unique(image_view(mask.last))) == {0, 2}
        assert all(hand_pixels(image_view(m)) == 0 for m in image.messages)

    def test_without_a_mask_nothing_goes_out_and_the_status_says_why(self, rig: RemovalRig) -> None:
        image, status = rig.listen(Image, "image"), rig.status()
        rig.publish_until(lambda: status and status.last.state == NodeStatus.LOST, "LOST")
        assert f"no hand mask on '{rig.namespace}/hand_mask_in' within 0.15 s" in status.last.reason
        assert len(image) == 0
        rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING, "recovery", mask=True)

    def test_a_mask_of_twice_the_size_and_a_small_one_serve(self, rig: RemovalRig) -> None:
        image = rig.listen(Image, "image")
        wanted = 0
        for scale in (lambda m: np.kron(m, np.ones((2, 2), np.uint8)), lambda m: m[::2, ::2].copy()):
            wanted += 2

            def heard(scale: Any = scale, wanted: int = wanted) -> bool:
                before = rig.handled
                rig.stamp_ns += STEP_NS
                rig.index += 1
                rig.send_mask(scale)
                rig.camera.send(rig.stamp_ns)
                wait_for(lambda: rig.handled > before)
                return len(image) >= wanted

            wait_for(heard)
        assert all(hand_pixels(image_view(m)) == 0 for m in image.messages)


def test_auto_does_not_wait_where_nobody_sends_masks(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "mask_source:=auto", "mask_timeout_s:=5.0")
    rig.observer.destroy_publisher(rig.masks)
    rig.activate()
    image = rig.listen(Image, "image")
    rig.publish_until(lambda: len(image) > 1)
    assert all(hand_pixels(image_view(m)) == 0 for m in image.messages)


def test_faults_over_the_middleware_show_no_hand(rig: RemovalRig) -> None:
    """A smaller round of `unit/hand_removal/test_fail_closed.py`, with topics and status."""
    rig.activate()
    pictures = [
        rig.listen(Image, "image"),
        rig.listen(CompressedImage, "image/compressed"),
        rig.listen(Image, "confidence/image"),
    ]
    status = rig.status()
    rig.publish_until(lambda: all(pictures) and status)
    faulty = set()
    for name, fault in (fakes.SEGMENTER_FAULTS | fakes.PAINTER_FAULTS | fakes.ESTIMATOR_FAULTS).items():
        if name in fakes.SEGMENTER_FAULTS:
            rig.estimator.segmenter.fault = fault
        elif name in fakes.PAINTER_FAULTS:
            rig.estimator.backend.fault = fault
        else:
            rig.estimator.fault = fault
        faulty.add(rig.send())
        wait_for(lambda: status.last.state == NodeStatus.LOST, what=f"LOST after '{name}'")
        assert status.last.reason.startswith("withheld: "), name
        rig.estimator.heal()
        rig.send()
    wait_for(lambda: stamp_ns_of(pictures[0].last) == rig.stamp_ns)
    assert [m for listener in pictures for m in listener.messages if stamp_ns_of(m) in faulty] == []
    shown = [frame_from_image(m).rgb for listener in pictures[:2] for m in listener.messages]
    assert sum(hand_pixels(picture) for picture in shown) == 0
    assert len(shown) > 30


def test_a_model_that_hangs_is_told_within_a_heartbeat_of_the_limit(rig: RemovalRig) -> None:
    rig.activate()
    image, status = rig.listen(Image, "image"), rig.status()
    rig.publish_until(lambda: image and status)
    release = threading.Event()
    rig.estimator.fault = lambda e: release.wait(20) and e
    count = len(image)
    rig.stamp_ns += STEP_NS
    rig.camera.send(rig.stamp_ns)
    wait_for(lambda: status.last.state == NodeStatus.LOST and "the model is at one image for" in status.last.reason)
    assert len(image) == count
    rig.estimator.fault = None
    release.set()
    rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING)


def test_damaged_images_and_none_at_all_are_lost(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "input.image_timeout_s:=0.5").activate()
    status = rig.status()
    rig.publish_until(lambda: status and status.last.state == NodeStatus.TRACKING)
    good = rig.camera.image_message

    def cut(stamp_ns: int) -> Any:
        message = good(stamp_ns)
        message.data = message.data[:100]
        return message

    rig.camera.image_message = cut  # type: ignore[method-assign]
    rig.publish_until(lambda: "cut short" in status.last.reason)
    assert status.last.state in (NodeStatus.LOST, NodeStatus.DEGRADED)
    rig.camera.image_message = good  # type: ignore[method-assign]
    wait_for(lambda: status.last.state == NodeStatus.LOST and "no image on" in status.last.reason)


def test_resolution_changes_and_no_hands_go_on(rig: RemovalRig) -> None:
    rig.activate()
    image = rig.listen(Image, "image")
    for size in ((96, 72), (128, 96), (64, 64)):
        rig.camera.width, rig.camera.height = size
        rig.publish_until(lambda size=size: image and (image.last.width, image.last.height) == size)
    rig.shows_hand = False
    codes = rig.listen(Image, "provenance/image")
    rig.publish_until(lambda: codes and not image_view(codes.last).any())
    assert all(hand_pixels(image_view(m)) == 0 for m in image.messages)


def test_reset_forgets_before_the_next_frame(rig: RemovalRig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed)
    before = rig.estimator.num_resets
    future = rig.observer.create_client(Trigger, "hand_removal/reset").call_async(Trigger.Request())
    assert wait_for(future.done)
    rig.send()
    assert rig.estimator.num_resets == before + 1


def test_a_jump_backwards_starts_over(rig: RemovalRig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 3)
    before = rig.estimator.num_resets
    rig.send(-10 * S)
    assert rig.estimator.num_resets == before + 1


class TestRefinement:
    def test_it_never_delays_the_live_output(self, graph: Graph, namespace: str) -> None:
        release = threading.Event()

        def slow(estimate: Any) -> Any:
            release.wait(20)
            return replace(estimate, model_id="slow")

        rig = RemovalRig(graph, namespace, "refine_rate_hz:=10.0", refine=slow).activate()
        image, refined = rig.listen(Image, "image"), rig.listen(Image, "refined/image")
        rig.publish_until(lambda: len(image) > 5)
        assert len(refined) == 0
        release.set()
        rig.publish_until(lambda: len(refined) > 1)
        assert all(hand_pixels(image_view(m)) == 0 for m in refined.messages)
        assert {stamp_ns_of(m) for m in refined.messages} <= {stamp_ns_of(m) for m in image.messages} | {rig.stamp_ns}

    @pytest.mark.parametrize("lie", [fakes.raw, lambda e: fakes.raw(e, image=None), RuntimeError("dead")])
    def test_a_wrong_one_is_not_sent(self, graph: Graph, namespace: str, lie: Any) -> None:
        def wrong(estimate: Any) -> Any:
            if isinstance(lie, Exception):
                raise lie
            return lie(estimate)

        rig = RemovalRig(graph, namespace, "refine_rate_hz:=30.0", refine=wrong).activate()
        refined = rig.listen(Image, "refined/image")
        rig.publish_until(lambda: rig.node._refiner is not None and rig.node._refiner.num_failed > 2)
        assert len(refined) == 0

    def test_nothing_is_refined_for_nobody(self, graph: Graph, namespace: str) -> None:
        seen = []
        rig = RemovalRig(graph, namespace, "refine_rate_hz:=30.0", refine=lambda e: seen.append(e) or e).activate()
        rig.publish_until(lambda: rig.counters.processed > 4)
        assert seen == []


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("backend:=best", "backend is 'best'"),
        ("mask_source:=frame", "mask_source is 'frame'"),
        ("mask_timeout_s:=-1.0", "mask_timeout_s is -1.0"),
        ("refine_rate_hz:=1000.0", "refine_rate_hz is 1000.0"),
        ("masks.treshold:=0.3", "did you mean 'masks.threshold'"),
        ("context.policy:=newest", "context.policy is 'newest'"),
        ("models.device:=tpu", "models.device is 'tpu'"),
    ],
)
def test_bad_parameters_fail_configure_in_one_line(graph: Graph, namespace: str, parameter: str, words: str) -> None:
    rig = RemovalRig(graph, namespace, parameter)
    assert rig.node.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert words in rig.node.last_error
    assert len(rig.node.last_error.splitlines()) == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["models.segmenter:=/nowhere/hands.safetensors"], "hands.safetensors"),
        (["mask_source:=topic", "models.painter:=/nowhere/fill.safetensors"], "fill.safetensors"),
        (["mask_source:=topic", "backend:=vidm", "models.diffusion:=/nowhere/vidm.safetensors"], "vidm.safetensors"),
    ],
)
def test_weights_that_are_missing_fail_configure_in_one_line(namespace: str, parameters: list[str], words: str) -> None:
    node = HandRemovalNode(namespace=namespace, cli_args=["--ros-args", *[x for p in parameters for x in ("-p", p)]])
    assert node.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert words in node.last_error
    assert len(node.last_error.splitlines()) == 1
    node.destroy_node()


def test_propagation_alone_with_masks_from_a_topic_needs_no_weights(graph: Graph, namespace: str) -> None:
    node = graph.add(
        HandRemovalNode(
            namespace=namespace, cli_args=["--ros-args", "-p", "mask_source:=topic", "-p", "backend:=propagate_only"]
        )
    )
    node.trigger_configure()
    assert node.state == "inactive", node.last_error


def test_a_hundred_lives_leave_no_thread_and_no_entity(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "mask_source:=auto", "refine_rate_hz:=5.0", refine=lambda e: e)
    rig.node.trigger_configure()
    rig.node.trigger_cleanup()

    def counts() -> tuple[int, ...]:
        entities = (rig.node.publishers, rig.node.subscriptions, rig.node.services, rig.node.timers)
        return tuple(len(list(kind)) for kind in entities)

    before, threads = counts(), threading.active_count()
    for _ in range(100):
        rig.node.trigger_configure()
        rig.node.trigger_activate()
        rig.node.trigger_deactivate()
        rig.node.trigger_cleanup()
        assert rig.node.state == "unconfigured"
    assert counts() == before
    assert threading.active_count() <= threads
    assert not [thread for thread in threading.enumerate() if thread.name in ("pipeline", "refine")]


def test_it_works_again_after_deactivation_and_is_silent_between(rig: RemovalRig) -> None:
    rig.activate()
    image = rig.listen(Image, "image")
    rig.publish_until(lambda: image)
    rig.node.trigger_deactivate()
    count = len(image)
    rig.camera.send(rig.stamp_ns + S)
    time.sleep(0.1)
    assert len(image) == count
    rig.node.trigger_activate()
    wait_for(rig.camera.image.get_subscription_count)
    rig.publish_until(lambda: len(image) > count)


def test_a_peer_with_other_qos_is_named(rig: RemovalRig) -> None:
    from ego_perception.ros import qos

    rig.activate()
    Listener(rig.observer, Image, f"{rig.namespace}/hand_removal/image", qos.LATCHED)
    status = rig.status()
    rig.publish_until(lambda: status and "incompatible QoS" in status.last.reason)
