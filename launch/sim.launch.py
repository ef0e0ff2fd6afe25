"""Starts EgoSim as a live camera on `image` and `camera_info`, with ground truth on `sim/...`.

ros2 launch ego_perception sim.launch.py seed:=7
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ego_perception.ros.launching import declared

ARGUMENTS = {
    "seed": ("7", "Which room and walk."),
    "preset": ("default", "Looks: plain, default or hard."),
    "others": ("-1", "Other people; -1 draws none to two from the seed."),
    "stamps": ("now", "now, or recording for the simulator's own time."),
    "publish_clock": ("false", "Send /clock, for nodes with use_sim_time."),
    "namespace": ("", "Namespace of the node."),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("ego_perception"), "config", "nodes", "egosim.yaml"]),
        "Parameters of the node.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Describe the node, which starts itself."""
    value = LaunchConfiguration
    node = LifecycleNode(
        package="ego_perception",
        executable="egosim_node",
        name="egosim",
        namespace=value("namespace"),
        output="screen",
        parameters=[
            value("params_file"),
            {
                "autostart": True,
                "sim.seed": ParameterValue(value("seed"), value_type=int),
                "sim.preset": value("preset"),
                "sim.people.others": ParameterValue(value("others"), value_type=int),
                "playback.stamps": value("stamps"),
                "playback.publish_clock": ParameterValue(value("publish_clock"), value_type=bool),
            },
        ],
    )
    return LaunchDescription([*declared(ARGUMENTS), node])
