"""A recording as a source of frames: picture, camera and ground truth brought together by stamp."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ego_perception.bag.hand_masks import HandMasks
from ego_perception.bag.reader import BagReader, RawMessage
from ego_perception.bag.topics import camera_info_topic_of, choose_image_topic, is_rectified
from ego_perception.data import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import BagError, CalibrationError, FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    TruthAssembler,
    TruthTopic,
    camera_from_info,
    frame_from_image,
    stamp_ns_of,
)
from ego_perception.messages.mask_pairing import HandMaskRequest

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
        depth: ground truth depth image. pose: ground truth pose of the optical frame (PoseStamped or Odometry). All other
            ground truth has the names of `messages.TruthTopic`.
    """

    image: str | None = None
    camera_info: str | None = None
    depth: str = f"/{TruthTopic.DEPTH.value}"
    pose: str = f"/{TruthTopic.POSE.value}"


class BagSource:
    """A `runtime.Source` of the images of a recording, in recorded order, nothing dropped.

    The camera of a frame is that of the last `camera_info` before it; frames before the first one get the first one, which is
    looked up ahead. A missing or impossible camera_info leaves `camera` None, with one warning: the estimator then estimates
    it. An image that cannot be decoded is yielded as a `FrameError`. A message without a stamp takes the time of recording.

    Args:
        hand_masks: hand masks of the recording that go with the frames; None takes none.

    Raises:
        BagError: on construction, for an unreadable recording, or none or several image topics; the message lists them.
    """

    is_live = False

    def __init__(self, path: Path | str, topics: BagTopics | None = None, hand_masks: HandMaskRequest | None = None) -> None:
        self.reader = BagReader(path)
        self.name = f"bag {self.reader.path.name}"
        wanted = topics or BagTopics()
        try:
            self.image_topic = choose_image_topic(self.reader, wanted.image, exclude=(wanted.depth,))
            self._hand_masks = hand_masks
            self.hand_mask_topic = HandMasks(self.reader, hand_masks).topic
        except BaseException:
            self.reader.close()
            raise
        self.camera_info_topic = wanted.camera_info or camera_info_topic_of(self.image_topic)
        names = {topic: f"/{topic.value}" for topic in (*SCENE_TOPICS, *FRAME_TOPICS)}
        names |= {TruthTopic.DEPTH: wanted.depth, TruthTopic.POSE: wanted.pose}
        recorded = self.reader.topics.keys() - {self.image_topic, self.hand_mask_topic}
        self._truth_topics = {name: topic for topic, name in names.items() if name in recorded}
        self._warned: set[str] = set()
        self._assembler = TruthAssembler(self._warn)

    @property
    def has_truth(self) -> bool:
        """True when the recording has ground truth topics."""
        return bool(self._truth_topics)

    @property
    def scene_truth(self) -> SceneTruth | None:
        """Truth that belongs to the whole recording, as far as it was read."""
        return self._assembler.scene

    def __iter__(self) -> Iterator[Frame | Exception]:
        camera = self._first_camera()
        pairing = _TruthPairing({t for t in self._truth_topics.values() if not t.is_latched}, self._assembler)
        masks = HandMasks(self.reader, self._hand_masks)
        mask_topics = {self.hand_mask_topic} if self.hand_mask_topic else set[str]()
        index = 0
        for raw in self.reader.raw({self.image_topic, self.camera_info_topic, *mask_topics, *self._truth_topics}):
            if raw.topic == self.image_topic:
                masks.add_frame(self._frame(raw, camera, index), raw.log_time_ns)
                index += 1
            elif raw.topic == self.camera_info_topic:
                camera = self._camera(raw) or camera
            elif raw.topic in mask_topics:
                masks.add_mask(raw)
            else:
                self._take_truth(pairing, raw)
            masks.wait_until(raw.log_time_ns)
            for frame in masks.ready():
                pairing.add_frame(frame)
            yield from pairing.ready()
        for frame in masks.rest():
            pairing.add_frame(frame)
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
        topic = self._truth_topics[raw.topic]
        try:
            message = self.reader.decode(raw).message
            if topic.is_latched:
                self._assembler.take_scene(topic, message)
            else:
                pairing.add_truth(topic, stamp_ns_of(message) or raw.log_time_ns, message)
        except (BagError, AttributeError) as error:
            self._warn(f"ground truth on {raw.topic} cannot be used: {error}")

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s: %s", self.name, text)


class _TruthPairing:
    """Holds frames back until the truth of their stamp has come from every topic, or enough newer frames have."""

    def __init__(self, topics: set[TruthTopic], assembler: TruthAssembler) -> None:
        self._topics = topics
        self._assembler = assembler
        self._frames: deque[Frame | Exception] = deque()
        self._truth: OrderedDict[int, dict[TruthTopic, Any]] = OrderedDict()

    def add_frame(self, frame: Frame | Exception) -> None:
        self._frames.append(frame)

    def add_truth(self, topic: TruthTopic, stamp_ns: int, message: Any) -> None:
        self._truth.setdefault(stamp_ns, {})[topic] = message
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
        if isinstance(frame, Exception):
            return frame
        truth = self._assembler.frame_truth(self._truth.pop(frame.stamp_ns, {}))
        return frame if truth is None else replace(frame, truth=truth)
