"""From probabilities to a mask that is safe to remove: sticky over time, without specks, with a margin.

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
_HANDS = slice(HandClass.LEFT_HAND, HandClass.RIGHT_ARM + 1)


@dataclass(frozen=True)
class MaskConfig:
    """How hands are looked for, and how their mask is cleaned, widened and doubted."""

    looks: int = param(
        1, "Looks of the own segmenter at each image: a second, mirrored one knows better when to doubt, and costs.", ge=1, le=2
    )
    use_previous_mask: bool = param(
        False, "Tell the segmenter what it found in the frame before: steadier, but what was wrongly found or missed stays so."
    )
    threshold: float = param(
        0.4,
        "Probability from which a pixel is a hand; with two looks 0.5 is better, as one may be wrong.",
        ge=0.0,
        le=1.0,
    )
    keep_threshold: float = param(0.3, "The same where the frame before had a hand.", ge=0.0, le=1.0)
    min_area: float = param(0.001, "Pieces smaller than this share of the image are dropped.", ge=0.0, le=1.0)
    margin: float = param(0.014, "Margin around the hands, as a share of the image width.", ge=0.0, le=0.2)
    remove_held_object: bool = param(False, "Remove what the hands hold as well.")
    doubtful: float = param(
        0.15, "Probability from which a pixel outside the mask may be a hand: it is not kept as background.", ge=0.0, le=1.0
    )
    doubtful_miss: float = param(
        0.004, "Share of the image, expected to be hands outside the mask, from which the state is DEGRADED.", ge=0.0, le=1.0
    )
    withheld_miss: float = param(0.02, "The same, from which there is no hand-free image at all.", ge=0.0, le=1.0)


def labels_of(probability: NDArray[np.float32], before: NDArray[np.float32] | None, config: MaskConfig) -> NDArray[np.uint8]:
    """Decide every pixel.

    Args:
        probability: (6, h, w) of the classes in `HandClass`.
        before: (h, w) `hand_probability` of the frame before; None where there is none.

    Returns:
        (h, w) `HandLabel` values.
    """
    hand, held = hand_probability(probability), probability[HandClass.HELD_OBJECT]
    limit = np.full(hand.shape, config.threshold, np.float32)
    if before is not None:
        limit[before > 0.5] = config.keep_threshold
    is_hand = without_specks(hand > limit, config.min_area)
    # Classes are compared one with another: argmax along the first axis takes ten times as long.
    left, right = (np.maximum(probability[h], probability[a]) for h, a in _SIDES)
    is_held = (held > np.maximum(left, right)) & (held > probability[HandClass.NONE]) & ~is_hand
    labels = np.where(left >= right, np.uint8(HandLabel.LEFT), np.uint8(HandLabel.RIGHT)) * is_hand
    labels[without_specks(is_held, config.min_area)] = HandLabel.HELD_OBJECT
    return np.asarray(labels, np.uint8)


def hand_probability(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """How likely each pixel is a hand or arm, (h, w) in 0..1: also what the segmenter is given with the next frame.

    Doubt is handed on as doubt. A mask of zeros and ones instead makes the network hold on to what it once took for a hand.
    """
    return np.asarray(probability[_HANDS].sum(axis=0), np.float32)


class Doubt(NamedTuple):
    """Where hands may be that were not found.

    Attributes:
        miss: share of the image in which hands are to be expected outside the mask, the segmenter taken at its word.
        where: (H, W) bool, the pixels outside the mask that may be of hands.
    """

    miss: float
    where: Mask


def doubt_of(hand: NDArray[np.float32], hole: Mask, config: MaskConfig) -> Doubt:
    """Doubt what is not going to be removed.

    Args:
        hand: (h, w) `hand_probability`.
        hole: (H, W) what is removed.
    """
    inside = cv2.resize(hole.view(np.uint8), hand.shape[::-1], interpolation=cv2.INTER_NEAREST)
    miss = float(cv2.mean(hand, mask=1 - inside)[0]) * (1 - float(inside.mean()))
    likely = (hand > config.doubtful).view(np.uint8)
    where = cv2.resize(likely, hole.shape[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)
    return Doubt(miss, where & ~hole)


def without_specks(mask: Mask, min_area: float) -> Mask:
    """Drop connected pieces smaller than a share of the image."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area * mask.size
    keep[0] = False
    return np.asarray(keep[pieces]) if count > 1 else mask


def hole_of(labels: NDArray[np.uint8], size: tuple[int, int], config: MaskConfig) -> Mask:
    """What is to be removed from an image of `size` (width, height): hands with their margin, in full size, (H, W) bool."""
    remove = labels != HandLabel.NONE
    if not config.remove_held_object:
        remove &= labels != HandLabel.HELD_OBJECT
    # Values between 0 and 255 at an outline all count as hand.
    full = cv2.resize(remove.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    radius = max(1, round(config.margin * size[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(full, kernel) > 0)
