"""One pipeline for live, bag and files: only its ends and its queue policy differ.

`run` pulls every frame of a source in order through the stages, in the caller's thread: nothing is dropped and nothing looks
at the wall clock, so a recording gives the same bytes again. `start`, `submit` and `stop` push frames through the same
stages on one worker thread behind a bounded queue. A frame that fails is counted and skipped; the pipeline lives.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ego_perception.data import Frame
from ego_perception.errors import EgoPerceptionError
from ego_perception.runtime.latency import LatencyBook
from ego_perception.runtime.protocols import Estimator, Sink, Source, Stage
from ego_perception.runtime.queue import BoundedQueue, QueuePolicy
from ego_perception.runtime.stamps import StampGuard, StampVerdict

_log = logging.getLogger(__name__)


@dataclass
class PipelineCounters:
    """What happened to the frames so far. `dropped` are those the queue gave up, `refused` duplicates and late ones."""

    received: int = 0
    processed: int = 0
    dropped: int = 0
    refused: int = 0
    failed: int = 0
    resets: int = 0
    last_error: str = ""


@dataclass
class EstimatorStage:
    """Makes a pipeline stage of an estimator."""

    estimator: Estimator[Any]
    name: str = "estimate"

    def process(self, item: Frame) -> Any | None:
        """Push one frame."""
        return self.estimator.push(item)

    def reset(self) -> None:
        """Reset the estimator."""
        self.estimator.reset()

    def flush(self) -> Iterable[Any]:
        """What the estimator held back."""
        return self.estimator.flush()


@dataclass
class Pipeline:
    """Stages between a source or `submit` and sinks.

    Attributes:
        stages: run in order on every item; a stage that returns None ends the item's way.
        sinks: each gets every item that comes out; a sink that raises is counted, the others still get the item.
        policy, capacity: of the queue in front of the worker; unused by `run`.
        decode: turns what `submit` or the source gives into a Frame, in the worker; None when they give frames already.
        latency: durations by stage and sink name, and `total` from submit (or read) to the last sink.
    """

    stages: Sequence[Stage]
    sinks: Sequence[Sink] = ()
    policy: QueuePolicy = QueuePolicy.LATEST
    capacity: int = 4
    decode: Callable[[Any], Frame] | None = None
    guard: StampGuard = field(default_factory=StampGuard)
    latency: LatencyBook = field(default_factory=LatencyBook)

    def __post_init__(self) -> None:
        self._counters = PipelineCounters()
        self._queue: BoundedQueue[Any] | None = None
        self._worker: threading.Thread | None = None
        self._reset_requested = threading.Event()
        self._seen_failures: set[tuple[str, type[Exception]]] = set()

    @property
    def counters(self) -> PipelineCounters:
        """A copy of the counters."""
        dropped = self._queue.num_dropped if self._queue is not None else 0
        return replace(self._counters, dropped=self._counters.dropped + dropped)

    @property
    def queue_length(self) -> int:
        """Items that wait for the worker now."""
        queue = self._queue
        return 0 if queue is None else len(queue)

    def run(self, source: Source, *, max_frames: int | None = None) -> PipelineCounters:
        """Pull `source` dry in this thread; sinks are closed on every way out, also on Ctrl-C.

        Raises:
            SourceError, BagError: where the source cannot be read; what came before is written.
        """
        try:
            for number, item in enumerate(source):
                if max_frames is not None and number >= max_frames:
                    break
                self._accept(item)
            self._flush()
        finally:
            source.close()
            self.close()
        return self.counters

    def start(self) -> None:
        """Start the worker thread; `submit` is accepted from now on."""
        if self._worker is not None:
            raise RuntimeError("the pipeline is already running")
        self._queue = BoundedQueue(self.policy, self.capacity)
        self._worker = threading.Thread(target=self._work, name="pipeline", daemon=True)
        self._worker.start()

    def submit(self, item: Any) -> bool:
        """Hand a frame (or what `decode` turns into one) to the worker; False when stopped."""
        return self._queue is not None and self._queue.put(item)

    def request_reset(self) -> None:
        """Reset all stages before the next item, from any thread."""
        self._reset_requested.set()

    def stop(self, *, drain: bool = False, timeout_s: float = 5.0) -> bool:
        """Stop the worker; True when it ended in time. `drain` first works off the queue. Sinks stay open."""
        if self._queue is None or self._worker is None:
            return True
        self._queue.close(discard=not drain)
        self._worker.join(timeout_s)
        ended = not self._worker.is_alive()
        self._counters.dropped += self._queue.num_dropped
        self._queue = self._worker = None
        return ended

    def close(self) -> None:
        """Close every sink; one that fails does not keep the others open."""
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                self._fail(f"closing {sink.name}", error)

    def _work(self) -> None:
        queue = self._queue
        assert queue is not None
        while (item := queue.get()) is not None:
            self._accept(item)
        self._flush()

    def _accept(self, item: Any) -> None:
        self._counters.received += 1
        if self._reset_requested.is_set():
            self._reset_requested.clear()
            self.guard.reset()
            self._reset()
        with self.latency.measure("total"):
            try:
                if isinstance(item, Exception):
                    raise item
                with self.latency.measure("decode"):
                    frame = item if self.decode is None else self.decode(item)
            except Exception as error:
                self._fail("decode", error)
                return
            if self._admit(frame):
                self._push(frame, 0)

    def _admit(self, frame: Frame) -> bool:
        verdict = self.guard.check(frame.stamp_ns)
        if verdict in (StampVerdict.DUPLICATE, StampVerdict.LATE):
            self._counters.refused += 1
            self._counters.last_error = f"frame at {frame.stamp_ns} ns refused: {verdict.value} stamp"
            return False
        if verdict is StampVerdict.JUMP_BACK:
            _log.warning("time jumped back to %d ns; starting over", frame.stamp_ns)
            self._reset()
        return True

    def _push(self, item: Any, first: int) -> None:
        """Send one item through the stages from index `first` on, then to the sinks."""
        for stage in self.stages[first:]:
            try:
                with self.latency.measure(stage.name):
                    item = stage.process(item)
            except Exception as error:
                self._fail(stage.name, error)
                return
            if item is None:
                return
        self._counters.processed += 1
        for sink in self.sinks:
            try:
                with self.latency.measure(sink.name):
                    sink.write(item)
            except Exception as error:
                self._fail(sink.name, error)

    def _flush(self) -> None:
        for index, stage in enumerate(self.stages):
            try:
                held_back = list(stage.flush())
            except Exception as error:
                self._fail(stage.name, error)
                continue
            for item in held_back:
                self._push(item, index + 1)

    def _reset(self) -> None:
        self._counters.resets += 1
        for stage in self.stages:
            stage.reset()

    def _fail(self, where: str, error: Exception) -> None:
        """Count a failure; an unexpected kind also leaves its traceback in the log, once per kind and place."""
        self._counters.failed += 1
        self._counters.last_error = f"{where}: {str(error) or type(error).__name__}"
        kind = (where, type(error))
        if kind not in self._seen_failures:
            self._seen_failures.add(kind)
            _log.warning("%s", self._counters.last_error, exc_info=None if isinstance(error, EgoPerceptionError) else error)
