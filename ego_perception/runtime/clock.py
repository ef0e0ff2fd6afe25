"""Time sources: the wall for live work, the recording's own stamps for replay."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Answers `now_ns` in the time base of frame stamps."""

    def now_ns(self) -> int: ...


class SystemClock:
    """Wall-clock time since the epoch, integer nanoseconds."""

    def now_ns(self) -> int:
        return time.time_ns()


class ReplayClock:
    """Stands at the stamp last set, so that replay never looks at the wall."""

    def __init__(self) -> None:
        self._now_ns = 0

    def set(self, stamp_ns: int) -> None:
        """Move to `stamp_ns`; also backwards, as a looping bag does."""
        self._now_ns = stamp_ns

    def now_ns(self) -> int:
        return self._now_ns
