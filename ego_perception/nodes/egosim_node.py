"""EgoSim as a live camera with ground truth: a head that walks through a furnished room.

Lifecycle node `egosim`. It renders on the CPU and sends as fast as that allows, at most at the simulator's frame rate.

| publishes | type | QoS | frame |
|---|---|---|---|
| `image` | sensor_msgs/Image rgb8 | reliable, 10 | `camera_optical_frame` |
| `image/compressed` | sensor_msgs/CompressedImage, JPEG | reliable, 10 | `camera_optical_frame` |
| `camera_info` | sensor_msgs/CameraInfo | reliable, 10 | `camera_optical_frame` |
| `sim/depth/image` | sensor_msgs/Image 32FC1, exact depth | reliable, 10 | `camera_optical_frame` |
| `sim/pose` | geometry_msgs/PoseStamped of the optical frame | reliable, 10 | `sim_world` |
| `sim/classes/image` | sensor_msgs/Image mono8, `data.SceneLabel` | reliable, 10 | `camera_optical_frame` |
| `sim/instances/image` | sensor_msgs/Image mono16 | reliable, 10 | `camera_optical_frame` |
| `sim/instances/names` | std_msgs/String, JSON: names of instances, classes | latched | |
| `sim/clean/image` | sensor_msgs/Image rgb8 without the wearer | reliable, 10 | `camera_optical_frame` |
| `sim/clean/depth` | sensor_msgs/Image 32FC1 | reliable, 10 | `camera_optical_frame` |
| `sim/clean_shadowed/image` | sensor_msgs/Image rgb8 without the wearer, with shadow | reliable, 10 | `camera_optical_frame` |
| `sim/background/image` | sensor_msgs/Image rgb8 without anybody | reliable, 10 | `camera_optical_frame` |
| `sim/background/depth` | sensor_msgs/Image 32FC1 | reliable, 10 | `camera_optical_frame` |
| `sim/flow` | sensor_msgs/Image 32FC2, pixels to the next frame | reliable, 10 | `camera_optical_frame` |
| `sim/scene_flow` | sensor_msgs/Image 32FC3, metres in the world | reliable, 10 | `camera_optical_frame` |
| `sim/bodies` | ego_msgs/BodyArray of other people | reliable, 10 | `sim_world` |
| `sim/people` | ego_msgs/Person2DArray, the same in the image | reliable, 10 | `camera_optical_frame` |
| `sim/wearer` | ego_msgs/HumanoidState with contacts | reliable, 10 | `sim_world` |
| `sim/head/pose` | geometry_msgs/PoseStamped of the wearer's head joint | reliable, 10 | `sim_world` |
| `sim/fingers` | sensor_msgs/JointState, finger curls 0 to 1 | reliable, 10 | `sim_world` |
| `sim/objects` | ego_msgs/SceneObjectArray of movable things | reliable, 10 | `sim_world` |
| `sim/photo` | diagnostic_msgs/DiagnosticArray, lens and sensor | reliable, 10 | |
| `sim/scene_points` | sensor_msgs/PointCloud2 with normals | latched | `sim_world` |
| `/clock` (if `playback.publish_clock`) | rosgraph_msgs/Clock | reliable, 10 | |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 | |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 | |

TF: `sim_world -> sim_camera_optical_frame`.
Ground truth is built for listeners only. What takes time (clean, background, flow, bodies) is also computed for listeners only,
unless `sim.products` asks for it always.
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
        make_source: makes the source of a clip; by default EgoSim, which computes the products that somebody listens to.
    """

    def __init__(self, *, make_source: Callable[[EgoSimConfig], Source] | None = None, **kwargs: Any) -> None:
        self._make_source = make_source
        super().__init__("egosim", EgoSimNodeConfig, **kwargs)

    def open_source(self, config: EgoSimNodeConfig) -> Source:
        """Build the room and stand at the clip's beginning."""
        if self._make_source is not None:
            return self._make_source(config.sim)
        return SimSource(config.sim, lambda: self._frames.wanted_products)

    def playback_of(self, config: EgoSimNodeConfig) -> PlaybackConfig:
        """How to play."""
        return config.playback


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(EgoSimNode, args))


if __name__ == "__main__":
    main()
