"""Depth and poses that a reconstruction node publishes, as the geometry by which hand removal carries the background over.

The two nodes wait for one another within one image, but never in a circle: the mask goes out as soon as it is found, the
reconstruction leaves the hands out and publishes depth and pose of that image, and only then are they asked for here. Each wait
has a limit, after which the image is done without. And where both work on the newest image only, they are often at different
ones: which one the reconstruction is at can be told from what it published last, and others are not waited for.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.errors import EgoPerceptionError
from ego_perception.geometry import R_FLU_OPTICAL, make_transform
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.messages import SceneTopic, camera_from_info, decode_depth, matrix_from_pose, stamp_ns_of
from ego_perception.ros.factory import message_class
from ego_perception.ros.image_input import StampedBook
from ego_perception.ros.lifecycle import EgoLifecycleNode

_log = logging.getLogger(__name__)

_TOPICS: Final = (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.ODOM)
_TOGETHER_S: Final = 0.02
"""What is sent together arrives together, up to this."""
_IMAGES: Final = 32
"""Images whose arrival is remembered: more than come while the reconstruction is at one."""
_QUIET_S: Final = 1.0
"""A reconstruction that said nothing for longer, or for twice the longest wait, is not waited for."""


class GeometryInput:
    """Subscribes to a reconstruction node while `scope` lives.

    Args:
        node: whose namespace the name is relative to.
        reconstruction: name of the node.
        T_head_camera: (4, 4) `camera_link` to `head_link`, as in the reconstruction's parameters.
        wait_s: how long an image waits for its geometry.
        skips: the reconstruction works on the newest image and leaves out others; those are not waited for.
    """

    def __init__(
        self,
        node: EgoLifecycleNode[Any],
        scope: ExitStack,
        reconstruction: str,
        T_head_camera: NDArray[np.float64],
        wait_s: float,
        *,
        skips: bool = False,
    ) -> None:
        self.num_asked = 0
        self.num_given = 0
        self._wait_s, self._skips = wait_s, skips
        self._T_head_optical = T_head_camera @ make_transform(R_FLU_OPTICAL, np.zeros(3))
        self._books: dict[SceneTopic, StampedBook[Any]] = {topic: StampedBook() for topic in _TOPICS}
        self._heard_s, self._done_ns = -np.inf, 0
        self._images: deque[tuple[float, int]] = deque(maxlen=_IMAGES)
        self._world, self._was_lost = 0, False
        for topic in _TOPICS:
            name = f"{reconstruction}/{topic.value}"
            node.subscription(scope, message_class(topic.type_name), name, partial(self._take, topic))

    def geometry_of(self, frame: Frame) -> SceneGeometry | None:
        """Wait for depth and pose of a frame; None where they do not come in time, or the reconstruction is lost."""
        self.num_asked += 1
        is_alive = time.monotonic() - self._heard_s < max(_QUIET_S, 2 * self._wait_s)
        wait_s = self._wait_s if is_alive else 0.0
        depth = self._books[SceneTopic.DEPTH].at(
            frame.stamp_ns, wait_s, lambda: self._skips and not self._is_at(frame.stamp_ns)
        )
        if depth is None:
            return None
        info, odom = (self._books[t].at(frame.stamp_ns, _TOGETHER_S) for t in (SceneTopic.DEPTH_INFO, SceneTopic.ODOM))
        if info is None or odom is None:
            # After it was lost, the reconstruction may begin a new map, in whose frame older poses mean nothing.
            self._was_lost = True
            return None
        self._world, self._was_lost = self._world + self._was_lost, False
        try:
            T = matrix_from_pose(odom) @ self._T_head_optical
            geometry = SceneGeometry(frame.stamp_ns, decode_depth(depth), T, camera_from_info(info), self._world)
        except EgoPerceptionError as error:
            _log.warning("depth or pose of the frame at %d cannot be used: %s", frame.stamp_ns, error)
            return None
        self.num_given += 1
        return geometry

    def watching(self, submit: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """`submit` for image messages, whose arrival is noted on the way."""

        def noted(item: Any) -> bool:
            if not isinstance(item, Exception):
                self._images.append((time.monotonic(), stamp_ns_of(item)))
            return submit(item)

        return noted

    def _is_at(self, stamp_ns: int) -> bool:
        """The reconstruction works on the image of this stamp: the newest when it published last, or the first one since."""
        waiting = [(arrived_s, stamp) for arrived_s, stamp in tuple(self._images) if stamp > self._done_ns]
        taken = [stamp for arrived_s, stamp in waiting if arrived_s <= self._heard_s]
        return stamp_ns == (max(taken) if taken else min((stamp for _, stamp in waiting), default=None))

    def _take(self, topic: SceneTopic, message: Any) -> None:
        self._heard_s = time.monotonic()
        if topic is SceneTopic.DEPTH:
            self._done_ns = stamp_ns_of(message)
        self._books[topic].add(stamp_ns_of(message), message)
