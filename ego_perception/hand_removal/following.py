"""Where hands that were surely found must be now: a hand does not vanish, it is moved, or it leaves the image.

A small network is sure of an arm in one image, and as sure of there being none in the next. Optical flow says where the
pixels of that arm went; as long as they look the same there, a mask without them is doubted, and what was made of them before
counts in what is made of them now.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry.flow import DenseFlow
from ego_perception.geometry.resizing import resized
from ego_perception.hand_removal.masks import MaskConfig

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_WIDTH: Final = 160  # of the images between which flow is computed
_SAME: Final = 12.0  # grey levels, mean over _AROUND x _AROUND pixels, up to which a pixel looks the same as before
_AROUND: Final = 5
_CORE: Final = np.ones((3, 3), np.uint8)  # at its outline a hand is followed together with what is behind it, and a trail stays
_MAX_GAP_S: Final = 0.5  # between frames; after a longer one nothing is followed


class Followed(NamedTuple):
    """What is known of an image from those before, (h, w) at the size of flow.

    Attributes:
        sure: how surely each pixel is of a hand found before, 0..1.
        hand: how likely it was a hand in the image before, 0..1.
        is_same: 1 where the pixel was found in the image before, and `hand` is of it; else 0.
    """

    sure: Map
    hand: Map
    is_same: Map


class HandFollower:
    """Carries hands from frame to frame.

    Args:
        config: `sure`, from when a hand is followed, and `follow_s`, for how long it is believed in.
    """

    def __init__(self, config: MaskConfig) -> None:
        self.config = config
        self._flow = DenseFlow(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._grey: NDArray[np.uint8] | None = None
        self._last: tuple[Map, Map] | None = None
        self._stamp_ns = 0

    def follow(self, rgb: NDArray[np.uint8], stamp_ns: int) -> Followed | None:
        """Move what is known to a new (H, W, 3) image; None where nothing is known."""
        size = (_WIDTH, max(1, round(_WIDTH * rgb.shape[0] / rgb.shape[1])))
        grey = np.asarray(cv2.cvtColor(resized(rgb, size), cv2.COLOR_RGB2GRAY), np.uint8)
        before, last, passed_s = self._grey, self._last, (stamp_ns - self._stamp_ns) * 1e-9
        self._grey, self._last, self._stamp_ns = grey, None, stamp_ns
        if before is None or last is None or before.shape != grey.shape or not 0 < passed_s <= _MAX_GAP_S:
            return None
        x, y = _origins(self._flow.between(grey, before))
        there = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        is_same = (cv2.blur(cv2.absdiff(there, grey).astype(np.float32), (_AROUND, _AROUND)) < _SAME).astype(np.float32)
        sure, hand = (np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderValue=0), np.float32) for values in last)
        return Followed(sure * is_same * np.float32(math.exp(-passed_s / self.config.follow_s)), hand, is_same)

    def remember(self, hand: Map, found: Mask, hole: Mask, followed: Followed | None) -> None:
        """Take what was decided about the image that was followed last.

        What was followed is believed in on, but for the margin of what is found: that is not hand, and was only near one.

        Args:
            hand: (h, w) `hand_probability`, any size.
            found: (h, w) hands and arms in the mask, without margin.
            hole: (H, W) what is removed.
            followed: what `follow` gave.
        """
        if self._grey is None or self.config.follow_s == 0:
            return
        size = self._grey.shape[::-1]
        core = cv2.resize((found & (hand > self.config.sure)).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        sure = np.asarray(cv2.erode(core, _CORE), np.float32)
        if followed is not None:
            inside, outside = (cv2.resize(m.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for m in (found, ~hole))
            sure = np.maximum(sure, followed.sure * (inside | outside))
        self._last = sure, np.asarray(cv2.resize(hand, size, interpolation=cv2.INTER_AREA), np.float32)


def _origins(flow: NDArray[np.float32]) -> tuple[Map, Map]:
    """Columns and rows at which the pixels were, from their (h, w, 2) flow to the image before."""
    height, width = flow.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(flow[..., 0] + columns), np.asarray(flow[..., 1] + rows)
