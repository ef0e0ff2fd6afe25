"""Everything there is: reconstruction, hand removal and their web viewer, on request the simulated camera and RViz.

    ros2 launch ego_perception full.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
    ros2 launch ego_perception full.launch.py sim:=true

`one_process:=true` runs the nodes in one supervised process in place of one each. With `hand_removal:=true` the hands
are removed as well, and the reconstruction leaves them out.
"""

from launch import LaunchDescription
from launch.actions import ExecuteProcess, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import (
    AndSubstitution,
    FindExecutable,
    LaunchConfiguration,
    NotSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from ego_perception.nodes.wiring import MASK_REMAPS
from ego_perception.ros.launching import declared

ARGUMENTS = {
    "image": ("image", "Image topic."),
    "camera_info": ("camera_info", "Calibration topic of the camera."),
    "transport": ("raw", "raw or compressed."),
    "hand_removal": ("false", "Remove the wearer's hands; off because the shipped segmenter misses hands in real video."),
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
    forwarded = {name: value(name) for name in _FORWARDED}
    many = GroupAction(
        [
            include(
                "reconstruction.launch.py",
                launch_arguments={
                    **forwarded,
                    **MASK_REMAPS,
                    "use_ignore_mask": value("hand_removal"),
                }.items(),
            ),
            include(
                "hand_removal.launch.py",
                launch_arguments=forwarded.items(),
                condition=IfCondition(value("hand_removal")),
            ),
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
    words = [word for pair in ros_arguments for word in pair]

    def one(nodes: tuple[str, ...], more: list[object], wanted: object) -> ExecuteProcess:
        """One process for some nodes."""
        return ExecuteProcess(
            cmd=[FindExecutable(name="ros2"), "run", "ego_perception", "ego", "up", *nodes, "--ros-args", *words, *more],
            output="screen",
            condition=IfCondition(AndSubstitution(value("one_process"), wanted)),
        )

    transport = ["-p", ["hand_removal:input.transport:=", value("transport")]]
    with_removal = one(("reconstruction", "hand_removal", "viewer"), transport, value("hand_removal"))
    without_removal = one(("reconstruction", "viewer"), [], NotSubstitution(value("hand_removal")))
    return LaunchDescription(
        [
            *declared(ARGUMENTS),
            include("sim.launch.py", condition=IfCondition(value("sim"))),
            many,
            with_removal,
            without_removal,
            include("viz.launch.py", condition=IfCondition(value("viz"))),
        ]
    )
