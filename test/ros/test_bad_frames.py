"""Pictures that show nothing, through the real estimator in its node: no pose, a reason, and on with the old map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from reconstruction_rig import Rig
from ros_support import FlatPrior, Graph, wait_for
from sensor_msgs.msg import PointCloud2

from ego_msgs.msg import NodeStatus
from ego_perception.data import Frame
from ego_perception.messages import stamp_ns_of, unpack_cloud
from ego_perception.nodes.model import ModelIdentity
from ego_perception.reconstruction.estimator import ReconstructionEstimator

Image = NDArray[np.uint8]


class Wall:
    """What a camera sees that slides to and fro along a textured wall, 2 pixels per frame, changed by `change`."""

    def __init__(self, rig: Rig) -> None:
        self.change: Callable[[Image], Image] = lambda image: image
        self.num_frames = 0
        rng = np.random.default_rng(0)
        coarse, fine = (
            cv2.resize(rng.random((n, 2 * n), np.float32), (800, 240), interpolation=cv2.INTER_CUBIC) for n in (12, 60)
        )
        grey = np.clip(255 * (0.5 * coarse + 0.5 * fine), 0, 255).astype(np.uint8)
        self._texture = np.repeat(grey[..., None], 3, axis=2)
        self._camera = rig.camera
        self._camera.width, self._camera.height = 320, 240
        self._camera.frame = self.frame

    def frame(self, stamp_ns: int) -> Frame:
        left = 2 * abs((self.num_frames + 200) % 400 - 200)
        self.num_frames += 1
        image = self.change(np.ascontiguousarray(self._texture[:, left : left + 320]))
        return Frame(stamp_ns, image, camera=self._camera.pinhole, frame_id="cam_optical")


@pytest.fixture
def rig(graph: Graph, namespace: str) -> Rig:
    """The node with the real estimator and a network that answers 2 m everywhere, tracking."""
    made = Rig(graph, namespace, "input.queue_policy:=all")
    made.node._make_estimator = lambda config: (ReconstructionEstimator(config.estimator, FlatPrior()), ModelIdentity())
    return made


def tracking(rig: Rig) -> tuple[Wall, Any, Any]:
    """Bring the node to tracking; give the wall and listeners of status and odometry."""
    wall = Wall(rig)
    rig.activate()
    status, odom = rig.status(), rig.listen(Odometry, "odom")
    rig.publish_until(lambda: len(odom) > 5 and status.last.state == NodeStatus.TRACKING, "tracking")
    return wall, status, odom


@pytest.mark.parametrize(
    ("level", "reason"), [(0, "image is black"), (255, "image is saturated"), (128, "image has no contrast")]
)
def test_blind_frames_are_lost_and_the_map_is_found_again(rig: Rig, level: int, reason: str) -> None:
    wall, status, odom = tracking(rig)
    points = rig.listen(PointCloud2, "points")
    first_blind_ns = rig.stamp_ns + 1
    wall.change = lambda image: np.full_like(image, level)
    rig.publish_until(lambda: status.last.state == NodeStatus.LOST, "lost")
    assert status.last.reason == reason
    last_blind_ns = rig.stamp_ns
    wall.change = lambda image: image
    rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING and stamp_ns_of(odom.last) > last_blind_ns, "recovery")
    assert not [m for m in odom.messages if first_blind_ns <= stamp_ns_of(m) <= last_blind_ns]
    assert status.last.map_id == 0
    assert status.last.num_failed == 0
    for message in points.messages:
        finite = np.isfinite(unpack_cloud(message)[0]).all()
        assert finite or not message.is_dense


def test_a_frozen_picture_is_degraded_and_keeps_its_pose(rig: Rig) -> None:
    wall, status, odom = tracking(rig)
    frozen = wall.frame(0).image
    wall.change = lambda image: frozen
    rig.publish_until(lambda: status.last.state == NodeStatus.DEGRADED, "degraded")
    assert "frozen" in status.last.reason
    start = len(odom)
    rig.publish_until(lambda: len(odom) > start + 2)
    positions = [(p.x, p.y, p.z) for p in (m.pose.pose.position for m in odom.messages[-2:])]
    assert positions[0] == positions[1]
    wall.change = lambda image: image
    rig.publish_until(lambda: status.last.state == NodeStatus.TRACKING, "recovery")


def test_a_change_of_resolution_keeps_the_map(rig: Rig) -> None:
    wall, status, odom = tracking(rig)
    rig.camera.width, rig.camera.height = 160, 120
    wall.change = lambda image: np.asarray(cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA), np.uint8)
    changed_ns = rig.stamp_ns
    rig.publish_until(lambda: stamp_ns_of(odom.last) > changed_ns and status.last.state == NodeStatus.TRACKING, "tracking")
    assert status.last.map_id == 0
    wait_for(lambda: status.last.num_failed == 0)
