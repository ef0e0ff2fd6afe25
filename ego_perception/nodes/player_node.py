"""Plays a recording as if the camera were live: bag, video, folder of images, or a simulated clip.

Lifecycle node `player`. It plays while active and, unless told otherwise, ends its process after the last frame.

| subscribes | type | QoS |
|---|---|---|
| `reconstruction/depth/camera_info` (at `playback.rate` 0; `playback.answer_topic`) | sensor_msgs/CameraInfo | reliable, 10 |

| publishes | type | QoS | frame |
|---|---|---|---|
| `image` | sensor_msgs/Image | reliable, 10 | camera's optical frame |
| `image/compressed` | sensor_msgs/CompressedImage, JPEG | reliable, 10 | camera's optical frame |
| `camera_info` | sensor_msgs/CameraInfo | reliable, 10 | camera's optical frame |
| `sim/depth/image` | sensor_msgs/Image 32FC1, exact depth | reliable, 10 | camera's optical frame |
| `sim/pose` | geometry_msgs/PoseStamped of the optical frame | reliable, 10 | `sim_world` |
| `sim/classes/image` | sensor_msgs/Image mono8, `data.SceneLabel` | reliable, 10 | camera's optical frame |
| `sim/instances/image` | sensor_msgs/Image mono16 | reliable, 10 | camera's optical frame |
| `sim/instances/names` | std_msgs/String, JSON: names of instances, classes | latched | |
| `sim/clean/image` | sensor_msgs/Image rgb8 without the wearer | reliable, 10 | camera's optical frame |
| `sim/clean/depth` | sensor_msgs/Image 32FC1 | reliable, 10 | camera's optical frame |
| `sim/clean_shadowed/image` | sensor_msgs/Image rgb8 without the wearer, with shadow | reliable, 10 | camera's optical frame |
| `sim/background/image` | sensor_msgs/Image rgb8 without anybody | reliable, 10 | camera's optical frame |
| `sim/background/depth` | sensor_msgs/Image 32FC1 | reliable, 10 | camera's optical frame |
| `sim/flow` | sensor_msgs/Image 32FC2, pixels to the next frame | reliable, 10 | camera's optical frame |
| `sim/scene_flow` | sensor_msgs/Image 32FC3, metres in the world | reliable, 10 | camera's optical frame |
| `sim/bodies` | ego_msgs/BodyArray of other people | reliable, 10 | `sim_world` |
| `sim/people` | ego_msgs/Person2DArray, the same in the image | reliable, 10 | camera's optical frame |
| `sim/wearer` | ego_msgs/HumanoidState with contacts | reliable, 10 | `sim_world` |
| `sim/head/pose` | geometry_msgs/PoseStamped of the wearer's head joint | reliable, 10 | `sim_world` |
| `sim/fingers` | sensor_msgs/JointState, finger curls 0 to 1 | reliable, 10 | `sim_world` |
| `sim/objects` | ego_msgs/SceneObjectArray of movable things | reliable, 10 | `sim_world` |
| `sim/photo` | diagnostic_msgs/DiagnosticArray, lens and sensor | reliable, 10 | |
| `sim/scene_points` | sensor_msgs/PointCloud2 with normals | latched | `sim_world` |
| `/clock` (if `playback.publish_clock`) | rosgraph_msgs/Clock | reliable, 10 | |
| `~/status` | ego_msgs/NodeStatus | reliable, 10 | |
| `/diagnostics` | diagnostic_msgs/DiagnosticArray | reliable, 10 | |

TF: `sim_world -> sim_camera_optical_frame`. `sim/...` and TF are ground truth, sent where the recording holds it.
Parameters: `nodes.config.PlayerNodeConfig`, listed in docs/parameters.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ego_perception.nodes.config import PlaybackConfig, PlayerNodeConfig
from ego_perception.nodes.frame_player import FramePlayerNode
from ego_perception.nodes.recordings import open_recording
from ego_perception.ros.process import run_node
from ego_perception.runtime import Source


class PlayerNode(FramePlayerNode[PlayerNodeConfig]):
    """See the module's docstring for the contract."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("player", PlayerNodeConfig, **kwargs)

    def setup(self, config: PlayerNodeConfig, scope: ExitStack) -> None:
        """Look at the source before anything waits for it, then create the publishers."""
        open_recording(config.source, config.image_topic).close()
        super().setup(config, scope)

    def open_source(self, config: PlayerNodeConfig) -> Source:
        """Open the recording at its beginning."""
        return open_recording(config.source, config.image_topic)

    def playback_of(self, config: PlayerNodeConfig) -> PlaybackConfig:
        """How to play."""
        return config.playback


def main(args: Sequence[str] | None = None) -> None:
    """Console entry point."""
    sys.exit(run_node(PlayerNode, args))


if __name__ == "__main__":
    main()
