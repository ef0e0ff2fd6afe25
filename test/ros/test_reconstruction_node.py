"""The contract of the reconstruction node: topics, types, QoS, frames, stamps, services, TF, and its life on bad input."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from ros_support import Camera, CountingFactory, FakeEstimator, Graph, Listener, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from ego_msgs.msg import NodeStatus
from ego_msgs.srv import Save
from ego_perception.data import TrackingState
from ego_perception.errors import WeightsError
from ego_perception.messages import decode_depth, image_message, unpack_cloud
from ego_perception.nodes import reconstruction_node
from ego_perception.nodes.config import ReconstructionNodeConfig
from ego_perception.nodes.model import ModelIdentity
from ego_perception.nodes.reconstruction_node import ReconstructionNode
from ego_perception.ros import qos
from ego_perception.ros.tf import TransformBuffer

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


@pytest.fixture
def rig(graph: Graph, namespace: str) -> Iterator[Rig]:
    made = Rig(graph, namespace)
    yield made


def documented_topics() -> dict[str, str]:
    """Published topics and types from the table in the module's docstring."""
    rows = re.findall(r"^\| `([~/][\w/]+)` \| (\w+/\w+)", reconstruction_node.__doc__ or "", re.MULTILINE)
    return dict(rows)


def test_the_docstring_table_is_what_is_published(rig: Rig) -> None:
    rig.activate()
    name = f"{rig.namespace}/reconstruction"
    real = {
        topic: types[0] for topic, types in rig.observer.get_publisher_names_and_types_by_node("reconstruction", rig.namespace)
    }
    for generic in ("/rosout", "/parameter_events", "/tf", "/tf_static", f"{name}/transition_event"):
        real.pop(generic, None)
    documented = {topic.replace("~", name): kind.replace("/", "/msg/") for topic, kind in documented_topics().items()}
    assert len(documented) >= 9
    assert real == documented


def test_subscriptions_are_the_documented_ones(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.ignore_mask:=true").activate()
    heard = dict(rig.observer.get_subscriber_names_and_types_by_node("reconstruction", namespace))
    assert {t.removeprefix(f"{namespace}/") for t in heard if t.startswith(namespace)} == {
        "image",
        "camera_info",
        "ignore_mask",
    }


@pytest.mark.parametrize(
    ("topic", "reliability", "durability"),
    [
        ("points", ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ("odom", ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ("map_points", ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    ],
)
def test_output_qos(rig: Rig, topic: str, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> None:
    rig.activate()
    infos = rig.observer.get_publishers_info_by_topic(f"{rig.namespace}/reconstruction/{topic}")
    assert [(i.qos_profile.reliability, i.qos_profile.durability) for i in infos] == [(reliability, durability)]


def test_input_qos_is_best_effort(rig: Rig) -> None:
    rig.activate()
    (info,) = rig.observer.get_subscriptions_info_by_topic(f"{rig.namespace}/image")
    assert info.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT


def test_every_output_carries_stamp_and_frame_of_its_image(rig: Rig) -> None:
    rig.activate()
    kinds = {
        "points": (PointCloud2, "cam_optical"),
        "depth/image": (Image, "cam_optical"),
        "depth/camera_info": (CameraInfo, "cam_optical"),
        "confidence/image": (Image, "cam_optical"),
        "odom": (Odometry, "odom"),
        "path": (PathMessage, "odom"),
    }
    listeners = {topic: rig.listen(kind, topic) for topic, (kind, _) in kinds.items()}
    map_points = rig.listen(PointCloud2, "map_points", qos.LATCHED)
    sent = set()

    def all_heard() -> bool:
        sent.add(rig.stamp_ns)
        return all(listeners.values()) and len(map_points) > 0

    rig.publish_until(all_heard, "all outputs")
    sent.add(rig.stamp_ns)
    for topic, (_, frame) in kinds.items():
        header = listeners[topic].last.header
        assert header.stamp.sec * S + header.stamp.nanosec in sent, topic
        assert header.frame_id == frame, topic
    assert map_points.last.header.frame_id == "odom"


def test_contents_are_those_of_the_estimate(rig: Rig) -> None:
    rig.activate()
    points, depth, odom = rig.listen(PointCloud2, "points"), rig.listen(Image, "depth/image"), rig.listen(Odometry, "odom")
    rig.publish_until(lambda: points and depth and odom, "outputs")
    values = decode_depth(depth.last)
    assert values.shape == (12, 16)
    assert np.isnan(values[0, 0])
    assert values[5, 5] == 2.0
    xyz, rgb = unpack_cloud(points.last)
    assert xyz.shape == (12, 16, 3)
    assert rgb is not None
    assert not points.last.is_dense
    assert odom.last.child_frame_id == "head_link"
    assert odom.last.pose.covariance[0] == pytest.approx(1e-4)
    assert odom.last.pose.pose.orientation.w == pytest.approx(1.0)


def test_tf_is_one_tree_from_map_to_the_images_frame(rig: Rig) -> None:
    rig.activate()
    buffer = TransformBuffer(rig.observer)
    rig.publish_until(lambda: {"head_link", "cam_optical"} <= set(buffer.parents), "TF")
    assert buffer.parents == {"odom": "map", "head_link": "odom", "camera_link": "head_link", "cam_optical": "camera_link"}
    # The optical z axis looks along x of the odom frame.
    assert buffer.lookup("odom", "cam_optical")[:3, 2] == pytest.approx([1, 0, 0])


def test_the_mount_moves_the_head_and_not_the_camera(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "frames.camera_position_m:=[0.1, 0.0, 0.05]", "frames.camera_rpy_rad:=[0.0, 0.3, 0.0]")
    rig.activate()
    buffer = TransformBuffer(rig.observer)
    rig.publish_until(lambda: {"head_link", "cam_optical"} <= set(buffer.parents), "TF")
    T = buffer.lookup("odom", "cam_optical")
    assert T[:3, 2] == pytest.approx([1, 0, 0], abs=1e-9)
    assert abs(T[1:3, 3]) == pytest.approx([0, 0], abs=1e-9)
    assert abs(buffer.lookup("odom", "head_link")[2, 3]) > 0.01


def test_tf_can_be_turned_off(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "frames.publish_tf:=false", "frames.publish_static_tf:=false").activate()
    buffer = TransformBuffer(rig.observer)
    odom = rig.listen(Odometry, "odom")
    rig.publish_until(lambda: odom, "odometry")
    assert buffer.parents == {}


def test_nothing_is_built_for_nobody(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 5)
    built = rig.factory.built
    assert built["sensor_msgs/msg/Image"] == built["nav_msgs/msg/Odometry"] == built["nav_msgs/msg/Path"] == 0
    # Of clouds only the latched map, at most once a period.
    assert built["sensor_msgs/msg/PointCloud2"] <= 2


def test_only_the_topic_with_a_listener_is_built(rig: Rig) -> None:
    rig.activate()
    odom = rig.listen(Odometry, "odom")
    rig.publish_until(lambda: odom)
    assert rig.factory.built["nav_msgs/msg/Odometry"] > 0
    assert rig.factory.built["sensor_msgs/msg/Image"] == 0


def test_a_late_listener_gets_the_last_map(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.factory.built["sensor_msgs/msg/PointCloud2"])
    late = rig.listen(PointCloud2, "map_points", qos.LATCHED)
    wait_for(lambda: late)
    assert late.last.width == 5


def test_no_pose_while_lost(rig: Rig) -> None:
    rig.activate()
    odom, depth, status = rig.listen(Odometry, "odom"), rig.listen(Image, "depth/image"), rig.status()
    buffer = TransformBuffer(rig.observer)
    rig.publish_until(lambda: odom)
    rig.estimator.state, rig.estimator.reason = TrackingState.LOST, "too dark"
    rig.send()
    heard, stamp = len(odom), buffer.stamp_ns("head_link")
    start = len(depth)
    rig.publish_until(lambda: len(depth) >= start + 3)
    assert len(odom) <= heard + 1
    assert buffer.stamp_ns("head_link") <= stamp + S // 15
    wait_for(lambda: status and status.last.state == NodeStatus.LOST)
    assert status.last.reason == "too dark"


def test_status_has_counters_stages_model_and_age(rig: Rig) -> None:
    rig.activate()
    status = rig.status()
    rig.publish_until(lambda: rig.counters.processed >= 3)
    wait_for(lambda: status and status.last.num_processed >= 3)
    last = status.last
    assert {s.stage for s in last.stages} >= {"decode", "estimate", "publish", "total"}
    assert (last.model_id, last.model_sha256, last.state) == ("fake", "00", NodeStatus.TRACKING)
    assert last.node == f"{rig.namespace}/reconstruction"
    assert last.intrinsics_source == NodeStatus.INTRINSICS_GIVEN
    assert last.age_p95_ms > 0
    assert last.memory_bytes > 1_000_000


def test_diagnostics_name_the_node_and_its_state(rig: Rig) -> None:
    listener = Listener(rig.observer, DiagnosticArray, "/diagnostics")
    mine: list[Any] = []

    def found() -> Any:
        mine.extend(s for m in listener.messages for s in m.status if s.name == f"{rig.namespace}/reconstruction")
        return mine

    wait_for(found)
    assert "unconfigured" in mine[-1].message
    rig.activate()
    rig.publish_until(lambda: any(s.message == "TRACKING" for s in found()))
    keys = {v.key for v in mine[-1].values}
    assert {"lifecycle", "estimate_ms", "dropped", "input_rate_hz"} <= keys


def test_reset_service_resets_before_the_next_frame(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed)
    before = rig.estimator.num_resets
    future = rig.observer.create_client(Trigger, "reconstruction/reset").call_async(Trigger.Request())
    assert wait_for(future.done)
    assert future.result().success
    rig.send()
    assert rig.estimator.num_resets == before + 1


def call_save(rig: Rig, **fields: Any) -> Any:
    future = rig.observer.create_client(Save, "reconstruction/save").call_async(Save.Request(**fields))
    wait_for(future.done)
    return future.result()


def test_save_writes_trajectory_and_map(rig: Rig, tmp_path: Path) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 3)
    response = call_save(rig, path=str(tmp_path / "my map"))
    assert response.success, response.message
    lines = (tmp_path / "my map" / "trajectory.tum").read_text().splitlines()
    assert len(lines) >= 3
    assert lines[0].startswith("17000000")
    assert response.size_bytes == sum(p.stat().st_size for p in (tmp_path / "my map").iterdir())
    again = call_save(rig, path=str(tmp_path / "my map"))
    assert not again.success
    assert "overwrite" in again.message
    assert call_save(rig, path=str(tmp_path / "my map"), overwrite=True).success


def test_save_says_why_it_cannot(rig: Rig, tmp_path: Path) -> None:
    rig.activate()
    assert "nothing to save" in call_save(rig, path=str(tmp_path)).message
    assert "output.path" in call_save(rig).message
    rig.publish_until(lambda: rig.counters.processed)
    (tmp_path / "file").write_text("in the way")
    response = call_save(rig, path=str(tmp_path / "file" / "below"))
    assert not response.success
    assert "cannot be written" in response.message


def test_live_parameters_reach_the_estimator_at_the_next_frame(rig: Rig) -> None:
    rig.activate()
    assert rig.node.set_parameters([Parameter("estimator.intrinsics.refine", value=False)])[0].successful
    rig.send()
    assert rig.estimator.config.intrinsics.refine is False


def test_weights_that_fail_to_load_fail_configure(rig: Rig) -> None:
    def broken(_: Any) -> Any:
        raise WeightsError("weights are damaged; run `ego weights verify`")

    rig.node._make_estimator = broken
    rig.node.trigger_configure()
    assert (rig.node.state, rig.node._work) == ("unconfigured", None)
    status = rig.status()
    wait_for(lambda: status and status.last.state == NodeStatus.ERROR)
    assert "damaged" in status.last.reason


def test_unreadable_weights_by_the_real_loader_fail_configure(graph: Graph, namespace: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"not weights")
    node = ReconstructionNode(namespace=namespace, cli_args=["--ros-args", "-p", f"model.path:={path}"])
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert "bad.safetensors" in node.last_error
    node.destroy_node()


def test_a_hundred_lives_leave_no_thread_and_no_entity(rig: Rig) -> None:
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
    # Threads of earlier tests may end meanwhile, so that fewer are fine.
    assert threading.active_count() <= threads
    assert not [thread for thread in threading.enumerate() if thread.name == "pipeline"]


def test_it_works_again_after_deactivation(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed)
    rig.node.trigger_deactivate()
    before = rig.counters.processed
    rig.camera.send(rig.stamp_ns + S)
    rig.node.trigger_activate()
    wait_for(rig.camera.image.get_subscription_count)
    rig.publish_until(lambda: rig.counters.processed > before)


def test_a_node_that_died_comes_back(graph: Graph, namespace: str) -> None:
    first = Rig(graph, namespace).activate()
    odom = first.listen(Odometry, "odom")
    first.publish_until(lambda: odom)
    graph.remove(first.node)
    second = Rig(graph, namespace)
    second.stamp_ns = first.stamp_ns
    second.activate()
    heard = len(odom)
    second.publish_until(lambda: len(odom) > heard, "odometry of the second life")


def test_qos_mismatch_is_in_the_status(rig: Rig) -> None:
    rig.activate()
    Listener(rig.observer, Odometry, f"{rig.namespace}/reconstruction/odom", qos.LATCHED)
    status = rig.status()
    rig.publish_until(lambda: status and "incompatible QoS" in status.last.reason)
    assert f"'{rig.namespace}/reconstruction/odom' (DURABILITY)" in status.last.reason


def test_simulated_time_is_honoured(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "use_sim_time:=true").activate()
    clock = rig.observer.create_publisher(Clock, "/clock", 10)
    status = rig.status()

    def tick() -> bool:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(rig.stamp_ns + 20_000_000, S)
        clock.publish(message)
        rig.send(0 if rig.counters.received == 0 else S // 15)
        return bool(status) and status.last.header.stamp.sec == T0 // S and status.last.num_processed > 3

    wait_for(tick)
    assert status.last.age_p50_ms < 1000, "age must be measured on the simulated clock"


class TestBadInput:
    """The process lives, the frame is counted, and the status says which topic or value is at fault."""

    def broken(self, rig: Rig, **fields: Any) -> Any:
        message = rig.camera.image_message(rig.stamp_ns + S // 15)
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    def expect(self, rig: Rig, message: Any, reason: str) -> None:
        """Send good frames, the bad one, and good ones again."""
        status = rig.status()
        rig.publish_until(lambda: rig.counters.processed >= 1)
        failed = rig.counters.failed
        rig.stamp_ns += S // 15
        rig.camera.image.publish(message)
        wait_for(lambda: rig.counters.failed == failed + 1, what="failed frame")
        assert reason in rig.counters.last_error
        wait_for(lambda: any(m.state == NodeStatus.DEGRADED and reason in m.reason for m in status.messages), what="status")
        before = rig.counters.processed
        rig.publish_until(lambda: rig.counters.processed > before)
        wait_for(lambda: status.last.state == NodeStatus.TRACKING, what="recovery")

    def test_zero_size(self, rig: Rig) -> None:
        rig.activate()
        self.expect(rig, self.broken(rig, width=0, height=0), "image is empty")

    def test_wrong_encoding(self, rig: Rig) -> None:
        rig.activate()
        self.expect(rig, self.broken(rig, encoding="rgb9"), "did you mean")

    def test_short_step(self, rig: Rig) -> None:
        rig.activate()
        self.expect(rig, self.broken(rig, step=7), "step is 7 bytes")

    def test_truncated_data(self, rig: Rig) -> None:
        rig.activate()
        message = rig.camera.image_message(rig.stamp_ns + S // 15)
        message.data = message.data[:100]
        self.expect(rig, message, "cut short")

    def test_truncated_jpeg(self, graph: Graph, namespace: str) -> None:
        rig = Rig(graph, namespace, "input.transport:=compressed", compressed=True).activate()
        message = rig.camera.image_message(rig.stamp_ns + S // 15)
        message.data = message.data[: len(message.data) // 2]
        self.expect(rig, message, "cut short")

    def test_no_stamp(self, rig: Rig) -> None:
        rig.activate()
        message = rig.camera.image_message(1)
        message.header.stamp.nanosec = 0
        self.expect(rig, message, "has no stamp")

    def test_depth_where_colour_belongs(self, rig: Rig) -> None:
        rig.activate()
        depth = image_message(rig.camera.factory, np.ones((48, 64), np.float32), "32FC1", rig.stamp_ns + S // 15, "cam_optical")
        self.expect(rig, depth, "holds depth")

    def test_camera_info_of_another_shape(self, rig: Rig) -> None:
        rig.activate()
        self.expect(
            rig,
            image_message(rig.camera.factory, np.zeros((20, 64, 3), np.uint8), "rgb8", T0 + S, "x"),
            "camera_info is for 64x48",
        )

    def test_duplicate_and_late_stamps_are_refused(self, rig: Rig) -> None:
        rig.activate()
        rig.publish_until(lambda: rig.counters.processed >= 2)
        rig.camera.send(rig.stamp_ns)
        wait_for(lambda: rig.counters.refused == 1)
        rig.camera.send(rig.stamp_ns - S // 30)
        wait_for(lambda: rig.counters.refused == 2)
        assert "late" in rig.counters.last_error

    def test_a_jump_backwards_starts_over(self, rig: Rig) -> None:
        rig.activate()
        rig.publish_until(lambda: rig.counters.processed >= 3)
        resets = rig.estimator.num_resets
        rig.stamp_ns -= 10 * S
        rig.send()
        assert rig.estimator.num_resets == resets + 1
        before = rig.counters.processed
        rig.send()
        assert rig.counters.processed == before + 1
        assert "jump" not in rig.counters.last_error

    def test_resolution_change_takes_the_new_camera(self, rig: Rig) -> None:
        rig.activate()
        rig.publish_until(lambda: rig.counters.processed)
        rig.camera.width, rig.camera.height = 128, 96
        before = rig.counters.processed
        rig.publish_until(lambda: rig.counters.processed > before)
        assert rig.estimator.frames[-1].size == (128, 96)
        camera = rig.estimator.frames[-1].camera
        assert camera is not None
        assert camera.fx == pytest.approx(rig.camera.pinhole.fx)

    def test_missing_camera_info_names_the_topic(self, graph: Graph, namespace: str) -> None:
        rig = Rig(graph, namespace, "input.camera_info_timeout_s:=0.3").activate()
        status = rig.status()

        def step() -> bool:
            rig.stamp_ns += S // 15
            rig.camera.image.publish(rig.camera.image_message(rig.stamp_ns))
            return bool(status) and f"no camera_info on '{namespace}/camera_info'" in status.last.reason

        wait_for(step)
        assert status.last.state == NodeStatus.DEGRADED
        rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING, "late camera_info")

    def test_zero_focal_length(self, rig: Rig) -> None:
        rig.activate()
        info = rig.camera.info_message(T0)
        info.k = np.zeros(9)
        status = rig.status()

        def step() -> bool:
            rig.camera.info.publish(info)
            rig.stamp_ns += S // 15
            rig.camera.image.publish(rig.camera.image_message(rig.stamp_ns))
            return bool(status) and "focal length is fx=0.0" in status.last.reason

        wait_for(step)
        assert status.last.state == NodeStatus.DEGRADED
        assert f"{rig.namespace}/camera_info" in rig.counters.last_error

    def test_estimating_needs_no_camera_info(self, graph: Graph, namespace: str) -> None:
        rig = Rig(graph, namespace, "input.intrinsics:=estimate").activate()
        status, info = rig.status(), rig.listen(CameraInfo, "depth/camera_info")

        def step() -> bool:
            rig.stamp_ns += S // 15
            rig.camera.image.publish(rig.camera.image_message(rig.stamp_ns))
            return len(info) > 0 and status.last.intrinsics_source == NodeStatus.INTRINSICS_ESTIMATED

        wait_for(step)
        assert rig.estimator.frames[-1].camera is None
        assert info.last.k[0] > 0

    def test_no_images_is_reported(self, graph: Graph, namespace: str) -> None:
        rig = Rig(graph, namespace, "input.image_timeout_s:=0.2").activate()
        status = rig.status()
        wait_for(lambda: status and f"no image on '{namespace}/image'" in status.last.reason)
        assert status.last.state == NodeStatus.DEGRADED

    def test_an_estimator_that_raises_costs_the_frame_only(self, rig: Rig) -> None:
        rig.activate()
        rig.publish_until(lambda: rig.counters.processed)
        good = rig.estimator.push

        def bad(frame: Any) -> Any:
            rig.estimator.push = good
            raise FloatingPointError("overflow")

        rig.estimator.push = bad
        rig.send()
        assert rig.counters.failed == 1
        assert "overflow" in rig.counters.last_error
        before = rig.counters.processed
        rig.publish_until(lambda: rig.counters.processed > before)


def test_the_ignore_mask_is_paired_by_stamp(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.ignore_mask:=true").activate()
    masks = rig.observer.create_publisher(Image, "ignore_mask", 10)
    wait_for(masks.get_subscription_count)
    pixels = np.zeros((48, 64), np.uint8)
    pixels[:10] = 255

    def step() -> bool:
        rig.stamp_ns += S // 15
        masks.publish(image_message(rig.camera.factory, pixels, "mono8", rig.stamp_ns, "cam_optical"))
        rig.camera.send(rig.stamp_ns)
        return any(f.ignore is not None for f in rig.estimator.frames)

    wait_for(step)
    frame = next(f for f in rig.estimator.frames if f.ignore is not None)
    assert frame.ignore is not None
    assert frame.ignore[:10].all()
    assert not frame.ignore[10:].any()


def test_every_frame_is_kept_under_the_policy_all(graph: Graph, namespace: str) -> None:
    rig = Rig(
        graph, namespace, "input.queue_policy:=all", f"qos_overrides.{namespace}/image.subscription.reliability:=reliable"
    ).activate()
    rig.publish_until(lambda: rig.counters.processed)
    start = rig.counters.received
    for _ in range(5):
        rig.stamp_ns += S // 15
        rig.camera.send(rig.stamp_ns)
    wait_for(lambda: rig.counters.received == start + 5)
    assert rig.counters.dropped == 0
