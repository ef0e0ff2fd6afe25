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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ego_msgs.srv import Save
from ego_perception.data import Frame, TrackingState
from ego_perception.errors import ConfigError, EgoPerceptionError
from ego_perception.messages import FrameNames, MessageFactory, PointOptions, scene_facts
from ego_perception.nodes.archive import SceneArchive
from ego_perception.nodes.config import ReconstructionNodeConfig
from ego_perception.nodes.estimator_node import EstimatorNode, EstimatorWork
from ego_perception.nodes.model import ModelIdentity, TunableEstimator, build_estimator
from ego_perception.nodes.mount import mount_of
from ego_perception.ros.image_input import ImageInput, InputOptions
from ego_perception.ros.process import run_node
from ego_perception.ros.scene_publisher import PublishOptions, ScenePublisher
from ego_perception.runtime import EstimatorStage, PipelineCounters


@dataclass(frozen=True)
class _Work(EstimatorWork):
    """What exists while the node is configured."""

    estimator: TunableEstimator
    archive: SceneArchive


class ReconstructionNode(EstimatorNode[ReconstructionNodeConfig, _Work]):
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
        super().__init__("reconstruction", ReconstructionNodeConfig, "the next image starts a new map", **kwargs)

    def setup(self, config: ReconstructionNodeConfig, scope: ExitStack) -> None:
        """Load the model and create publishers and services."""
        estimator, identity = self._make_estimator(config)
        publisher = ScenePublisher(self, scope, publish_options(config), self.tell, self._factory)
        archive = SceneArchive()
        pipeline = self.pipeline_of(config.input, [EstimatorStage(estimator), archive, publisher])
        self.hold(_Work(identity, publisher, pipeline, estimator, archive), scope)
        self.service(scope, Save, "~/save", self._on_save)

    def run(self, config: ReconstructionNodeConfig, scope: ExitStack) -> None:
        """Start the worker, then listen."""
        pipeline = self.start_worker(scope)
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

    def decode(self, item: Any) -> Frame:
        """Also the place where live parameters are taken over."""
        assert self._input is not None
        self.work.estimator.config = self.parameters.current.estimator
        return self._input.decode(item)

    def facts_of(self, estimate: Any) -> dict[str, Any]:
        """What a `SceneEstimate` settles."""
        return scene_facts(estimate)

    def problem_of(self, counters: PipelineCounters) -> tuple[TrackingState, str]:
        """What is wrong with the input, whatever the last estimate says."""
        assert self._input is not None
        config = self.parameters.current.input
        problem = self._input.problem(config.image_timeout_s, config.camera_info_timeout_s)
        return TrackingState.DEGRADED, problem or self.failures_since_beat(counters, "failed")

    def _on_save(self, request: Any, response: Any) -> Any:
        try:
            folder = request.path or self.parameters.current.output.path
            if not folder:
                raise ConfigError("no folder to save to; name one in the request or in the parameter output.path")
            paths = self.work.archive.save(Path(folder).expanduser().absolute(), overwrite=request.overwrite)
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
