"""From probabilities to a mask that is safe to remove: sticky over time, without specks, with a margin, and doubted.

Too large a mask costs a little background; too small a one lets a hand through. So every step prefers the larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandLabel
from ego_perception.hand_removal.segmentation.sizes import HandClass
from ego_perception.parameters import param

Mask = NDArray[np.bool_]

_SIDES = ((HandClass.LEFT_HAND, HandClass.LEFT_ARM), (HandClass.RIGHT_HAND, HandClass.RIGHT_ARM))
_BELIEVED = 0.5  # sureness from which a followed pixel counts as a hand
_HANDS = slice(HandClass.LEFT_HAND, HandClass.RIGHT_ARM + 1)


@dataclass(frozen=True)
class MaskConfig:
    """How hands are looked for, and how their mask is cleaned, widened and doubted."""

    looks: int = param(
        1,
        "Looks of the own segmenter at each image. 1: as it is and mirrored in turn, earlier looks count in; 2: both, always.",
        ge=1,
        le=2,
    )
    threshold: float = param(
        0.4,
        "Probability from which a pixel is a hand; with two looks 0.5 is better, as one may be wrong.",
        ge=0.0,
        le=1.0,
    )
    keep_threshold: float = param(0.3, "The same where a hand of the frames before was followed to.", ge=0.0, le=1.0)
    sure: float = param(
        0.7, "Probability from which a found pixel is surely a hand, and followed through the next images.", ge=0.0, le=1.0
    )
    follow_s: float = param(
        2.0,
        "Time in which the belief in a followed hand that is no longer found falls to a third; 0 follows nothing.",
        unit="s",
        ge=0.0,
        le=60.0,
    )
    min_area: float = param(0.001, "Pieces smaller than this share of the image are dropped.", ge=0.0, le=1.0)
    margin: float = param(0.014, "Margin around the hands, as a share of the image width.", ge=0.0, le=0.2)
    remove_held_object: bool = param(False, "Remove what the hands hold as well.")
    doubtful: float = param(
        0.15, "Probability from which a pixel outside the mask may be a hand: it is not kept as background.", ge=0.0, le=1.0
    )
    doubtful_miss: float = param(
        0.002, "Share of the image, expected to be hands outside the mask, from which the state is DEGRADED.", ge=0.0, le=1.0
    )
    withheld_miss: float = param(0.02, "The same, from which there is no hand-free image at all.", ge=0.0, le=1.0)


def labels_of(
    probability: NDArray[np.float32], hand: NDArray[np.float32], followed: NDArray[np.float32] | None, config: MaskConfig
) -> NDArray[np.uint8]:
    """Decide every pixel.

    Args:
        probability: (6, h'', w'') of the classes in `HandClass`, which tell the sides, and what is held.
        hand: (h, w) how likely each pixel is a hand or arm: that of `hand_probability`, or what is known better.
        followed: (h', w') how surely each pixel is of a hand found before, see `following`; None where nothing is known.

    Returns:
        (h, w) `HandLabel` values.
    """
    limit = np.full(hand.shape, config.threshold, np.float32)
    if followed is not None:
        limit[cv2.resize(followed, hand.shape[::-1], interpolation=cv2.INTER_LINEAR) > _BELIEVED] = config.keep_threshold
    is_hand = without_specks(hand > limit, config.min_area)
    # Classes are compared one with another: argmax along the first axis takes ten times as long.
    left, right = (np.maximum(probability[h], probability[a]) for h, a in _SIDES)
    rest = np.maximum(np.maximum(left, right), probability[HandClass.NONE])
    is_right = _positive(right - left, hand.shape)
    is_held = _positive(probability[HandClass.HELD_OBJECT] - rest, hand.shape) & ~is_hand
    labels = np.where(is_right, np.uint8(HandLabel.RIGHT), np.uint8(HandLabel.LEFT)) * is_hand
    labels[without_specks(is_held, config.min_area)] = HandLabel.HELD_OBJECT
    return np.asarray(labels, np.uint8)


def _positive(lead: NDArray[np.float32], shape: tuple[int, ...]) -> Mask:
    """Where numbers are more than 0, at another size."""
    return np.asarray(cv2.resize(lead, shape[::-1], interpolation=cv2.INTER_LINEAR) > 0)


def hand_probability(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """How likely each pixel is a hand or arm, (h, w) in 0..1."""
    return np.asarray(probability[_HANDS].sum(axis=0), np.float32)


class Doubt(NamedTuple):
    """Where hands may be that were not found.

    Attributes:
        miss: share of the image in which hands are to be expected outside the mask: the segmenter taken at its word, or the
            hands of the frames before followed, whichever is more.
        where: (H, W) bool, the pixels outside the mask that may be of hands.
    """

    miss: float
    where: Mask


def doubt_of(hand: NDArray[np.float32], followed: NDArray[np.float32] | None, hole: Mask, config: MaskConfig) -> Doubt:
    """Doubt what is not going to be removed.

    Args:
        hand: (h, w) `hand_probability`.
        followed: as of `labels_of`.
        hole: (H, W) what is removed.
    """
    inside = np.asarray(cv2.resize(hole.view(np.uint8), hand.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    seen = _mean_outside(hand, inside)
    likely = hand > config.doubtful
    if followed is None:
        lost = 0.0
    else:
        at_size = np.asarray(cv2.resize(followed, hand.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        lost = _mean_outside(at_size, inside)
        likely |= at_size > _BELIEVED
    where = cv2.resize(likely.view(np.uint8), hole.shape[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)
    return Doubt(max(seen, lost), where & ~hole)


def _mean_outside(values: NDArray[np.float32], inside: NDArray[np.uint8]) -> float:
    return float(cv2.mean(values, mask=1 - inside)[0]) * (1 - float(inside.mean()))


def without_specks(mask: Mask, min_area: float) -> Mask:
    """Drop connected pieces smaller than a share of the image."""
    if not mask.any():
        return mask
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area * mask.size
    keep[0] = False
    return np.asarray(keep[pieces])


def hole_of(labels: NDArray[np.uint8], size: tuple[int, int], config: MaskConfig) -> Mask:
    """What is to be removed from an image of `size` (width, height): hands with their margin, in full size, (H, W) bool."""
    remove = labels != HandLabel.NONE
    if not config.remove_held_object:
        remove &= labels != HandLabel.HELD_OBJECT
    # Values between 0 and 255 at an outline all count as hand.
    full = cv2.resize(remove.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    radius = max(1, round(config.margin * size[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    left, top, across, down = cv2.boundingRect(full)  # farther away nothing changes
    rows, cols = (slice(max(0, start - radius), start + length + radius) for start, length in ((top, down), (left, across)))
    full[rows, cols] = cv2.dilate(full[rows, cols], kernel)
    return np.asarray(full > 0)
