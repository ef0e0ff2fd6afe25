"""Work that is done beside a pipeline when there is time for it: the newest item only, at most so often, on its own thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ego_perception.errors import EgoPerceptionError
from ego_perception.runtime.queue import BoundedQueue, QueuePolicy

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger(__name__)


class BackgroundWorker(Generic[T, R]):
    """Never delays who submits; an item that fails is counted and logged once per kind of error.

    Args:
        name: of the thread.
        work: makes a result of an item.
        deliver: takes the result; not called any more once `stop` was.
        period_s: least time from the start of one item to that of the next.
    """

    def __init__(self, name: str, work: Callable[[T], R], deliver: Callable[[R], None], period_s: float) -> None:
        self.num_done = 0
        self.num_failed = 0
        self.last_error = ""
        self._work, self._deliver, self._period_s = work, deliver, period_s
        self._queue: BoundedQueue[T] = BoundedQueue(QueuePolicy.LATEST)
        self._stopped = threading.Event()
        self._seen: set[type[Exception]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, item: T) -> None:
        """Offer an item; it takes the place of one that still waits."""
        self._queue.put(item)

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End after the item in work, whose result is dropped; True when that was in time."""
        self._stopped.set()
        self._queue.close(discard=True)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            next_s = time.monotonic() + self._period_s
            self._do(item)
            self._stopped.wait(max(0.0, next_s - time.monotonic()))

    def _do(self, item: T) -> None:
        try:
            result = self._work(item)
            if not self._stopped.is_set():
                self._deliver(result)
                self.num_done += 1
        except Exception as error:  # one item that fails must not end the worker
            self.num_failed += 1
            self.last_error = str(error) or type(error).__name__
            if type(error) not in self._seen:
                self._seen.add(type(error))
                _log.warning("%s", self.last_error, exc_info=None if isinstance(error, EgoPerceptionError) else error)
