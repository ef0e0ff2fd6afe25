"""A recording as a source of frames: picture, camera and ground truth brought together by stamp."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ego_perception.bag.frame_sink import FrameTopics
from ego_perception.bag.reader import BagReader, RawMessage
from ego_perception.bag.topics import camera_info_topic_of, choose_image_topic, is_rectified
from ego_perception.data import Frame, FrameTruth
from ego_perception.errors import BagError, CalibrationError, EgoPerceptionError, FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import camera_from_info, decode_depth, frame_from_image, matrix_from_pose, stamp_ns_of

_log = logging.getLogger(__name__)

_WAIT_FRAMES: Final = 8
"""Frames held back for ground truth of the same stamp that was recorded a little later."""
_KEEP_TRUTH: Final = 32


@dataclass(frozen=True)
class BagTopics:
    """Which topics to read; None lets the source choose.

    Attributes:
        image: raw or compressed; `<image>/compressed` is taken where only that was recorded.
        camera_info: by default the sibling of the image topic.
        depth: ground truth depth image. pose: ground truth pose of the optical frame (PoseStamped or Odometry).
    """

    image: str | None = None
    camera_info: str | None = None
    depth: str = FrameTopics.depth
    pose: str = FrameTopics.pose


class BagSource:
    """A `runtime.Source` of the images of a recording, in recorded order, nothing dropped.

    The camera of a frame is that of the last `camera_info` before it; frames before the first one get the first one, which is
    looked up ahead. A missing or impossible camera_info leaves `camera` None, with one warning: the estimator then estimates
    it. An image that cannot be decoded is yielded as a `FrameError`. A message without a stamp takes the time of recording.

    Raises:
        BagError: on construction, for an unreadable recording, or none or several image topics; the message lists them.
    """

    is_live = False

    def __init__(self, path: Path | str, topics: BagTopics | None = None) -> None:
        self.reader = BagReader(path)
        self.name = f"bag {self.reader.path.name}"
        wanted = topics or BagTopics()
        try:
            self.image_topic = choose_image_topic(self.reader, wanted.image, exclude=(wanted.depth,))
        except BaseException:
            self.reader.close()
            raise
        self.camera_info_topic = wanted.camera_info or camera_info_topic_of(self.image_topic)
        self._depth_topic, self._pose_topic = wanted.depth, wanted.pose
        self._truth_topics = {t for t in (wanted.depth, wanted.pose) if t in self.reader.topics and t != self.image_topic}
        self._warned: set[str] = set()

    @property
    def has_truth(self) -> bool:
        """True when the recording has ground truth topics."""
        return bool(self._truth_topics)

    def __iter__(self) -> Iterator[Frame | Exception]:
        camera = self._first_camera()
        pairing = _TruthPairing(self._truth_topics)
        index = 0
        for raw in self.reader.raw({self.image_topic, self.camera_info_topic, *self._truth_topics}):
            if raw.topic == self.image_topic:
                pairing.add_frame(self._frame(raw, camera, index))
                index += 1
            elif raw.topic == self.camera_info_topic:
                camera = self._camera(raw) or camera
            else:
                self._take_truth(pairing, raw)
            yield from pairing.ready()
        yield from pairing.rest()

    def close(self) -> None:
        """Close the recording."""
        self.reader.close()

    def _frame(self, raw: RawMessage, camera: PinholeCamera | None, index: int) -> Frame | Exception:
        try:
            message = self.reader.decode(raw).message
            try:
                frame = frame_from_image(message, camera, index)
            except CalibrationError as error:
                self._warn(str(error))
                frame = frame_from_image(message, None, index)
        except BagError as error:
            return FrameError(str(error))
        except FrameError as error:
            return error
        return frame if frame.stamp_ns else replace(frame, stamp_ns=raw.log_time_ns)

    def _first_camera(self) -> PinholeCamera | None:
        """The first usable camera of the recording."""
        if self.camera_info_topic not in self.reader.topics:
            self._warn(f"no camera_info on {self.camera_info_topic}; intrinsics will be estimated")
            return None
        cameras = (self._camera(raw) for raw in self.reader.raw({self.camera_info_topic}))
        return next((camera for camera in cameras if camera is not None), None)

    def _camera(self, raw: RawMessage) -> PinholeCamera | None:
        try:
            return camera_from_info(self.reader.decode(raw).message, rectified=is_rectified(self.image_topic))
        except (BagError, CalibrationError) as error:
            self._warn(f"{self.camera_info_topic}: {error}; this camera_info is ignored")
            return None

    def _take_truth(self, pairing: _TruthPairing, raw: RawMessage) -> None:
        try:
            message = self.reader.decode(raw).message
            stamp_ns = stamp_ns_of(message) or raw.log_time_ns
            if raw.topic == self._depth_topic:
                pairing.add_truth(raw.topic, stamp_ns, FrameTruth(depth=np.nan_to_num(decode_depth(message), nan=0.0)))
            else:
                pairing.add_truth(raw.topic, stamp_ns, FrameTruth(T_world_cam=matrix_from_pose(message)))
        except (EgoPerceptionError, AttributeError) as error:
            self._warn(f"ground truth on {raw.topic} cannot be used: {error}")

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s: %s", self.name, text)


class _TruthPairing:
    """Holds frames back until the truth of their stamp has come from every topic, or enough newer frames have."""

    def __init__(self, topics: set[str]) -> None:
        self._topics = topics
        self._frames: deque[Frame | Exception] = deque()
        self._truth: OrderedDict[int, dict[str, FrameTruth]] = OrderedDict()

    def add_frame(self, frame: Frame | Exception) -> None:
        self._frames.append(frame)

    def add_truth(self, topic: str, stamp_ns: int, truth: FrameTruth) -> None:
        self._truth.setdefault(stamp_ns, {})[topic] = truth
        while len(self._truth) > _KEEP_TRUTH:
            self._truth.popitem(last=False)

    def ready(self) -> Iterator[Frame | Exception]:
        """Give the frames that need not wait."""
        while self._frames and (len(self._frames) > _WAIT_FRAMES or self._is_whole(self._frames[0])):
            yield self._join(self._frames.popleft())

    def rest(self) -> Iterator[Frame | Exception]:
        """Give all frames."""
        while self._frames:
            yield self._join(self._frames.popleft())

    def _is_whole(self, frame: Frame | Exception) -> bool:
        return isinstance(frame, Exception) or self._truth.get(frame.stamp_ns, {}).keys() >= self._topics

    def _join(self, frame: Frame | Exception) -> Frame | Exception:
        parts: dict[str, Any] = {}
        if isinstance(frame, Exception):
            return frame
        for truth in self._truth.pop(frame.stamp_ns, {}).values():
            parts |= {key: value for key, value in vars(truth).items() if value is not None}
        return replace(frame, truth=FrameTruth(**parts)) if parts else frame
