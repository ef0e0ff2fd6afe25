"""TF without tf2_ros: broadcasters for `/tf` and `/tf_static`, and a small buffer that follows them.

The wheels that this package runs on have no tf2_ros; the two topics and their QoS are its whole contract for a broadcaster.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from ego_perception.errors import EgoPerceptionError
from ego_perception.geometry import invert, make_transform, matrix_from_quat_xyzw

TF_QOS: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
TF_STATIC_QOS: Final = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class TransformBroadcaster:
    """Publishes moving transforms on `/tf`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(TFMessage, "/tf", TF_QOS)

    def send(self, transforms: Iterable[TransformStamped]) -> None:
        """Publish the transforms in one message."""
        self._publisher.publish(TFMessage(transforms=list(transforms)))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


class StaticTransformBroadcaster:
    """Publishes fixed transforms on `/tf_static`, latched; all of this node in one message, so that none replaces another."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(TFMessage, "/tf_static", TF_STATIC_QOS)
        self._by_child: dict[str, TransformStamped] = {}

    def send(self, transforms: Iterable[TransformStamped]) -> None:
        """Add or replace transforms, by child frame, and publish all."""
        self._by_child |= {transform.child_frame_id: transform for transform in transforms}
        self._publisher.publish(TFMessage(transforms=list(self._by_child.values())))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


class TransformBuffer:
    """The newest transform of every child frame heard on `/tf` and `/tf_static`; enough for tests and the viewer.

    It keeps no history and does not interpolate: use tf2_ros for that.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._newest: dict[str, tuple[str, int, NDArray[np.float64]]] = {}
        self._lock = threading.Lock()
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", self._take, TF_QOS),
            node.create_subscription(TFMessage, "/tf_static", self._take, TF_STATIC_QOS),
        ]

    @property
    def parents(self) -> dict[str, str]:
        """Parent frame by child frame."""
        with self._lock:
            return {child: parent for child, (parent, _, _) in self._newest.items()}

    def lookup(self, target: str, source: str) -> NDArray[np.float64]:
        """The (4, 4) transform that takes points of `source` to `target`, from the newest data.

        Raises:
            EgoPerceptionError: the frames are not connected.
        """
        T_source, root_source = self._to_root(source)
        T_target, root_target = self._to_root(target)
        if root_source != root_target:
            raise EgoPerceptionError(
                f"TF frames '{target}' and '{source}' are not connected: roots '{root_target}', '{root_source}'"
            )
        return invert(T_target) @ T_source

    def stamp_ns(self, child: str) -> int:
        """Stamp of the newest transform to `child`, nanoseconds."""
        with self._lock:
            return self._newest[child][1]

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _to_root(self, frame: str) -> tuple[NDArray[np.float64], str]:
        T = np.eye(4)
        seen = {frame}
        with self._lock:
            while frame in self._newest:
                parent, _, step = self._newest[frame]
                T, frame = step @ T, parent
                if frame in seen:
                    raise EgoPerceptionError(f"TF has a loop at frame '{frame}'")
                seen.add(frame)
        return T, frame

    def _take(self, message: Any) -> None:
        for transform in message.transforms:
            t, q = transform.transform.translation, transform.transform.rotation
            T = make_transform(matrix_from_quat_xyzw((q.x, q.y, q.z, q.w)), (t.x, t.y, t.z))
            stamp_ns = transform.header.stamp.sec * 1_000_000_000 + transform.header.stamp.nanosec
            with self._lock:
                self._newest[transform.child_frame_id] = (transform.header.frame_id, stamp_ns, T)
