"""Shows what a reconstruction node, and hand removal beside it, publish on a web page, live.

Lifecycle node `viewer`. It serves while active and publishes only its state. It subscribes the topics listed in
`recorder_node`, except ground truth.

| publishes | type | QoS |
|---|---|---|
| `~/status` | ego_msgs/NodeStatus | reliable, 10 |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 |

Parameters: `nodes.config.ViewerNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

from ego_perception.data import TrackingState
from ego_perception.messages import NodeFacts
from ego_perception.nodes.config import ViewerNodeConfig
from ego_perception.nodes.mount import mount_of
from ego_perception.nodes.scene_listener import ListenerOptions, SceneListener
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.process import run_node
from ego_perception.viz.live import LiveViewer

_REMOVAL_AGE_S: Final = 1.0
"""Hand removal takes longer than the reconstruction; the page shows its newest picture."""


class ViewerNode(EgoLifecycleNode[ViewerNodeConfig]):
    """See the module's docstring for the contract."""

    def __init__(self, **kwargs: Any) -> None:
        self._listener: SceneListener | None = None
        self.url = ""
        super().__init__("viewer", ViewerNodeConfig, **kwargs)
        self._reporter = Reporter(self)

    def run(self, config: ViewerNodeConfig, scope: ExitStack) -> None:
        """Serve the page, then listen."""
        viewer = LiveViewer(port=config.port, host=config.host, max_rate_hz=config.max_rate_hz)
        self.url = viewer.url
        self.get_logger().info(f"open {viewer.url}")
        options = ListenerOptions(
            reconstruction=config.reconstruction,
            compressed=config.transport == "compressed",
            truth=False,
            hand_removal=config.hand_removal,
            removal_age_s=_REMOVAL_AGE_S,
            T_head_camera=mount_of(config.frames),
        )
        self._listener = SceneListener(self, [viewer], options)
        self._listener.start(scope)

    def heartbeat(self) -> None:
        """Send the status."""
        facts = NodeFacts()
        if (listener := self._listener) is not None:
            reason = listener.counters.last_error
            state = TrackingState.DEGRADED if reason else TrackingState.TRACKING
            facts = NodeFacts(state=state, reason=reason, counters=listener.counters, queue_length=listener.queue_length)
        self._reporter.publish(facts)


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(ViewerNode, args))


if __name__ == "__main__":
    main()
