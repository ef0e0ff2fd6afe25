"""Depth and poses of a reconstruction at the hand removal node: taken where they belong to the image, else done without."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from removal_rig import RemovalRig
from ros_support import Graph, wait_for
from sensor_msgs.msg import CameraInfo, Image

from ego_msgs.msg import NodeStatus
from ego_perception.data import Encoding, Frame
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.messages import image_message, info_from_camera
from ego_perception.messages.poses import StampedPose, odometry_message
from ego_perception.nodes.geometry_input import GeometryInput
from ego_perception.ros.factory import RclpyFactory

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


class Alone:
    """In place of a node: takes messages by hand, so that their order is certain."""

    def __init__(self, *, skips: bool) -> None:
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.factory, node = RclpyFactory(), self
        self.geometry = GeometryInput(node, ExitStack(), "it", np.eye(4), wait_s=60.0, skips=skips)  # type: ignore[arg-type]
        self.submit = self.geometry.watching(lambda _: True)

    def subscription(self, _: ExitStack, __: type, topic: str, callback: Callable[[Any], None]) -> None:
        self.callbacks[topic] = callback

    def see(self, *stamps_ns: int) -> None:
        for stamp_ns in stamps_ns:
            assert self.submit(image_message(self.factory, DEPTH, "32FC1", stamp_ns, "cam"))

    def say(self, stamp_ns: int) -> None:
        self.callbacks["it/depth/image"](image_message(self.factory, DEPTH, "32FC1", stamp_ns, "cam"))
        self.callbacks["it/depth/camera_info"](info_from_camera(self.factory, CAMERA, stamp_ns, "cam"))
        pose = StampedPose(stamp_ns, np.eye(4))
        self.callbacks["it/odom"](odometry_message(self.factory, pose, None, "odom", "head_link"))

    def ask(self, stamp_ns: int) -> tuple[threading.Thread, list[SceneGeometry | None]]:
        answers: list[SceneGeometry | None] = []
        frame = Frame(stamp_ns, np.zeros((36, 48, 3), np.uint8), Encoding.RGB)
        thread = threading.Thread(target=lambda: answers.append(self.geometry.geometry_of(frame)), daemon=True)
        thread.start()
        return thread, answers


def test_an_image_that_the_reconstruction_is_not_at_is_not_waited_for() -> None:
    it = Alone(skips=True)
    it.see(10)
    it.say(10)
    it.see(20, 30)  # it waited for an image and took the first
    thread, answers = it.ask(30)
    thread.join(10.0)
    assert answers == [None], "it is at 20"
    thread, answers = it.ask(20)
    it.say(20)  # and takes the newest, 30
    thread.join(10.0)
    assert answers and answers[0] is not None and answers[0].stamp_ns == 20
    it.see(40)
    thread, answers = it.ask(30)
    thread.join(0.2)
    assert thread.is_alive() and not answers, "it is at 30"
    it.say(30)
    thread.join(10.0)
    assert answers and answers[0] is not None


def test_a_wait_ends_when_the_reconstruction_takes_another_image() -> None:
    it = Alone(skips=True)
    it.see(10, 20)
    it.say(10)
    it.see(30)
    assert it.geometry._is_at(20) and not it.geometry._is_at(30)
    it.say(20)
    assert it.geometry._is_at(30)
    thread, answers = it.ask(30)
    it.see(40, 50)
    it.say(25)  # an image that only the reconstruction saw; the newest is another one now
    thread.join(10.0)
    assert answers == [None]


def test_where_every_image_is_worked_on_each_is_waited_for() -> None:
    it = Alone(skips=False)
    it.see(10, 20, 30)
    it.say(10)
    thread, answers = it.ask(20)
    thread.join(0.2)
    assert thread.is_alive()
    it.say(20)
    thread.join(10.0)
    assert answers and answers[0] is not None
