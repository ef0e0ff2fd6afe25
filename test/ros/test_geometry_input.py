"""Depth and poses of a reconstruction at the hand removal node: taken where they belong to the image, else done without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from removal_rig import RemovalRig
from ros_support import Graph, wait_for
from sensor_msgs.msg import CameraInfo, Image

from ego_msgs.msg import NodeStatus
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform
from ego_perception.messages import image_message, info_from_camera
from ego_perception.messages.poses import StampedPose, odometry_message
from ego_perception.nodes.geometry_input import GeometryInput

DEPTH = np.full((36, 48), 2.0, np.float32)
CAMERA = PinholeCamera.from_fov(48, 36, 1.0)


class FakeReconstruction:
    """Publishes depth and pose by hand."""

    def __init__(self, rig: RemovalRig) -> None:
        self.rig = rig
        make = rig.observer.create_publisher
        self.depth = make(Image, "reconstruction/depth/image", 10)
        self.info = make(CameraInfo, "reconstruction/depth/camera_info", 10)
        self.odom = make(Odometry, "reconstruction/odom", 10)
        wait_for(lambda: all(p.get_subscription_count() for p in (self.depth, self.info, self.odom)))

    def say(self, stamp_ns: int, x: float = 0.0, *, lost: bool = False) -> None:
        factory = self.rig.camera.factory
        if not lost:
            pose = StampedPose(stamp_ns, make_transform(np.eye(3), [x, 0.0, 0.0]))
            self.odom.publish(odometry_message(factory, pose, None, "odom", "head_link"))
        self.info.publish(info_from_camera(factory, CAMERA, stamp_ns, "cam_optical"))
        self.depth.publish(image_message(factory, DEPTH, "32FC1", stamp_ns, "cam_optical"))


def geometry_input(rig: RemovalRig) -> GeometryInput:
    assert rig.node._geometry is not None
    return rig.node._geometry


def heard(rig: RemovalRig, stamp_ns: int, *, lost: bool = False) -> None:
    books = geometry_input(rig)._books
    wait_for(
        lambda: all(book.at(stamp_ns) is not None for topic, book in books.items() if not (lost and topic.value == "odom"))
    )


def test_depth_and_pose_of_the_image_are_taken_with_the_mount(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "frames.camera_position_m:=[0.0, 0.0, 0.1]").activate()
    other = FakeReconstruction(rig)
    frame = rig.frame(rig.stamp_ns)
    other.say(frame.stamp_ns, x=1.5)
    heard(rig, frame.stamp_ns)
    found = geometry_input(rig).geometry_of(frame)
    assert found is not None and found.stamp_ns == frame.stamp_ns
    assert np.allclose(found.T_world_cam, make_transform(R_FLU_OPTICAL, [1.5, 0.0, 0.1]))
    assert np.array_equal(found.depth, DEPTH) and found.camera.fx == pytest.approx(CAMERA.fx)
    assert found.world_id == 0


def test_stale_missing_and_lost_are_not_used_and_a_new_map_is_another_world(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "geometry_wait_s:=0.05").activate()
    other, geometry = FakeReconstruction(rig), geometry_input(rig)
    assert geometry.geometry_of(rig.frame(5)) is None, "nobody said anything yet"
    other.say(10)
    heard(rig, 10)
    assert geometry.geometry_of(rig.frame(20)) is None, "only an older image is known"
    other.say(30, lost=True)
    heard(rig, 30, lost=True)
    assert geometry.geometry_of(rig.frame(30)) is None, "no pose while lost"
    other.say(40)
    heard(rig, 40)
    found = geometry.geometry_of(rig.frame(40))
    assert found is not None and found.world_id == 1
    assert (geometry.num_asked, geometry.num_given) == (4, 1)


@pytest.mark.parametrize(("source", "state"), [("topic", NodeStatus.DEGRADED), ("auto", NodeStatus.TRACKING)])
def test_the_status_says_what_is_missing_where_it_was_asked_for(graph: Graph, namespace: str, source: str, state: int) -> None:
    rig = RemovalRig(graph, namespace, f"geometry_source:={source}", "geometry_wait_s:=0.0").activate()
    status = rig.status()
    said = "no depth and pose of 'reconstruction'"

    def settled() -> Any:
        return status and status.last.state == state and (said in status.last.reason) == (source == "topic")

    rig.publish_until(settled)
    image = rig.listen(Image, "image")
    rig.publish_until(lambda: image)


def test_none_listens_to_nobody(graph: Graph, namespace: str) -> None:
    rig = RemovalRig(graph, namespace, "geometry_source:=none").activate()
    assert rig.node._geometry is None
    assert rig.observer.count_subscribers(f"{namespace}/reconstruction/odom") == 0
