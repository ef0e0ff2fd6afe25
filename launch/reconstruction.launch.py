"""Starts the reconstruction node, configured and active.

    ros2 launch ego_perception reconstruction.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info

`autostart:=false` leaves the transitions to a lifecycle manager.
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
    "camera_info": ("camera_info", "Calibration topic of the camera."),
    "ignore_mask": ("ignore_mask", "Mask of the wearer's own pixels."),
    "use_ignore_mask": ("false", "Leave out what that mask marks."),
    "transport": ("raw", "raw or compressed."),
    "intrinsics": ("camera_info", "camera_info or estimate."),
    "queue_policy": ("latest", "latest, window or all."),
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("false", "Follow /clock."),
    "autostart": ("true", "Configure and activate at once."),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("ego_perception"), "config", "nodes", "reconstruction.yaml"]),
        "Parameters of the node.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Describe the node and its two transitions."""
    value = LaunchConfiguration
    node = LifecycleNode(
        package="ego_perception",
        executable="reconstruction_node",
        name="reconstruction",
        namespace=value("namespace"),
        output="screen",
        parameters=[
            value("params_file"),
            {
                "use_sim_time": value("use_sim_time"),
                "input.transport": value("transport"),
                "input.intrinsics": value("intrinsics"),
                "input.queue_policy": value("queue_policy"),
                "input.ignore_mask": ParameterValue(value("use_ignore_mask"), value_type=bool),
                "input.ignore_mask_age_s": 0.3,
            },
        ],
        remappings=[
            ("image", value("image")),
            ("image/compressed", [value("image"), "/compressed"]),
            ("camera_info", value("camera_info")),
            ("ignore_mask", value("ignore_mask")),
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
