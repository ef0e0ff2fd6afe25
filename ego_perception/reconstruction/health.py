"""Images that nothing can be learnt from: black, blown out, without contrast, or the same picture again."""

from __future__ import annotations

import enum

import cv2
import numpy as np
from numpy.typing import NDArray

_DARK_LEVEL, _BRIGHT_LEVEL = 12, 243
_USELESS_SHARE = 0.97  # of the pixels that are dark or bright
_MIN_CONTRAST = 3.0  # standard deviation of grey levels


class ImageHealth(enum.Enum):
    """What is wrong with an image; the value is the reason shown to the user."""

    GOOD = ""
    BLACK = "image is black"
    SATURATED = "image is saturated"
    FLAT = "image has no contrast"
    FROZEN = "image is frozen: the same picture again"

    @property
    def is_blind(self) -> bool:
        """True when the image shows nothing at all."""
        return self in (ImageHealth.BLACK, ImageHealth.SATURATED, ImageHealth.FLAT)


class HealthMonitor:
    """Judges images one after the other."""

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None

    def reset(self) -> None:
        """Forget the last image."""
        self._last = None

    def check(self, grey: NDArray[np.uint8]) -> ImageHealth:
        """Judge the next (H, W) image."""
        repeated = self._last is not None and self._last.shape == grey.shape and np.array_equal(self._last, grey)
        self._last = grey
        tiny = cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA)
        if np.mean(tiny <= _DARK_LEVEL) > _USELESS_SHARE:
            return ImageHealth.BLACK
        if np.mean(tiny >= _BRIGHT_LEVEL) > _USELESS_SHARE:
            return ImageHealth.SATURATED
        if float(tiny.std()) < _MIN_CONTRAST:
            return ImageHealth.FLAT
        return ImageHealth.FROZEN if repeated else ImageHealth.GOOD
