"""Starts the reconstruction node, configured and active.

    ros2 launch ego_perception reconstruction.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info

`autostart:=false` leaves the transitions to a lifecycle manager.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from ego_perception.nodes.wiring import BESIDE_HAND_REMOVAL
from ego_perception.ros.launching import camera_arguments, camera_node

ARGUMENTS = {
    **camera_arguments("reconstruction"),
    "ignore_mask": ("ignore_mask", "Mask of the wearer's own pixels."),
    "use_ignore_mask": ("false", "Leave out what that mask marks."),
    "intrinsics": ("camera_info", "camera_info or estimate."),
}


def generate_launch_description() -> LaunchDescription:
    """Describe the node and its two transitions."""
    value = LaunchConfiguration
    parameters = {
        "input.intrinsics": value("intrinsics"),
        "input.ignore_mask": ParameterValue(value("use_ignore_mask"), value_type=bool),
        "input.ignore_mask_wait_s": BESIDE_HAND_REMOVAL["input.ignore_mask_wait_s"],
        "input.ignore_mask_age_s": BESIDE_HAND_REMOVAL["input.ignore_mask_age_s"],
    }
    return camera_node("reconstruction", ARGUMENTS, parameters, [("ignore_mask", value("ignore_mask"))])
