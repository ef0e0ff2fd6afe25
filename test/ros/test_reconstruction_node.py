"""The contract of the reconstruction node: topics, types, QoS, frames, stamps, services and TF."""

from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from reconstruction_rig import T0, Rig, S, call_save
from ros_support import Graph, Listener, wait_for
from rosgraph_msgs.msg import Clock
from safetensors.numpy import save_file
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from ego_msgs.msg import NodeStatus
from ego_perception.data import TrackingState
from ego_perception.errors import WeightsError
from ego_perception.messages import decode_depth, image_message, unpack_cloud
from ego_perception.nodes import reconstruction_node
from ego_perception.nodes.reconstruction_node import ReconstructionNode
from ego_perception.reconstruction.sizes import KIND
from ego_perception.ros import qos
from ego_perception.ros.tf import TransformBuffer
from ego_perception.weights import shipped_weights


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


def test_save_on_a_full_disk_leaves_no_scrap_and_can_be_repeated(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 3)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        response = call_save(rig, path=str(tmp_path / "map"))
    assert not response.success
    assert "No space left on device; free space or choose another output folder" in response.message
    assert list((tmp_path / "map").iterdir()) == []
    assert rig.node.is_active
    assert call_save(rig, path=str(tmp_path / "map")).success


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


@pytest.mark.parametrize("damage", ["missing", "folder", "text", "cut short", "another network"])
def test_unusable_weights_fail_configure_in_one_line(graph: Graph, namespace: str, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "my weights.safetensors"
    if damage == "folder":
        path.mkdir()
    elif damage == "text":
        path.write_bytes(b"not weights")
    elif damage == "cut short":
        path.write_bytes(shipped_weights(KIND).read_bytes()[:-1000])
    elif damage == "another network":
        save_file({"weight": np.zeros((3, 3), np.float32)}, path)
    node = ReconstructionNode(namespace=namespace, cli_args=["--ros-args", "-p", f"model.path:='{path}'"])
    assert node.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert node.state == "unconfigured"
    assert path.name in node.last_error
    assert len(node.last_error.splitlines()) == 1
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
