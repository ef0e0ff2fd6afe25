"""Which topic of a recording is the camera, by the naming conventions of ROS."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

from ego_perception.bag.reader import BagReader
from ego_perception.errors import BagError
from ego_perception.messages import is_truth_topic

_IMAGE_TYPES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_USUAL_NAMES: Final = ("image_raw", "image", "image_color", "image_rect_color", "image_rect")
_NO_PICTURES: Final = ("depth", "confidence", "mask", "disparity", "provenance", "infra")
_COMPRESSED: Final = "/compressed"


def image_topics(reader: BagReader) -> list[str]:
    """All topics with images of any kind."""
    return [t.name for t in reader.topics.values() if t.type_name in _IMAGE_TYPES and t.count]


def choose_image_topic(reader: BagReader, asked: str | None = None, *, exclude: Collection[str] = ()) -> str:
    """Find the camera's topic.

    Args:
        asked: the user's choice; `<asked>/compressed` serves where only that was recorded.
        exclude: topics that are never the camera.

    Raises:
        BagError: no such topic, no image topic, or several that are equally likely; the message lists them.
    """
    topics = image_topics(reader)
    if asked is not None:
        return _asked_topic(reader, topics, asked)
    pictures = [t for t in topics if t not in exclude and not _is_no_picture(t)]
    if not pictures:
        others = ", ".join(reader.topics) or "nothing"
        raise BagError(f"{reader.path} has no topic with camera images; it has {others}")
    # The raw topic holds more than its own compressed copy.
    pictures = [t for t in pictures if not (t.endswith(_COMPRESSED) and t.removesuffix(_COMPRESSED) in pictures)]
    if len(pictures) == 1:
        return pictures[0]
    for name in _USUAL_NAMES:
        matches = [t for t in pictures if t.removesuffix(_COMPRESSED).rpartition("/")[2] == name]
        if len(matches) == 1:
            return matches[0]
        if matches:
            break
    raise BagError(f"{reader.path} has several image topics: {', '.join(pictures)}; name one")


def camera_info_topic_of(image_topic: str) -> str:
    """The sibling `camera_info` of an image topic, raw or compressed."""
    namespace = image_topic.removesuffix(_COMPRESSED).rpartition("/")[0]
    return f"{namespace}/camera_info"


def is_rectified(image_topic: str) -> bool:
    """True when the topic's name says that its images are undistorted, so that P describes their camera."""
    return "rect" in image_topic.removesuffix(_COMPRESSED).rpartition("/")[2]


def _is_no_picture(topic: str) -> bool:
    """True for depth, masks and ground truth, such as the picture without the wearer."""
    return is_truth_topic(topic) or any(word in topic.lower() for word in _NO_PICTURES)


def _asked_topic(reader: BagReader, topics: list[str], asked: str) -> str:
    asked = asked if asked.startswith("/") else f"/{asked}"
    for topic in (asked, asked + _COMPRESSED):
        if topic in topics:
            return topic
    near = difflib.get_close_matches(asked, topics, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"its image topics are {', '.join(topics) or 'none'}"
    if asked in reader.topics:
        raise BagError(f"topic {asked} of {reader.path} has type {reader.topics[asked].type_name}, no images; {hint}")
    raise BagError(f"{reader.path} has no topic {asked}; {hint}")
