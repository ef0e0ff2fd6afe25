"""Whether memory stays flat while a recording loops, after the first minute of stream time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ego_perception.cli.benchmarks.row import BenchmarkRow
from ego_perception.data import Frame
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.reconstruction.network import load_prior
from ego_perception.runtime import EstimatorStage, Pipeline


class LoopingSource:
    """The same frames again and again, backwards every other time so that the camera never jumps, with running stamps."""

    is_live = False

    def __init__(self, frames: Sequence[Frame], minutes: float) -> None:
        self.name = f"{len(frames)} frames, looping"
        self._frames = frames
        self._period_ns = frames[1].stamp_ns - frames[0].stamp_ns
        self._count = int(minutes * 60e9 / self._period_ns)

    def __iter__(self) -> Iterator[Frame | Exception]:
        n = len(self._frames)
        for i in range(self._count):
            lap, at = divmod(i, n - 1)
            frame = self._frames[at if lap % 2 == 0 else n - 1 - at]
            yield replace(frame, stamp_ns=self._frames[0].stamp_ns + i * self._period_ns, index=i)

    def close(self) -> None:
        """Nothing is open."""


class ResidentMemory:
    """A sink that notes the resident memory of this process by stream time."""

    name = "memory"

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._start_ns: int | None = None

    def write(self, item: object) -> None:
        """Take a sample every fifth frame."""
        frame: Frame = item.frame  # type: ignore[attr-defined]
        self._start_ns = frame.stamp_ns if self._start_ns is None else self._start_ns
        if frame.index % 5 == 0:
            self.samples.append(((frame.stamp_ns - self._start_ns) * 1e-9, resident_mb()))

    def close(self) -> None:
        """Nothing is open."""


def memory_rows(frames: Sequence[Frame], minutes: float) -> list[BenchmarkRow]:
    """Run the estimator over `minutes` of looping stream time, as fast as it goes."""
    sink = ResidentMemory()
    pipeline = Pipeline([EstimatorStage(ReconstructionEstimator(ReconstructionConfig(), load_prior()))], [sink])
    pipeline.run(LoopingSource(frames, minutes))
    after = [mb for seconds, mb in sink.samples if seconds >= min(60.0, 30.0 * minutes)]
    growth = max(after) - after[0]
    return [
        BenchmarkRow(
            f"resident memory after the first minute of {minutes:g} looping: growth, MB",
            growth,
            target="<= 20",
            reached=growth <= 20,
        ),
        BenchmarkRow("resident memory at the end, MB", sink.samples[-1][1]),
    ]


def resident_mb() -> float:
    """Resident memory of this process, megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
