"""Opens RViz with every output of reconstruction and hand removal.

ros2 launch ego_perception viz.launch.py
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from ego_perception.ros.launching import declared

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
    return LaunchDescription([*declared(ARGUMENTS), rviz])
