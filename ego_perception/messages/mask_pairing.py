"""Pairs images with masks that another node makes of them, without holding up anybody longer than a limit.

An image waits here for its mask, not in the worker. It goes on when its mask comes, when the limit has passed, or when the mask
of a newer image comes, since a mask node that skips images does not return to them.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_CAPACITY: Final = 32
"""Images and masks that wait at most: a second of a fast camera."""


@dataclass(frozen=True)
class PairedImage:
    """An image message, and the mask message that belongs to it or None."""

    image: Any
    mask: Any | None = None


@dataclass(frozen=True)
class HandMaskRequest:
    """Hand masks that are wanted beside the images of a recording.

    Attributes:
        topic: where they are; None chooses by name.
        values: as of `decode_hand_mask`.
        timeout_s: how long an image waits for its mask, on the recording's clock.
        is_required: a recording without masks is an error; else its frames come without.
    """

    topic: str | None = None
    values: str = "labels"
    timeout_s: float = 0.15
    is_required: bool = True


class MaskPairing:
    """Call from one thread, the executor's.

    Args:
        submit: takes each image once, in order of arrival.
        timeout_s: how long an image waits.
        is_expected: False where nobody sends masks, so that no image waits.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        submit: Callable[[PairedImage], object],
        timeout_s: float,
        is_expected: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._submit = submit
        self._timeout_s = timeout_s
        self._is_expected = is_expected
        self._clock = clock
        self._images: OrderedDict[int, tuple[Any, float]] = OrderedDict()
        self._masks: OrderedDict[int, Any] = OrderedDict()
        self._steps: deque[int] = deque(maxlen=9)
        self._newest_ns: int | None = None

    @property
    def slop_ns(self) -> int:
        """Half of the time between images: what a mask's stamp may differ by; 0 until two images came."""
        return sorted(self._steps)[len(self._steps) // 2] // 2 if self._steps else 0

    def add_image(self, stamp_ns: int, message: Any) -> None:
        """Take an image; it goes on at once where its mask is there already."""
        step_ns = 0 if self._newest_ns is None else stamp_ns - self._newest_ns
        if 0 < step_ns < 10**9:
            self._steps.append(step_ns)
        elif step_ns < 0:
            # A recording that starts again must not meet the masks of its last round.
            self._masks.clear()
        self._newest_ns = stamp_ns
        self._images[stamp_ns] = (message, self._clock())
        self._match()
        self.expire()

    def add_mask(self, stamp_ns: int, message: Any) -> None:
        """Take a mask."""
        self._masks[stamp_ns] = message
        while len(self._masks) > _CAPACITY:
            self._masks.popitem(last=False)
        self._match()

    def expire(self) -> None:
        """Let go of images that waited long enough; call often."""
        limit = self._clock() - (self._timeout_s if self._is_expected() else 0.0)
        while self._images:
            stamp_ns, (message, came) = next(iter(self._images.items()))
            if came > limit and len(self._images) <= _CAPACITY:
                return
            del self._images[stamp_ns]
            self._submit(PairedImage(message))

    def _match(self) -> None:
        """Send on the images that have their masks, each with the older ones before it, which will get none."""
        matches = {image: mask for image in self._images if (mask := self._nearest(image)) is not None}
        if not matches:
            return
        last = list(self._images).index(list(matches)[-1])
        for stamp_ns in list(self._images)[: last + 1]:
            message, _ = self._images.pop(stamp_ns)
            mask = self._masks.pop(matches[stamp_ns], None) if stamp_ns in matches else None
            self._submit(PairedImage(message, mask))

    def _nearest(self, stamp_ns: int) -> int | None:
        """Stamp of the mask that belongs to an image: the same, else the nearest within the slop."""
        if stamp_ns in self._masks:
            return stamp_ns
        near = min(self._masks, key=lambda s: abs(s - stamp_ns), default=None)
        return near if near is not None and abs(near - stamp_ns) < self.slop_ns else None
