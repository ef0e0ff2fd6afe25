"""The sender of frames, the player and the simulator node."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures.truth_frames import full_frame, scene_truth
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message
from ros_support import FakeSource, Graph, Listener, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from ego_msgs.msg import NodeStatus
from ego_perception.bag import BagReader, FrameBagSink, jazzy_types
from ego_perception.data import Frame
from ego_perception.errors import ConfigError, FrameError, SourceError
from ego_perception.messages import TruthTopic, decode_depth, frame_from_image, matrix_from_pose, stamp_ns_of
from ego_perception.nodes import egosim_node, player_node
from ego_perception.nodes.egosim_node import EgoSimNode
from ego_perception.nodes.player_node import PlayerNode
from ego_perception.nodes.recordings import open_recording
from ego_perception.ros import qos
from ego_perception.ros.factory import message_class
from ego_perception.ros.playback import Answers, Playback, PlaybackOptions
from ego_perception.ros.tf import TransformBuffer

S = 1_000_000_000


def play(
    source: Any, options: PlaybackOptions, answers: Answers | None = None, publish: Any = None
) -> tuple[Playback, list[Frame]]:
    sent: list[Frame] = []

    def send(frame: Frame) -> int:
        sent.append(frame)
        return frame.stamp_ns

    playback = Playback(lambda: source, publish or send, lambda: 1, answers or Answers(), options)
    playback.start()
    return playback, sent


def test_frames_keep_the_pace_of_their_stamps() -> None:
    times: list[float] = []

    def send(frame: Frame) -> int:
        times.append(time.monotonic())
        return frame.stamp_ns

    playback, _ = play(FakeSource(4, fps=20), PlaybackOptions(rate=1.0), publish=send)
    wait_for(lambda: playback.is_done)
    assert times[-1] - times[0] >= 0.14


def test_twice_the_rate_takes_half_the_time() -> None:
    start = time.monotonic()
    playback, sent = play(FakeSource(5, fps=2), PlaybackOptions(rate=20.0))
    wait_for(lambda: playback.is_done)
    assert len(sent) == 5
    assert time.monotonic() - start < 1.5


def test_rate_zero_waits_for_each_answer() -> None:
    answers = Answers()
    playback, sent = play(FakeSource(3), PlaybackOptions(rate=0.0, answer_timeout_s=5.0), answers)
    for number in range(3):
        wait_for(lambda n=number: len(sent) == n + 1)
        time.sleep(0.03)
        assert len(sent) == number + 1
        answers.note(sent[-1].stamp_ns)
    wait_for(lambda: playback.is_done)
    assert playback.num_unanswered == 0


def test_a_missing_answer_costs_its_time_and_is_counted() -> None:
    playback, sent = play(FakeSource(3), PlaybackOptions(rate=0.0, answer_timeout_s=0.02))
    wait_for(lambda: playback.is_done)
    assert (len(sent), playback.num_unanswered) == (3, 3)


def test_bad_frames_are_counted_and_the_rest_is_sent() -> None:
    playback, sent = play(FakeSource(4, bad={1}), PlaybackOptions(rate=100.0))
    wait_for(lambda: playback.is_done)
    assert (len(sent), playback.counters.failed) == (3, 1)
    assert "frame 1" in playback.counters.last_error


@pytest.mark.parametrize(("bad", "reason"), [(range(3), "; the last of 3: frame 2 is damaged"), ((), "")])
def test_a_loop_without_one_usable_frame_ends_instead_of_spinning(bad: Any, reason: str) -> None:
    playback, sent = play(FakeSource(len(bad), bad=bad), PlaybackOptions(rate=100.0, loop=True))
    wait_for(lambda: playback.is_done)
    assert sent == []
    assert playback.error == f"not one frame of fake could be sent{reason}"


def test_a_source_that_breaks_tells_why() -> None:
    playback, sent = play(FakeSource(4, breaks_at=2), PlaybackOptions(rate=100.0))
    wait_for(lambda: playback.is_done)
    assert len(sent) == 2
    assert playback.error == "the disk was unplugged"


def test_the_limit_and_the_loop() -> None:
    playback, sent = play(FakeSource(3), PlaybackOptions(rate=100.0, loop=True, max_frames=7))
    wait_for(lambda: playback.is_done)
    assert len(sent) == 7
    assert sent[0].stamp_ns == sent[3].stamp_ns


def test_stopping_ends_a_long_wait_and_closes_the_source() -> None:
    source = FakeSource(3, fps=0.01)
    playback, sent = play(source, PlaybackOptions(rate=1.0))
    wait_for(lambda: sent)
    assert playback.stop()
    assert source.is_closed
    assert len(sent) == 1


def test_nothing_is_sent_before_somebody_listens() -> None:
    listeners = [0]
    sent: list[Frame] = []

    def send(frame: Frame) -> int:
        sent.append(frame)
        return 0

    options = PlaybackOptions(rate=100.0, wait_for_subscribers_s=5.0)
    playback = Playback(lambda: FakeSource(2), send, lambda: listeners[0], Answers(), options)
    playback.start()
    time.sleep(0.1)
    assert not sent
    listeners[0] = 1
    wait_for(lambda: playback.is_done)
    assert len(sent) == 2


def sim(graph: Graph, namespace: str, *parameters: str, source: FakeSource | None = None) -> EgoSimNode:
    arguments = ["--ros-args", *[x for p in parameters for x in ("-p", p)]]
    node: EgoSimNode = graph.add(
        EgoSimNode(make_source=lambda _: source or FakeSource(5), namespace=namespace, cli_args=arguments, status_period_s=0.05)
    )
    node.trigger_configure()
    assert node.state == "inactive", node.last_error
    return node


@pytest.fixture
def observer(graph: Graph, namespace: str) -> Iterator[Any]:
    yield graph.observer(namespace)


def test_simulated_frames_arrive_whole(graph: Graph, namespace: str, observer: Any) -> None:
    node = sim(
        graph,
        namespace,
        "playback.rate:=10.0",
        "playback.stamps:=recording",
        "playback.loop:=false",
        "playback.exit_at_end:=true",
    )
    image, info = Listener(observer, Image, "image"), Listener(observer, CameraInfo, "camera_info")
    depth, pose = Listener(observer, Image, "sim/depth/image"), Listener(observer, PoseStamped, "sim/pose")
    small = Listener(observer, CompressedImage, "image/compressed")
    tf = TransformBuffer(observer)
    wait_for(lambda: all(x.connected for x in (image, info, depth, pose, small)))
    node.trigger_activate()
    wait_for(lambda: len(image) == len(info) == len(depth) == len(pose) == len(small) == 5)
    expected = list(FakeSource(5))[-1]
    got = frame_from_image(image.last)
    assert (got.stamp_ns, got.frame_id) == (expected.stamp_ns, expected.frame_id)
    assert np.array_equal(got.rgb, expected.rgb)
    assert frame_from_image(small.last).size == expected.size
    values = decode_depth(depth.last)
    assert np.isnan(values[0, 0])
    assert values[1, 1] == pytest.approx(1.5)
    assert matrix_from_pose(pose.last) == pytest.approx(expected.truth.T_world_cam)
    assert tf.parents == {"sim_camera_optical_frame": "sim_world"}
    wait_for(lambda: node.is_finished)


class TruthSource(FakeSource):
    """Simulated frames with all their truth."""

    scene_truth = scene_truth()

    def __iter__(self) -> Iterator[Frame | Exception]:
        return (full_frame(i) for i in range(3))


def test_live_truth_is_what_a_recording_holds(graph: Graph, namespace: str, observer: Any, tmp_path: Path) -> None:
    """Every topic of ground truth, byte for byte."""
    sink = FrameBagSink(tmp_path / "bag", image="raw")
    sink.write_scene(scene_truth(), full_frame(0).stamp_ns)
    for i in range(3):
        sink.write(full_frame(i))
    sink.close()
    with BagReader(tmp_path / "bag") as reader:
        recorded = {t: [m.data for m in reader.raw({f"/{t.value}"})] for t in TruthTopic}

    node = sim(
        graph, namespace, "playback.rate:=0.0", "playback.stamps:=recording", "playback.loop:=false", source=TruthSource(3)
    )
    listeners = {
        topic: Listener(observer, message_class(topic.type_name), topic.value, qos.LATCHED if topic.is_latched else qos.RESULT)
        for topic in TruthTopic
    }
    image = Listener(observer, Image, "image")
    wait_for(lambda: image.connected and all(listener.connected for listener in listeners.values()))
    node.trigger_activate()
    wait_for(lambda: node.is_finished, 30)
    wait_for(lambda: all(len(x) == (1 if t.is_latched else 3) for t, x in listeners.items()), what="the last message")
    store = jazzy_types()
    for topic, listener in listeners.items():
        name = topic.type_name
        live = [store.serialize_cdr(store.deserialize_cdr(serialize_message(m), name), name) for m in listener.messages]
        assert [bytes(m) for m in live] == recorded[topic], topic


def test_only_listeners_make_the_simulator_work(graph: Graph, namespace: str, observer: Any) -> None:
    node = sim(graph, namespace)
    frames = node._frames
    assert frames.wanted_products == frozenset()
    flow = Listener(observer, Image, TruthTopic.FLOW.value)
    people = Listener(observer, message_class(TruthTopic.PEOPLE.type_name), TruthTopic.PEOPLE.value)
    depth = Listener(observer, Image, TruthTopic.DEPTH.value)
    wait_for(lambda: flow.connected and people.connected and depth.connected)
    wait_for(lambda: frames.wanted_products == {"flow", "bodies"})


def test_what_belongs_to_the_clip_waits_for_a_late_listener(graph: Graph, namespace: str, observer: Any) -> None:
    node = sim(
        graph, namespace, "playback.rate:=0.0", "playback.loop:=false", "playback.exit_at_end:=false", source=TruthSource(3)
    )
    image = Listener(observer, Image, "image")
    wait_for(lambda: image.connected)
    node.trigger_activate()
    wait_for(lambda: len(image) == 3, 30)
    names = Listener(observer, String, TruthTopic.INSTANCE_NAMES.value, qos.LATCHED)
    wait_for(lambda: len(names) == 1)
    assert "person_0" in names.last.data


def test_truth_can_be_kept_back(graph: Graph, namespace: str, observer: Any) -> None:
    sim(graph, namespace, "playback.publish_truth:=false")
    topics = {name for name, _ in observer.get_topic_names_and_types() if name.startswith(namespace)}
    assert not {t for t in topics if "/sim/" in t}


def test_the_clock_carries_the_stamps(graph: Graph, namespace: str, observer: Any) -> None:
    node = sim(graph, namespace, "playback.publish_clock:=true", "playback.stamps:=recording", "playback.rate:=10.0")
    image, clock = Listener(observer, Image, "image"), Listener(observer, Clock, "/clock")
    wait_for(lambda: image.connected and clock.connected)
    node.trigger_activate()
    wait_for(lambda: len(clock) >= 3 and len(image) >= 3)
    assert stamp_ns_of(clock.messages[0].clock) == stamp_ns_of(image.messages[0])


def test_live_simulation_has_stamps_of_the_present(graph: Graph, namespace: str, observer: Any) -> None:
    node = sim(graph, namespace)
    image = Listener(observer, Image, "image")
    wait_for(lambda: image.connected)
    before = node.get_clock().now().nanoseconds
    node.trigger_activate()
    wait_for(lambda: len(image) > 6, what="a second round")
    stamps = [stamp_ns_of(m) for m in image.messages]
    assert before <= stamps[0]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert not node.is_finished


def test_deactivating_stops_and_activating_starts_again(graph: Graph, namespace: str, observer: Any) -> None:
    source = FakeSource(100)
    node = sim(graph, namespace, source=source)
    image = Listener(observer, Image, "image")
    wait_for(lambda: image.connected)
    node.trigger_activate()
    wait_for(lambda: image)
    node.trigger_deactivate()
    assert source.is_closed
    heard = len(image)
    node.trigger_activate()
    wait_for(lambda: len(image) > heard)


def make_folder(path: Path) -> Path:
    path.mkdir()
    for number in range(3):
        cv2.imwrite(str(path / f"{number:03d}.png"), np.full((24, 32, 3), 40 * number, np.uint8))
    return path


def test_player_plays_a_folder_and_finishes(graph: Graph, namespace: str, observer: Any, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "my clip")
    node: PlayerNode = graph.add(
        PlayerNode(
            namespace=namespace,
            cli_args=["--ros-args", "-p", f"source:='{folder}'", "-p", "autostart:=true"],
            status_period_s=0.05,
        )
    )
    image = Listener(observer, Image, "image")
    status = Listener(observer, NodeStatus, "player/status")
    wait_for(lambda: len(image) == 3)
    wait_for(lambda: node.is_finished)
    assert node.error == ""
    wait_for(lambda: status and status.last.reason == "everything was sent")


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "set the parameter source"), ("sim:abc", "sim:SEED"), ("/no/such/bag", "is no file or folder")],
)
def test_player_says_what_it_cannot_play(namespace: str, source: str, message: str) -> None:
    arguments = ["--ros-args", "-p", f"source:='{source}'"] if source else []
    node = PlayerNode(namespace=namespace, cli_args=arguments)
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert message in node.last_error
    node.destroy_node()


def test_a_folder_that_is_no_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        list(open_recording(str(tmp_path)))
    with pytest.raises(ConfigError):
        open_recording("")


@pytest.mark.parametrize("module", [player_node, egosim_node])
def test_the_docstring_tables_are_what_is_published(
    module: Any, graph: Graph, namespace: str, observer: Any, tmp_path: Path
) -> None:
    import re

    rows = dict(re.findall(r"^\| `([~/]?[\w/]+)`[^|]* \| (\w+/\w+)", module.__doc__, re.MULTILINE))
    if module is player_node:
        rows.pop("reconstruction/depth/camera_info")
        folder = make_folder(tmp_path / "clip")
        arguments = ["--ros-args", "-p", f"source:={folder}", "-p", "playback.publish_clock:=true"]
        node: Any = graph.add(PlayerNode(namespace=namespace, cli_args=arguments))
        node.trigger_configure()
    else:
        node = sim(graph, namespace, "playback.publish_clock:=true")
    own = node.get_fully_qualified_name()
    found = {t: types[0] for t, types in observer.get_publisher_names_and_types_by_node(node.get_name(), namespace)}
    for generic in ("/rosout", "/parameter_events", "/tf", f"{own}/transition_event"):
        found.pop(generic, None)
    expected = {}
    for topic, kind in rows.items():
        full = topic if topic.startswith("/") else topic.replace("~", own) if topic.startswith("~") else f"{namespace}/{topic}"
        expected[full] = kind.replace("/", "/msg/")
    assert found == expected


def test_frame_errors_of_a_source_are_frame_errors() -> None:
    assert isinstance(next(iter(FakeSource(2, bad={0}))), FrameError)
