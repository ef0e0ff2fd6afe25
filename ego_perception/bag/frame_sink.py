"""Frames into a recording: image, camera and, where known, ground truth; what EgoSim's recorder and result bags share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ego_perception.bag.types import RosbagsFactory
from ego_perception.bag.writer import BagWriter, QosProfile
from ego_perception.data import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.messages import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    TruthMessages,
    TruthTopic,
    compressed_from_frame,
    image_from_frame,
    info_from_camera,
    scene_message,
)

ImageForm = Literal["jpeg", "raw", "none"]

SCORED_TRUTH: Final = (TruthTopic.DEPTH, TruthTopic.POSE)
"""The truth that an evaluation needs."""


@dataclass(frozen=True)
class FrameTopics:
    """Where the parts of a frame are recorded.

    Attributes:
        image: base name; JPEG goes to `<image>/compressed`, as image_transport does.
    """

    image: str = "/camera/image_raw"
    camera_info: str = "/camera/camera_info"


class FrameRecorder:
    """Writes frames to an open recording; ground truth goes to the topics of `messages.TruthTopic`, in the root namespace.

    Args:
        image: `jpeg`, `raw`, or `none` for no image.
        truth: which ground truth to record where the frame has it.
        with_tf: record the true pose on /tf, too.
    """

    def __init__(
        self,
        writer: BagWriter,
        topics: FrameTopics | None = None,
        *,
        image: ImageForm = "jpeg",
        quality: int = 90,
        truth: Collection[TruthTopic] = SCORED_TRUTH,
        with_tf: bool = False,
    ) -> None:
        self._writer = writer
        self._topics = topics or FrameTopics()
        self._image = image
        self._quality = quality
        self._truth = [topic for topic in FRAME_TOPICS if topic in truth]
        self._with_tf = with_tf
        self._factory = RosbagsFactory()

    def write(self, frame: Frame) -> None:
        """Append one frame with its stamp as log time."""
        topics, stamp_ns = self._topics, frame.stamp_ns
        if frame.camera is not None:
            info = info_from_camera(self._factory, frame.camera, stamp_ns, frame.frame_id)
            self._put(topics.camera_info, "sensor_msgs/msg/CameraInfo", info, stamp_ns)
        if self._image == "raw":
            self._put(topics.image, "sensor_msgs/msg/Image", image_from_frame(self._factory, frame), stamp_ns)
        elif self._image == "jpeg":
            picture = compressed_from_frame(self._factory, frame, quality=self._quality)
            self._put(f"{topics.image}/compressed", "sensor_msgs/msg/CompressedImage", picture, stamp_ns)
        if frame.truth is not None:
            self._write_truth(frame)

    def write_scene(self, scene: SceneTruth, stamp_ns: int) -> None:
        """Append what belongs to the whole clip, latched; before its first frame."""
        for topic in SCENE_TOPICS:
            if (message := scene_message(self._factory, scene, topic, stamp_ns)) is not None:
                self._put(f"/{topic.value}", topic.type_name, message, stamp_ns, QosProfile.LATCHED)

    def _write_truth(self, frame: Frame) -> None:
        messages = TruthMessages(self._factory, frame)
        for topic in self._truth:
            if (message := messages.build(topic)) is not None:
                self._put(f"/{topic.value}", topic.type_name, message, frame.stamp_ns, QosProfile.RESULT)
        if self._with_tf and (transforms := messages.transforms()) is not None:
            self._put("/tf", "tf2_msgs/msg/TFMessage", transforms, frame.stamp_ns, QosProfile.RESULT)

    def _put(self, topic: str, type_name: str, message: Any, stamp_ns: int, qos: QosProfile = QosProfile.SENSOR) -> None:
        self._writer.add_topic(topic, type_name, qos)
        self._writer.write(topic, message, stamp_ns)


class FrameBagSink:
    """A `runtime.Sink` that records frames with all their truth, or the frames of estimates, as a bag that can be replayed.

    Raises:
        OutputError: as `BagWriter`.
    """

    name = "record"

    def __init__(
        self,
        path: Path | str,
        topics: FrameTopics | None = None,
        *,
        image: ImageForm = "jpeg",
        quality: int = 90,
        truth: Collection[TruthTopic] = FRAME_TOPICS,
        storage: Literal["mcap", "sqlite3"] = "mcap",
    ) -> None:
        self._writer = BagWriter(path, storage=storage)
        self._recorder = FrameRecorder(self._writer, topics, image=image, quality=quality, truth=truth, with_tf=True)

    def write(self, item: Any) -> None:
        """Append a Frame, or the frame of an estimate."""
        self._recorder.write(item if isinstance(item, Frame) else item.frame)

    def write_scene(self, scene: SceneTruth, stamp_ns: int) -> None:
        """Append what belongs to the whole clip; before its first frame."""
        self._recorder.write_scene(scene, stamp_ns)

    def close(self) -> None:
        """Finish the recording."""
        self._writer.close()
