"""Estimates into a result recording: the same messages as the live node publishes, byte-equal on repeat."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ego_perception.bag.frame_sink import FrameRecorder, FrameTopics, ImageForm
from ego_perception.bag.types import RosbagsFactory
from ego_perception.bag.writer import BagWriter, QosProfile
from ego_perception.data import SceneEstimate
from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.messages import FrameNames, PointOptions, SceneMessages, SceneTopic
from ego_perception.messages.hand_removal import RemovalMessages, RemovalTopic

_REMOVAL = (
    RemovalTopic.COMPRESSED,
    RemovalTopic.PROVENANCE,
    RemovalTopic.PROVENANCE_IMAGE,
    RemovalTopic.HAND_MASK,
    RemovalTopic.STATUS,
)
_PER_FRAME = tuple(t for t in SceneTopic if t is not SceneTopic.TF_STATIC)


class SceneBagSink:
    """A `runtime.Sink` that writes a result bag which RViz and `ros2 bag play` can show.

    Each message has the stamp of its frame as log time, so the bytes depend on the estimates alone. The path grows with the
    recording and is therefore written with keyframes only.

    Args:
        path: folder of the bag; it must not exist, or be empty.
        node: name in front of relative topics.
        removal_node: the same for hand removal, where the estimates hold it.
        topics: which to write; all by default.
        image: how the input picture rides along.
        T_head_camera: as of `SceneMessages`.

    Raises:
        OutputError: as `BagWriter`.
    """

    name = "bag"

    def __init__(
        self,
        path: Path | str,
        *,
        names: FrameNames | None = None,
        node: str = "/reconstruction",
        removal_node: str = "/hand_removal",
        topics: Collection[SceneTopic] = _PER_FRAME,
        image: ImageForm = "jpeg",
        input_topics: FrameTopics | None = None,
        T_head_camera: NDArray[np.float64] | None = None,
        options: PointOptions | None = None,
        storage: Literal["mcap", "sqlite3"] = "mcap",
        compression: Literal["none", "zstd"] = "none",
    ) -> None:
        self._writer = BagWriter(path, storage=storage, compression=compression)
        self._recorder = FrameRecorder(self._writer, input_topics, image=image)
        self._factory = RosbagsFactory()
        self._messages = SceneMessages(self._factory, names, T_head_camera=T_head_camera, options=options)
        self._topics = [t for t in SceneTopic if t in topics and t is not SceneTopic.TF_STATIC]
        self._node = node.rstrip("/")
        self._removal_node = removal_node.rstrip("/")
        self._has_static = False

    def write(self, item: SceneEstimate) -> None:
        """Append everything that one estimate says."""
        stamp_ns = item.frame.stamp_ns
        messages = self._messages.of(item)
        if not self._has_static:
            self._has_static = True
            self._put(SceneTopic.TF_STATIC, self._messages.static_transforms(stamp_ns), stamp_ns)
        self._recorder.write(item.frame)
        for topic in self._topics:
            if topic is SceneTopic.PATH and not item.is_keyframe:
                continue
            self._put(topic, messages.build(topic), stamp_ns)
        if item.hand_removal is not None:
            self._write_removal(item.hand_removal)

    def _write_removal(self, estimate: HandRemovalEstimate) -> None:
        """Append the topics of hand removal; the image as JPEG alone, as the input's, and nothing that follows from others."""
        messages = RemovalMessages(self._factory, estimate)
        for topic in _REMOVAL:
            if (message := messages.build(topic)) is None:
                continue
            name = f"{self._removal_node}/{topic.value}"
            self._writer.add_topic(name, topic.type_name, QosProfile.RESULT)
            self._writer.write(name, message, messages.stamp_ns)

    def close(self) -> None:
        """Finish the recording."""
        self._writer.close()

    def topic_name(self, topic: SceneTopic) -> str:
        """Full name of a topic in the recording."""
        return topic.value if topic.value.startswith("/") else f"{self._node}/{topic.value}"

    def _put(self, topic: SceneTopic, message: object | None, stamp_ns: int) -> None:
        if message is None:
            return
        name = self.topic_name(topic)
        self._writer.add_topic(name, topic.type_name, QosProfile.LATCHED if topic.is_latched else QosProfile.RESULT)
        self._writer.write(name, message, stamp_ns)
