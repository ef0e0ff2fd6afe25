"""Plays a recording through the reconstruction node over topics and writes a result folder; ends with the recording.

    ros2 launch ego_perception replay.launch.py source:=/data/walk.mcap out:=/data/walk_result

Every frame is sent once the one before was answered, so nothing is lost; `rate:=1.0` plays in real time instead.
"""

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ego_perception.ros.launching import declared

ARGUMENTS = {
    "source": (None, "A bag, a video, a folder of images, or sim:SEED."),
    "out": ("out/replay", "Result folder; an earlier result in it is replaced."),
    "rate": ("0.0", "Speed relative to the recording; 0 waits for answers."),
    "intrinsics": ("camera_info", "camera_info, or estimate for a recording without calibration."),
}


def generate_launch_description() -> LaunchDescription:
    """Describe player, reconstruction and recorder."""
    value = LaunchConfiguration
    share = FindPackageShare("ego_perception")
    reconstruction = IncludeLaunchDescription(
        PathJoinSubstitution([share, "launch", "reconstruction.launch.py"]),
        launch_arguments={"queue_policy": "all", "intrinsics": value("intrinsics")}.items(),
    )
    recorder = LifecycleNode(
        package="ego_perception",
        executable="recorder_node",
        name="recorder",
        namespace="",
        output="screen",
        parameters=[
            PathJoinSubstitution([share, "config", "nodes", "recorder.yaml"]),
            {"autostart": True, "path": ParameterValue(value("out"), value_type=str), "reliability": "reliable"},
        ],
    )
    player = LifecycleNode(
        package="ego_perception",
        executable="player_node",
        name="player",
        namespace="",
        output="screen",
        parameters=[
            PathJoinSubstitution([share, "config", "nodes", "player.yaml"]),
            {
                "autostart": True,
                "source": ParameterValue(value("source"), value_type=str),
                "playback.rate": ParameterValue(value("rate"), value_type=float),
                "playback.wait_for_subscribers_s": 60.0,
                "playback.num_subscribers": 2,  # reconstruction and recorder
            },
        ],
        on_exit=Shutdown(reason="the recording is over"),
    )
    return LaunchDescription([*declared(ARGUMENTS), reconstruction, recorder, player])
