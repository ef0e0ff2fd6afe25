"""Plain dataclasses that task packages, the runtime and the ROS layer meet in, and readers of recordings on disk."""

from ego_perception.data.frame import Encoding, Frame
from ego_perception.data.labels import SceneLabel
from ego_perception.data.scene import SceneEstimate, TrackingState
from ego_perception.data.truth import BodyTruth, ExtraView, FrameTruth, ObjectTruth, PhotoTruth, WearerTruth

__all__ = [
    "BodyTruth",
    "Encoding",
    "ExtraView",
    "Frame",
    "FrameTruth",
    "ObjectTruth",
    "PhotoTruth",
    "SceneEstimate",
    "SceneLabel",
    "TrackingState",
    "WearerTruth",
]
