"""The bounded hand-off between the thread that receives frames and the one that works on them."""

from __future__ import annotations

import enum
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class QueuePolicy(enum.Enum):
    """What happens when an item arrives at a full queue."""

    LATEST = "latest"  # everything older is dropped: live work on the newest frame
    WINDOW = "window"  # the oldest is dropped: a short history is kept
    ALL = "all"  # the producer waits: nothing is dropped (replay)


class BoundedQueue(Generic[T]):
    """A closable queue that counts what it drops. `put` never blocks under LATEST and WINDOW."""

    def __init__(self, policy: QueuePolicy, capacity: int = 4) -> None:
        if capacity < 1:
            raise ValueError(f"queue capacity is {capacity}; it must be at least 1")
        self.policy = policy
        self.capacity = 1 if policy is QueuePolicy.LATEST else capacity
        self.num_dropped = 0
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Add an item; False when the queue is closed and the item was refused."""
        with self._changed:
            while self.policy is QueuePolicy.ALL and len(self._items) >= self.capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            while len(self._items) >= self.capacity:
                self._items.popleft()
                self.num_dropped += 1
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Take the oldest item; None after `timeout_s`, or at once when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, discard: bool = False) -> None:
        """Refuse further items and wake everybody; `discard` also empties the queue."""
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    def __len__(self) -> int:
        return len(self._items)
