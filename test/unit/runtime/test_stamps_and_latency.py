"""Stamp verdicts, clocks and latency percentiles."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.runtime import LatencyBook, ReplayClock, StampGuard, StampVerdict, SystemClock

S = 1_000_000_000


def test_each_kind_of_step_is_told_apart() -> None:
    guard = StampGuard(gap_s=1.0, late_s=0.5)
    steps = [
        (10 * S, StampVerdict.OK),
        (10 * S + 1, StampVerdict.OK),
        (10 * S + 1, StampVerdict.DUPLICATE),
        (10 * S - 1000, StampVerdict.LATE),
        (11 * S + 1, StampVerdict.OK),
        (13 * S, StampVerdict.GAP),
        (13 * S + 5, StampVerdict.OK),
        (2 * S, StampVerdict.JUMP_BACK),
        (2 * S + 1, StampVerdict.OK),
    ]
    assert [guard.check(stamp) for stamp, _ in steps] == [verdict for _, verdict in steps]


def test_a_late_frame_does_not_move_the_newest_stamp() -> None:
    guard = StampGuard()
    guard.check(10 * S)
    guard.check(10 * S - 100)
    assert guard.check(10 * S) is StampVerdict.DUPLICATE


def test_reset_accepts_anything() -> None:
    guard = StampGuard()
    guard.check(10 * S)
    guard.reset()
    assert guard.check(1) is StampVerdict.OK


def test_percentiles_cover_the_window_only() -> None:
    book = LatencyBook(window=100)
    for ms in [1000] * 50 + list(range(1, 101)):
        book.record("a", ms * 1_000_000)
    (entry,) = book.summary()
    expected = np.percentile(np.arange(1, 101), (50, 95, 99))
    assert (entry.count, entry.last_ms) == (100, 100)
    np.testing.assert_allclose((entry.p50_ms, entry.p95_ms, entry.p99_ms), expected)


def test_a_raising_body_is_measured_too() -> None:
    book = LatencyBook()
    with pytest.raises(KeyError), book.measure("x"):
        raise KeyError
    assert book.summary()[0].count == 1
    book.reset()
    assert book.summary() == []


def test_stages_come_in_the_order_first_seen() -> None:
    book = LatencyBook()
    for name in ("decode", "estimate", "decode", "publish"):
        book.record(name, 1)
    assert [s.stage for s in book.summary()] == ["decode", "estimate", "publish"]


def test_clocks() -> None:
    replay = ReplayClock()
    replay.set(5)
    replay.set(3)
    assert replay.now_ns() == 3
    assert SystemClock().now_ns() > 1_600_000_000 * S
