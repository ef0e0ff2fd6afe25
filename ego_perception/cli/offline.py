"""What `ego run` and `ego replay` share: a source through the chosen tasks into a result folder.

Everything in the folder but `timing.json`, and the report that shows it, depends on the recording, the parameters and the
weights alone, so a replay writes the same bytes again. On every way out (end, Ctrl-C, SIGTERM, full disk, broken input) the
folder is readable.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from ego_perception.cli.tasks import Selection, TaskEstimator, load_removal
from ego_perception.data import Frame
from ego_perception.data.rectify import RectifyStage
from ego_perception.data.result import ResultLayout, ResultSink, RunRecord
from ego_perception.data.result.layout import output_errors, write_json
from ego_perception.data.result.record import environment
from ego_perception.errors import EgoPerceptionError, OutputError, SourceError
from ego_perception.evaluation import EvaluationSink, Metrics
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.runtime import Estimator, EstimatorStage, Pipeline, PipelineCounters, Sink, Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """An estimator that is ready to run, and the checksums of what it loaded."""

    estimator: Estimator[Any]
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        verb: for the record.
        source: frames.
        out: result folder.
        config: resolved parameters.
        with_bag: write `OUT/result`.
        with_clouds: also score clouds where there is truth.
        max_frames: stop after so many.
        selection: the tasks.
    """

    verb: str
    source: Source
    out: Path
    config: ReconstructionConfig
    with_bag: bool = True
    with_clouds: bool = False
    max_frames: int | None = None
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True)
class Outcome:
    """What came out: `metrics` is None without ground truth, `interrupted` says that the user stopped it."""

    layout: ResultLayout
    counters: PipelineCounters
    states: dict[str, int]
    metrics: Metrics | None
    wall_s: float
    interrupted: bool


def load_model(config: ReconstructionConfig, weights: Path | None = None) -> Model:
    """Load the network and build the estimator of the reconstruction.

    Raises:
        WeightsError: missing or damaged weights.
    """
    from ego_perception.reconstruction.estimator import ReconstructionEstimator
    from ego_perception.reconstruction.network import load_prior
    from ego_perception.reconstruction.sizes import KIND
    from ego_perception.weights import sha256_of, shipped_weights

    path = shipped_weights(KIND) if weights is None else weights
    return Model(ReconstructionEstimator(config, load_prior(path, threads=config.threads)), {path.name: sha256_of(path)})


def with_tasks(model: Model | None, selection: Selection) -> Model:
    """Add the other tasks to the reconstruction, which is None where it is not wanted.

    Raises:
        WeightsError: missing or damaged weights.
        ConfigError: a model that hand removal was told to use is not there.
    """
    removal, checksums = load_removal(selection)
    if removal is None and model is not None:
        return model
    scene, weights = (None, {}) if model is None else (model.estimator, model.weights)
    shares_geometry = selection.hand_removal.geometry_source != "none"
    return Model(TaskEstimator(scene, removal, shares_geometry=shares_geometry), weights | checksums)


def reconstruct(job: Job, model: Model, extra_sinks: Sequence[Sink] = ()) -> Outcome:
    """Run a job to its end or to Ctrl-C.

    Raises:
        OutputError: the folder cannot be written; what was written before stays readable.
        SourceError, BagError: the input broke off; what came before is written.
    """
    parameters = job.selection.parameters(job.config)
    record = RunRecord(job.verb, job.source.name, parameters, model.weights, environment(), tasks=job.selection.tasks)
    result = ResultSink(job.out, record)
    evaluation = EvaluationSink(job.source.name, with_clouds=job.with_clouds)
    watched = [_Watched(result)]
    if job.with_bag:
        watched.append(_Watched(_bag_sink(result.layout.bag)))
    pipeline = Pipeline([RectifyStage(), EstimatorStage(model.estimator)], [*watched, evaluation, *extra_sinks])
    started = time.monotonic()
    interrupted = False
    failure: EgoPerceptionError | None = None
    try:
        with _interrupt_between_frames() as interrupt:
            pipeline.run(_Guarded(job.source, watched, interrupt), max_frames=job.max_frames)
        failure = next((sink.failure for sink in watched if sink.failure), None) or _nothing_usable(job, pipeline.counters)
    except KeyboardInterrupt:
        interrupted = True
    except EgoPerceptionError as error:
        failure = error
    wall_s = time.monotonic() - started
    metrics = evaluation.metrics() if evaluation.has_truth else None
    status = "interrupted" if interrupted else "finished" if failure is None else f"failed: {failure}"
    counters = {**asdict(pipeline.counters), "states": result.num_states}
    try:
        _finish(result, replace(record, status=status, counters=counters), metrics, pipeline, wall_s)
    except EgoPerceptionError as error:
        failure = failure or error
    if failure is not None:
        raise failure
    return Outcome(result.layout, pipeline.counters, result.num_states, metrics, wall_s, interrupted)


def _finish(result: ResultSink, record: RunRecord, metrics: Metrics | None, pipeline: Pipeline, wall_s: float) -> None:
    result.finish(record)
    if metrics is not None:
        metrics.save(result.layout.metrics)
    with output_errors(result.layout.root):
        processed = pipeline.counters.processed
        timing = {
            "wall_s": wall_s,
            "frames_per_s": processed / wall_s if wall_s > 0 else 0.0,
            "stages": [asdict(stage) for stage in pipeline.latency.summary()],
        }
        write_json(result.layout.timing, timing)
    from ego_perception.viz.report import write_report

    write_report(result.layout.root)


def _nothing_usable(job: Job, counters: PipelineCounters) -> SourceError | None:
    if counters.processed:
        return None
    reason = f"; the last of {counters.received}: {counters.last_error}" if counters.received else ""
    return SourceError(f"not one frame of {job.source.name} could be used{reason}")


def _bag_sink(path: Path) -> Sink:
    from ego_perception.bag import SceneBagSink

    return SceneBagSink(path)


class _Watched:
    """Remembers that a sink can no longer write, which a pipeline by itself would only count."""

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self.failure: OutputError | None = None
        self._sink = sink

    def write(self, item: Any) -> None:
        if self.failure is not None:
            return
        with self._noticed():
            self._sink.write(item)

    def close(self) -> None:
        with self._noticed():
            self._sink.close()

    @contextlib.contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            self.failure = self.failure or error
            raise
        except OSError as error:
            self.failure = self.failure or OutputError(f"{self.name} cannot be written: {error.strerror or error}")
            raise self.failure from error


class _Guarded:
    """Ends a source when the user asked, or when a sink can no longer write: going on would compute for nobody."""

    def __init__(self, source: Source, sinks: Sequence[_Watched], interrupt: _Interrupt) -> None:
        self.name, self.is_live = source.name, source.is_live
        self._source, self._sinks, self._interrupt = source, sinks, interrupt

    def __iter__(self) -> Iterator[Frame | Exception]:
        for item in self._source:
            with self._interrupt.held_back():
                yield item
            for sink in self._sinks:
                if sink.failure is not None:
                    raise sink.failure

    def close(self) -> None:
        self._source.close()


class _Interrupt:
    """Ctrl-C and `kill`, at once while the source is waited for, else after the frame in work has reached every sink."""

    def __init__(self) -> None:
        self._is_held = False
        self._is_wanted = False

    def handle(self, number: int, _: FrameType | None) -> None:
        """The signal handler; a second signal does not wait."""
        if self._is_held and not self._is_wanted:
            self._is_wanted = True
            return
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Let the body end before an interrupt is raised."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_wanted:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _interrupt_between_frames() -> Iterator[_Interrupt]:
    """Install the handlers; only the main thread may."""
    interrupt = _Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
