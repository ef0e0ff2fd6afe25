"""Finds the hands of consecutive images: segmenter, decision, hole, and doubt, one image after the other.

The segmenter looks at every other image mirrored: a small network seldom errs in the same way twice. What it saw in the
images before counts in, moved by optical flow, which does most of what two looks at every image do, for nothing. Only where
nothing is known from before, at the start and after a gap, an image is looked at twice.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import FrameError
from ego_perception.hand_removal.following import Followed, HandFollower
from ego_perception.hand_removal.masks import Doubt, MaskConfig, doubt_of, hand_probability, hole_of, labels_of
from ego_perception.hand_removal.segmentation.sizes import MIRRORED

Image = NDArray[np.uint8]

_FINER: Final = 2  # times as fine as what the segmenter gives is decided; its probabilities are smooth
_BEFORE: Final = 0.3  # share of the images before in what is made of an image


class Segmenter(Protocol):
    """Finds hands in an image; see `segmentation.network.HandSegmenterNetwork`."""

    name: str

    def predict(self, rgb: Image) -> NDArray[np.float32]: ...


class FoundHands(NamedTuple):
    """What is made of an image.

    Attributes:
        labels: (h, w) `HandLabel`, finer than what the segmenter gives and coarser than the image.
        hole: (H, W) bool, what is removed.
        doubt: where hands may be besides.
    """

    labels: Image
    hole: NDArray[np.bool_]
    doubt: Doubt

    def held(self) -> NDArray[np.bool_]:
        """(H, W) bool, what hands hold and is not removed."""
        full = cv2.resize(self.labels, self.hole.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return np.asarray((full == HandLabel.HELD_OBJECT) & ~self.hole)


class HandFinder:
    """Looks at one image after the other.

    Args:
        segmenter: gives probabilities.
        config: how they become a mask.
    """

    def __init__(self, segmenter: Segmenter, config: MaskConfig | None = None) -> None:
        self.segmenter, self.config = segmenter, config or MaskConfig()
        self._follower = HandFollower(self.config)
        self._is_mirrored = True  # the last look

    def reset(self) -> None:
        """Forget the images before."""
        self._follower.reset()

    def find(self, rgb: Image, stamp_ns: int) -> FoundHands:
        """Look at an (H, W, 3) image.

        Raises:
            FrameError: the segmenter gave numbers that are not finite.
        """
        followed = self._follower.follow(rgb, stamp_ns)
        probability = self._look(rgb, followed)
        if not np.isfinite(probability).all():
            self.reset()
            raise FrameError("the segmenter gave numbers that are not finite")
        seen = hand_probability(probability)
        hand = np.asarray(cv2.resize(seen, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_LINEAR), np.float32)
        sure = None if followed is None else followed.sure
        if followed is not None and self.config.looks == 1:
            hand = _joined(hand, followed)
        labels = labels_of(probability, hand, sure, self.config)
        hole = hole_of(labels, (rgb.shape[1], rgb.shape[0]), self.config)
        is_hand = (labels != HandLabel.NONE) & (labels != HandLabel.HELD_OBJECT)
        self._follower.remember(hand, is_hand, hole, followed)
        return FoundHands(labels, hole, doubt_of(hand, sure, hole, self.config))

    def _look(self, rgb: Image, followed: Followed | None) -> NDArray[np.float32]:
        """Probabilities (6, h, w)."""
        if self.config.looks == 2 or self.config.follow_s == 0:
            return self.segmenter.predict(rgb)
        if followed is None:
            self._is_mirrored = True
            return np.float32(0.5) * (self.segmenter.predict(rgb) + self._mirrored(rgb))
        self._is_mirrored = not self._is_mirrored
        return self._mirrored(rgb) if self._is_mirrored else self.segmenter.predict(rgb)

    def _mirrored(self, rgb: Image) -> NDArray[np.float32]:
        seen = self.segmenter.predict(np.asarray(cv2.flip(rgb, 1), np.uint8))
        back = np.empty_like(seen)
        for k, other in enumerate(MIRRORED):
            cv2.flip(seen[other], 1, dst=back[k])
        return back


def _joined(hand: NDArray[np.float32], followed: Followed) -> NDArray[np.float32]:
    """Let what was seen before count in, where a pixel was followed."""
    size = hand.shape[::-1]
    before, is_same = (cv2.resize(values, size, interpolation=cv2.INTER_LINEAR) for values in (followed.hand, followed.is_same))
    return np.asarray(hand + _BEFORE * is_same * (before - hand), np.float32)
