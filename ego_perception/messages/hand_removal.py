"""A `HandRemovalEstimate` as messages, one topic at a time, and hand masks from elsewhere back into labels.

While an image is withheld there is no message that shows it: the builders return None. A hand mask that came with the frame is
shown all the same, since others (reconstruction) are to leave its pixels out.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding, Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import FrameError
from ego_perception.messages.camera_info import info_from_camera
from ego_perception.messages.factory import MessageFactory, make_header
from ego_perception.messages.image import image_view, is_compressed
from ego_perception.messages.image_encode import compressed_from_frame, image_message
from ego_perception.messages.status import NodeFacts, status_message

_LABELS: Final = np.array(sorted(HandLabel), np.uint8)
_ASPECT_TOLERANCE: Final = 0.02
_JPEG_QUALITY: Final = 90


class RemovalTopic(enum.Enum):
    """Outputs of hand removal; the value is the topic relative to the node."""

    IMAGE = "image"
    COMPRESSED = "image/compressed"
    CAMERA_INFO = "camera_info"
    HAND_MASK = "hand_mask/image"
    AGENT = "agent/image"
    PROVENANCE = "provenance"
    PROVENANCE_IMAGE = "provenance/image"
    CONFIDENCE = "confidence/image"
    REFINED = "refined/image"
    STATUS = "status"

    @property
    def type_name(self) -> str:
        """Full ROS type name."""
        return _TYPES.get(self, "sensor_msgs/msg/Image")

    @property
    def is_latched(self) -> bool:
        """True for slow state; nothing here is."""
        return False


_TYPES: Final = {
    RemovalTopic.COMPRESSED: "sensor_msgs/msg/CompressedImage",
    RemovalTopic.CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
    RemovalTopic.PROVENANCE: "ego_msgs/msg/Provenance",
    RemovalTopic.STATUS: "ego_msgs/msg/NodeStatus",
}

HAND_FREE: Final = (
    RemovalTopic.CAMERA_INFO,
    RemovalTopic.IMAGE,
    RemovalTopic.COMPRESSED,
    RemovalTopic.PROVENANCE,
    RemovalTopic.PROVENANCE_IMAGE,
    RemovalTopic.CONFIDENCE,
)
"""Topics of the hand-free image and of what describes it; silent while it is withheld."""

PER_FRAME: Final = (RemovalTopic.HAND_MASK, *HAND_FREE, RemovalTopic.AGENT)
"""In the order of sending: the mask comes first, as others wait for it."""


class RemovalMessages:
    """The messages of one estimate; a builder returns None where there is nothing to say."""

    def __init__(self, factory: MessageFactory, estimate: HandRemovalEstimate) -> None:
        self._factory = factory
        self.estimate = estimate
        self.stamp_ns = estimate.frame.stamp_ns
        self.frame_id = estimate.frame.frame_id

    def build(self, topic: RemovalTopic) -> Any | None:
        """Build the message of one topic, or None where there is none for this frame."""
        builders = {
            RemovalTopic.IMAGE: self.image,
            RemovalTopic.COMPRESSED: self.compressed,
            RemovalTopic.CAMERA_INFO: self.camera_info,
            RemovalTopic.HAND_MASK: self.hand_mask,
            RemovalTopic.AGENT: self.agent,
            RemovalTopic.PROVENANCE: self.provenance,
            RemovalTopic.PROVENANCE_IMAGE: self.provenance_image,
            RemovalTopic.CONFIDENCE: self.confidence,
            RemovalTopic.REFINED: self.image,
            RemovalTopic.STATUS: self.status,
        }
        return builders[topic]()

    def image(self) -> Any | None:
        """Make the rgb8 image without hands."""
        return self._picture(self._shown, "rgb8")

    def compressed(self) -> Any | None:
        """Make the same as JPEG."""
        if (image := self._shown) is None:
            return None
        frame = Frame(self.stamp_ns, image, Encoding.RGB, frame_id=self.frame_id)
        return compressed_from_frame(self._factory, frame, quality=_JPEG_QUALITY)

    def camera_info(self) -> Any | None:
        """Make the CameraInfo of the image without hands, which is the camera's own."""
        camera = self.estimate.frame.camera
        if self._shown is None or camera is None:
            return None
        return info_from_camera(self._factory, camera, self.stamp_ns, self.frame_id)

    def hand_mask(self) -> Any | None:
        """Make the mono8 mask of `HandLabel` values."""
        return self._picture(self.estimate.hand_mask, "mono8")

    def agent(self) -> Any | None:
        """Make the rgb8 image of the wearer's hands alone, the rest black."""
        mask = self.estimate.hand_mask
        if mask is None:
            return None
        hands, rgb = (mask != HandLabel.NONE) & (mask != HandLabel.HELD_OBJECT), self.estimate.frame.rgb
        return self._picture(np.asarray(cv2.bitwise_and(rgb, rgb, mask=hands.view(np.uint8)), np.uint8), "rgb8")

    def provenance(self) -> Any | None:
        """Make the `ego_msgs/Provenance` summary."""
        values = None if self._shown is None else self.estimate.provenance
        if values is None:
            return None
        height, width = values.shape
        shares = np.array([np.count_nonzero(values == code) for code in Provenance]) / values.size
        return self._factory.make(
            "ego_msgs/msg/Provenance",
            header=make_header(self._factory, self.stamp_ns, self.frame_id),
            image_width=width,
            image_height=height,
            fractions=shares.astype(np.float32),
            observed_age_p50_s=observed_age_s(self.estimate),
            model_id=self.estimate.model_id,
            state=int(self.estimate.state),
            reason=self.estimate.reason,
            expected_miss=float(self.estimate.expected_miss),
        )

    def provenance_image(self) -> Any | None:
        """Make the mono8 image of `Provenance` values."""
        return self._picture(None if self._shown is None else self.estimate.provenance, "mono8")

    def confidence(self) -> Any | None:
        """Make the 32FC1 confidence image, 0..1."""
        return self._picture(None if self._shown is None else self.estimate.confidence, "32FC1")

    def status(self) -> Any:
        """Make a NodeStatus of what the estimate itself settles; a live node adds its rates and counters in its own."""
        return status_message(self._factory, NodeFacts(**removal_facts(self.estimate)), self.stamp_ns)

    @property
    def _shown(self) -> NDArray[np.uint8] | None:
        """The image without hands, unless it is withheld, whatever else the estimate holds."""
        return None if self.estimate.state is RemovalState.WITHHELD else self.estimate.image

    def _picture(self, pixels: NDArray[Any] | None, encoding: str) -> Any | None:
        if pixels is None:
            return None
        return image_message(self._factory, pixels, encoding, self.stamp_ns, self.frame_id)


def removal_facts(estimate: HandRemovalEstimate) -> dict[str, Any]:
    """The fields of `NodeFacts` that one estimate settles; WITHHELD is `NodeStatus.LOST`."""
    is_withheld = estimate.state is RemovalState.WITHHELD
    return {
        "state": int(estimate.state),
        "reason": f"withheld: {estimate.reason}" if is_withheld else estimate.reason,
        "frame_id": estimate.frame.frame_id,
    }


def observed_age_s(estimate: HandRemovalEstimate) -> float:
    """Median age of the OBSERVED pixels, seconds; NaN where there are none."""
    if estimate.provenance is None or estimate.age_s is None:
        return float("nan")
    ages = estimate.age_s[estimate.provenance == Provenance.OBSERVED]
    ages = ages[np.isfinite(ages)]
    return float(np.median(ages)) if ages.size else float("nan")


MASK_VALUES: Final = ("labels", "nonzero", "zero")
"""How the values of a hand mask are read."""


def decode_hand_mask(msg: Any, size: tuple[int, int], values: str = "labels") -> NDArray[np.uint8]:
    """Decode a hand mask: mono8, 0 background, 1 left, 2 right, 3 held object, 255 any hand.

    A mask whose values were swapped, so that hands are 0, cannot be told from one of large hands; the estimator withholds an
    image that would be nearly all hole.

    Args:
        size: width and height of the image that it belongs to.
        values: labels: the table above; nonzero: what is not 0 is a hand, of whatever value; zero: what is 0 is a hand.

    Returns:
        (h, w) `HandLabel` values, at most of the image's size. Where a larger mask was reduced, a pixel with any hand in it
        is hand.

    Raises:
        FrameError: another encoding, values outside the table, damaged data, or another shape than the image's.
    """
    if is_compressed(msg) or msg.encoding not in ("mono8", "8UC1"):
        raise FrameError(f"hand mask has encoding '{getattr(msg, 'encoding', 'compressed')}'; it must be mono8")
    mask = image_view(msg)
    height, width = mask.shape
    if abs(width * size[1] / (height * size[0]) - 1) > _ASPECT_TOLERANCE:
        raise FrameError(f"hand mask is {width}x{height}; the image is {size[0]}x{size[1]} and has another shape")
    if values != "labels":
        mask = np.where((mask == 0) == (values == "zero"), np.uint8(HandLabel.ANY), np.uint8(HandLabel.NONE))
    known = np.zeros(256, np.bool_)
    known[_LABELS] = True
    if not known[mask].all():
        wrong = int(mask[~known[mask]][0])
        raise FrameError(f"hand mask holds the value {wrong}; 0 is background, 1 left, 2 right, 3 a held object, 255 any hand")
    return _reduced(mask, size) if width > size[0] else mask


def _reduced(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Make a mask smaller so that nothing of a hand is lost."""
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    for label in (HandLabel.HELD_OBJECT, HandLabel.LEFT, HandLabel.RIGHT, HandLabel.ANY):
        touched = cv2.resize((mask == label).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        # A held object gives way to a hand, a hand to nothing.
        small[touched & ((small == HandLabel.NONE) | (label != HandLabel.HELD_OBJECT))] = label
    return small
