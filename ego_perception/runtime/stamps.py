"""Watches the stamps of a stream: duplicates, jumps backwards (a looping bag) and gaps."""

from __future__ import annotations

import enum


class StampVerdict(enum.Enum):
    """What a stamp means for the stream."""

    OK = "ok"
    DUPLICATE = "duplicate"  # the same stamp again: drop
    LATE = "late"  # slightly older than the newest: out of order, drop
    JUMP_BACK = "jump back"  # much older: the recording restarted, reset
    GAP = "gap"  # much newer: continue, the estimator must not assume small motion


class StampGuard:
    """Classifies stamps one after the other.

    Args:
        gap_s: a step forward longer than this is a GAP.
        late_s: a step backwards shorter than this is LATE, longer is a JUMP_BACK.
    """

    def __init__(self, gap_s: float = 1.0, late_s: float = 0.5) -> None:
        self._gap_ns = int(gap_s * 1e9)
        self._late_ns = int(late_s * 1e9)
        self._newest_ns: int | None = None

    def check(self, stamp_ns: int) -> StampVerdict:
        """Judge the next stamp in nanoseconds."""
        newest = self._newest_ns
        if newest is None:
            self._newest_ns = stamp_ns
            return StampVerdict.OK
        step = stamp_ns - newest
        if step == 0:
            return StampVerdict.DUPLICATE
        if -self._late_ns < step < 0:
            return StampVerdict.LATE
        self._newest_ns = stamp_ns
        if step < 0:
            return StampVerdict.JUMP_BACK
        return StampVerdict.GAP if step > self._gap_ns else StampVerdict.OK

    def reset(self) -> None:
        """Start a new stream."""
        self._newest_ns = None
