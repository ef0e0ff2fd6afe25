"""Launch files, RViz configuration and QoS sets name only what exists: executables, files, topics, types, parameters."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.recorded_launch import Recorded, described, found, text_of
from lifecycle_msgs.msg import Transition

from ego_perception.cli import up
from ego_perception.messages import TRUTH_WORLD_FRAME, SceneTopic, TruthTopic
from ego_perception.messages.hand_removal import RemovalTopic
from ego_perception.nodes import reconstruction_node
from ego_perception.nodes.config import NODE_CONFIGS
from ego_perception.nodes.wiring import BESIDE_HAND_REMOVAL, MASK_REMAPS
from ego_perception.parameters import specs
from ego_perception.resources import config_dir, launch_dir, share_dir

LAUNCH_FILES = sorted(launch_dir().glob("*.launch.py"))
RVIZ = config_dir() / "rviz" / "ego.rviz"
DISPLAY_TYPES = {
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/Path": "nav_msgs/msg/Path",
    "rviz_default_plugins/Odometry": "nav_msgs/msg/Odometry",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
}
REAL_TOPICS: dict[str, SceneTopic | RemovalTopic] = {
    f"/reconstruction/{topic.value}": topic for topic in SceneTopic if not topic.value.startswith("/")
}
REAL_TOPICS |= {f"/hand_removal/{topic.value}": topic for topic in RemovalTopic}


def executables() -> set[str]:
    """Console scripts of setup.py."""
    text = (share_dir() / "setup.py").read_text()
    return set(re.findall(r'"(\w+_node)"', text)) | {"ego"}


@functools.cache
def launched(path: Path) -> tuple[Any, Recorded]:
    """A launch file's module and description."""
    return described(path)


def test_the_promised_launch_files_are_there() -> None:
    names = {path.name.removesuffix(".launch.py") for path in LAUNCH_FILES}
    assert names == {"reconstruction", "hand_removal", "replay", "full", "viz", "sim"}


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
class TestLaunchFile:
    def test_it_runs_and_describes_itself(self, path: Path) -> None:
        module, description = launched(path)
        assert module.__doc__ and description.kind == "LaunchDescription"

    def test_it_starts_only_executables_that_are_installed(self, path: Path) -> None:
        for node in found(launched(path)[1], "LifecycleNode", "Node"):
            package, executable = node.kwargs["package"], node.kwargs["executable"]
            assert package in ("ego_perception", "rviz2")
            if package == "ego_perception":
                assert executable in executables()
                assert node.kwargs["name"] == executable.removesuffix("_node")

    def test_a_lifecycle_node_has_a_namespace(self, path: Path) -> None:
        """launch_ros refuses a LifecycleNode without one."""
        for node in found(launched(path)[1], "LifecycleNode"):
            assert node.kwargs["namespace"] is not None

    def test_the_files_it_names_exist(self, path: Path) -> None:
        for join in found(launched(path), "PathJoinSubstitution"):
            parts = [part for part in join.args[0] if isinstance(part, str)]
            assert len(parts) == len(join.args[0]) - 1, "the share folder and constants"
            assert share_dir().joinpath(*parts).is_file(), parts

    def test_the_parameters_it_sets_exist(self, path: Path) -> None:
        for node in found(launched(path)[1], "LifecycleNode"):
            known = {s.name for s in specs(NODE_CONFIGS[node.kwargs["name"]])} | {"use_sim_time"}
            set_here = {name for entry in node.kwargs["parameters"] if isinstance(entry, dict) for name in entry}
            assert set_here <= known

    def test_every_declared_argument_is_used_and_every_used_one_declared(self, path: Path) -> None:
        module, description = launched(path)
        names = {argument.args[0] for argument in found(description, "DeclareLaunchArgument")}
        assert names == set(module.ARGUMENTS)
        assert {value.args[0] for value in found(description, "LaunchConfiguration")} == names

    def test_remapped_names_are_topics_of_the_node(self, path: Path) -> None:
        for node in found(launched(path)[1], "LifecycleNode"):
            renamed = {name for name, _ in node.kwargs.get("remappings", ())}
            assert renamed <= {"image", "image/compressed", "camera_info", "ignore_mask", "hand_mask_in"}

    def test_what_it_hands_to_another_file_is_declared_there(self, path: Path) -> None:
        for include in found(launched(path)[1], "IncludeLaunchDescription"):
            name = include.args[0].args[0][-1]
            handed = {argument for argument, _ in include.kwargs.get("launch_arguments", ())}
            assert handed <= set(launched(launch_dir() / name)[0].ARGUMENTS), name


@pytest.mark.parametrize("name", ["reconstruction", "hand_removal"])
def test_a_camera_node_is_configured_and_then_activated(name: str) -> None:
    description = launched(launch_dir() / f"{name}.launch.py")[1]
    (configure,) = [action for action in description.args[0] if action.kind == "EmitEvent"]
    (handler,) = found(description, "OnStateTransition")
    (activate,) = handler.kwargs["entities"]
    assert configure.kwargs["event"].kwargs["transition_id"] == Transition.TRANSITION_CONFIGURE
    assert activate.kwargs["event"].kwargs["transition_id"] == Transition.TRANSITION_ACTIVATE
    (node,) = found(description, "LifecycleNode")
    assert handler.kwargs["target_lifecycle_node"] is node
    order = [action.kind for action in description.args[0] if action.kind != "DeclareLaunchArgument"]
    assert order == ["RegisterEventHandler", "LifecycleNode", "EmitEvent"], "the handler must be there before the event"
    assert text_of(dict(node.kwargs["remappings"])["image/compressed"]) == "{image}/compressed"


def test_the_mask_that_reconstruction_is_given_is_what_hand_removal_publishes() -> None:
    mask = f"hand_removal/{RemovalTopic.HAND_MASK.value}"
    assert mask == MASK_REMAPS["ignore_mask"]
    includes = found(launched(launch_dir() / "full.launch.py")[1], "IncludeLaunchDescription")
    handed = [dict(include.kwargs.get("launch_arguments", ())) for include in includes]
    assert [h["ignore_mask"] for h in handed if "ignore_mask" in h] == [mask]
    words = up.arguments_of("reconstruction", ["reconstruction", "hand_removal"], [])
    assert f"ignore_mask:={mask}" in words and "input.ignore_mask:=true" in words
    assert set(BESIDE_HAND_REMOVAL) <= {s.name for s in specs(NODE_CONFIGS["reconstruction"])}


def displays() -> list[dict[str, Any]]:
    content = yaml.safe_load(RVIZ.read_text())
    found: list[dict[str, Any]] = content["Visualization Manager"]["Displays"]
    return found


def test_rviz_shows_only_topics_that_are_published_with_their_types_and_durability() -> None:
    shown = [d for d in displays() if "Topic" in d]
    assert len(shown) >= 6
    for display in shown:
        topic = REAL_TOPICS[display["Topic"]["Value"]]
        assert DISPLAY_TYPES[display["Class"]] == topic.type_name
        latched = display["Topic"]["Durability Policy"] == "Transient Local"
        assert latched == topic.is_latched
        assert display["Topic"]["Reliability Policy"] == "Reliable"


def test_rviz_shows_every_picture_cloud_path_and_pose() -> None:
    shown = {d["Topic"]["Value"] for d in displays() if "Topic" in d}
    wanted = {name for name, topic in REAL_TOPICS.items() if topic.type_name in DISPLAY_TYPES.values()}
    assert shown == wanted


def test_rviz_looks_at_a_frame_of_the_tree() -> None:
    manager = yaml.safe_load(RVIZ.read_text())["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "odom"
    assert manager["Views"]["Current"]["Target Frame"] == "head_link"
    assert "odom -> head_link" in (reconstruction_node.__doc__ or "")


def test_the_simulators_view_shows_only_topics_that_it_publishes() -> None:
    content = yaml.safe_load((config_dir() / "rviz" / "sim.rviz").read_text())["Visualization Manager"]
    kinds = DISPLAY_TYPES | {"rviz_default_plugins/Pose": "geometry_msgs/msg/PoseStamped"}
    truth = {f"/{topic.value}": topic for topic in TruthTopic}
    shown = [d for d in content["Displays"] if "Topic" in d]
    assert {d["Topic"]["Value"] for d in shown} >= {"/image", "/sim/classes/image", "/sim/clean/image", "/sim/scene_points"}
    for display in shown:
        name, durability = display["Topic"]["Value"], display["Topic"]["Durability Policy"]
        expected = "sensor_msgs/msg/Image" if name == "/image" else truth[name].type_name
        assert kinds[display["Class"]] == expected
        assert (durability == "Transient Local") == (name in truth and truth[name].is_latched)
        # What must be computed is off until somebody looks.
        assert not (name in truth and truth[name].product and display["Enabled"])
    assert content["Global Options"]["Fixed Frame"] == TRUTH_WORLD_FRAME


@pytest.mark.parametrize("path", sorted((config_dir() / "qos").glob("*.yaml")), ids=lambda p: p.name)
def test_qos_sets_name_real_topics_and_policies(path: Path) -> None:
    overrides = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]["qos_overrides"]
    inputs = {"/image", "/image/compressed", "/camera_info", "/ignore_mask", "/hand_mask_in"}
    for topic, ends in overrides.items():
        assert topic in inputs | set(REAL_TOPICS)
        for end, policies in ends.items():
            assert end == ("subscription" if topic in inputs else "publisher")
            assert set(policies) <= {"reliability", "depth", "history", "durability"}
            assert policies.get("reliability") in (None, "reliable", "best_effort")
