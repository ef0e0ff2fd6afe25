"""What a node says about itself: `ego_msgs/NodeStatus` and `diagnostic_msgs/DiagnosticArray` from the same facts."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ego_perception.data import SceneEstimate, TrackingState
from ego_perception.messages.factory import MessageFactory, make_header
from ego_perception.runtime import PipelineCounters, StageLatency

NODE_ERROR: Final = 4
"""`NodeStatus.ERROR`; the other states equal `TrackingState`."""

_OK, _WARN, _ERROR = b"\x00", b"\x01", b"\x02"


class IntrinsicsSource(enum.IntEnum):
    """Values of `NodeStatus.intrinsics_source`."""

    NONE = 0
    GIVEN = 1
    REFINED = 2
    ESTIMATED = 3


class ScaleSource(enum.IntEnum):
    """Values of `NodeStatus.scale_source`."""

    UNKNOWN = 0
    PRIOR = 1
    MEASURED = 2


@dataclass(frozen=True)
class NodeFacts:
    """Everything a node can report; unknown numbers are NaN, unknown texts empty.

    Attributes:
        state: a `TrackingState` value or `NODE_ERROR`.
        node: fully qualified node name.
        frame_id: frame of the node's input.
    """

    node: str = ""
    state: int = TrackingState.UNKNOWN
    reason: str = ""
    frame_id: str = ""
    model_id: str = ""
    model_sha256: str = ""
    device: str = "cpu"
    precision: str = "float32"
    input_rate_hz: float = math.nan
    output_rate_hz: float = math.nan
    age_p50_ms: float = math.nan
    age_p95_ms: float = math.nan
    stages: Sequence[StageLatency] = ()
    counters: PipelineCounters = field(default_factory=PipelineCounters)
    queue_length: int = 0
    intrinsics_source: IntrinsicsSource = IntrinsicsSource.NONE
    focal_ratio: float = math.nan
    scale_source: ScaleSource = ScaleSource.UNKNOWN
    scale: float = math.nan
    map_id: int = 0
    memory_bytes: int = 0
    device_memory_bytes: int = 0


def scene_facts(estimate: SceneEstimate) -> dict[str, Any]:
    """The fields of `NodeFacts` that one estimate settles, for `NodeFacts(**scene_facts(e), ...)`."""
    given = estimate.frame.camera
    source = IntrinsicsSource.ESTIMATED
    ratio = math.nan
    if not estimate.camera_is_estimated and given is not None:
        ratio = estimate.camera.fx / given.fx
        source = IntrinsicsSource.GIVEN if abs(ratio - 1.0) < 1e-9 else IntrinsicsSource.REFINED
    return {
        "state": int(estimate.state),
        "reason": estimate.reason,
        "frame_id": estimate.frame.frame_id,
        "intrinsics_source": source,
        "focal_ratio": ratio,
        "scale_source": ScaleSource.PRIOR,
        "scale": 1.0,
        "map_id": estimate.map_id,
    }


def status_message(factory: MessageFactory, facts: NodeFacts, stamp_ns: int) -> Any:
    """Make an `ego_msgs/NodeStatus`."""
    counters = facts.counters
    return factory.make(
        "ego_msgs/msg/NodeStatus",
        header=make_header(factory, stamp_ns, facts.frame_id),
        state=int(facts.state),
        reason=facts.reason,
        node=facts.node,
        model_id=facts.model_id,
        model_sha256=facts.model_sha256,
        device=facts.device,
        precision=facts.precision,
        input_rate_hz=float(facts.input_rate_hz),
        output_rate_hz=float(facts.output_rate_hz),
        age_p50_ms=float(facts.age_p50_ms),
        age_p95_ms=float(facts.age_p95_ms),
        stages=[_stage(factory, s) for s in facts.stages],
        num_received=counters.received,
        num_processed=counters.processed,
        num_dropped=counters.dropped,
        num_refused=counters.refused,
        num_failed=counters.failed,
        num_resets=counters.resets,
        queue_length=facts.queue_length,
        last_error=counters.last_error,
        intrinsics_source=int(facts.intrinsics_source),
        focal_ratio=float(facts.focal_ratio),
        scale_source=int(facts.scale_source),
        scale=float(facts.scale),
        map_id=facts.map_id,
        memory_bytes=facts.memory_bytes,
        device_memory_bytes=facts.device_memory_bytes,
    )


def diagnostics_message(factory: MessageFactory, facts: NodeFacts, stamp_ns: int) -> Any:
    """Make a `diagnostic_msgs/DiagnosticArray` of one status: ERROR in the error state, WARN while lost or degraded."""
    level = {NODE_ERROR: _ERROR, TrackingState.LOST: _WARN, TrackingState.DEGRADED: _WARN}.get(facts.state, _OK)
    name = "ERROR" if facts.state == NODE_ERROR else TrackingState(facts.state).name
    values = {
        "state": name,
        "model": facts.model_id,
        "model_sha256": facts.model_sha256,
        "device": f"{facts.device} {facts.precision}",
        "input_rate_hz": f"{facts.input_rate_hz:.2f}",
        "output_rate_hz": f"{facts.output_rate_hz:.2f}",
        "age_p50_ms": f"{facts.age_p50_ms:.1f}",
        "age_p95_ms": f"{facts.age_p95_ms:.1f}",
        "queue_length": str(facts.queue_length),
        "memory_bytes": str(facts.memory_bytes),
        "device_memory_bytes": str(facts.device_memory_bytes),
    }
    values |= {key: str(value) for key, value in vars(facts.counters).items()}
    for s in facts.stages:
        values[f"{s.stage}_ms"] = f"p50 {s.p50_ms:.1f}, p95 {s.p95_ms:.1f}, p99 {s.p99_ms:.1f}"
    status = factory.make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=level,
        name=facts.node,
        message=facts.reason or name,
        hardware_id=facts.device,
        values=[factory.make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()],
    )
    # A diagnostic array has no frame of its own.
    header = make_header(factory, stamp_ns, "")
    return factory.make("diagnostic_msgs/msg/DiagnosticArray", header=header, status=[status])


def _stage(factory: MessageFactory, latency: StageLatency) -> Any:
    return factory.make("ego_msgs/msg/StageLatency", **vars(latency))
