"""Poses as messages: pose, transform, odometry with covariance and twist, and a path of bounded length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import FrameError
from ego_perception.geometry import matrix_from_quat_xyzw, quat_xyzw_from_matrix, so3_log
from ego_perception.messages.factory import MessageFactory, make_header

Array = NDArray[np.float64]

_MAX_TWIST_GAP_NS = 1_000_000_000


@dataclass(frozen=True)
class StampedPose:
    """One pose of the head in odom, with what a velocity needs.

    Attributes:
        T: (4, 4) child to parent, metres.
        covariance: (6, 6) of (x, y, z, rot x, rot y, rot z) about the parent's axes, or None where unknown.
    """

    stamp_ns: int
    T: Array
    covariance: Array | None = None


def pose_fields(factory: MessageFactory, T: Array) -> Any:
    """Make a `geometry_msgs/Pose` of a (4, 4) transform."""
    q = quat_xyzw_from_matrix(T[:3, :3])
    return factory.make(
        "geometry_msgs/msg/Pose",
        position=factory.make("geometry_msgs/msg/Point", x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3])),
        orientation=_quaternion(factory, q),
    )


def pose_message(factory: MessageFactory, T: Array, stamp_ns: int, frame_id: str) -> Any:
    """Make a `geometry_msgs/PoseStamped`."""
    return factory.make(
        "geometry_msgs/msg/PoseStamped", header=make_header(factory, stamp_ns, frame_id), pose=pose_fields(factory, T)
    )


def transform_message(factory: MessageFactory, T: Array, stamp_ns: int, parent: str, child: str) -> Any:
    """Make a `geometry_msgs/TransformStamped`: T maps points of `child` to `parent`."""
    q = quat_xyzw_from_matrix(T[:3, :3])
    translation = factory.make("geometry_msgs/msg/Vector3", x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3]))
    return factory.make(
        "geometry_msgs/msg/TransformStamped",
        header=make_header(factory, stamp_ns, parent),
        child_frame_id=child,
        transform=factory.make("geometry_msgs/msg/Transform", translation=translation, rotation=_quaternion(factory, q)),
    )


def tf_message(factory: MessageFactory, transforms: list[Any]) -> Any:
    """Make a `tf2_msgs/TFMessage`."""
    return factory.make("tf2_msgs/msg/TFMessage", transforms=transforms)


def matrix_from_pose(msg: Any) -> Array:
    """Read a Pose, or a message that holds one (PoseStamped, Odometry), as a (4, 4) transform.

    Raises:
        FrameError: not finite, or a quaternion of no length.
    """
    while hasattr(msg, "pose"):
        msg = msg.pose
    return _matrix(msg.position, msg.orientation)


def matrix_from_transform(msg: Any) -> Array:
    """Read a Transform or TransformStamped as a (4, 4) transform.

    Raises:
        FrameError: as `matrix_from_pose`.
    """
    if hasattr(msg, "transform"):
        msg = msg.transform
    return _matrix(msg.translation, msg.rotation)


def odometry_message(
    factory: MessageFactory, pose: StampedPose, previous: StampedPose | None, frame_id: str, child_frame_id: str
) -> Any:
    """Make a `nav_msgs/Odometry`: pose in `frame_id`, twist in `child_frame_id` from the difference to the pose before.

    An unknown covariance has -1 as its first element, as `sensor_msgs/Imu` has it; an unknown twist is zero and marked so.
    """
    twist, twist_covariance = _twist(pose, previous)
    linear = factory.make("geometry_msgs/msg/Vector3", x=float(twist[0]), y=float(twist[1]), z=float(twist[2]))
    angular = factory.make("geometry_msgs/msg/Vector3", x=float(twist[3]), y=float(twist[4]), z=float(twist[5]))
    return factory.make(
        "nav_msgs/msg/Odometry",
        header=make_header(factory, pose.stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=factory.make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=pose_fields(factory, pose.T),
            covariance=_covariance_field(pose.covariance),
        ),
        twist=factory.make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=factory.make("geometry_msgs/msg/Twist", linear=linear, angular=angular),
            covariance=_covariance_field(twist_covariance),
        ),
    )


def covariance_from_field(field: Any) -> Array | None:
    """Read a (6, 6) covariance; None where it is marked unknown."""
    covariance = np.array(field, np.float64).reshape(6, 6)
    return None if covariance[0, 0] < 0 or not np.isfinite(covariance).all() else covariance


def shift_covariance(covariance: Array, lever: Array) -> Array:
    """Covariance of a second point of the same rigid body.

    Args:
        covariance: (6, 6) of a first point, translation before rotation, about the parent's axes.
        lever: (3,) from the first to the second point in the parent's axes, metres.
    """
    x, y, z = lever
    J = np.eye(6)
    # A small rotation w moves the second point by w x lever.
    J[:3, 3:] = -np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(J @ covariance @ J.T)


class PathBuilder:
    """Collects a path that never grows beyond `capacity` poses: when it is full, every second pose is given up.

    Args:
        capacity: longest path; a publisher sends all of it each time.
        min_step_m, min_turn_rad: a pose closer than both to the last one kept is not added.
    """

    def __init__(
        self,
        factory: MessageFactory,
        frame_id: str,
        *,
        capacity: int = 1000,
        min_step_m: float = 0.01,
        min_turn_rad: float = 0.02,
    ) -> None:
        self._factory = factory
        self._frame_id = frame_id
        self._capacity = max(2, capacity)
        self._min_step_m = min_step_m
        self._min_turn_rad = min_turn_rad
        self.clear()

    def clear(self) -> None:
        """Start a new path."""
        self._poses: list[Any] = []
        self._last: Array | None = None

    def __len__(self) -> int:
        return len(self._poses)

    def add(self, T: Array, stamp_ns: int) -> bool:
        """Add one pose; False when it was too close to the last."""
        if self._last is not None:
            step = float(np.linalg.norm(T[:3, 3] - self._last[:3, 3]))
            turn = float(np.linalg.norm(so3_log(self._last[:3, :3].T @ T[:3, :3])))
            if step < self._min_step_m and turn < self._min_turn_rad:
                return False
        if len(self._poses) >= self._capacity:
            del self._poses[1::2]
        self._poses.append(pose_message(self._factory, T, stamp_ns, self._frame_id))
        self._last = T.copy()
        return True

    def message(self, stamp_ns: int) -> Any:
        """Make a `nav_msgs/Path` of the poses so far."""
        header = make_header(self._factory, stamp_ns, self._frame_id)
        return self._factory.make("nav_msgs/msg/Path", header=header, poses=list(self._poses))


def _twist(pose: StampedPose, previous: StampedPose | None) -> tuple[Array, Array | None]:
    """Mean velocity since the pose before, (6,) linear and angular in the child's axes, with its covariance."""
    if previous is None or not 0 < pose.stamp_ns - previous.stamp_ns <= _MAX_TWIST_GAP_NS:
        return np.zeros(6), None
    dt = (pose.stamp_ns - previous.stamp_ns) * 1e-9
    R = pose.T[:3, :3]
    linear = R.T @ (pose.T[:3, 3] - previous.T[:3, 3]) / dt
    angular = so3_log(previous.T[:3, :3].T @ R) / dt
    twist = np.concatenate([linear, angular])
    if pose.covariance is None or previous.covariance is None:
        return twist, None
    A = np.zeros((6, 6))
    A[:3, :3] = A[3:, 3:] = R.T
    # Errors of neighbouring poses are nearly equal; taking them as independent bounds the error of their difference from above.
    return twist, np.asarray(A @ (pose.covariance + previous.covariance) @ A.T / dt**2)


def _covariance_field(covariance: Array | None) -> Array:
    if covariance is None:
        field = np.zeros(36)
        field[0] = -1.0
        return field
    return np.ascontiguousarray(covariance, np.float64).reshape(-1)


def _quaternion(factory: MessageFactory, q: Array) -> Any:
    return factory.make("geometry_msgs/msg/Quaternion", x=float(q[0]), y=float(q[1]), z=float(q[2]), w=float(q[3]))


def _matrix(position: Any, orientation: Any) -> Array:
    t = np.array([position.x, position.y, position.z], np.float64)
    q = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    if not (np.isfinite(t).all() and np.isfinite(q).all()) or np.linalg.norm(q) < 1e-6:
        raise FrameError(f"pose is not usable: position {t.tolist()}, quaternion {q.tolist()}")
    T = np.eye(4)
    T[:3, :3] = matrix_from_quat_xyzw(q)
    T[:3, 3] = t
    return T
