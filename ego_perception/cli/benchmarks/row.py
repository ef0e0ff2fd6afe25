"""One line of the benchmark table, and how durations are summed up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class BenchmarkRow:
    """A measured figure.

    Attributes:
        figure: what was measured, with its unit.
        value: the figure.
        baseline, baseline_value: the named peer and its figure in the same unit and run; empty and None without one.
        target: what it should reach, as text; empty for information only.
        reached: whether the target was met; None without one.
    """

    figure: str
    value: float
    baseline: str = ""
    baseline_value: float | None = None
    target: str = ""
    reached: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Figure over baseline."""
        return None if not self.baseline_value else self.value / self.baseline_value

    def to_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self) | {"ratio": self.ratio}


@dataclass(frozen=True)
class Milliseconds:
    """Percentiles of a list of durations."""

    p50: float
    p95: float
    worst: float

    @classmethod
    def of(cls, durations_ms: list[float]) -> Milliseconds:
        """Sum up durations in milliseconds."""
        p50, p95 = (float(v) for v in np.percentile(durations_ms, (50, 95)))
        return cls(p50, p95, float(max(durations_ms)))


def timed(action: Callable[[], Any]) -> float:
    """Run once; wall time in milliseconds."""
    start = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - start) * 1e-6


def interleaved(actions: dict[str, Callable[[], Any]], repeats: int, warm_up: int = 3) -> dict[str, Milliseconds]:
    """Time several actions in turn (A B A B ...), so that a machine whose speed drifts slows all of them alike."""
    durations: dict[str, list[float]] = {name: [] for name in actions}
    for repeat in range(warm_up + repeats):
        for name, action in actions.items():
            duration = timed(action)
            if repeat >= warm_up:
                durations[name].append(duration)
    return {name: Milliseconds.of(values) for name, values in durations.items()}
