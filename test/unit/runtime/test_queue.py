"""The hand-off queue under each policy."""

from __future__ import annotations

import threading

import pytest

from ego_perception.runtime import BoundedQueue, QueuePolicy


def test_latest_keeps_only_the_newest_and_counts() -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueuePolicy.LATEST, capacity=9)
    for i in range(5):
        queue.put(i)
    assert (queue.get(0), queue.get(0), queue.num_dropped) == (4, None, 4)


def test_window_keeps_the_last_few_in_order() -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueuePolicy.WINDOW, capacity=3)
    for i in range(5):
        queue.put(i)
    assert [queue.get(0) for _ in range(3)] == [2, 3, 4]
    assert queue.num_dropped == 2


def test_all_makes_the_producer_wait_and_drops_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueuePolicy.ALL, capacity=2)
    producer = threading.Thread(target=lambda: [queue.put(i) for i in range(50)])
    producer.start()
    received = [queue.get(5) for _ in range(50)]
    producer.join(5)
    assert received == list(range(50))
    assert queue.num_dropped == 0


def test_closing_wakes_a_waiting_consumer_and_a_waiting_producer() -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueuePolicy.ALL, capacity=1)
    results: list[object] = []
    consumer = threading.Thread(target=lambda: results.append(queue.get()))
    consumer.start()
    queue.close()
    consumer.join(5)
    assert results == [None]
    full: BoundedQueue[int] = BoundedQueue(QueuePolicy.ALL, capacity=1)
    full.put(1)
    producer = threading.Thread(target=lambda: results.append(full.put(2)))
    producer.start()
    full.close()
    producer.join(5)
    assert results == [None, False]


def test_a_closed_queue_is_worked_off_unless_discarded() -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueuePolicy.WINDOW)
    queue.put(1)
    queue.close()
    assert not queue.put(2)
    assert (queue.get(), queue.get()) == (1, None)
    other: BoundedQueue[int] = BoundedQueue(QueuePolicy.WINDOW)
    other.put(1)
    other.close(discard=True)
    assert other.get() is None


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        BoundedQueue(QueuePolicy.ALL, capacity=0)
