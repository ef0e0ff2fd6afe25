"""Recordings (rosbag2, both storages) read and written without a ROS graph, as sources and sinks of pipelines."""

from ego_perception.bag.damage import BagDamage
from ego_perception.bag.frame_sink import FrameBagSink, FrameRecorder, FrameTopics
from ego_perception.bag.reader import BagMessage, BagReader, RawMessage, TopicInfo
from ego_perception.bag.sink import SceneBagSink
from ego_perception.bag.source import BagSource, BagTopics
from ego_perception.bag.types import RosbagsFactory, jazzy_types
from ego_perception.bag.writer import BagWriter, QosProfile

__all__ = [
    "BagDamage",
    "BagMessage",
    "BagReader",
    "BagSource",
    "BagTopics",
    "BagWriter",
    "FrameBagSink",
    "FrameRecorder",
    "FrameTopics",
    "QosProfile",
    "RawMessage",
    "RosbagsFactory",
    "SceneBagSink",
    "TopicInfo",
    "jazzy_types",
]
