"""Sends what a node says about itself: `~/status` for dashboards and `/diagnostics` for the ROS tools, about once a second."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, KeyValue

from ego_msgs.msg import NodeStatus
from ego_perception.data import TrackingState
from ego_perception.messages.status import NODE_ERROR, NodeFacts, diagnostics_message, status_message
from ego_perception.ros.factory import RclpyFactory
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.runtime import PipelineCounters

_RATE_WINDOW_S: Final = 10.0


class Reporter:
    """Publishes the facts of one node, completed by what every node knows: rates, memory, lifecycle, QoS mismatches.

    Args:
        node: must outlive the reporter; the publishers send in every lifecycle state.
    """

    def __init__(self, node: EgoLifecycleNode[Any]) -> None:
        self._node = node
        self._factory = RclpyFactory()
        self._status = node.plain_publisher(NodeStatus, "~/status")
        self._diagnostics = node.plain_publisher(DiagnosticArray, "/diagnostics")
        self._history: deque[tuple[float, int, int]] = deque()

    def publish(self, facts: NodeFacts) -> NodeFacts:
        """Complete the facts and send them to whoever listens.

        Args:
            facts: what the node knows itself; its state counts only while the node is active.

        Returns:
            The completed facts.
        """
        facts = self._complete(facts)
        stamp_ns = self._node.get_clock().now().nanoseconds
        if self._status.get_subscription_count():
            self._status.publish(status_message(self._factory, facts, stamp_ns))
        if self._diagnostics.get_subscription_count():
            message = diagnostics_message(self._factory, facts, stamp_ns)
            message.status[0].values.append(KeyValue(key="lifecycle", value=self._node.state))
            for topic, policy in self._node.qos_problems.items():
                message.status[0].values.append(KeyValue(key=f"incompatible QoS on {topic}", value=policy))
            self._diagnostics.publish(message)
        return facts

    def _complete(self, facts: NodeFacts) -> NodeFacts:
        node = self._node
        input_hz, output_hz = self._rates(facts.counters)
        state, reason = int(facts.state), facts.reason
        if node.last_error:
            state, reason = NODE_ERROR, node.last_error
        elif not node.is_active:
            state, reason = int(TrackingState.UNKNOWN), f"the node is {node.state}"
        elif node.qos_problems:
            topics = ", ".join(f"'{topic}' ({policy})" for topic, policy in node.qos_problems.items())
            reason = "; ".join(filter(None, (reason, f"incompatible QoS on {topics}")))
            state = int(TrackingState.DEGRADED) if state in (TrackingState.UNKNOWN, TrackingState.TRACKING) else state
        return replace(
            facts,
            node=node.get_fully_qualified_name(),
            state=state,
            reason=reason,
            input_rate_hz=input_hz,
            output_rate_hz=output_hz,
            memory_bytes=resident_bytes(),
        )

    def _rates(self, counters: PipelineCounters) -> tuple[float, float]:
        """Frames received and processed per second over the last seconds."""
        now = time.monotonic()
        if self._history and counters.received < self._history[-1][1]:
            self._history.clear()
        self._history.append((now, counters.received, counters.processed))
        while now - self._history[0][0] > _RATE_WINDOW_S:
            self._history.popleft()
        start, received, processed = self._history[0]
        elapsed = now - start
        if elapsed <= 0:
            return 0.0, 0.0
        return (counters.received - received) / elapsed, (counters.processed - processed) / elapsed


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
