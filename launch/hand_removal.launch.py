"""Starts the hand removal node, configured and active.

    ros2 launch ego_perception hand_removal.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info

`mask_source:=topic hand_mask:=/segmenter/mask` takes masks from another node. `autostart:=false` leaves the transitions to a
lifecycle manager.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from ego_perception.ros.launching import camera_arguments, camera_node

ARGUMENTS = {
    **camera_arguments("hand_removal"),
    "hand_mask": ("hand_mask_in", "Hand masks of another node, for mask_source:=topic or auto."),
    "backend": ("compact", "compact, propagate_only, vidm or vidm_fast."),
    "mask_source": ("builtin", "builtin, topic or auto."),
    "refine_rate_hz": ("0.0", "Images per second that the diffusion model refines beside the live output; 0: none."),
}


def generate_launch_description() -> LaunchDescription:
    """Describe the node and its two transitions."""
    value = LaunchConfiguration
    parameters = {
        "backend": value("backend"),
        "mask_source": value("mask_source"),
        "refine_rate_hz": ParameterValue(value("refine_rate_hz"), value_type=float),
    }
    return camera_node("hand_removal", ARGUMENTS, parameters, [("hand_mask_in", value("hand_mask"))])
