"""A `SceneEstimate` as messages, one topic at a time, so that what nobody asked for is never built.

`SceneMessages` keeps what spans frames (the path, the pose before); `of(estimate)` gives one frame's messages. Frames are
`map -> odom -> head_link -> camera_link -> camera_optical_frame`; the estimator's world is `odom`. Nothing with a pose is made
while the camera is lost.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneEstimate, TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, invert, make_transform
from ego_perception.messages.camera_info import info_from_camera
from ego_perception.messages.factory import MessageFactory
from ego_perception.messages.image_encode import image_message
from ego_perception.messages.point_cloud import cloud_message, resize_colours
from ego_perception.messages.poses import (
    PathBuilder,
    StampedPose,
    odometry_message,
    shift_covariance,
    tf_message,
    transform_message,
)
from ego_perception.messages.status import NodeFacts, scene_facts, status_message

Array = NDArray[np.float64]


class SceneTopic(enum.Enum):
    """Outputs of reconstruction; the value is the topic relative to the node, with TF's absolute."""

    POINTS = "points"
    DEPTH = "depth/image"
    DEPTH_INFO = "depth/camera_info"
    CONFIDENCE = "confidence/image"
    ODOM = "odom"
    PATH = "path"
    MAP_POINTS = "map_points"
    STATUS = "status"
    TF = "/tf"
    TF_STATIC = "/tf_static"

    @property
    def type_name(self) -> str:
        """Full ROS type name."""
        return _TYPES[self]

    @property
    def is_latched(self) -> bool:
        """True for slow state, published reliable and transient local."""
        return self in (SceneTopic.MAP_POINTS, SceneTopic.TF_STATIC)


_TYPES = {
    SceneTopic.POINTS: "sensor_msgs/msg/PointCloud2",
    SceneTopic.DEPTH: "sensor_msgs/msg/Image",
    SceneTopic.DEPTH_INFO: "sensor_msgs/msg/CameraInfo",
    SceneTopic.CONFIDENCE: "sensor_msgs/msg/Image",
    SceneTopic.ODOM: "nav_msgs/msg/Odometry",
    SceneTopic.PATH: "nav_msgs/msg/Path",
    SceneTopic.MAP_POINTS: "sensor_msgs/msg/PointCloud2",
    SceneTopic.STATUS: "ego_msgs/msg/NodeStatus",
    SceneTopic.TF: "tf2_msgs/msg/TFMessage",
    SceneTopic.TF_STATIC: "tf2_msgs/msg/TFMessage",
}


@dataclass(frozen=True)
class FrameNames:
    """Names of the frames, parent first (REP-105)."""

    map: str = "map"
    odom: str = "odom"
    head: str = "head_link"
    camera: str = "camera_link"
    optical: str = "camera_optical_frame"


@dataclass(frozen=True)
class PointOptions:
    """How clouds and the path are thinned.

    Attributes:
        stride: keep every stride-th row and column of `points`.
        path_capacity: longest path, poses.
    """

    stride: int = 1
    path_capacity: int = 1000


class SceneMessages:
    """Turns the estimates of one stream into messages.

    Args:
        T_head_camera: (4, 4) `camera_link` to `head_link`, from the calibration of the mount; None when they coincide.
    """

    def __init__(
        self,
        factory: MessageFactory,
        names: FrameNames | None = None,
        *,
        T_head_camera: Array | None = None,
        options: PointOptions | None = None,
    ) -> None:
        self.factory = factory
        self.names = names or FrameNames()
        self.options = options or PointOptions()
        self.T_head_camera = np.eye(4) if T_head_camera is None else T_head_camera
        self._T_optical_head = invert(self.T_head_camera @ make_transform(R_FLU_OPTICAL, np.zeros(3)))
        self._path = PathBuilder(factory, self.names.odom, capacity=self.options.path_capacity)
        self.reset()

    def reset(self) -> None:
        """Forget the path and the pose before; the next estimate starts a new stream."""
        self._path.clear()
        self._previous: StampedPose | None = None
        self._current: StampedPose | None = None
        self._map_id: int | None = None

    def of(self, estimate: SceneEstimate) -> EstimateMessages:
        """Take the next estimate of the stream; its messages are built on request, before the next one is taken."""
        if self._map_id not in (None, estimate.map_id):
            self.reset()
        self._map_id = estimate.map_id
        self._previous, self._current = self._current, self._head_pose(estimate)
        if self._current is not None:
            self._path.add(self._current.T, self._current.stamp_ns)
        return EstimateMessages(self, estimate, self._current, self._previous, self._path)

    def static_transforms(self, stamp_ns: int) -> Any:
        """Make the TFMessage of what never moves: map to odom (loops are not closed), head to camera to its optical frame."""
        names, optical = self.names, make_transform(R_FLU_OPTICAL, np.zeros(3))
        edges = [
            (np.eye(4), names.map, names.odom),
            (self.T_head_camera, names.head, names.camera),
            (optical, names.camera, names.optical),
        ]
        transforms = [transform_message(self.factory, T, stamp_ns, parent, child) for T, parent, child in edges]
        return tf_message(self.factory, transforms)

    def _head_pose(self, estimate: SceneEstimate) -> StampedPose | None:
        if not has_pose(estimate):
            return None
        assert estimate.T_world_cam is not None
        T = estimate.T_world_cam @ self._T_optical_head
        covariance = estimate.covariance
        if covariance is not None:
            covariance = shift_covariance(covariance, T[:3, 3] - estimate.T_world_cam[:3, 3])
        return StampedPose(estimate.frame.stamp_ns, T, covariance)


class EstimateMessages:
    """The messages of one estimate, made by `SceneMessages.of`; a builder returns None where there is nothing to say."""

    def __init__(
        self,
        scene: SceneMessages,
        estimate: SceneEstimate,
        pose: StampedPose | None,
        previous: StampedPose | None,
        path: PathBuilder,
    ) -> None:
        self._factory = scene.factory
        self._names = scene.names
        self._options = scene.options
        self._scene = scene
        self._pose, self._previous, self._path = pose, previous, path
        self.estimate = estimate
        self.stamp_ns = estimate.frame.stamp_ns
        self.optical_frame = estimate.frame.frame_id or scene.names.optical

    def build(self, topic: SceneTopic) -> Any | None:
        """Build the message of one topic, or None where there is none for this frame."""
        builders = {
            SceneTopic.POINTS: self.points,
            SceneTopic.DEPTH: self.depth,
            SceneTopic.DEPTH_INFO: self.depth_info,
            SceneTopic.CONFIDENCE: self.confidence,
            SceneTopic.ODOM: self.odom,
            SceneTopic.PATH: self.path,
            SceneTopic.MAP_POINTS: self.map_points,
            SceneTopic.STATUS: self.status,
            SceneTopic.TF: self.transforms,
            SceneTopic.TF_STATIC: self.static_transforms,
        }
        return builders[topic]()

    def points(self) -> Any | None:
        """Make the organised, coloured cloud in the optical frame."""
        points = self.estimate.points
        if points is None:
            return None
        rgb = resize_colours(self.estimate.frame.rgb, points.shape[1], points.shape[0])
        return cloud_message(self._factory, points, rgb, self.stamp_ns, self.optical_frame, stride=self._options.stride)

    def depth(self) -> Any | None:
        """Make the 32FC1 depth image, metres, NaN where invalid."""
        return self._float_image(self.estimate.depth)

    def depth_info(self) -> Any | None:
        """Make the CameraInfo of the depth image."""
        camera = self.estimate.depth_camera
        return None if camera is None else info_from_camera(self._factory, camera, self.stamp_ns, self.optical_frame)

    def confidence(self) -> Any | None:
        """Make the 32FC1 confidence image, 0..1."""
        return self._float_image(self.estimate.confidence)

    def odom(self) -> Any | None:
        """Make the odometry of the head."""
        if self._pose is None:
            return None
        return odometry_message(self._factory, self._pose, self._previous, self._names.odom, self._names.head)

    def path(self) -> Any | None:
        """Make the path up to this frame."""
        return None if self._pose is None else self._path.message(self.stamp_ns)

    def map_points(self) -> Any | None:
        """Make the unorganised cloud of the sparse map in odom; after keyframes only, since nothing else changes it."""
        if self._pose is None or not self.estimate.is_keyframe:
            return None
        return cloud_message(self._factory, self.estimate.landmarks, None, self.stamp_ns, self._names.odom)

    def transforms(self) -> Any | None:
        """Make the TFMessage of odom to head."""
        if self._pose is None:
            return None
        names = self._names
        return tf_message(
            self._factory, [transform_message(self._factory, self._pose.T, self.stamp_ns, names.odom, names.head)]
        )

    def static_transforms(self) -> Any:
        """Make the static TFMessage with this frame's stamp."""
        return self._scene.static_transforms(self.stamp_ns)

    def status(self) -> Any:
        """Make a NodeStatus of what the estimate itself settles; a live node adds its rates and counters in its own."""
        return status_message(self._factory, NodeFacts(**scene_facts(self.estimate)), self.stamp_ns)

    def _float_image(self, values: NDArray[np.float32] | None) -> Any | None:
        if values is None:
            return None
        return image_message(self._factory, values, "32FC1", self.stamp_ns, self.optical_frame)


def has_pose(estimate: SceneEstimate) -> bool:
    """True where the estimate's pose may be shown: present, finite, and not lost."""
    T = estimate.T_world_cam
    return estimate.state is not TrackingState.LOST and T is not None and bool(np.isfinite(T).all())
