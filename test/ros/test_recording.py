"""From topics back to estimates: the recorder, the viewer node and the live source, fed by a real reconstruction node."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ros_support import Camera, FakeEstimator, FakeSource, Graph, Listener, wait_for
from sensor_msgs.msg import CameraInfo

from ego_msgs.msg import NodeStatus
from ego_perception.bag import BagReader, SceneBagSink
from ego_perception.data import Frame, TrackingState
from ego_perception.data.result import ResultReader, ResultSink
from ego_perception.errors import CalibrationError
from ego_perception.nodes.egosim_node import EgoSimNode
from ego_perception.nodes.model import ModelIdentity
from ego_perception.nodes.reconstruction_node import ReconstructionNode
from ego_perception.nodes.recorder_node import RecorderNode
from ego_perception.nodes.viewer_node import ViewerNode
from ego_perception.ros.source import RosSource

NUM_FRAMES = 8
S = 1_000_000_000


class Suite:
    """A short simulated clip through reconstruction (with a fake estimator) and recorder, every frame answered."""

    def __init__(self, graph: Graph, namespace: str, out: Path, *recorder_parameters: str) -> None:
        self.estimator = FakeEstimator()
        self.reconstruction = graph.add(
            ReconstructionNode(
                make_estimator=lambda _: (self.estimator, ModelIdentity()),
                namespace=namespace,
                cli_args=self._arguments("input.queue_policy:=all"),
                status_period_s=0.05,
            )
        )
        parameters = [f"path:='{out}'", "reliability:=reliable", *recorder_parameters]
        self.recorder = graph.add(
            RecorderNode(namespace=namespace, cli_args=self._arguments(*parameters), status_period_s=0.05)
        )
        parameters = ["playback.rate:=0.0", "playback.loop:=false", "playback.stamps:=recording", "playback.num_subscribers:=2"]
        self.player = graph.add(
            EgoSimNode(
                make_source=lambda _: FakeSource(NUM_FRAMES),
                namespace=namespace,
                cli_args=self._arguments(*parameters),
                status_period_s=0.05,
            )
        )

    @staticmethod
    def _arguments(*parameters: str) -> list[str]:
        return ["--ros-args", *[x for p in parameters for x in ("-p", p)]]

    def play(self, *, activate_recorder: bool = True) -> None:
        for node in (*[self.recorder] * activate_recorder, self.reconstruction, self.player):
            node.trigger_configure()
            node.trigger_activate()
            assert node.is_active, node.last_error
        wait_for(lambda: self.player.is_finished, 30, "the end of the clip")
        listener = self.recorder._listener
        wait_for(lambda: listener.counters.received == NUM_FRAMES and listener.queue_length == 0, what="the recorder")


def poses(out: Path) -> list[str]:
    """Lines of the trajectory without its comments."""
    return [line for line in (out / "trajectory.tum").read_text().splitlines() if not line.startswith("#")]


@pytest.fixture
def suite(graph: Graph, namespace: str, tmp_path: Path) -> Iterator[Suite]:
    yield Suite(graph, namespace, tmp_path / "my result")


def test_every_frame_is_answered_and_recorded(suite: Suite, tmp_path: Path) -> None:
    suite.play()
    assert suite.player._playback.num_unanswered == 0
    suite.recorder.trigger_deactivate()
    out = tmp_path / "my result"
    assert len(poses(out)) == NUM_FRAMES
    assert (out / "truth.tum").is_file()
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["counters"]["processed"] == NUM_FRAMES


def test_what_is_recorded_is_what_was_estimated(suite: Suite, tmp_path: Path) -> None:
    suite.play()
    suite.recorder.trigger_deactivate()
    result = ResultReader(tmp_path / "my result")
    frames = list(result.frames)
    assert len(frames) == NUM_FRAMES
    sent = list(FakeSource(NUM_FRAMES))
    for number, (frame, original) in enumerate(zip(frames, sent, strict=True)):
        assert frame.stamp_ns == original.stamp_ns
        assert frame.state is TrackingState.TRACKING
        assert frame.T_world_cam is not None
        assert frame.T_world_cam[:3, 3] == pytest.approx([0.01 * (number + 1), 0, 0], abs=1e-6)
        assert frame.T_world_cam_truth == pytest.approx(original.truth.T_world_cam)


def test_the_result_bag_holds_the_same_topics_as_the_live_node(suite: Suite, tmp_path: Path) -> None:
    suite.play()
    suite.recorder.trigger_deactivate()
    reader = BagReader(tmp_path / "my result" / "result")
    counts = {name: topic.count for name, topic in reader.topics.items()}
    reader.close()
    assert counts["/reconstruction/odom"] == counts["/reconstruction/points"] == NUM_FRAMES
    assert counts["/tf_static"] == 1
    assert counts["/reconstruction/map_points"] >= 1


def test_a_lost_frame_is_recorded_without_a_pose(suite: Suite, tmp_path: Path) -> None:
    suite.estimator.state, suite.estimator.reason = TrackingState.LOST, "too dark"
    suite.play()
    suite.recorder.trigger_deactivate()
    frames = list(ResultReader(tmp_path / "my result").frames)
    assert {frame.state for frame in frames} == {TrackingState.LOST}
    assert all(frame.T_world_cam is None for frame in frames)


def test_recording_again_replaces_the_result(suite: Suite, tmp_path: Path) -> None:
    suite.play()
    suite.recorder.trigger_deactivate()
    suite.recorder.trigger_activate()
    assert suite.recorder.is_active, suite.recorder.last_error
    suite.recorder.trigger_deactivate()
    assert poses(tmp_path / "my result") == []


def test_the_recorder_needs_a_path(namespace: str) -> None:
    node = RecorderNode(namespace=namespace)
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert "set the parameter path" in node.last_error
    node.destroy_node()


def test_an_unwritable_path_fails_activation_in_one_line(namespace: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    node = RecorderNode(namespace=namespace, cli_args=["--ros-args", "-p", f"path:={tmp_path / 'file' / 'below'}"])
    node.trigger_configure()
    node.trigger_activate()
    assert node.state == "inactive"
    assert "cannot be written" in node.last_error
    node.destroy_node()


def test_a_sink_that_fails_is_counted_and_reported(suite: Suite, graph: Graph, namespace: str) -> None:
    status = Listener(graph.observer(namespace), NodeStatus, "recorder/status")
    suite.recorder.trigger_configure()
    suite.recorder.trigger_activate()
    result = suite.recorder._listener._sinks[0]
    result.write = lambda _: (_ for _ in ()).throw(OSError("no space left on device"))
    for node in (suite.reconstruction, suite.player):
        node.trigger_configure()
        node.trigger_activate()
    wait_for(lambda: status and "no space left" in status.last.reason, 30)
    assert status.last.state == NodeStatus.DEGRADED
    wait_for(lambda: suite.player.is_finished, 30)
    assert suite.recorder.is_active


def test_a_disk_that_fills_up_ends_neither_node_nor_what_was_written(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """From the fourth frame on nothing can be written any more, neither pictures nor bag."""
    suite.recorder.trigger_configure()
    suite.recorder.trigger_activate()
    for sink in suite.recorder._listener._sinks:
        if isinstance(sink, (ResultSink, SceneBagSink)):
            monkeypatch.setattr(sink, "write", fills_up_after(3, sink.write))
    suite.play(activate_recorder=False)
    counters = suite.recorder._listener.counters
    assert suite.recorder.is_active
    suite.recorder.trigger_deactivate()
    assert suite.recorder.state == "inactive"
    assert (counters.processed, counters.failed) == (NUM_FRAMES, 2 * (NUM_FRAMES - 3))
    assert capfd.readouterr().err.count("No space left") == 2, "one line for each of the two files, not for each frame"
    result = ResultReader(tmp_path / "my result")
    assert len(list(result.frames)) == len(poses(tmp_path / "my result")) == 3
    assert result.run["counters"]["failed"] == counters.failed
    with BagReader(tmp_path / "my result" / "result") as reader:
        assert reader.topics["/reconstruction/odom"].count == 3
        assert reader.damages == []


def fills_up_after(count: int, write: Any) -> Any:
    """Write `count` times, then fail as a full disk does."""
    left = [count]

    def limited(item: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(item)

    return limited


def test_a_nearly_full_disk_fails_activation_in_one_line(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = RecorderNode(namespace=namespace, cli_args=["--ros-args", "-p", f"path:={tmp_path / 'out'}"])
    node.trigger_configure()
    with monkeypatch.context() as disk:
        disk.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
        node.trigger_activate()
        assert node.state == "inactive"
        assert "1 MB free; make room" in node.last_error
    node.trigger_activate()
    assert node.state == "active"
    node.destroy_node()


def test_the_viewer_serves_while_active(graph: Graph, namespace: str) -> None:
    import urllib.request

    node = graph.add(ViewerNode(namespace=namespace, cli_args=["--ros-args", "-p", "port:=0"]))
    node.trigger_configure()
    node.trigger_activate()
    assert node.is_active, node.last_error
    with urllib.request.urlopen(node.url, timeout=20) as response:
        assert response.status == 200
    threads = threading.active_count()
    node.trigger_deactivate()
    assert threading.active_count() < threads


def test_the_viewer_tells_what_it_received_and_what_it_could_not_use(graph: Graph, namespace: str) -> None:
    observer = graph.observer(namespace)
    status, camera = Listener(observer, NodeStatus, "viewer/status"), Camera(observer)
    node = graph.add(ViewerNode(namespace=namespace, cli_args=["--ros-args", "-p", "port:=0"], status_period_s=0.05))
    node.trigger_configure()
    node.trigger_activate()
    wait_for(camera.ready)
    camera.send(S)
    wait_for(lambda: status and status.last.num_received == 1)
    assert status.last.state == NodeStatus.TRACKING
    info = camera.info_message(2 * S)
    info.k = np.zeros(9)
    camera.info.publish(info)
    wait_for(lambda: status.last.num_failed == 1)
    assert status.last.state == NodeStatus.DEGRADED
    assert "camera_info: " in status.last.reason


class TestRosSource:
    """Live topics as a source for programs."""

    def collect(self, source: RosSource, camera: Camera, count: int, *, with_info: bool = True) -> list[Any]:
        items: list[Any] = []
        thread = threading.Thread(target=lambda: items.extend(self.take(source, count)), daemon=True)
        thread.start()
        stamp_ns = 10 * S
        wait_for(camera.image.get_subscription_count)

        def step() -> bool:
            nonlocal stamp_ns
            stamp_ns += S // 15
            if with_info:
                camera.send(stamp_ns)
            else:
                camera.image.publish(camera.image_message(stamp_ns))
            thread.join(0.02)
            return not thread.is_alive()

        wait_for(step, 20)
        return items

    @staticmethod
    def take(source: RosSource, count: int) -> Iterator[Any]:
        frames = 0
        for item in source:
            yield item
            frames += isinstance(item, Frame)
            if frames == count:
                return

    @pytest.mark.parametrize("compressed", [False, True])
    def test_frames_with_camera(self, graph: Graph, namespace: str, compressed: bool) -> None:
        camera = Camera(graph.observer(namespace), compressed=compressed)
        source = RosSource(f"{namespace}/image")
        frames = [x for x in self.collect(source, camera, 3) if isinstance(x, Frame)]
        source.close()
        source.close()
        assert len(frames) == 3
        assert frames[-1].camera == camera.pinhole
        assert frames[0].index < frames[1].index
        if not compressed:
            assert np.array_equal(frames[-1].image, camera.frame(frames[-1].stamp_ns).image)

    def test_without_camera_info_it_is_estimated_after_a_while(self, graph: Graph, namespace: str) -> None:
        camera = Camera(graph.observer(namespace))
        source = RosSource(f"{namespace}/image", camera_info_timeout_s=0.2)
        items = self.collect(source, camera, 2, with_info=False)
        source.close()
        assert isinstance(items[0], CalibrationError)
        frames = [x for x in items if isinstance(x, Frame)]
        assert [f.camera for f in frames] == [None, None]

    def test_closing_ends_the_wait_for_a_publisher(self, namespace: str) -> None:
        source = RosSource(f"{namespace}/nobody")
        items: list[Any] = []
        thread = threading.Thread(target=lambda: items.extend(source), daemon=True)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        source.close()
        thread.join(5)
        assert not thread.is_alive()
        assert items == []

    def test_the_sibling_camera_info_is_taken(self, graph: Graph, namespace: str) -> None:
        observer = graph.observer()
        source = RosSource(f"{namespace}/front/image_raw")
        info = observer.create_publisher(CameraInfo, f"{namespace}/front/camera_info", 10)
        camera = Camera(graph.observer(f"{namespace}/front"))
        camera.image = camera.node.create_publisher(type(camera.image_message(1)), "image_raw", 10)
        camera.info = info
        frames = [x for x in self.collect(source, camera, 1) if isinstance(x, Frame)]
        source.close()
        assert frames[0].camera == camera.pinhole
