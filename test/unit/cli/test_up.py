"""`ego up` without starting anything: names, arguments and who gets which parameter."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from ego_perception.cli.up import DEFAULT_NODES, NODES, arguments_of, split_words
from ego_perception.errors import ConfigError
from ego_perception.nodes.config import NODE_CONFIGS
from ego_perception.parameters import from_mapping
from ego_perception.resources import config_dir


def test_no_names_mean_the_default_nodes() -> None:
    assert split_words([]) == (list(DEFAULT_NODES), [])


def test_words_are_split_at_the_ros_arguments() -> None:
    names, ros = split_words(["egosim", "viewer", "egosim", "--ros-args", "-r", "image:=/x", "-p", "a:=1"])
    assert names == ["egosim", "viewer"]
    assert ros == ["-r", "image:=/x", "-p", "a:=1"]


@pytest.mark.parametrize(("name", "hint"), [("reconstructon", "did you mean 'reconstruction'"), ("xyz", "there are")])
def test_an_unknown_node_is_named_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        split_words([name])


def test_each_node_gets_its_parameter_file_and_the_users_arguments_after_it() -> None:
    arguments = arguments_of("reconstruction", ["reconstruction"], ["-r", "image:=/x"])
    assert arguments[0] == "--params-file"
    assert Path(arguments[1]).name == "reconstruction.yaml"
    assert arguments[2:] == ["-r", "image:=/x"]


def test_a_parameter_goes_to_the_nodes_that_have_it() -> None:
    names, ros = ["reconstruction", "viewer"], ["-p", "port:=9000", "-p", "frames.odom:=world"]
    assert "port:=9000" not in arguments_of("reconstruction", names, ros)
    assert "port:=9000" in arguments_of("viewer", names, ros)
    assert all("frames.odom:=world" in arguments_of(name, names, ros) for name in names)


@pytest.mark.parametrize("rule", ["viewer:port:=9000", "use_sim_time:=true", "qos_overrides./image.subscription.depth:=3"])
def test_rules_with_a_node_name_and_general_ones_go_to_all(rule: str) -> None:
    for name in ("reconstruction", "viewer"):
        assert rule in arguments_of(name, ["reconstruction", "viewer"], ["-p", rule])


def test_a_parameter_that_nobody_has_is_an_error_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"unknown parameter 'input\.transprt'; did you mean 'input\.transport'"):
        arguments_of("reconstruction", ["reconstruction"], ["-p", "input.transprt:=raw"])


def test_names_configs_and_files_agree() -> None:
    assert set(NODES) == set(NODE_CONFIGS)
    assert {path.stem for path in (config_dir() / "nodes").glob("*.yaml")} == set(NODES)


@pytest.mark.parametrize("name", NODES)
def test_parameter_files_hold_known_parameters_in_range(name: str) -> None:
    content = yaml.safe_load((config_dir() / "nodes" / f"{name}.yaml").read_text())
    assert list(content) == ["/**"]
    from_mapping(NODE_CONFIGS[name], content["/**"]["ros__parameters"])


@pytest.mark.parametrize("name", NODES)
def test_every_node_has_its_class_and_an_entry_point(name: str) -> None:
    module = importlib.import_module(f"ego_perception.nodes.{name}_node")
    assert hasattr(module, NODES[name])
    assert callable(module.main)
    lines = Path(module.__file__ or "").read_text().splitlines()
    assert len(lines) < 250


def test_beside_hand_removal_the_reconstruction_leaves_the_hands_out_unless_told_otherwise() -> None:
    names, ros = ["reconstruction", "hand_removal"], ["-p", "input.ignore_mask:=false", "-r", "ignore_mask:=/mine"]
    arguments = arguments_of("reconstruction", names, ros)
    assert arguments.index("input.ignore_mask:=true") < arguments.index("input.ignore_mask:=false")
    assert arguments.index("ignore_mask:=/mine") < arguments.index("ignore_mask:=hand_removal/hand_mask/image")
    assert not any("ignore_mask" in word for word in arguments_of("hand_removal", names, []))
    assert not any("ignore_mask" in word for word in arguments_of("reconstruction", ["reconstruction", "viewer"], []))
