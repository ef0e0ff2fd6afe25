"""From probabilities to a mask that is safe to remove: sticky over time, without specks, with a margin.

Too large a mask costs a little background; too small a one lets a hand through. So every step prefers the larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandLabel
from ego_perception.hand_removal.segmentation.sizes import HandClass
from ego_perception.parameters import param

Mask = NDArray[np.bool_]

_LABEL_OF = {
    HandClass.LEFT_HAND: HandLabel.LEFT,
    HandClass.LEFT_ARM: HandLabel.LEFT,
    HandClass.RIGHT_HAND: HandLabel.RIGHT,
    HandClass.RIGHT_ARM: HandLabel.RIGHT,
    HandClass.HELD_OBJECT: HandLabel.HELD_OBJECT,
}
_TABLE = np.array([_LABEL_OF.get(c, HandLabel.NONE) for c in HandClass], np.uint8)
_HANDS = slice(HandClass.LEFT_HAND, HandClass.RIGHT_ARM + 1)


@dataclass(frozen=True)
class MaskConfig:
    """How a hand mask is cleaned and widened."""

    threshold: float = param(
        0.4, "Probability from which a pixel is a hand; low, because a missed hand is worse.", ge=0.0, le=1.0
    )
    keep_threshold: float = param(0.2, "The same where the frame before had a hand.", ge=0.0, le=1.0)
    min_area: float = param(0.001, "Pieces smaller than this share of the image are dropped.", ge=0.0, le=1.0)
    margin: float = param(0.014, "Margin around the hands, as a share of the image width.", ge=0.0, le=0.2)
    remove_held_object: bool = param(False, "Remove what the hands hold as well.")


def labels_of(probability: NDArray[np.float32], before: NDArray[np.float32] | None, config: MaskConfig) -> NDArray[np.uint8]:
    """Decide every pixel.

    Args:
        probability: (6, h, w) of the classes in `HandClass`.
        before: (h, w) hand mask of the frame before in 0..1, carried to this one; None where there is none.

    Returns:
        (h, w) `HandLabel` values.
    """
    hand = probability[_HANDS].sum(axis=0)
    limit = np.full(hand.shape, config.threshold, np.float32)
    if before is not None:
        limit[before > 0.5] = config.keep_threshold
    is_hand = without_specks(hand > limit, config.min_area)
    side = _TABLE[1 + probability[_HANDS].argmax(axis=0)]
    is_held = without_specks((probability.argmax(axis=0) == HandClass.HELD_OBJECT) & ~is_hand, config.min_area)
    return np.where(is_hand, side, np.where(is_held, HandLabel.HELD_OBJECT, HandLabel.NONE)).astype(np.uint8)


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
