"""Frames into a recording: image, camera and, where known, ground truth; what EgoSim's recorder and result bags share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ego_perception.bag.types import RosbagsFactory
from ego_perception.bag.writer import BagWriter, QosProfile
from ego_perception.data import Frame
from ego_perception.messages import compressed_from_frame, image_from_frame, image_message, info_from_camera, pose_message

ImageForm = Literal["jpeg", "raw", "none"]


@dataclass(frozen=True)
class FrameTopics:
    """Where the parts of a frame are recorded.

    Attributes:
        image: base name; JPEG goes to `<image>/compressed`, as image_transport does.
        depth, pose: ground truth; 16UC1 millimetres, and the pose of the optical frame in `world_frame`.
    """

    image: str = "/camera/image_raw"
    camera_info: str = "/camera/camera_info"
    depth: str = "/sim/depth/image"
    pose: str = "/sim/pose"
    world_frame: str = "world"


class FrameRecorder:
    """Writes frames to an open recording.

    Args:
        image: `jpeg`, `raw`, or `none` for no image.
        with_truth: record depth and pose where the frame has them.
    """

    def __init__(
        self,
        writer: BagWriter,
        topics: FrameTopics | None = None,
        *,
        image: ImageForm = "jpeg",
        quality: int = 90,
        with_truth: bool = True,
    ) -> None:
        self._writer = writer
        self._topics = topics or FrameTopics()
        self._image = image
        self._quality = quality
        self._with_truth = with_truth
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
        if self._with_truth and frame.truth is not None:
            self._write_truth(frame)

    def _write_truth(self, frame: Frame) -> None:
        topics, stamp_ns, truth = self._topics, frame.stamp_ns, frame.truth
        assert truth is not None
        if truth.depth is not None:
            millimetres = np.clip(np.nan_to_num(truth.depth) * 1e3 + 0.5, 0, 65535).astype(np.uint16)
            depth = image_message(self._factory, millimetres, "16UC1", stamp_ns, frame.frame_id)
            self._put(topics.depth, "sensor_msgs/msg/Image", depth, stamp_ns)
        if truth.T_world_cam is not None:
            pose = pose_message(self._factory, truth.T_world_cam, stamp_ns, topics.world_frame)
            self._put(topics.pose, "geometry_msgs/msg/PoseStamped", pose, stamp_ns)

    def _put(self, topic: str, type_name: str, message: Any, stamp_ns: int) -> None:
        self._writer.add_topic(topic, type_name, QosProfile.SENSOR)
        self._writer.write(topic, message, stamp_ns)


class FrameBagSink:
    """A `runtime.Sink` that records frames, or the frames of estimates, as a bag that can be replayed.

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
        with_truth: bool = True,
        storage: Literal["mcap", "sqlite3"] = "mcap",
    ) -> None:
        self._writer = BagWriter(path, storage=storage)
        self._recorder = FrameRecorder(self._writer, topics, image=image, quality=quality, with_truth=with_truth)

    def write(self, item: Any) -> None:
        """Append a Frame, or the frame of an estimate."""
        self._recorder.write(item if isinstance(item, Frame) else item.frame)

    def close(self) -> None:
        """Finish the recording."""
        self._writer.close()
