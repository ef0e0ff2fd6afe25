"""What the nodes share that push the images of one camera through an estimator: worker, reset, and what they say of themselves.

A node builds its work in `setup` and hands it to `hold`, starts it in `run` with `start_worker`, and tells each estimate with
`tell`. Heartbeat, counters and teardown are here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from std_srvs.srv import Trigger

from ego_perception.data import TrackingState
from ego_perception.messages import NodeFacts
from ego_perception.nodes.config import ImageStreamConfig
from ego_perception.nodes.model import ModelIdentity
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.image_input import ImageInput
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.runtime import Pipeline, PipelineCounters, QueuePolicy, Stage

T = TypeVar("T")
W = TypeVar("W", bound="EstimatorWork")


class Publishing(Stage, Protocol):
    """The stage that publishes estimates."""

    @property
    def age_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of the time from image stamp to publication, milliseconds."""
        ...


@dataclass(frozen=True)
class EstimatorWork:
    """What exists while a node is configured."""

    identity: ModelIdentity
    publisher: Publishing
    pipeline: Pipeline


class EstimatorNode(EgoLifecycleNode[T], Generic[T, W]):
    """A node around one pipeline with one estimator.

    Args:
        name, config_type: as of `EgoLifecycleNode`.
        reset_answer: what `~/reset` answers.
    """

    def __init__(self, name: str, config_type: type[T], reset_answer: str, **kwargs: Any) -> None:
        self._reset_answer = reset_answer
        self._report_lock = threading.Lock()
        self._work: W | None = None
        self._input: ImageInput | None = None
        self._latest: Any = None
        self._state_sent: Any = None
        self._counted_before = PipelineCounters()
        super().__init__(name, config_type, **kwargs)
        self._reporter = Reporter(self)

    def facts_of(self, estimate: Any) -> dict[str, Any]:
        """The fields of `NodeFacts` that an estimate settles."""
        raise NotImplementedError

    def problem_of(self, counters: PipelineCounters) -> tuple[TrackingState, str]:
        """What is wrong besides the last estimate, and how bad it is; called while the node is active and listens."""
        raise NotImplementedError

    def decode(self, item: Any) -> Any:
        """Make a frame of what was submitted; called in the worker, before each frame."""
        raise NotImplementedError

    def heartbeat(self) -> None:
        """Send `~/status` and `/diagnostics`."""
        with self._report_lock:
            self._state_sent = None if self._latest is None else self._latest.state
            self._counted_before = self._reporter.publish(self._facts()).counters

    def pipeline_of(self, config: ImageStreamConfig, stages: Sequence[Stage]) -> Pipeline:
        """A pipeline from this node's input through some stages."""
        return Pipeline(stages, policy=QueuePolicy(config.queue_policy), capacity=config.queue_size, decode=self.decode)

    def hold(self, work: W, scope: ExitStack) -> None:
        """Take over what `setup` made, and offer `~/reset`."""
        self._counted_before = PipelineCounters()
        self._work = work
        scope.callback(self._drop_work)
        self.service(scope, Trigger, "~/reset", self._on_reset)

    def start_worker(self, scope: ExitStack) -> Pipeline:
        """Start the worker from an empty memory."""
        pipeline = self.work.pipeline
        pipeline.request_reset()
        pipeline.start()
        scope.callback(self._stop_worker)
        return pipeline

    def tell(self, estimate: Any) -> None:
        """Take an estimate that was published; a change of its state is told at once."""
        self._latest = estimate
        if estimate.state is not self._state_sent:
            self.heartbeat()

    def failures_since_beat(self, counters: PipelineCounters, what_failed: str) -> str:
        """Frames that failed or were refused since the last heartbeat, with the last cause; empty without any."""
        before = self._counted_before
        failed, refused = counters.failed - before.failed, counters.refused - before.refused
        counts = [f"{count} frames {what}" for count, what in ((failed, what_failed), (refused, "refused")) if count]
        return f"{' and '.join(counts)}, the last one with: {counters.last_error}" if counts else ""

    @property
    def work(self) -> W:
        """What `hold` took."""
        assert self._work is not None, "only called between setup and its undoing"
        return self._work

    def _drop_work(self) -> None:
        self._work = None

    def _stop_worker(self) -> None:
        if not self.work.pipeline.stop():
            self.get_logger().error("the worker did not stop in time; it ends with the frame it is at")
        self._latest = None

    def _facts(self) -> NodeFacts:
        """Everything this node knows about itself now."""
        work, latest = self._work, self._latest
        facts = NodeFacts() if latest is None else NodeFacts(**self.facts_of(latest))
        if work is None:
            return facts
        age_p50_ms, age_p95_ms = work.publisher.age_ms
        waits = [] if self._input is None else self._input.mask_age.summary()
        facts = replace(
            facts,
            model_id=work.identity.name,
            model_sha256=work.identity.sha256,
            device=work.identity.device,
            precision=work.identity.precision,
            counters=work.pipeline.counters,
            stages=[*work.pipeline.latency.summary(), *waits],
            queue_length=work.pipeline.queue_length,
            age_p50_ms=age_p50_ms,
            age_p95_ms=age_p95_ms,
        )
        if self._input is None or not self.is_active:
            return facts
        state, problem = self.problem_of(facts.counters)
        if not problem:
            return facts
        return replace(facts, state=max(state, facts.state), reason="; ".join(filter(None, (problem, facts.reason))))

    def _on_reset(self, _: Any, response: Any) -> Any:
        self.work.pipeline.request_reset()
        response.success, response.message = True, self._reset_answer
        return response
