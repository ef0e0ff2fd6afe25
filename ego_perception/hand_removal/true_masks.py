"""What a perfect segmenter would say of a simulated frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import FrameTruth
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.hand_removal.masks import MaskConfig, hole_of
from ego_perception.hand_removal.segmentation.data import hand_classes
from ego_perception.hand_removal.segmentation.sizes import HandClass

Mask = NDArray[np.bool_]


def true_labels(truth: FrameTruth) -> NDArray[np.uint8]:
    """`HandLabel` values of a frame, (H, W): ANY for the wearer's hands and arms, HELD_OBJECT for what they hold.

    Raises:
        SourceError: the classes are not known.
    """
    if truth.classes is None:
        raise SourceError("a frame has no classes; render clips with --products clean")
    classes = hand_classes(truth.classes)
    labels = np.where((classes >= HandClass.LEFT_HAND) & (classes <= HandClass.RIGHT_ARM), HandLabel.ANY, HandLabel.NONE)
    return np.where(classes == HandClass.HELD_OBJECT, HandLabel.HELD_OBJECT, labels).astype(np.uint8)


def true_hole(truth: FrameTruth, size: tuple[int, int]) -> Mask:
    """The wearer's hands and arms with the margin of `MaskConfig`, at `size` (width, height), (H, W)."""
    return hole_of(true_labels(truth), size, MaskConfig())
