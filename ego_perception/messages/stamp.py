"""Stamps between messages and integer nanoseconds; no floats, which would lose nanoseconds."""

from __future__ import annotations

from typing import Any

from ego_perception.errors import FrameError

_NS = 1_000_000_000


def split_stamp(stamp_ns: int) -> tuple[int, int]:
    """Split nanoseconds into the seconds and the non-negative nanoseconds of `builtin_interfaces/Time`.

    Raises:
        FrameError: seconds outside 32 bits.
    """
    sec, nanosec = divmod(int(stamp_ns), _NS)
    if not -(2**31) <= sec < 2**31:
        raise FrameError(f"stamp {stamp_ns} ns does not fit a ROS time; check the unit of the source's stamps")
    return sec, nanosec


def stamp_ns_of(time: Any) -> int:
    """Nanoseconds of a `builtin_interfaces/Time`, of a header, or of a message with a header."""
    if hasattr(time, "header"):
        time = time.header
    if hasattr(time, "stamp"):
        time = time.stamp
    return int(time.sec) * _NS + int(time.nanosec)
