"""Writes what a reconstruction node publishes to a result folder: poses, pictures, fused cloud and a result bag.

Lifecycle node `recorder`. The folder is complete, with scores where there is ground truth, after deactivation; what is in it
before can be read at any time. It publishes only its state, and subscribes, with QoS reliable, 50:

| subscribes | type |
|---|---|
| `image` or `image/compressed` | sensor_msgs/Image, CompressedImage |
| `camera_info` | sensor_msgs/CameraInfo |
| `reconstruction/depth/image`, `reconstruction/confidence/image` | sensor_msgs/Image |
| `reconstruction/depth/camera_info` | sensor_msgs/CameraInfo |
| `reconstruction/odom` | nav_msgs/Odometry |
| `reconstruction/map_points` | sensor_msgs/PointCloud2 |
| `reconstruction/status` | ego_msgs/NodeStatus |
| `hand_removal/image`, `hand_removal/hand_mask/image`, `hand_removal/provenance/image` | sensor_msgs/Image |
| `hand_removal/status` | ego_msgs/NodeStatus |
| `sim/depth/image`, `sim/pose` | sensor_msgs/Image, geometry_msgs/PoseStamped: ground truth |

| publishes | type | QoS |
|---|---|---|
| `~/status` | ego_msgs/NodeStatus | reliable, 10 |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 |

Parameters: `nodes.config.RecorderNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ego_perception.bag import SceneBagSink
from ego_perception.data import TrackingState
from ego_perception.data.result import ResultSink, RunRecord
from ego_perception.data.result.layout import write_json
from ego_perception.data.result.record import environment
from ego_perception.errors import ConfigError, OutputError
from ego_perception.evaluation import EvaluationSink
from ego_perception.messages import NodeFacts
from ego_perception.nodes.config import RecorderNodeConfig
from ego_perception.nodes.mount import mount_of
from ego_perception.nodes.scene_listener import ListenerOptions, SceneListener
from ego_perception.parameters import to_dict
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.process import run_node
from ego_perception.runtime import Sink


class RecorderNode(EgoLifecycleNode[RecorderNodeConfig]):
    """See the module's docstring for the contract."""

    def __init__(self, **kwargs: Any) -> None:
        self._listener: SceneListener | None = None
        super().__init__("recorder", RecorderNodeConfig, **kwargs)
        self._reporter = Reporter(self)

    def setup(self, config: RecorderNodeConfig, scope: ExitStack) -> None:
        """Check that there is a folder to write to."""
        if not config.path:
            raise ConfigError("nowhere to record to; set the parameter path to a folder")

    def run(self, config: RecorderNodeConfig, scope: ExitStack) -> None:
        """Open the result, then listen."""
        options = ListenerOptions(
            reconstruction=config.reconstruction,
            hand_removal=config.hand_removal,
            compressed=config.transport == "compressed",
            reliable=config.reliability == "reliable",
            T_head_camera=mount_of(config.frames),
        )
        out = Path(config.path).expanduser().absolute()
        source = config.source or self.resolve_topic_name("image")
        record = RunRecord("record", source, to_dict(config), environment=environment(), command=config.command)
        result = ResultSink(out, record, max_frames=config.max_frames)
        evaluation = EvaluationSink(record.source)
        sinks: list[Sink] = [result, evaluation]
        if config.write_bag:
            sinks.append(open_bag(out / "result", config))
        listener = SceneListener(self, sinks, options)
        self._listener = listener

        def finish() -> None:
            result.finish(replace(record, status="finished", counters=asdict(listener.counters)))
            if (status := listener.last_status) is not None:
                write_json(result.layout.timing, timing_of(status))
            if evaluation.has_truth:
                evaluation.metrics().save(result.layout.metrics)

        scope.callback(finish)
        listener.start(scope)

    def heartbeat(self) -> None:
        """Send the status."""
        facts = NodeFacts()
        if (listener := self._listener) is not None:
            counters = listener.counters
            state = TrackingState.DEGRADED if counters.failed else TrackingState.TRACKING
            facts = NodeFacts(state=state, reason=counters.last_error, counters=counters, queue_length=listener.queue_length)
        self._reporter.publish(facts)


def open_bag(path: Path, config: RecorderNodeConfig) -> SceneBagSink:
    """Open the result bag in place of an earlier one.

    Raises:
        OutputError: the earlier one cannot be removed, or the new one not be written.
    """
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be replaced: {error.strerror or error}") from error
    return SceneBagSink(path, T_head_camera=mount_of(config.frames))


def timing_of(status: Any) -> dict[str, Any]:
    """What a NodeStatus says of durations, as plain values; ages mean nothing for recorded stamps."""
    fields = ("stage", "count", "last_ms", "p50_ms", "p95_ms", "p99_ms")
    return {"stages": [{name: getattr(stage, name) for name in fields} for stage in status.stages]}


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(RecorderNode, args))


if __name__ == "__main__":
    main()
