"""The last look before an image is called free of hands: whatever a model does, a wrong image is withheld and the reason told.

`CheckedSegmenter` refuses what is no set of probabilities (a network that gives zeros would say that there are no hands).
`RemovalGuard` turns every failure into a WITHHELD estimate and checks every other one against what it promises.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import FrameError
from ego_perception.hand_removal.finder import Segmenter
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.hand_removal.relay import Relay
from ego_perception.hand_removal.segmentation.sizes import HandClass
from ego_perception.runtime import Estimator

_log = logging.getLogger(__name__)

_MAX_STRETCH: Final = 0.25  # of the network's input against the camera's shape, from rounding sides
_MAX_SUM_ERROR: Final = 0.05
_MIN_COMPARED: Final = 64  # hole pixels; fewer may by chance look as before


class CheckedSegmenter:
    """A segmenter whose output is checked before it is believed."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.name = segmenter.name

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Segmenter.predict`.

        Raises:
            FrameError: not finite, of another shape than the image's, or no probabilities.
        """
        found = np.asarray(self._segmenter.predict(rgb), np.float32)
        if found.ndim != 3 or found.shape[0] != len(HandClass) or 0 in found.shape:
            raise FrameError(f"the segmenter gave an array of shape {found.shape}, not ({len(HandClass)}, h, w)")
        stretch = found.shape[2] * rgb.shape[0] / (found.shape[1] * rgb.shape[1])
        if abs(stretch - 1) > _MAX_STRETCH:
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            raise FrameError(f"the segmenter gave {found.shape[2]}x{found.shape[1]} pixels for an image of {size}")
        if not np.isfinite(found).all():
            raise FrameError("the segmenter gave numbers that are not finite")
        if found.min() < -_MAX_SUM_ERROR or np.abs(found.sum(axis=0) - 1).max() > _MAX_SUM_ERROR:
            raise FrameError("the segmenter gave numbers that are no probabilities")
        return found


class RemovalGuard(Relay):
    """An estimator of hand removal around another one, whose failures withhold the image and never get out.

    Args:
        estimator: the one that works.
        masks: what must be gone, and how many hands may be expected besides.
    """

    def __init__(self, estimator: Estimator[HandRemovalEstimate], masks: MaskConfig | None = None) -> None:
        super().__init__(estimator)
        self._estimator = estimator
        self._masks = masks or MaskConfig()
        self._mask: NDArray[np.uint8] | None = None
        self.busy_since_s: float | None = None
        """`time.monotonic()` at which the frame in work was begun, None between frames."""

    def reset(self) -> None:
        """Reset the estimator."""
        self._estimator.reset()

    def flush(self) -> Iterable[HandRemovalEstimate]:
        """What the estimator held back, checked."""
        return [self._checked(estimate.frame, estimate) for estimate in self._estimator.flush()]

    def push(self, frame: Frame) -> HandRemovalEstimate:
        """Push one frame; there is always an estimate of this very frame."""
        self.busy_since_s, self._mask = time.monotonic(), None
        try:
            return self._checked(frame, self._estimator.push(frame))
        except Exception as error:  # whatever a model throws, the image is withheld
            _log.warning("hand removal failed at %d: %s", frame.stamp_ns, error, exc_info=error)
            self._forget()
            return self._withheld(frame, f"hand removal failed: {_one_line(error)}")
        finally:
            self.busy_since_s, self._mask = None, None

    def _checked(self, frame: Frame, estimate: HandRemovalEstimate | None) -> HandRemovalEstimate:
        if estimate is None:
            return self._withheld(frame, "hand removal gave nothing for this frame")
        if estimate.state is RemovalState.WITHHELD:
            return replace(estimate, image=None, provenance=None, confidence=None, age_s=None)
        if problem := problem_of(frame, estimate, self._masks):
            return self._withheld(frame, problem)
        if estimate.expected_miss < self._masks.doubtful_miss:
            return estimate
        return replace(estimate, state=RemovalState.DEGRADED, reason=_miss_reason(estimate))

    def pass_mask(self, frame: Frame, labels: NDArray[np.uint8]) -> None:
        """Tell whoever listens; whatever happens to the image then, its estimate has this mask."""
        self._mask = labels
        super().pass_mask(frame, labels)

    def _withheld(self, frame: Frame, reason: str) -> HandRemovalEstimate:
        return HandRemovalEstimate(frame, RemovalState.WITHHELD, reason, hand_mask=self._mask)

    def _forget(self) -> None:
        """Start anew: what a failure left half done must not serve the next frame."""
        try:
            self._estimator.reset()
        except Exception as error:  # a model that is dead fails here as well, and again with the next frame
            _log.warning("hand removal cannot be reset: %s", error)


def problem_of(frame: Frame, estimate: HandRemovalEstimate, masks: MaskConfig | None = None) -> str:
    """Why an estimate must not be shown, or an empty text."""
    masks = masks or MaskConfig()
    width, height = frame.size
    if estimate.frame.stamp_ns != frame.stamp_ns:
        return f"the hand-free image is of the frame at {estimate.frame.stamp_ns} ns, not of this one"
    image, mask, provenance = estimate.image, estimate.hand_mask, estimate.provenance
    if image is None or mask is None or provenance is None or estimate.confidence is None:
        return "hand removal gave no image, mask, provenance or confidence, and no reason"
    for name, array, shape in (
        ("hand-free image", image, (height, width, 3)),
        ("hand mask", mask, (height, width)),
        ("provenance", provenance, (height, width)),
        ("confidence", estimate.confidence, (height, width)),
    ):
        dtype = np.float32 if name == "confidence" else np.uint8
        if array.shape != shape or array.dtype != dtype:
            return f"the {name} is {array.dtype} {array.shape}; the image is {width}x{height}"
    if not np.isfinite(estimate.confidence).all():
        return "the confidence is not finite"
    if not estimate.expected_miss < masks.withheld_miss:
        return _miss_reason(estimate)
    return _problem_of_pixels(frame.rgb, image, mask, provenance, remove_held_object=masks.remove_held_object)


def _miss_reason(estimate: HandRemovalEstimate) -> str:
    return f"hands may have been missed: {estimate.expected_miss:.1%} of the image is expected to show more of them"


def _problem_of_pixels(
    rgb: NDArray[np.uint8],
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    provenance: NDArray[np.uint8],
    *,
    remove_held_object: bool,
) -> str:
    remove = mask != HandLabel.NONE
    if not remove_held_object:
        remove &= mask != HandLabel.HELD_OBJECT
    hole = provenance != Provenance.LIVE
    if (remove & ~hole).any():
        return "pixels of a hand were called live"
    if provenance.max() > Provenance.UNKNOWN:
        return f"provenance has the value {provenance.max()}"
    # The largest difference in the hole, without a copy of it: no difference is no removal.
    if np.count_nonzero(hole) >= _MIN_COMPARED and cv2.norm(image, rgb, cv2.NORM_INF, hole.view(np.uint8)) == 0:
        return "nothing was removed: the hole looks as before"
    return ""


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
