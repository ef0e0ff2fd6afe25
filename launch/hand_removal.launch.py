"""Starts the hand removal node, configured and active.

    ros2 launch ego_perception hand_removal.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info

`mask_source:=topic hand_mask:=/segmenter/mask` takes masks from another node. `autostart:=false` leaves the transitions to a
lifecycle manager.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

ARGUMENTS = {
    "image": ("image", "Image topic; with transport:=compressed its `/compressed` is taken."),
    "camera_info": ("camera_info", "Calibration topic of the camera; passed on beside the image without hands."),
    "hand_mask": ("hand_mask_in", "Hand masks of another node, for mask_source:=topic or auto."),
    "transport": ("raw", "raw or compressed."),
    "backend": ("compact", "compact, propagate_only, vidm or vidm_fast."),
    "mask_source": ("builtin", "builtin, topic or auto."),
    "refine_rate_hz": ("0.0", "Images per second that the diffusion model refines beside the live output; 0: none."),
    "queue_policy": ("latest", "latest, window or all."),
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("false", "Follow /clock."),
    "autostart": ("true", "Configure and activate at once."),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("ego_perception"), "config", "nodes", "hand_removal.yaml"]),
        "Parameters of the node.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Describe the node and its two transitions."""
    value = LaunchConfiguration
    node = LifecycleNode(
        package="ego_perception",
        executable="hand_removal_node",
        name="hand_removal",
        namespace=value("namespace"),
        output="screen",
        parameters=[
            value("params_file"),
            {
                "use_sim_time": value("use_sim_time"),
                "backend": value("backend"),
                "mask_source": value("mask_source"),
                "refine_rate_hz": ParameterValue(value("refine_rate_hz"), value_type=float),
                "input.transport": value("transport"),
                "input.queue_policy": value("queue_policy"),
            },
        ],
        remappings=[
            ("image", value("image")),
            ("image/compressed", [value("image"), "/compressed"]),
            ("camera_info", value("camera_info")),
            ("hand_mask_in", value("hand_mask")),
        ],
    )
    autostart = IfCondition(value("autostart"))
    activate = EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=Transition.TRANSITION_ACTIVATE)
    )
    configure = EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=Transition.TRANSITION_CONFIGURE),
        condition=autostart,
    )
    when_configured = RegisterEventHandler(
        OnStateTransition(target_lifecycle_node=node, start_state="configuring", goal_state="inactive", entities=[activate]),
        condition=autostart,
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, when_configured, node, configure])
