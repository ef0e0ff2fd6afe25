"""The pipeline: order, drops, resets, failures, interruption."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from ego_perception.data import Frame
from ego_perception.errors import FrameError, SourceError
from ego_perception.runtime import EstimatorStage, Pipeline, QueuePolicy

PIXELS = np.zeros((2, 2, 3), np.uint8)
MS = 1_000_000


def frame(number: int) -> Frame:
    return Frame(stamp_ns=(number + 1) * 66 * MS, image=PIXELS, index=number)


class ListSource:
    name, is_live = "list", False

    def __init__(self, items: Iterable[Any], error: Exception | BaseException | None = None) -> None:
        self.items, self.error, self.closed = list(items), error, False

    def __iter__(self) -> Iterator[Any]:
        yield from self.items
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


class Collector:
    name = "collect"

    def __init__(self, fail_on: int | None = None) -> None:
        self.items: list[Any] = []
        self.num_closed = 0
        self.fail_on = fail_on

    def write(self, item: Any) -> None:
        if self.fail_on == len(self.items):
            self.fail_on = None
            raise OSError("disk full")
        self.items.append(item)

    def close(self) -> None:
        self.num_closed += 1


class Counter:
    """An estimator that numbers frames since its reset, holds the last one back, and fails on demand."""

    def __init__(self, fail_on: tuple[int, ...] = ()) -> None:
        self.seen, self.num_resets, self.fail_on = 0, 0, fail_on
        self.held: Any = None

    def reset(self) -> None:
        self.seen, self.num_resets, self.held = 0, self.num_resets + 1, None

    def push(self, frame: Frame) -> Any:
        if frame.index in self.fail_on:
            raise RuntimeError(f"cannot take {frame.index}")
        self.seen += 1
        out, self.held = self.held, (frame.index, self.seen)
        return out

    def flush(self) -> Iterable[Any]:
        return [] if self.held is None else [self.held]


def pipeline(estimator: Counter, *sinks: Collector, **options: Any) -> Pipeline:
    return Pipeline([EstimatorStage(estimator)], list(sinks), **options)


def test_run_takes_every_frame_in_order_and_flushes_what_is_held_back() -> None:
    sink, source = Collector(), ListSource(frame(i) for i in range(5))
    counters = pipeline(Counter(), sink).run(source)
    assert [index for index, _ in sink.items] == [0, 1, 2, 3, 4]
    assert (counters.received, counters.processed, counters.failed) == (5, 5, 0)
    assert source.closed
    assert sink.num_closed == 1


def test_a_failing_frame_is_counted_and_the_rest_goes_on() -> None:
    sink = Collector()
    counters = pipeline(Counter(fail_on=(1,)), sink).run(ListSource(frame(i) for i in range(4)))
    assert [index for index, _ in sink.items] == [0, 2, 3]
    assert counters.failed == 1
    assert counters.last_error == "estimate: cannot take 1"


def test_a_broken_frame_from_the_source_is_counted() -> None:
    counters = pipeline(Counter(), Collector()).run(ListSource([frame(0), FrameError("truncated JPEG"), frame(1)]))
    assert (counters.received, counters.failed, counters.last_error) == (3, 1, "decode: truncated JPEG")


def test_a_sink_that_fails_does_not_rob_the_others() -> None:
    bad, good = Collector(fail_on=1), Collector()
    counters = pipeline(Counter(), bad, good).run(ListSource(frame(i) for i in range(4)))
    assert len(good.items) == 4
    assert counters.failed == 1


@pytest.mark.parametrize("error", [SourceError("gone"), KeyboardInterrupt()])
def test_sinks_are_closed_when_the_source_dies_or_the_user_stops(error: BaseException) -> None:
    sink = Collector()
    with pytest.raises(type(error)):
        pipeline(Counter(), sink).run(ListSource([frame(0), frame(1)], error))
    assert sink.num_closed == 1
    assert [index for index, _ in sink.items] == [0]


def test_duplicates_and_late_frames_are_refused_and_a_jump_back_resets() -> None:
    estimator, sink = Counter(), Collector()
    stamps = [1000, 1066, 1066, 1050, 1132, 10, 76]
    frames = [Frame(stamp * MS, PIXELS, index=i) for i, stamp in enumerate(stamps)]
    counters = pipeline(estimator, sink).run(ListSource(frames))
    assert (counters.refused, counters.resets, estimator.num_resets) == (2, 1, 1)
    assert sink.items[-1] == (6, 2)


def test_max_frames_stops_early() -> None:
    sink = Collector()
    pipeline(Counter(), sink).run(ListSource(frame(i) for i in range(9)), max_frames=3)
    assert len(sink.items) == 3


def test_live_with_policy_all_equals_run() -> None:
    live, offline = Collector(), Collector()
    pipeline(Counter(), offline).run(ListSource(frame(i) for i in range(30)))
    p = pipeline(Counter(), live, policy=QueuePolicy.ALL, capacity=2)
    p.start()
    for i in range(30):
        assert p.submit(frame(i))
    assert p.stop(drain=True)
    assert live.items == offline.items


def test_latest_drops_while_the_worker_is_busy_and_says_how_many() -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(Counter):
        def push(self, frame: Frame) -> Any:
            entered.set()
            release.wait(5)
            return frame.index

    sink = Collector()
    p = pipeline(Slow(), sink)
    p.start()
    p.submit(frame(0))
    assert entered.wait(5)
    for i in range(1, 6):
        p.submit(frame(i))
    release.set()
    p.stop(drain=True)
    assert sink.items == [0, 5]
    assert p.counters.dropped == 4


def test_decoding_happens_in_the_worker_and_may_fail() -> None:
    threads: list[str] = []

    def decode(item: Any) -> Frame:
        threads.append(threading.current_thread().name)
        if item == 1:
            raise FrameError("undecodable")
        return frame(item)

    sink = Collector()
    p = pipeline(Counter(), sink, decode=decode, policy=QueuePolicy.ALL)
    p.start()
    for i in range(3):
        p.submit(i)
    p.stop(drain=True)
    assert set(threads) == {"pipeline"}
    assert [index for index, _ in sink.items] == [0, 2]
    assert p.counters.failed == 1


def test_a_requested_reset_happens_before_the_next_frame_and_forgets_stamps() -> None:
    estimator = Counter()
    p = pipeline(estimator, policy=QueuePolicy.ALL)
    p.start()
    p.submit(frame(5))
    p.request_reset()
    p.submit(frame(5))
    p.stop(drain=True)
    assert estimator.num_resets == 1
    assert p.counters.processed >= 1


def test_stop_is_repeatable_and_start_twice_is_refused() -> None:
    p = pipeline(Counter())
    assert p.stop()
    p.start()
    with pytest.raises(RuntimeError, match="already running"):
        p.start()
    assert p.stop()
    assert p.stop()
    assert not p.submit(frame(0))
    p.start()
    assert p.submit(frame(1))
    assert p.stop()


def test_latency_is_recorded_by_stage_and_sink() -> None:
    p = pipeline(Counter(), Collector())
    p.run(ListSource(frame(i) for i in range(3)))
    assert {s.stage for s in p.latency.summary()} == {"total", "decode", "estimate", "collect"}
