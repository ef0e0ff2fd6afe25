"""Hand removal as a ROS node: the view without the wearer's hands, live, and for every pixel where it comes from.

Lifecycle node `hand_removal`. Outputs carry the stamp and frame of the image they describe. It fails closed: without a mask
that can be trusted, or with a model that fails in any way, `~/image` and what describes it are silent for that image, and
`~/status` is LOST with the reason.

| subscribes | type | QoS |
|---|---|---|
| `image` or `image/compressed` | sensor_msgs/Image, CompressedImage | best effort, 5 |
| `camera_info`, if there is one | sensor_msgs/CameraInfo | best effort, 5 |
| `hand_mask_in` (unless `mask_source` is `builtin`) | sensor_msgs/Image mono8 | best effort, 5 |

A mask on `hand_mask_in` holds 0 background, 1 left, 2 right, 3 held object, 255 any hand; any size of the image's shape, the
stamp of its image to half the time between images.

| publishes | type | QoS |
|---|---|---|
| `~/image` | sensor_msgs/Image rgb8, without hands | reliable, 10 |
| `~/image/compressed` | sensor_msgs/CompressedImage, the same as JPEG | reliable, 10 |
| `~/camera_info` | sensor_msgs/CameraInfo of both, as received | reliable, 10 |
| `~/provenance` | ego_msgs/Provenance | reliable, 10 |
| `~/provenance/image` | sensor_msgs/Image mono8, codes of ego_msgs/Provenance | reliable, 10 |
| `~/confidence/image` | sensor_msgs/Image 32FC1, 0..1 | reliable, 10 |
| `~/agent/image` | sensor_msgs/Image rgb8, the wearer's hands alone, the rest black | reliable, 10 |
| `~/hand_mask/image` | sensor_msgs/Image mono8, values as on `hand_mask_in` | reliable, 10 |
| `~/refined/image` (if `refine_rate_hz` is not 0) | sensor_msgs/Image rgb8, from the diffusion model | reliable, 10 |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 |

Services: `~/reset` (std_srvs/Trigger) forgets the background.
Parameters: `nodes.config.HandRemovalNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from std_srvs.srv import Trigger

from ego_perception.data import Frame, TrackingState
from ego_perception.data.hand_removal import HandRemovalEstimate, RemovalState
from ego_perception.errors import FrameError
from ego_perception.hand_removal.guard import RemovalGuard, problem_of
from ego_perception.messages import MessageFactory, NodeFacts
from ego_perception.messages.hand_removal import removal_facts
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.nodes.model import RemovalModel, build_hand_removal
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.image_input import ImageInput, InputOptions
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.mask_input import MaskInput
from ego_perception.ros.mask_pairing import PairedImage
from ego_perception.ros.process import run_node
from ego_perception.ros.removal_publisher import RemovalPublisher
from ego_perception.runtime import BackgroundWorker, EstimatorStage, Pipeline, PipelineCounters, QueuePolicy

_ANSWER_LIMIT_S: Final = 1.0
"""A frame that is in work for longer leaves the node without an output to trust."""


@dataclass(frozen=True)
class _Work:
    """What exists while the node is configured."""

    model: RemovalModel
    guard: RemovalGuard
    publisher: RemovalPublisher
    pipeline: Pipeline


class HandRemovalNode(EgoLifecycleNode[HandRemovalNodeConfig]):
    """See the module's docstring for the contract.

    Args:
        make_model: builds the estimator of a configuration.
        factory: makes messages.
    """

    def __init__(
        self,
        *,
        make_model: Callable[[HandRemovalNodeConfig], RemovalModel] = build_hand_removal,
        factory: MessageFactory | None = None,
        **kwargs: Any,
    ) -> None:
        self._make_model = make_model
        self._factory = factory
        self._report_lock = threading.Lock()
        self._work: _Work | None = None
        self._input: ImageInput | None = None
        self._masks: MaskInput | None = None
        self._refiner: BackgroundWorker[HandRemovalEstimate, HandRemovalEstimate] | None = None
        self._latest: HandRemovalEstimate | None = None
        self._state_sent: RemovalState | None = None
        self._counted_before = PipelineCounters()
        super().__init__("hand_removal", HandRemovalNodeConfig, **kwargs)
        self._reporter = Reporter(self)

    def setup(self, config: HandRemovalNodeConfig, scope: ExitStack) -> None:
        """Load the models and create publishers and services."""
        model = self._make_model(config)
        # Also around an estimator that was injected: what this node publishes was looked at here.
        guard = RemovalGuard(model.estimator, remove_held_object=config.masks.remove_held_object)
        publisher = RemovalPublisher(self, scope, self._after_publish, self._factory, with_refined=model.refine is not None)
        pipeline = Pipeline(
            stages=[EstimatorStage(guard), publisher],
            policy=QueuePolicy(config.input.queue_policy),
            capacity=config.input.queue_size,
            decode=self._decode,
        )
        self._counted_before = PipelineCounters()
        self._work = _Work(model, guard, publisher, pipeline)
        scope.callback(self._drop_work)
        self.service(scope, Trigger, "~/reset", self._on_reset)

    def run(self, config: HandRemovalNodeConfig, scope: ExitStack) -> None:
        """Start the workers, then listen."""
        work = self._configured_work
        work.pipeline.request_reset()
        if work.model.refine is not None:
            self._refiner = BackgroundWorker("refine", work.model.refine, self._send_refined, 1 / config.refine_rate_hz)
            self._refiner.start()
            scope.callback(self._stop_refiner)
        work.pipeline.start()
        scope.callback(self._stop_worker)
        submit, self._masks = work.pipeline.submit, None
        if config.mask_source != "builtin":
            required = config.mask_source == "topic"
            self._masks = MaskInput(self, scope, submit, is_required=required, timeout_s=config.mask_timeout_s)
            submit = self._masks.submit
        options = InputOptions(compressed=config.input.transport == "compressed", needs_camera=False)
        self._input = ImageInput(self, options, submit, scope)

    def heartbeat(self) -> None:
        """Send `~/status` and `/diagnostics`."""
        with self._report_lock:
            self._state_sent = self._latest.state if self._latest is not None else None
            facts = self._reporter.publish(self._facts())
            self._counted_before = facts.counters

    @property
    def _configured_work(self) -> _Work:
        assert self._work is not None, "only called between setup and its undoing"
        return self._work

    def _drop_work(self) -> None:
        self._work = None

    def _stop_worker(self) -> None:
        if not self._configured_work.pipeline.stop():
            self.get_logger().error("the worker did not stop in time; it ends with the frame it is at")
        self._latest = None

    def _stop_refiner(self) -> None:
        refiner, self._refiner = self._refiner, None
        if refiner is not None and not refiner.stop():
            self.get_logger().warning("the refinement in work is given up")

    def _decode(self, item: Any) -> Frame:
        """In the worker, before each frame."""
        assert self._input is not None
        if self._masks is None or not isinstance(item, PairedImage):
            return self._input.decode(item)
        return self._masks.attach(self._input.decode(item.image), item)

    def _after_publish(self, estimate: HandRemovalEstimate) -> None:
        """In the worker: a change of state is told at once, and the image offered for refinement."""
        self._latest = estimate
        if estimate.state is not self._state_sent:
            self.heartbeat()
        if self._refiner is not None and estimate.image is not None and self._configured_work.publisher.wants_refined:
            self._refiner.submit(estimate)

    def _send_refined(self, estimate: HandRemovalEstimate) -> None:
        held = self.parameters.current.masks.remove_held_object
        if problem := problem_of(estimate.frame, estimate, remove_held_object=held):
            raise FrameError(f"a refined image is withheld: {problem}")
        self._configured_work.publisher.send_refined(estimate)

    def _facts(self) -> NodeFacts:
        """Everything this node knows about itself now."""
        work, latest = self._work, self._latest
        facts = NodeFacts() if latest is None else NodeFacts(**removal_facts(latest))
        if work is None:
            return facts
        age_p50_ms, age_p95_ms = work.publisher.age_ms
        facts = replace(
            facts,
            model_id=work.model.identity.name,
            model_sha256=work.model.identity.sha256,
            device=work.model.identity.device,
            precision=work.model.identity.precision,
            counters=work.pipeline.counters,
            stages=work.pipeline.latency.summary(),
            queue_length=work.pipeline.queue_length,
            age_p50_ms=age_p50_ms,
            age_p95_ms=age_p95_ms,
        )
        state, problem = self._problem(facts, work)
        if not problem:
            return facts
        return replace(facts, state=max(state, facts.state), reason="; ".join(filter(None, (problem, facts.reason))))

    def _problem(self, facts: NodeFacts, work: _Work) -> tuple[TrackingState, str]:
        """What is wrong besides the last estimate, and how bad it is: LOST where nothing came out since the last beat."""
        if self._input is None or not self.is_active:
            return TrackingState.UNKNOWN, ""
        before, counters = self._counted_before, facts.counters
        silent = TrackingState.LOST if counters.processed == before.processed else TrackingState.DEGRADED
        if problem := self._input.problem(self.parameters.current.input.image_timeout_s, float("inf")):
            return silent, problem
        since_s = work.guard.busy_since_s
        if since_s is not None and (waited_s := time.monotonic() - since_s) > _ANSWER_LIMIT_S:
            return TrackingState.LOST, f"withheld: the model is at one image for {waited_s:.1f} s"
        failed, refused = counters.failed - before.failed, counters.refused - before.refused
        counts = [f"{count} frames {what}" for count, what in ((failed, "withheld"), (refused, "refused")) if count]
        return silent, f"{' and '.join(counts)}, the last one with: {counters.last_error}" if counts else ""

    def _on_reset(self, _: Any, response: Any) -> Any:
        self._configured_work.pipeline.request_reset()
        response.success, response.message = True, "the next image starts with an empty background"
        return response


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(HandRemovalNode, args))


if __name__ == "__main__":
    main()
