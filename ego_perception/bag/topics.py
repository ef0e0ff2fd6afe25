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
_MASK: Final = "hand_mask"
_MASK_INPUT: Final = "hand_mask_in"


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


def choose_mask_topic(reader: BagReader, asked: str | None = None, *, is_required: bool = True) -> str | None:
    """Find the topic with hand masks, by its name.

    Args:
        asked: the user's choice.
        is_required: a recording without such a topic is an error; else the answer is None.

    Raises:
        BagError: no such topic, or several that are equally likely; the message lists them.
    """
    pictures = [t.name for t in reader.topics.values() if t.type_name == _IMAGE_TYPES[0] and t.count]
    if asked is not None:
        return _asked_topic(reader, pictures, asked)
    masks = [t for t in pictures if _MASK in t and not is_truth_topic(t)]
    usual = [t for t in masks if t.rpartition("/")[2] == _MASK_INPUT]
    if len(masks) == 1 or len(usual) == 1:
        return (usual or masks)[0]
    if masks:
        raise BagError(f"{reader.path} has several topics with hand masks: {', '.join(masks)}; name one")
    if is_required:
        others = ", ".join(reader.topics) or "nothing"
        raise BagError(f"{reader.path} has no topic with hand masks; it has {others}; name one, or find the hands anew")
    return None


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
