"""Opens RViz with every output of the reconstruction.

ros2 launch ego_perception viz.launch.py
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "use_sim_time": ("false", "Follow /clock."),
    "rviz_config": (
        PathJoinSubstitution([FindPackageShare("ego_perception"), "config", "rviz", "ego.rviz"]),
        "RViz configuration.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Describe RViz."""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        arguments=["-d", LaunchConfiguration("rviz_config")],
        parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
        output="screen",
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, rviz])
