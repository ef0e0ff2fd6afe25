"""The topics of ground truth: names, types, and which product of the simulator each one needs."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

TRUTH_WORLD_FRAME: Final = "sim_world"
TRUTH_CAMERA_FRAME: Final = "sim_camera_optical_frame"
"""Ground truth keeps its own frames, so that it never becomes a second parent of the estimated ones."""

_IMAGE: Final = "sensor_msgs/msg/Image"


@dataclass(frozen=True)
class _Facts:
    type_name: str
    product: str = ""
    is_latched: bool = False


class TruthTopic(enum.Enum):
    """Topics of ground truth; the value is the name relative to the camera's namespace."""

    DEPTH = "sim/depth/image"
    POSE = "sim/pose"
    CLASSES = "sim/classes/image"
    INSTANCES = "sim/instances/image"
    CLEAN = "sim/clean/image"
    CLEAN_DEPTH = "sim/clean/depth"
    CLEAN_SHADOWED = "sim/clean_shadowed/image"
    BACKGROUND = "sim/background/image"
    BACKGROUND_DEPTH = "sim/background/depth"
    FLOW = "sim/flow"
    SCENE_FLOW = "sim/scene_flow"
    BODIES = "sim/bodies"
    PEOPLE = "sim/people"
    WEARER = "sim/wearer"
    HEAD = "sim/head/pose"
    FINGERS = "sim/fingers"
    OBJECTS = "sim/objects"
    PHOTO = "sim/photo"
    SCENE_POINTS = "sim/scene_points"
    INSTANCE_NAMES = "sim/instances/names"

    @property
    def type_name(self) -> str:
        """Full ROS type name."""
        return _FACTS[self].type_name

    @property
    def product(self) -> str:
        """Name in `simulation.config.ProductsConfig` of what must be computed for it; empty where it costs nothing extra."""
        return _FACTS[self].product

    @property
    def is_latched(self) -> bool:
        """True for what belongs to the whole clip, published once, reliable and transient local."""
        return _FACTS[self].is_latched


_FACTS: Final = {
    TruthTopic.DEPTH: _Facts(_IMAGE),
    TruthTopic.POSE: _Facts("geometry_msgs/msg/PoseStamped"),
    TruthTopic.CLASSES: _Facts(_IMAGE),
    TruthTopic.INSTANCES: _Facts(_IMAGE),
    TruthTopic.CLEAN: _Facts(_IMAGE, "clean"),
    TruthTopic.CLEAN_DEPTH: _Facts(_IMAGE, "clean"),
    TruthTopic.CLEAN_SHADOWED: _Facts(_IMAGE, "clean"),
    TruthTopic.BACKGROUND: _Facts(_IMAGE, "background"),
    TruthTopic.BACKGROUND_DEPTH: _Facts(_IMAGE, "background"),
    TruthTopic.FLOW: _Facts(_IMAGE, "flow"),
    TruthTopic.SCENE_FLOW: _Facts(_IMAGE, "flow"),
    TruthTopic.BODIES: _Facts("ego_msgs/msg/BodyArray", "bodies"),
    TruthTopic.PEOPLE: _Facts("ego_msgs/msg/Person2DArray", "bodies"),
    TruthTopic.WEARER: _Facts("ego_msgs/msg/HumanoidState"),
    TruthTopic.HEAD: _Facts("geometry_msgs/msg/PoseStamped"),
    TruthTopic.FINGERS: _Facts("sensor_msgs/msg/JointState"),
    TruthTopic.OBJECTS: _Facts("ego_msgs/msg/SceneObjectArray"),
    TruthTopic.PHOTO: _Facts("diagnostic_msgs/msg/DiagnosticArray"),
    TruthTopic.SCENE_POINTS: _Facts("sensor_msgs/msg/PointCloud2", is_latched=True),
    TruthTopic.INSTANCE_NAMES: _Facts("std_msgs/msg/String", is_latched=True),
}

FRAME_TOPICS: Final = tuple(topic for topic in TruthTopic if not topic.is_latched)
SCENE_TOPICS: Final = tuple(topic for topic in TruthTopic if topic.is_latched)


def is_truth_topic(name: str) -> bool:
    """True for a topic of ground truth in any namespace."""
    return any(name == topic.value or name.endswith(f"/{topic.value}") for topic in TruthTopic)
