"""The way from topics back to sinks, with a node that only remembers who subscribed: order, truth, failures and the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fixtures.wall_scene import CAMERA, START_NS, wall

pytest.importorskip("rclpy", reason="the listener takes ROS messages")

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from ego_perception.data import SceneEstimate, TrackingState
from ego_perception.messages import (
    NodeFacts,
    SceneMessages,
    SceneTopic,
    compressed_from_frame,
    image_from_frame,
    image_message,
    info_from_camera,
    pose_message,
    scene_facts,
    status_message,
)
from ego_perception.nodes import scene_listener
from ego_perception.nodes.scene_listener import ListenerOptions, SceneListener
from ego_perception.ros.factory import RclpyFactory

FACTORY = RclpyFactory()


class Node:
    """What a listener needs of a node."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.profiles: dict[str, Any] = {}
        self.errors: list[str] = []

    def subscription(self, scope: ExitStack, kind: type, topic: str, callback: Callable[[Any], None], profile: Any) -> None:
        self.callbacks[topic], self.profiles[topic] = callback, profile

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self.errors.append)


class Sink:
    """Keeps what it is given, or fails."""

    def __init__(self, name: str = "sink", fails: type[Exception] | None = None) -> None:
        self.name = name
        self.items: list[SceneEstimate] = []
        self.num_closed = 0
        self.release = threading.Event()
        self.release.set()
        self._fails = fails

    def write(self, item: SceneEstimate) -> None:
        self.release.wait(10)
        if self._fails is not None:
            raise self._fails("no space left")
        self.items.append(item)

    def close(self) -> None:
        self.num_closed += 1
        if self._fails is not None:
            raise self._fails("cannot close")


class Stage:
    """A listener, its node and its sinks."""

    def __init__(self, *sinks: Sink, **options: Any) -> None:
        self.sinks = sinks or (Sink(),)
        self.node = Node()
        self.listener = SceneListener(self.node, self.sinks, ListenerOptions(**options))  # type: ignore[arg-type]
        self.scope = ExitStack()
        self.listener.start(self.scope)
        self._scene = SceneMessages(FACTORY)

    def hear(self, topic: str, message: Any) -> None:
        self.node.callbacks[topic](message)

    def play(self, *estimates: SceneEstimate, truth: bool = False, without: tuple[SceneTopic, ...] = ()) -> None:
        """Send estimates as a camera and a reconstruction node would."""
        for estimate in estimates:
            frame = estimate.frame
            self.hear("camera_info", info_from_camera(FACTORY, CAMERA, frame.stamp_ns, "cam"))
            if truth and frame.truth is not None and frame.truth.T_world_cam is not None:
                depth = np.where(frame.truth.depth > 0, frame.truth.depth, np.float32(np.nan))  # type: ignore[operator]
                self.hear("sim/depth/image", image_message(FACTORY, depth, "32FC1", frame.stamp_ns, "cam"))
                self.hear("sim/pose", pose_message(FACTORY, frame.truth.T_world_cam, frame.stamp_ns, "w"))
            self.hear("image", image_from_frame(FACTORY, frame))
            status = status_message(FACTORY, NodeFacts(**scene_facts(estimate)), 42)
            self.hear("reconstruction/status", status)
            messages = self._scene.of(estimate)
            for topic in (*scene_listener._TOPICS,):
                if topic is not SceneTopic.STATUS and topic not in without and (message := messages.build(topic)) is not None:
                    self.hear(f"reconstruction/{topic.value}", message)

    def end(self) -> list[SceneEstimate]:
        """Stop; what the first sink was given."""
        self.scope.close()
        return self.sinks[0].items


def test_estimates_come_back_in_order() -> None:
    stage = Stage()
    stage.play(*(wall(i) for i in range(4)))
    given = stage.end()
    assert [item.frame.stamp_ns for item in given] == [wall(i).frame.stamp_ns for i in range(4)]
    for item, sent in zip(given, (wall(i) for i in range(4)), strict=True):
        np.testing.assert_allclose(item.T_world_cam, sent.T_world_cam, atol=1e-9)
        np.testing.assert_array_equal(item.depth, sent.depth)
        assert item.state is TrackingState.TRACKING
    counters = stage.listener.counters
    assert (counters.received, counters.processed, counters.failed) == (4, 4, 0)
    assert stage.node.errors == []


def test_truth_is_paired_by_stamp_and_unknown_depth_is_zero() -> None:
    stage = Stage()
    with_hole = wall(1)
    assert with_hole.frame.truth is not None
    assert with_hole.frame.truth.depth is not None
    with_hole.frame.truth.depth[0, 0] = 0.0
    stage.play(wall(0, truth=False), with_hole, truth=True)
    without, found = stage.end()
    assert without.frame.truth is None
    assert found.frame.truth is not None
    np.testing.assert_array_equal(found.frame.truth.depth, with_hole.frame.truth.depth)
    np.testing.assert_allclose(found.frame.truth.T_world_cam, with_hole.frame.truth.T_world_cam)


def test_a_status_is_placed_in_recorded_time() -> None:
    """Its own stamp is the node's clock (here 42 ns), which says nothing about frames of a replay."""
    stage = Stage()
    stage.play(wall(0), wall(1, TrackingState.DEGRADED, reason="few features"), wall(2))
    assert [(item.state, item.reason) for item in stage.end()] == [
        (TrackingState.TRACKING, ""),
        (TrackingState.DEGRADED, "few features"),
        (TrackingState.TRACKING, ""),
    ]


def test_a_status_about_missing_images_is_not_about_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    stage.play(wall(0), wall(1))
    monkeypatch.setattr(scene_listener, "_STATUS_AGE_S", -1.0)
    facts = NodeFacts(state=TrackingState.DEGRADED, reason="no image for 3 s")
    stage.hear("reconstruction/status", status_message(FACTORY, facts, START_NS))
    assert {item.state for item in stage.end()} == {TrackingState.TRACKING}


def test_a_sink_that_fails_is_counted_and_told_once_and_the_others_go_on() -> None:
    full, good = Sink("bag", OSError), Sink("result")
    stage = Stage(full, good)
    stage.play(*(wall(i) for i in range(5)))
    stage.end()
    assert len(good.items) == 5
    assert (full.num_closed, good.num_closed) == (1, 1)
    assert stage.listener.counters.failed == 6
    assert stage.listener.counters.last_error == "closing bag: cannot close"
    assert stage.node.errors == ["bag: no space left", "closing bag: cannot close"]


def test_an_error_without_words_has_a_name() -> None:
    class Silent(Sink):
        def write(self, item: SceneEstimate) -> None:
            raise MemoryError

    stage = Stage(Silent("result"))
    stage.play(wall(0), wall(1))
    stage.end()
    assert stage.node.errors == ["result: MemoryError"]


def test_a_camera_info_that_is_none_costs_itself_only() -> None:
    stage = Stage()
    stage.play(wall(0))
    bad = info_from_camera(FACTORY, CAMERA, START_NS, "cam")
    bad.k = np.zeros(9)
    stage.hear("camera_info", bad)
    stage.play(wall(1))
    assert len(stage.end()) == 2
    assert stage.listener.counters.failed == 1
    assert "focal length" in stage.listener.counters.last_error


def test_a_broken_message_costs_its_frame_only() -> None:
    stage = Stage()
    stage.play(wall(0))
    cloud = SceneMessages(FACTORY).of(wall(1, landmarks=np.ones((4, 3), np.float32), is_keyframe=True))
    broken = cloud.build(SceneTopic.MAP_POINTS)
    assert broken is not None
    broken.data = broken.data[:5]
    stage.hear("reconstruction/map_points", broken)
    stage.play(wall(1), wall(2))
    assert len(stage.end()) == 3
    assert stage.listener.counters.failed == 1
    assert stage.listener.counters.last_error.startswith("message: ")


def test_what_waits_is_written_before_the_sinks_are_closed() -> None:
    sink = Sink()
    sink.release.clear()
    stage = Stage(sink)
    stage.play(*(wall(i) for i in range(6)))
    assert stage.listener.queue_length > 0
    threading.Timer(0.1, sink.release.set).start()
    assert len(stage.end()) == 6
    assert sink.num_closed == 1


def test_a_writer_that_hangs_is_reported_instead_of_waited_for() -> None:
    sink = Sink()
    sink.release.clear()
    stage = Stage(sink)
    stage.play(wall(0), wall(1), wall(2))
    assert not stage.listener.stop(timeout_s=0.05)
    assert "the end of the result is missing" in stage.node.errors[-1]
    sink.release.set()
    assert stage.listener.stop()


@pytest.mark.parametrize("reliable", [False, True])
def test_subscriptions_follow_the_options(reliable: bool) -> None:
    stage = Stage(reconstruction="/robot/slam", reliable=reliable, truth=False)
    stage.end()
    camera = {"image", "camera_info"}
    assert set(stage.node.profiles) == camera | {f"/robot/slam/{topic.value}" for topic in scene_listener._TOPICS}
    wanted = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    assert {stage.node.profiles[topic].reliability for topic in camera} == {wanted}
    assert stage.node.profiles["/robot/slam/map_points"].durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert stage.node.profiles["/robot/slam/odom"].reliability == ReliabilityPolicy.RELIABLE


def test_compressed_images_are_heard_on_their_own_topic() -> None:
    stage = Stage(compressed=True)
    assert "image" not in stage.node.callbacks
    estimate = wall(0)
    stage.hear("image/compressed", compressed_from_frame(FACTORY, estimate.frame))
    messages = SceneMessages(FACTORY).of(estimate)
    for topic in (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE, SceneTopic.ODOM):
        stage.hear(f"reconstruction/{topic.value}", messages.build(topic))
    (found,) = stage.end()
    assert np.abs(found.frame.rgb.astype(int) - estimate.frame.rgb).mean() < 3
