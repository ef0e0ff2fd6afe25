"""Reconstruction as a ROS node: point clouds, depth and camera poses from one head-mounted camera, live.

Lifecycle node `reconstruction`. Results carry the stamp of the image they describe; nothing with a pose is sent while lost.

| subscribes | type | QoS |
|---|---|---|
| `image` or `image/compressed` | sensor_msgs/Image, CompressedImage | best effort, 5 |
| `camera_info` (unless `input.intrinsics` is `estimate`) | sensor_msgs/CameraInfo | best effort, 5 |
| `ignore_mask` (if `input.ignore_mask`) | sensor_msgs/Image mono8 | best effort, 5 |

| publishes | type | QoS | frame |
|---|---|---|---|
| `~/points` | sensor_msgs/PointCloud2 xyz + rgb, organised | reliable, 10 | image's optical frame |
| `~/depth/image` | sensor_msgs/Image 32FC1, metres, NaN invalid | reliable, 10 | image's optical frame |
| `~/depth/camera_info` | sensor_msgs/CameraInfo | reliable, 10 | image's optical frame |
| `~/confidence/image` | sensor_msgs/Image 32FC1, 0..1 | reliable, 10 | image's optical frame |
| `~/odom` | nav_msgs/Odometry, pose of the head with covariance | reliable, 10 | `odom`, child `head_link` |
| `~/path` | nav_msgs/Path | reliable, 10 | `odom` |
| `~/map_points` | sensor_msgs/PointCloud2 xyz | reliable, latched, 1 | `odom` |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 | |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 | |

TF: `odom -> head_link` per frame; static `map -> odom`, `head_link -> camera_link -> (image's optical frame)`.
Services: `~/reset` (std_srvs/Trigger) starts over; `~/save` (ego_msgs/Save) writes `trajectory.tum` and `map.ply`.
Parameters: `nodes.config.ReconstructionNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from ego_msgs.srv import Save
from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.errors import ConfigError, EgoPerceptionError
from ego_perception.messages import FrameNames, MessageFactory, NodeFacts, PointOptions, scene_facts
from ego_perception.nodes.archive import SceneArchive
from ego_perception.nodes.config import ReconstructionNodeConfig
from ego_perception.nodes.model import ModelIdentity, TunableEstimator, build_estimator
from ego_perception.nodes.mount import mount_of
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.image_input import ImageInput, InputOptions
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.process import run_node
from ego_perception.ros.scene_publisher import PublishOptions, ScenePublisher
from ego_perception.runtime import EstimatorStage, Pipeline, PipelineCounters, QueuePolicy


@dataclass(frozen=True)
class _Work:
    """What exists while the node is configured."""

    estimator: TunableEstimator
    model: ModelIdentity
    archive: SceneArchive
    publisher: ScenePublisher
    pipeline: Pipeline


class ReconstructionNode(EgoLifecycleNode[ReconstructionNodeConfig]):
    """See the module's docstring for the contract.

    Args:
        make_estimator: builds the estimator of a configuration.
        factory: makes messages.
    """

    def __init__(
        self,
        *,
        make_estimator: Callable[[ReconstructionNodeConfig], tuple[TunableEstimator, ModelIdentity]] = build_estimator,
        factory: MessageFactory | None = None,
        **kwargs: Any,
    ) -> None:
        self._make_estimator = make_estimator
        self._factory = factory
        self._report_lock = threading.Lock()
        self._work: _Work | None = None
        self._input: ImageInput | None = None
        self._latest: SceneEstimate | None = None
        self._state_sent: TrackingState | None = None
        self._counted_before = PipelineCounters()
        super().__init__("reconstruction", ReconstructionNodeConfig, **kwargs)
        self._reporter = Reporter(self)

    def setup(self, config: ReconstructionNodeConfig, scope: ExitStack) -> None:
        """Load the model and create publishers and services."""
        estimator, model = self._make_estimator(config)
        publisher = ScenePublisher(self, scope, publish_options(config), self._after_publish, self._factory)
        archive = SceneArchive()
        pipeline = Pipeline(
            stages=[EstimatorStage(estimator), archive, publisher],
            policy=QueuePolicy(config.input.queue_policy),
            capacity=config.input.queue_size,
            decode=self._decode,
        )
        self._counted_before = PipelineCounters()
        self._work = _Work(estimator, model, archive, publisher, pipeline)
        scope.callback(self._drop_work)
        self.service(scope, Trigger, "~/reset", self._on_reset)
        self.service(scope, Save, "~/save", self._on_save)

    def run(self, config: ReconstructionNodeConfig, scope: ExitStack) -> None:
        """Start the worker, then listen."""
        pipeline = self._configured_work.pipeline
        pipeline.request_reset()
        pipeline.start()
        scope.callback(self._stop_worker)
        options = InputOptions(
            compressed=config.input.transport == "compressed",
            rectified=config.input.rectified,
            estimate_intrinsics=config.input.intrinsics == "estimate",
            ignore_mask=config.input.ignore_mask,
            ignore_mask_wait_s=config.input.ignore_mask_wait_s,
            ignore_mask_age_s=config.input.ignore_mask_age_s,
            optical_frame=config.frames.optical or "camera_optical_frame",
        )
        self._input = ImageInput(self, options, pipeline.submit, scope)

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

    def _decode(self, message: Any) -> Frame:
        """In the worker, before each frame: the place where live parameters are taken over."""
        assert self._input is not None
        self._configured_work.estimator.config = self.parameters.current.estimator
        return self._input.decode(message)

    def _after_publish(self, estimate: SceneEstimate) -> None:
        """In the worker: a change of state is told at once."""
        self._latest = estimate
        if estimate.state is not self._state_sent:
            self.heartbeat()

    def _facts(self) -> NodeFacts:
        """Everything this node knows about itself now."""
        work, latest = self._work, self._latest
        facts = NodeFacts() if latest is None else NodeFacts(**scene_facts(latest))
        if work is None:
            return facts
        age_p50_ms, age_p95_ms = work.publisher.age_ms
        facts = replace(
            facts,
            model_id=work.model.name,
            model_sha256=work.model.sha256,
            device=work.model.device,
            precision=work.model.precision,
            counters=work.pipeline.counters,
            stages=work.pipeline.latency.summary(),
            queue_length=work.pipeline.queue_length,
            age_p50_ms=age_p50_ms,
            age_p95_ms=age_p95_ms,
        )
        problem = self._problem(facts)
        if not problem:
            return facts
        state = TrackingState.LOST if facts.state == TrackingState.LOST else TrackingState.DEGRADED
        return replace(facts, state=state, reason="; ".join(filter(None, (problem, facts.reason))))

    def _problem(self, facts: NodeFacts) -> str:
        """What is wrong with the input, whatever the last estimate says."""
        if self._input is None or not self.is_active:
            return ""
        config = self.parameters.current.input
        if problem := self._input.problem(config.image_timeout_s, config.camera_info_timeout_s):
            return problem
        failed = facts.counters.failed - self._counted_before.failed
        refused = facts.counters.refused - self._counted_before.refused
        counts = [f"{count} frames {what}" for count, what in ((failed, "failed"), (refused, "refused")) if count]
        return f"{' and '.join(counts)}, the last one with: {facts.counters.last_error}" if counts else ""

    def _on_reset(self, _: Any, response: Any) -> Any:
        self._configured_work.pipeline.request_reset()
        response.success, response.message = True, "the next image starts a new map"
        return response

    def _on_save(self, request: Any, response: Any) -> Any:
        try:
            folder = request.path or self.parameters.current.output.path
            if not folder:
                raise ConfigError("no folder to save to; name one in the request or in the parameter output.path")
            paths = self._configured_work.archive.save(Path(folder).expanduser().absolute(), overwrite=request.overwrite)
        except EgoPerceptionError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.path = True, str(paths[0].parent)
        response.size_bytes = sum(path.stat().st_size for path in paths)
        response.message = f"wrote {' and '.join(path.name for path in paths)}"
        return response


def publish_options(config: ReconstructionNodeConfig) -> PublishOptions:
    """What the parameters say about frames and outputs."""
    frames = config.frames
    return PublishOptions(
        names=FrameNames(frames.map, frames.odom, frames.head, frames.camera, frames.optical),
        T_head_camera=mount_of(frames),
        points=PointOptions(config.output.points_stride, config.output.path_max_poses),
        send_tf=frames.publish_tf,
        send_static_tf=frames.publish_static_tf,
        slow_period_s=config.output.map_period_s,
    )


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(ReconstructionNode, args))


if __name__ == "__main__":
    main()
