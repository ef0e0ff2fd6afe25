"""The reconstruction node on bad input: it lives, counts, and its status names the topic or the value at fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reconstruction_rig import T0, Rig, S
from ros_support import FakeSource, Graph, wait_for
from sensor_msgs.msg import CameraInfo

from ego_msgs.msg import NodeStatus
from ego_perception.messages import image_message
from ego_perception.nodes.egosim_node import EgoSimNode


def broken(rig: Rig, **fields: Any) -> Any:
    message = rig.camera.image_message(rig.stamp_ns + S // 15)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def expect(rig: Rig, message: Any, reason: str) -> None:
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


def test_zero_size(rig: Rig) -> None:
    rig.activate()
    expect(rig, broken(rig, width=0, height=0), "image is empty")


def test_wrong_encoding(rig: Rig) -> None:
    rig.activate()
    expect(rig, broken(rig, encoding="rgb9"), "did you mean")


@pytest.mark.parametrize("step", [0, 7])
def test_short_step(rig: Rig, step: int) -> None:
    rig.activate()
    expect(rig, broken(rig, step=step), f"step is {step} bytes")


def test_step_beyond_the_data(rig: Rig) -> None:
    rig.activate()
    expect(rig, broken(rig, step=2**31), "cut short")


def test_truncated_data(rig: Rig) -> None:
    rig.activate()
    message = rig.camera.image_message(rig.stamp_ns + S // 15)
    message.data = message.data[:100]
    expect(rig, message, "cut short")


def test_truncated_jpeg(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.transport:=compressed", compressed=True).activate()
    message = rig.camera.image_message(rig.stamp_ns + S // 15)
    message.data = message.data[: len(message.data) // 2]
    expect(rig, message, "cut short")


@pytest.mark.parametrize("data", [b"", b"no picture at all" * 10])
def test_undecodable_compressed_image(graph: Graph, namespace: str, data: bytes) -> None:
    rig = Rig(graph, namespace, "input.transport:=compressed", compressed=True).activate()
    expect(rig, broken(rig, data=data), "compressed image")


def test_no_stamp(rig: Rig) -> None:
    rig.activate()
    message = rig.camera.image_message(1)
    message.header.stamp.nanosec = 0
    expect(rig, message, "has no stamp")


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_depth_where_colour_belongs(rig: Rig, value: float) -> None:
    rig.activate()
    pixels = np.full((48, 64), value, np.float32)
    depth = image_message(rig.camera.factory, pixels, "32FC1", rig.stamp_ns + S // 15, "cam_optical")
    expect(rig, depth, "holds depth")


def test_camera_info_of_another_shape(rig: Rig) -> None:
    rig.activate()
    expect(
        rig,
        image_message(rig.camera.factory, np.zeros((20, 64, 3), np.uint8), "rgb8", T0 + S, "x"),
        "camera_info is for 64x48",
    )


def test_duplicate_and_late_stamps_are_refused(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 2)
    rig.camera.send(rig.stamp_ns)
    wait_for(lambda: rig.counters.refused == 1)
    rig.camera.send(rig.stamp_ns - S // 30)
    wait_for(lambda: rig.counters.refused == 2)
    assert "late" in rig.counters.last_error


def test_a_camera_whose_stamp_stands_still_is_reported(rig: Rig) -> None:
    """Images keep coming and none can be used: the last good estimate must not go on saying that all is well."""
    rig.activate()
    status = rig.status()
    rig.publish_until(lambda: status and status.last.state == NodeStatus.TRACKING)
    refused = rig.counters.refused

    def step() -> bool:
        rig.send(0)
        return any("frames refused" in m.reason and m.state == NodeStatus.DEGRADED for m in status.messages)

    wait_for(step)
    assert "duplicate stamp" in next(m.reason for m in status.messages if m.state == NodeStatus.DEGRADED)
    assert status.last.num_refused > refused
    rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING, "recovery")


def test_a_jump_forwards_goes_on_without_starting_over(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed >= 3)
    resets, processed = rig.estimator.num_resets, rig.counters.processed
    rig.send(3600 * S)
    rig.send()
    assert rig.counters.processed == processed + 2
    assert rig.estimator.num_resets == resets


def test_a_jump_backwards_starts_over(rig: Rig) -> None:
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


def test_a_bag_in_a_loop_starts_over_each_round(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.queue_policy:=all").activate()
    parameters = ["playback.rate:=0.0", "playback.stamps:=recording", "playback.loop:=true"]
    player = graph.add(
        EgoSimNode(
            make_source=lambda _: FakeSource(8, fps=10.0),
            namespace=namespace,
            cli_args=["--ros-args", *[x for p in parameters for x in ("-p", p)]],
        )
    )
    player.trigger_configure()
    player.trigger_activate()
    wait_for(lambda: rig.counters.resets >= 3, what="three rounds")
    assert player.is_active
    assert rig.node.is_active
    assert rig.counters.failed == 0


def test_resolution_change_takes_the_new_camera(rig: Rig) -> None:
    rig.activate()
    rig.publish_until(lambda: rig.counters.processed)
    rig.camera.width, rig.camera.height = 128, 96
    before = rig.counters.processed
    rig.publish_until(lambda: rig.counters.processed > before)
    assert rig.estimator.frames[-1].size == (128, 96)
    camera = rig.estimator.frames[-1].camera
    assert camera is not None
    assert camera.fx == pytest.approx(rig.camera.pinhole.fx)


def test_missing_camera_info_names_the_topic(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.camera_info_timeout_s:=0.3").activate()
    status = rig.status()

    def step() -> bool:
        rig.stamp_ns += S // 15
        rig.camera.image.publish(rig.camera.image_message(rig.stamp_ns))
        return bool(status) and f"no camera_info on '{namespace}/camera_info'" in status.last.reason

    wait_for(step)
    assert status.last.state == NodeStatus.DEGRADED
    rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING, "late camera_info")


def test_zero_focal_length(rig: Rig) -> None:
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


def test_estimating_needs_no_camera_info(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.intrinsics:=estimate").activate()
    status, info = rig.status(), rig.listen(CameraInfo, "depth/camera_info")

    def step() -> bool:
        rig.stamp_ns += S // 15
        rig.camera.image.publish(rig.camera.image_message(rig.stamp_ns))
        return bool(info) and bool(status.messages) and status.last.intrinsics_source == NodeStatus.INTRINSICS_ESTIMATED

    wait_for(step)
    assert rig.estimator.frames[-1].camera is None
    assert info.last.k[0] > 0


def test_no_images_is_reported(graph: Graph, namespace: str) -> None:
    rig = Rig(graph, namespace, "input.image_timeout_s:=0.2").activate()
    status = rig.status()
    wait_for(lambda: status and f"no image on '{namespace}/image'" in status.last.reason)
    assert status.last.state == NodeStatus.DEGRADED


def test_an_estimator_that_raises_costs_the_frame_only(rig: Rig) -> None:
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
