"""Hand removal as a ROS node: the view without the wearer's hands, live, and for every pixel where it comes from.

Lifecycle node `hand_removal`. Outputs carry the stamp and frame of the image they describe. It fails closed: without a mask
that can be trusted, or with a model that fails in any way, `~/image` and what describes it are silent for that image, and
`~/status` is LOST with the reason. The same where the own segmenter half sees a large hand that it does not find
(`masks.withheld_miss`); with less of a hand the image goes out, and `~/provenance` of its stamp is DEGRADED.

| subscribes | type | QoS |
|---|---|---|
| `image` or `image/compressed` | sensor_msgs/Image, CompressedImage | best effort, 5 |
| `camera_info`, if there is one | sensor_msgs/CameraInfo | best effort, 5 |
| `hand_mask_in` (unless `mask_source` is `builtin`) | sensor_msgs/Image mono8 | best effort, 5 |
| `reconstruction/depth/image`, as below | sensor_msgs/Image 32FC1, metres | best effort, 5 |
| `reconstruction/depth/camera_info`, as below | sensor_msgs/CameraInfo | best effort, 5 |
| `reconstruction/odom` (unless `geometry_source` is `none`) | nav_msgs/Odometry | best effort, 5 |

A mask on `hand_mask_in` holds 0 background, 1 left, 2 right, 3 held object, 255 any hand (or what `mask_values` says); any size
of the image's shape, the stamp of its image to half the time between images.

| publishes | type | QoS |
|---|---|---|
| `~/image` | sensor_msgs/Image rgb8, without hands | reliable, 10 |
| `~/image/compressed` | sensor_msgs/CompressedImage, the same as JPEG | reliable, 10 |
| `~/camera_info` | sensor_msgs/CameraInfo of both, as received | reliable, 10 |
| `~/provenance` | ego_msgs/Provenance | reliable, 10 |
| `~/provenance/image` | sensor_msgs/Image mono8, codes of ego_msgs/Provenance | reliable, 10 |
| `~/confidence/image` | sensor_msgs/Image 32FC1, 0..1 | reliable, 10 |
| `~/agent/image` | sensor_msgs/Image rgb8, the wearer's hands alone, the rest black | reliable, 10 |
| `~/hand_mask/image` | sensor_msgs/Image mono8, values as above; sent before the rest is worked on | reliable, 10 |
| `~/refined/image` (if `refine_rate_hz` is not 0) | sensor_msgs/Image rgb8, from the diffusion model | reliable, 10 |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 |

Services: `~/reset` (std_srvs/Trigger) forgets the background.
Parameters: `nodes.config.HandRemovalNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from ego_perception.data import Frame, TrackingState
from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.errors import FrameError
from ego_perception.hand_removal.guard import RemovalGuard, problem_of
from ego_perception.messages import MessageFactory
from ego_perception.messages.hand_removal import removal_facts
from ego_perception.messages.mask_pairing import PairedImage
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.nodes.estimator_node import EstimatorNode, EstimatorWork
from ego_perception.nodes.geometry_input import GeometryInput
from ego_perception.nodes.model import RemovalModel, build_hand_removal
from ego_perception.nodes.mount import mount_of
from ego_perception.ros.image_input import ImageInput, InputOptions
from ego_perception.ros.mask_input import MaskInput
from ego_perception.ros.process import run_node
from ego_perception.ros.removal_publisher import RemovalPublisher
from ego_perception.runtime import BackgroundWorker, EstimatorStage, PipelineCounters

_ANSWER_LIMIT_S: Final = 1.0
"""A frame that is in work for longer leaves the node without an output to trust."""


@dataclass(frozen=True)
class _Work(EstimatorWork):
    """What exists while the node is configured."""

    publisher: RemovalPublisher
    model: RemovalModel
    guard: RemovalGuard


class HandRemovalNode(EstimatorNode[HandRemovalNodeConfig, _Work]):
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
        self._masks: MaskInput | None = None
        self._geometry: GeometryInput | None = None
        self._geometry_before = (0, 0)
        self._refiner: BackgroundWorker[HandRemovalEstimate, HandRemovalEstimate] | None = None
        super().__init__("hand_removal", HandRemovalNodeConfig, "the next image starts with an empty background", **kwargs)

    def setup(self, config: HandRemovalNodeConfig, scope: ExitStack) -> None:
        """Load the models and create publishers and services."""
        model = self._make_model(config)
        # Also around an estimator that was injected: what this node publishes was looked at here.
        guard = RemovalGuard(model.estimator, config.masks)
        publisher = RemovalPublisher(self, scope, self._after_publish, self._factory, with_refined=model.refine is not None)
        guard.on_mask = publisher.send_mask
        pipeline = self.pipeline_of(config.input, [EstimatorStage(guard), publisher])
        self.hold(_Work(model.identity, publisher, pipeline, model, guard), scope)

    def run(self, config: HandRemovalNodeConfig, scope: ExitStack) -> None:
        """Start the workers, then listen."""
        refine = self.work.model.refine
        if refine is not None:
            self._refiner = BackgroundWorker("refine", refine, self._send_refined, 1 / config.refine_rate_hz)
            self._refiner.start()
            scope.callback(self._stop_refiner)
        submit: Callable[[Any], bool] = self.start_worker(scope).submit
        self._masks = None
        if config.mask_source != "builtin":
            required, limit_s, values = config.mask_source == "topic", config.mask_timeout_s, config.mask_values
            self._masks = MaskInput(self, scope, submit, is_required=required, timeout_s=limit_s, values=values)
            submit = self._masks.submit
        self._geometry = self.work.guard.geometry_of = None
        if config.geometry_source != "none":
            name, wait_s = config.reconstruction, config.geometry_wait_s
            # The reconstruction beside it is taken to choose its images in the same way.
            skips = config.geometry_source == "auto" and config.input.queue_policy == "latest"
            self._geometry = GeometryInput(self, scope, name, mount_of(config.frames), wait_s, skips=skips)
            self.work.guard.geometry_of, submit = self._geometry.geometry_of, self._geometry.watching(submit)
        options = InputOptions(compressed=config.input.transport == "compressed", needs_camera=False)
        self._input = ImageInput(self, options, submit, scope)

    def decode(self, item: Any) -> Frame:
        """Where masks come on a topic, an image brings its own."""
        assert self._input is not None
        if self._masks is None or not isinstance(item, PairedImage):
            return self._input.decode(item)
        return self._masks.attach(self._input.decode(item.image), item)

    def facts_of(self, estimate: Any) -> dict[str, Any]:
        """What a `HandRemovalEstimate` settles."""
        return removal_facts(estimate)

    def problem_of(self, counters: PipelineCounters) -> tuple[TrackingState, str]:
        """What is wrong besides the last estimate: LOST where nothing came out since the last beat."""
        assert self._input is not None
        silent = TrackingState.LOST if counters.processed == self._counted_before.processed else TrackingState.DEGRADED
        if problem := self._input.problem(self.parameters.current.input.image_timeout_s, float("inf")):
            return silent, problem
        since_s = self.work.guard.busy_since_s
        if since_s is not None and (waited_s := time.monotonic() - since_s) > _ANSWER_LIMIT_S:
            return TrackingState.LOST, f"withheld: the model is at one image for {waited_s:.1f} s"
        if problem := self.failures_since_beat(counters, "withheld"):
            return silent, problem
        return TrackingState.DEGRADED, self._missing_geometry()

    def _missing_geometry(self) -> str:
        """Images that were done without depth and pose since the last beat, where those were asked for."""
        if self._geometry is None or self.parameters.current.geometry_source != "topic":
            return ""
        now, before = (self._geometry.num_asked, self._geometry.num_given), self._geometry_before
        self._geometry_before = now
        asked, given = now[0] - before[0], now[1] - before[1]
        node = self.parameters.current.reconstruction
        return (
            f"no depth and pose of '{node}' for {asked - given} of {asked} frames; image motion serves" if asked > given else ""
        )

    def _stop_refiner(self) -> None:
        refiner, self._refiner = self._refiner, None
        if refiner is not None and not refiner.stop():
            self.get_logger().warning("the refinement in work is given up")

    def _after_publish(self, estimate: HandRemovalEstimate) -> None:
        """In the worker: the image is also offered for refinement."""
        self.tell(estimate)
        is_wanted = self.work.model.recollects or self.work.publisher.wants_refined
        if self._refiner is not None and estimate.image is not None and is_wanted:
            self._refiner.submit(estimate)

    def _send_refined(self, estimate: HandRemovalEstimate) -> None:
        if problem := problem_of(estimate.frame, estimate, self.parameters.current.masks):
            raise FrameError(f"a refined image is withheld: {problem}")
        self.work.publisher.send_refined(estimate)


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(HandRemovalNode, args))


if __name__ == "__main__":
    main()
