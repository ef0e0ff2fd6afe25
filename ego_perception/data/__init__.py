"""Plain dataclasses that task packages, the runtime and the ROS layer meet in, and readers of recordings on disk."""

from ego_perception.data.frame import Encoding, Frame, FrameTruth
from ego_perception.data.scene import SceneEstimate, TrackingState

__all__ = ["Encoding", "Frame", "FrameTruth", "SceneEstimate", "TrackingState"]
