"""ROS messages built and read without ROS: written once against a `MessageFactory`, so live and recorded results are equal."""

from ego_perception.messages.camera_info import camera_for_size, camera_from_info, info_from_camera
from ego_perception.messages.compressed import decode_compressed, decode_compressed_depth
from ego_perception.messages.factory import MessageFactory, make_header, make_time
from ego_perception.messages.image import (
    SUPPORTED_ENCODINGS,
    decode_colour,
    decode_confidence,
    decode_depth,
    frame_from_image,
    image_view,
    is_compressed,
)
from ego_perception.messages.image_encode import compressed_from_frame, image_from_frame, image_message
from ego_perception.messages.point_cloud import cloud_message, unpack_cloud
from ego_perception.messages.poses import (
    PathBuilder,
    StampedPose,
    matrix_from_pose,
    matrix_from_transform,
    odometry_message,
    pose_message,
    tf_message,
    transform_message,
)
from ego_perception.messages.scene import EstimateMessages, FrameNames, PointOptions, SceneMessages, SceneTopic
from ego_perception.messages.scene_assembler import SceneAssembler
from ego_perception.messages.stamp import split_stamp, stamp_ns_of
from ego_perception.messages.status import (
    NODE_ERROR,
    IntrinsicsSource,
    NodeFacts,
    ScaleSource,
    diagnostics_message,
    scene_facts,
    status_message,
)
from ego_perception.messages.truth import TruthMessages, scene_message
from ego_perception.messages.truth_assembler import TruthAssembler
from ego_perception.messages.truth_topics import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    TRUTH_CAMERA_FRAME,
    TRUTH_WORLD_FRAME,
    TruthTopic,
    is_truth_topic,
)

__all__ = [
    "FRAME_TOPICS",
    "NODE_ERROR",
    "SCENE_TOPICS",
    "SUPPORTED_ENCODINGS",
    "TRUTH_CAMERA_FRAME",
    "TRUTH_WORLD_FRAME",
    "EstimateMessages",
    "FrameNames",
    "IntrinsicsSource",
    "MessageFactory",
    "NodeFacts",
    "PathBuilder",
    "PointOptions",
    "ScaleSource",
    "SceneAssembler",
    "SceneMessages",
    "SceneTopic",
    "StampedPose",
    "TruthAssembler",
    "TruthMessages",
    "TruthTopic",
    "camera_for_size",
    "camera_from_info",
    "cloud_message",
    "compressed_from_frame",
    "decode_colour",
    "decode_compressed",
    "decode_compressed_depth",
    "decode_confidence",
    "decode_depth",
    "diagnostics_message",
    "frame_from_image",
    "image_from_frame",
    "image_message",
    "image_view",
    "info_from_camera",
    "is_compressed",
    "is_truth_topic",
    "make_header",
    "make_time",
    "matrix_from_pose",
    "matrix_from_transform",
    "odometry_message",
    "pose_message",
    "scene_facts",
    "scene_message",
    "split_stamp",
    "stamp_ns_of",
    "status_message",
    "tf_message",
    "transform_message",
    "unpack_cloud",
]
