"""Work beside a pipeline: the newest item only, at most so often, and never in anybody's way."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from ego_perception.errors import FrameError
from ego_perception.runtime import BackgroundWorker


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "condition did not come true"
        time.sleep(0.005)


def test_items_that_wait_give_way_to_newer_ones_and_submit_returns_at_once() -> None:
    release, begun, done = threading.Event(), threading.Event(), list[int]()

    def work(item: int) -> int:
        begun.set()
        release.wait(10)
        return item

    worker = BackgroundWorker("test", work, done.append, 0.0)
    worker.start()
    worker.submit(0)
    assert begun.wait(10)
    for item in range(1, 50):
        worker.submit(item)
    release.set()
    wait_for(lambda: done == [0, 49])
    assert worker.stop()
    assert worker.num_done == 2


def test_the_pause_between_items_is_kept() -> None:
    starts, done = list[float](), list[int]()

    def work(item: int) -> int:
        starts.append(time.monotonic())
        return item

    worker = BackgroundWorker("test", work, done.append, 0.05)
    worker.start()
    for item in range(3):
        worker.submit(item)
        wait_for(lambda item=item: done and done[-1] == item)
    assert worker.stop()
    assert all(later - earlier >= 0.049 for earlier, later in itertools.pairwise(starts))


def test_a_failure_is_counted_and_the_next_item_is_served() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 0:
            raise FrameError("all hole")
        return item

    worker = BackgroundWorker("test", work, done.append, 0.0)
    worker.start()
    worker.submit(0)
    wait_for(lambda: worker.num_failed == 1)
    worker.submit(1)
    wait_for(lambda: done == [1])
    assert worker.last_error == "all hole"
    assert worker.stop()


def test_what_is_in_work_when_it_stops_is_not_delivered() -> None:
    release, begun, done = threading.Event(), threading.Event(), list[int]()

    def work(item: int) -> int:
        begun.set()
        release.wait(10)
        return item

    worker = BackgroundWorker("test", work, done.append, 0.0)
    worker.start()
    worker.submit(1)
    assert begun.wait(10)
    assert not worker.stop(timeout_s=0.05), "work that hangs is given up, not waited for"
    release.set()
    worker._thread.join(10)
    assert done == []
    assert worker.num_done == 0


def test_stopping_does_not_wait_for_the_pause() -> None:
    done: list[int] = []
    worker = BackgroundWorker("test", lambda item: item, done.append, 60.0)
    worker.start()
    worker.submit(1)
    wait_for(lambda: done)
    assert worker.stop(timeout_s=10.0)
