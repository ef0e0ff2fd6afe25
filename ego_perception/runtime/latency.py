"""Latency by stage over a sliding window: a fixed ring per stage, percentiles on request only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StageLatency:
    """Milliseconds over the last `count` runs of one stage (at most the window)."""

    stage: str
    count: int
    last_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LatencyBook:
    """Records durations by stage name. Recording costs one array write; reading sorts the window."""

    def __init__(self, window: int = 256) -> None:
        self._window = window
        self._rings: dict[str, np.ndarray] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def record(self, stage: str, duration_ns: int) -> None:
        """Add one duration in nanoseconds."""
        with self._lock:
            ring = self._rings.get(stage)
            if ring is None:
                ring = self._rings[stage] = np.zeros(self._window)
                self._counts[stage] = 0
            ring[self._counts[stage] % self._window] = duration_ns * 1e-6
            self._counts[stage] += 1

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Record the time that the body takes, also when it raises."""
        start = time.perf_counter_ns()
        try:
            yield
        finally:
            self.record(stage, time.perf_counter_ns() - start)

    def summary(self) -> list[StageLatency]:
        """One entry per stage, in the order in which stages were first seen."""
        with self._lock:
            return [self._summarise(stage) for stage in self._rings]

    def reset(self) -> None:
        """Forget all durations."""
        with self._lock:
            self._rings.clear()
            self._counts.clear()

    def _summarise(self, stage: str) -> StageLatency:
        total = self._counts[stage]
        n = min(total, self._window)
        ring = self._rings[stage]
        p50, p95, p99 = (float(v) for v in np.percentile(ring[:n], (50, 95, 99)))
        return StageLatency(stage, n, float(ring[(total - 1) % self._window]), p50, p95, p99)
