"""Everything there is: reconstruction and its web viewer, on request the simulated camera and RViz.

    ros2 launch ego_perception full.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
    ros2 launch ego_perception full.launch.py sim:=true

`one_process:=true` runs the nodes in one supervised process in place of one each.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import FindExecutable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": ("image", "Image topic."),
    "camera_info": ("camera_info", "Calibration topic of the camera."),
    "transport": ("raw", "raw or compressed."),
    "one_process": ("false", "Run the nodes in one process."),
    "sim": ("false", "Start the simulated camera."),
    "viz": ("false", "Open RViz."),
}
_FORWARDED = ("image", "camera_info", "transport")


def generate_launch_description() -> LaunchDescription:
    """Describe both ways of running, of which the condition picks one."""
    value = LaunchConfiguration
    share = FindPackageShare("ego_perception")

    def include(file: str, **options: object) -> IncludeLaunchDescription:
        return IncludeLaunchDescription(PathJoinSubstitution([share, "launch", file]), **options)

    viewer = LifecycleNode(
        package="ego_perception",
        executable="viewer_node",
        name="viewer",
        namespace="",
        output="screen",
        parameters=[
            PathJoinSubstitution([share, "config", "nodes", "viewer.yaml"]),
            {"autostart": True, "transport": value("transport")},
        ],
        remappings=[
            ("image", value("image")),
            ("image/compressed", [value("image"), "/compressed"]),
            ("camera_info", value("camera_info")),
        ],
    )
    many = GroupAction(
        [
            include("reconstruction.launch.py", launch_arguments={name: value(name) for name in _FORWARDED}.items()),
            viewer,
        ],
        condition=UnlessCondition(value("one_process")),
    )
    ros_arguments = [
        ["-r", ["image:=", value("image")]],
        ["-r", ["image/compressed:=", value("image"), "/compressed"]],
        ["-r", ["camera_info:=", value("camera_info")]],
        ["-p", ["reconstruction:input.transport:=", value("transport")]],
        ["-p", ["viewer:transport:=", value("transport")]],
    ]
    one = ExecuteProcess(
        cmd=[
            FindExecutable(name="ros2"),
            *("run", "ego_perception", "ego", "up", "reconstruction", "viewer", "--ros-args"),
            *(word for pair in ros_arguments for word in pair),
        ],
        output="screen",
        condition=IfCondition(value("one_process")),
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription(
        [
            *declared,
            include("sim.launch.py", condition=IfCondition(value("sim"))),
            many,
            one,
            include("viz.launch.py", condition=IfCondition(value("viz"))),
        ]
    )
