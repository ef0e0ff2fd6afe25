"""What launch files share: declared arguments, and a node of one camera with its transitions.

Imported by the files of `launch/` alone; `launch` is there only where a ROS distribution is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

Arguments = Mapping[str, tuple[Any, str]]
"""Default and description by name; None as default makes an argument required."""


def declared(arguments: Arguments) -> list[DeclareLaunchArgument]:
    """Declare arguments."""
    return [DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in arguments.items()]


def camera_arguments(node: str) -> dict[str, tuple[Any, str]]:
    """The arguments of every node that listens to one camera."""
    parameters = PathJoinSubstitution([FindPackageShare("ego_perception"), "config", "nodes", f"{node}.yaml"])
    return {
        "image": ("image", "Image topic; with transport:=compressed its `/compressed` is taken."),
        "camera_info": ("camera_info", "Calibration topic of the camera."),
        "transport": ("raw", "raw or compressed."),
        "queue_policy": ("latest", "latest, window or all."),
        "namespace": ("", "Namespace of the node."),
        "use_sim_time": ("false", "Follow /clock."),
        "autostart": ("true", "Configure and activate at once."),
        "params_file": (parameters, "Parameters of the node."),
    }


def camera_node(
    node: str, arguments: Arguments, parameters: Mapping[str, Any], remappings: Sequence[tuple[str, Any]]
) -> LaunchDescription:
    """Describe a lifecycle node of one camera, configured and activated unless `autostart` is false.

    Args:
        node: its name; the executable is called `<name>_node`.
        arguments: those of `camera_arguments`, and more.
        parameters, remappings: what follows from the arguments that only this node has.
    """
    value = LaunchConfiguration
    action = LifecycleNode(
        package="ego_perception",
        executable=f"{node}_node",
        name=node,
        namespace=value("namespace"),
        output="screen",
        parameters=[
            value("params_file"),
            {
                "use_sim_time": value("use_sim_time"),
                "input.transport": value("transport"),
                "input.queue_policy": value("queue_policy"),
                **parameters,
            },
        ],
        remappings=[
            ("image", value("image")),
            ("image/compressed", [value("image"), "/compressed"]),
            ("camera_info", value("camera_info")),
            *remappings,
        ],
    )
    autostart = IfCondition(value("autostart"))

    def change(transition: int, **options: Any) -> EmitEvent:
        event = ChangeState(lifecycle_node_matcher=matches_action(action), transition_id=transition)
        return EmitEvent(event=event, **options)

    activate = change(Transition.TRANSITION_ACTIVATE)
    when_configured = RegisterEventHandler(
        OnStateTransition(target_lifecycle_node=action, start_state="configuring", goal_state="inactive", entities=[activate]),
        condition=autostart,
    )
    configure = change(Transition.TRANSITION_CONFIGURE, condition=autostart)
    return LaunchDescription([*declared(arguments), when_configured, action, configure])
