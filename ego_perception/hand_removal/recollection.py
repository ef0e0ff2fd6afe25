"""What the diffusion model made of an earlier frame serves the live output until something better is seen.

A refined picture comes seconds after its frame. It is kept, registered to each new frame, and put in where the new frame shows
made-up pixels or none; what was really observed always comes first. All of it stays marked GENERATED. Live frames are followed
one by one, so that frames that are seconds apart can be registered however far the camera turned in between.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, Provenance, RemovalState
from ego_perception.hand_removal.background.registration import Registrar, inside, sample
from ego_perception.hand_removal.context import homography_of
from ego_perception.hand_removal.guard import problem_of
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.hand_removal.relay import Relay
from ego_perception.hand_removal.vidm.compositing import blend
from ego_perception.runtime import Estimator

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Refine = Callable[[HandRemovalEstimate], HandRemovalEstimate]

_WIDTH_PX: Final = 160  # at which pictures are registered
_MAX_ERROR: Final = 12.0  # grey levels of photometric error around a pixel up to which its place is believed
_MIN_INLIERS: Final = 0.4
_FOLLOWED: Final = 600  # frames whose place is remembered
_CONFIDENCE: Final = np.float32(0.1)


@dataclass(frozen=True, eq=False)
class _Small:
    """A picture at the width at which pictures are registered.

    Attributes:
        hidden: (h, w) bool, what the hands hide, and may be made up; it does not take part.
    """

    grey: Image
    hidden: Mask


@dataclass(frozen=True, eq=False)
class _Kept:
    """A refined picture."""

    estimate: HandRemovalEstimate
    small: _Small


class Recollection:
    """Keeps the newest refined picture; may be offered one in one thread and asked in another.

    Args:
        keep_s: age up to which a picture is used; 0 uses none.
        masks: what must be gone from it.
    """

    def __init__(self, keep_s: float, masks: MaskConfig | None = None) -> None:
        self._keep_ns = int(keep_s * 1e9)
        self._masks = masks or MaskConfig()
        self._num_resets = 0
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._registrar = Registrar()
        self._last: _Small | None = None
        self._places: OrderedDict[int, NDArray[np.float64]] = OrderedDict()  # by stamp; one homography after the other

    def reset(self) -> None:
        """Forget it, and what is being refined now."""
        with self._lock:
            self._kept, self._num_resets = None, self._num_resets + 1
        self._last = None
        self._places.clear()

    def keeping(self, refine: Refine, forget: Callable[[], None]) -> Refine:
        """The same refinement, whose results are kept unless there was a reset meanwhile.

        Args:
            forget: makes the refinement forget what it saw; called in its own thread, before the first one after a reset.
        """
        known = self._num_resets

        def refine_and_keep(estimate: HandRemovalEstimate) -> HandRemovalEstimate:
            nonlocal known
            num_resets = self._num_resets
            if num_resets != known:
                forget()
                known = num_resets
            refined = refine(estimate)
            if num_resets == self._num_resets:
                self.offer(refined)
            return refined

        return refine_and_keep

    def offer(self, refined: HandRemovalEstimate) -> None:
        """Keep a refined picture, if there is one, nothing is wrong with it, and it is newer than the kept one."""
        if refined.image is None or refined.provenance is None:
            return
        if problem_of(refined.frame, refined, self._masks):
            return
        kept = _Kept(refined, _small(refined.image, refined.provenance != Provenance.LIVE))
        with self._lock:
            if self._kept is None or self._kept.estimate.frame.stamp_ns < refined.frame.stamp_ns:
                self._kept = kept

    def apply(self, estimate: HandRemovalEstimate) -> HandRemovalEstimate:
        """Put what is kept into the made-up and the unknown pixels of a newer estimate, where its place is certain.

        To be called with every frame, in order.
        """
        image, provenance = estimate.image, estimate.provenance
        if image is None or provenance is None or estimate.confidence is None or not self._keep_ns:
            return estimate
        small = _small(image, provenance != Provenance.LIVE)
        self._follow(small, estimate.frame.stamp_ns)
        with self._lock:
            kept = self._kept
        if kept is None:
            return estimate
        age_ns = estimate.frame.stamp_ns - kept.estimate.frame.stamp_ns
        if age_ns < 0:  # the source began anew
            self.reset()
            self._follow(small, estimate.frame.stamp_ns)
        wanted = (provenance == Provenance.GENERATED) | (provenance == Provenance.UNKNOWN)
        if not 0 <= age_ns <= self._keep_ns or not wanted.any() or kept.estimate.frame.size != estimate.frame.size:
            return estimate
        moved = self._moved(kept, small, estimate.frame.stamp_ns, estimate.frame.size)
        if moved is None:
            return estimate
        picture, certain = moved
        if not (certain & wanted).any():
            return estimate
        # Where the picture says nothing, no difference to it must tint its surroundings.
        matched = blend(image, np.where(certain[..., None], picture, image), wanted)
        return _with(estimate, matched, certain & wanted, kept.estimate.model_id)

    def _follow(self, small: _Small, stamp_ns: int) -> None:
        """Learn where the background of a live frame was in those before; without anything in common, begin anew."""
        before, self._last = self._last, small
        step = None
        if before is not None and self._places and before.grey.shape == small.grey.shape:
            match = self._registrar.register(small.grey, before.grey, small.hidden, before.hidden)
            step = None if match is None else homography_of(match.flow, small.hidden)
        if step is None:
            self._places.clear()
            self._places[stamp_ns] = np.eye(3)
            return
        self._places[stamp_ns] = np.asarray(next(reversed(self._places.values())) @ step, np.float64)
        if len(self._places) > _FOLLOWED:
            self._places.popitem(last=False)

    def _between(self, stamp_ns: int, kept: _Kept) -> NDArray[np.float64] | None:
        """Homography in pixels from a live frame to the kept picture, as far as it was followed."""
        then = self._places.get(kept.estimate.frame.stamp_ns)
        if then is None or abs(np.linalg.det(then)) < 1e-6:
            return None
        height, width = kept.small.grey.shape
        # Shares of width and height count from the corner of the first pixel, pixels from its centre.
        to_shares = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
        found = np.linalg.inv(to_shares) @ np.linalg.inv(then) @ self._places[stamp_ns] @ to_shares
        return np.asarray(found / found[2, 2], np.float64) if abs(found[2, 2]) > 1e-6 else None

    def _moved(self, kept: _Kept, small: _Small, stamp_ns: int, size: tuple[int, int]) -> tuple[Image, Mask] | None:
        """The kept picture as seen from the new frame, and where that is certain; None where the two have nothing in common."""
        start = self._between(stamp_ns, kept)
        match = self._registrar.register(small.grey, kept.small.grey, small.hidden, kept.small.hidden, start)
        if match is None or match.inliers < _MIN_INLIERS:
            return None
        assert kept.estimate.image is not None and kept.estimate.provenance is not None
        width, height = size
        scale = np.array([width / small.grey.shape[1], height / small.grey.shape[0]], np.float32)
        flow = np.asarray(cv2.resize(match.flow, size, interpolation=cv2.INTER_LINEAR) * scale, np.float32)
        certain = cv2.resize(match.error, (width, height), interpolation=cv2.INTER_LINEAR) < _MAX_ERROR
        # Interpolated, so that a pixel that mixes in any unknown one is above zero and left out.
        unknown = sample((kept.estimate.provenance == Provenance.UNKNOWN).astype(np.uint8) * np.uint8(255), flow)
        return sample(kept.estimate.image, flow), np.asarray(certain & inside(flow) & (unknown == 0))


class RecollectingEstimator(Relay):
    """Implements `runtime.Estimator[HandRemovalEstimate]`: another one, with the recollection in its outputs."""

    def __init__(self, estimator: Estimator[HandRemovalEstimate], recollection: Recollection) -> None:
        super().__init__(estimator)
        self._estimator, self._recollection = estimator, recollection

    def reset(self) -> None:
        """Forget everything that was seen, and made up."""
        self._estimator.reset()
        self._recollection.reset()

    def push(self, frame: Frame) -> HandRemovalEstimate | None:
        """Remove the hands from one frame."""
        estimate = self._estimator.push(frame)
        return None if estimate is None else self._recollection.apply(estimate)

    def flush(self) -> Iterable[HandRemovalEstimate]:
        """What the estimator held back."""
        return [self._recollection.apply(estimate) for estimate in self._estimator.flush()]


def _small(image: Image, hole: Mask) -> _Small:
    height, width = hole.shape
    size = (_WIDTH_PX, max(16, round(height * _WIDTH_PX / width)))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    hidden = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return _Small(np.asarray(grey, np.uint8), np.asarray(hidden))


def _with(estimate: HandRemovalEstimate, picture: Image, found: Mask, model_id: str) -> HandRemovalEstimate:
    """The estimate with a picture's pixels put in."""
    assert estimate.image is not None and estimate.provenance is not None and estimate.confidence is not None
    provenance = np.where(found, np.uint8(Provenance.GENERATED), estimate.provenance)
    had_gaps = bool((estimate.provenance == Provenance.UNKNOWN).any())
    is_completed = had_gaps and not (provenance == Provenance.UNKNOWN).any()
    return replace(
        estimate,
        state=RemovalState.CLEAN if is_completed else estimate.state,
        reason="" if is_completed else estimate.reason,
        image=np.where(found[..., None], picture, estimate.image),
        provenance=provenance,
        confidence=np.where(found, _CONFIDENCE, estimate.confidence),
        age_s=None if estimate.age_s is None else np.where(found, np.float32(np.nan), estimate.age_s),
        model_id=", ".join(dict.fromkeys(filter(None, (estimate.model_id, model_id)))),
    )
