"""Launch files, RViz configuration and QoS sets name only what exists: executables, files, topics, types, parameters."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ego_perception.cli import up
from ego_perception.messages import TRUTH_WORLD_FRAME, SceneTopic, TruthTopic
from ego_perception.messages.hand_removal import RemovalTopic
from ego_perception.nodes import reconstruction_node
from ego_perception.nodes.config import NODE_CONFIGS
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


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name]


def keyword(call: ast.Call, name: str) -> Any:
    return next((k.value for k in call.keywords if k.arg == name), None)


def strings(tree: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_the_promised_launch_files_are_there() -> None:
    names = {path.name.removesuffix(".launch.py") for path in LAUNCH_FILES}
    assert names == {"reconstruction", "hand_removal", "replay", "full", "viz", "sim"}


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
class TestLaunchFile:
    def tree(self, path: Path) -> ast.Module:
        return ast.parse(path.read_text())

    def test_it_compiles_and_describes_itself(self, path: Path) -> None:
        compile(path.read_text(), str(path), "exec")
        tree = self.tree(path)
        assert ast.get_docstring(tree)
        assert any(isinstance(n, ast.FunctionDef) and n.name == "generate_launch_description" for n in tree.body)

    def test_it_starts_only_executables_that_are_installed(self, path: Path) -> None:
        for kind in ("LifecycleNode", "Node"):
            for call in calls(self.tree(path), kind):
                package, executable = keyword(call, "package").value, keyword(call, "executable").value
                assert package in ("ego_perception", "rviz2")
                if package == "ego_perception":
                    assert executable in executables()
                    assert keyword(call, "name").value == executable.removesuffix("_node")

    def test_a_lifecycle_node_has_a_namespace(self, path: Path) -> None:
        """launch_ros refuses a LifecycleNode without one."""
        for call in calls(self.tree(path), "LifecycleNode"):
            assert keyword(call, "namespace") is not None

    def test_the_files_it_names_exist(self, path: Path) -> None:
        for call in calls(self.tree(path), "PathJoinSubstitution"):
            parts = [e.value for e in call.args[0].elts if isinstance(e, ast.Constant)]
            if parts and parts[0] != "launch":
                assert share_dir().joinpath(*parts).is_file(), parts
        for name in strings(self.tree(path)):
            if name.endswith(".launch.py") and "\n" not in name:
                assert (launch_dir() / name).is_file()

    def test_the_parameters_it_sets_exist(self, path: Path) -> None:
        for call in calls(self.tree(path), "LifecycleNode"):
            known = {s.name for s in specs(NODE_CONFIGS[keyword(call, "name").value])} | {"use_sim_time"}
            for entry in keyword(call, "parameters").elts:
                if isinstance(entry, ast.Dict):
                    assert {k.value for k in entry.keys if isinstance(k, ast.Constant)} <= known

    def test_every_declared_argument_is_used_and_every_used_one_declared(self, path: Path) -> None:
        tree = self.tree(path)
        (table,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "ARGUMENTS"]
        declared = {key.value for key in table.keys}
        looked_up = [*calls(tree, "value"), *calls(tree, "LaunchConfiguration")]
        used = {call.args[0].value for call in looked_up if isinstance(call.args[0], ast.Constant)}
        forwarded = [n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "_FORWARDED"]
        used |= {name for table in forwarded for name in ast.literal_eval(table)}
        assert used == declared

    def test_remapped_names_are_topics_of_the_node(self, path: Path) -> None:
        for call in calls(self.tree(path), "LifecycleNode"):
            if keyword(call, "remappings") is None:
                continue
            sources = {pair.elts[0].value for pair in keyword(call, "remappings").elts}
            assert sources <= {"image", "image/compressed", "camera_info", "ignore_mask", "hand_mask_in"}


def test_forwarded_arguments_are_known_to_the_included_file() -> None:
    text = {path.name: path.read_text() for path in LAUNCH_FILES}
    known = set(re.findall(r'^    "(\w+)": \(', text["reconstruction.launch.py"], re.MULTILINE))
    assert {"image", "camera_info", "transport", "queue_policy", "intrinsics", "ignore_mask", "use_ignore_mask"} <= known
    known = set(re.findall(r'^    "(\w+)": \(', text["hand_removal.launch.py"], re.MULTILINE))
    assert {"image", "camera_info", "transport"} <= known


def test_the_mask_that_reconstruction_is_given_is_what_hand_removal_publishes() -> None:
    mask = f"hand_removal/{RemovalTopic.HAND_MASK.value}"
    assert f'"ignore_mask": "{mask}"' in (launch_dir() / "full.launch.py").read_text()
    assert f"ignore_mask:={mask}" == up._MASK_REMAP
    assert {p.partition(":=")[0] for p in up._MASK_PARAMETERS} <= {s.name for s in specs(NODE_CONFIGS["reconstruction"])}


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
