"""Live topics as a source of frames, for programs that are no nodes: `ego run ros`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from rclpy.utilities import ok

from ego_perception.data import Frame
from ego_perception.errors import CalibrationError, EgoPerceptionError
from ego_perception.ros.image_input import ImageInput, InputOptions
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.process import SpinThread, init, shutdown
from ego_perception.runtime import BoundedQueue, QueuePolicy

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.2


@dataclass(frozen=True)
class _NoParameters:
    """The source's node has none."""


class RosSource:
    """Frames of an image topic, raw or compressed, whichever is published; endless until `close`.

    Iterating waits for the first publisher. A camera that sends no usable `camera_info` for `camera_info_timeout_s` is
    estimated from then on, with one warning; until then its frames are yielded as errors.

    Args:
        image: image topic; `<image>/compressed` is taken where only that is published.
        camera_info: by default the sibling of the image topic.
        policy, capacity: of the queue between the topic and whoever iterates.
    """

    is_live = True

    def __init__(
        self,
        image: str = "image",
        camera_info: str | None = None,
        *,
        camera_info_timeout_s: float = 2.0,
        policy: QueuePolicy = QueuePolicy.LATEST,
        capacity: int = 4,
    ) -> None:
        image = image.removesuffix("/compressed")
        info = camera_info or f"{image.rpartition('/')[0]}/camera_info".removeprefix("/" if "/" not in image else "")
        self.name = f"ros topic {image}"
        self._timeout_s = camera_info_timeout_s
        self._queue: BoundedQueue[Any] = BoundedQueue(policy, capacity)
        self._scope = ExitStack()
        if not ok():
            init([])
            self._scope.callback(shutdown)
        remaps = {"image": image, "image/compressed": f"{image}/compressed", "camera_info": info}
        arguments = ["--ros-args", *[word for a, b in remaps.items() if a != b for word in ("-r", f"{a}:={b}")]]
        self._node = EgoLifecycleNode("ego_run", _NoParameters, cli_args=arguments)
        self._scope.callback(self._node.destroy_node)
        self._scope.callback(SpinThread(self._node).stop)

    @property
    def num_dropped(self) -> int:
        """Images given up because whoever iterates was busy."""
        return self._queue.num_dropped

    def __iter__(self) -> Iterator[Frame | Exception]:
        compressed = self._wait_for_publisher()
        if compressed is None:
            return
        source = ImageInput(self._node, InputOptions(compressed=compressed), self._queue.put, self._scope)
        index = 0
        while not (self._queue.is_closed and not len(self._queue)):
            message = self._queue.get(_POLL_S)
            if message is not None:
                yield self._decode(source, message, index)
                index += 1

    def close(self) -> None:
        """Stop listening; safe to repeat."""
        self._queue.close(discard=True)
        self._scope.close()

    def _wait_for_publisher(self) -> bool | None:
        """Wait until somebody sends images; True when only compressed ones, None when closed meanwhile."""
        raw = self._node.resolve_topic_name("image")
        told = False
        while not self._queue.is_closed:
            if self._node.count_publishers(raw):
                return False
            if self._node.count_publishers(self._node.resolve_topic_name("image/compressed")):
                return True
            if not told:
                told = True
                _log.warning("waiting for images on '%s' or '%s/compressed'", raw, raw)
            time.sleep(_POLL_S)
        return None

    def _decode(self, source: ImageInput, message: Any, index: int) -> Frame | Exception:
        if isinstance(message, Exception):
            return message
        try:
            return replace(source.decode(message), index=index)
        except CalibrationError as error:
            if problem := source.problem(float("inf"), self._timeout_s):
                _log.warning("%s; estimating the camera from now on", problem)
                source.estimate_intrinsics()
            return error
        except EgoPerceptionError as error:
            return error
