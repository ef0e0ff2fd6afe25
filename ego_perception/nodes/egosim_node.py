"""EgoSim as a live camera with ground truth: a head that walks through a furnished room.

Lifecycle node `egosim`. It renders on the CPU and sends as fast as that allows, at most at the simulator's frame rate.

| publishes | type | QoS | frame |
|---|---|---|---|
| `image` | sensor_msgs/Image rgb8 | reliable, 10 | `camera_optical_frame` |
| `image/compressed` | sensor_msgs/CompressedImage, JPEG | reliable, 10 | `camera_optical_frame` |
| `camera_info` | sensor_msgs/CameraInfo | reliable, 10 | `camera_optical_frame` |
| `sim/depth/image` | sensor_msgs/Image 32FC1, exact depth | reliable, 10 | `camera_optical_frame` |
| `sim/pose` | geometry_msgs/PoseStamped of the optical frame, exact | reliable, 10 | `sim_world` |
| `/clock` (if `playback.publish_clock`) | rosgraph_msgs/Clock | reliable, 10 | |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 | |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 | |

TF: `sim_world -> sim_camera_optical_frame`.
Parameters: `nodes.config.EgoSimNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ego_perception.nodes.config import EgoSimNodeConfig, PlaybackConfig
from ego_perception.nodes.frame_player import FramePlayerNode
from ego_perception.ros.process import run_node
from ego_perception.runtime import Source
from ego_perception.simulation import EgoSimConfig, SimSource


class EgoSimNode(FramePlayerNode[EgoSimNodeConfig]):
    """See the module's docstring for the contract.

    Args:
        make_source: makes the source of a simulated clip.
    """

    def __init__(self, *, make_source: Callable[[EgoSimConfig], Source] = SimSource, **kwargs: Any) -> None:
        self._make_source = make_source
        super().__init__("egosim", EgoSimNodeConfig, **kwargs)

    def open_source(self, config: EgoSimNodeConfig) -> Source:
        """Build the room and stand at the clip's beginning."""
        return self._make_source(config.sim)

    def playback_of(self, config: EgoSimNodeConfig) -> PlaybackConfig:
        """How to play."""
        return config.playback


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(EgoSimNode, args))


if __name__ == "__main__":
    main()
