"""Parameters of a live node come from its dataclass: types, ranges, descriptions, start values, live changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from ego_perception.errors import ConfigError
from ego_perception.parameters import Apply, ParameterSpec, group, param, specs
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.parameters import describe


@dataclass(frozen=True)
class InnerConfig:
    rate_hz: float = param(10.0, "Frames per second.", unit="Hz", ge=0.5, le=120, apply=Apply.LIVE)
    mode: str = param("fast", "How to work.", choices=("fast", "careful"))


@dataclass(frozen=True)
class DemoConfig:
    num_features: int = param(100, "Features kept.", ge=10, le=1000)
    enabled: bool = param(True, "Whether to work.", apply=Apply.LIVE)
    offset_m: tuple[float, ...] = param((0.0, 1.0), "A shift.", unit="m")
    serial: str = param("none", "Serial number.", apply=Apply.READ_ONLY)
    inner: InnerConfig = group(InnerConfig)


Node = EgoLifecycleNode[DemoConfig]
made: list[Node] = []


@pytest.fixture(autouse=True)
def destroy() -> Iterator[None]:
    yield
    while made:
        made.pop().destroy_node()


def make(*arguments: str) -> Node:
    cli = ["--ros-args", *[x for a in arguments for x in ("-p", a)]]
    made.append(EgoLifecycleNode("demo", DemoConfig, cli_args=cli))
    return made[-1]


def set_one(node: Node, name: str, value: object) -> tuple[bool, str]:
    result = node.set_parameters([Parameter(name, value=value)])[0]
    return result.successful, result.reason


def test_every_field_is_declared_with_its_default() -> None:
    node = make()
    for spec in specs(DemoConfig):
        value = node.get_parameter(spec.name).value
        assert (tuple(value) if isinstance(spec.default, tuple) else value) == spec.default


def test_descriptor_tells_type_range_unit_and_when_it_applies() -> None:
    descriptor = make().describe_parameter("inner.rate_hz")
    assert descriptor.type == ParameterType.PARAMETER_DOUBLE
    assert (descriptor.floating_point_range[0].from_value, descriptor.floating_point_range[0].to_value) == (0.5, 120.0)
    assert descriptor.description == "Frames per second. Unit: Hz. Applied: next frame."


def test_integer_range_choices_and_read_only_are_described() -> None:
    node = make()
    bounds = node.describe_parameter("num_features").integer_range[0]
    assert (bounds.from_value, bounds.to_value) == (10, 1000)
    assert "fast, careful" in node.describe_parameter("inner.mode").description
    assert node.describe_parameter("serial").read_only
    assert not node.describe_parameter("enabled").read_only


@pytest.mark.parametrize("bounds", [{"ge": 1}, {"le": 1}, {"ge": 1, "le": 1}])
@pytest.mark.parametrize("kind", [int, float])
def test_half_open_ranges_become_the_largest_ros_range(bounds: dict[str, float], kind: type) -> None:
    descriptor = describe(ParameterSpec("x", kind, kind(1), "Doc.", **bounds))
    (found,) = descriptor.integer_range if kind is int else descriptor.floating_point_range
    assert found.from_value <= 1 <= found.to_value
    assert (found.from_value == 1) == ("ge" in bounds)
    assert (found.to_value == 1) == ("le" in bounds)


def test_start_values_are_taken() -> None:
    node = make("num_features:=77", "inner.mode:=careful", "offset_m:=[1.5, 2.5]", "serial:=abc")
    config = node.parameters.require_valid()
    assert (config.num_features, config.inner.mode, config.offset_m, config.serial) == (77, "careful", (1.5, 2.5), "abc")
    assert node.get_parameter("num_features").value == 77


def test_an_integer_serves_for_a_float() -> None:
    node = make("inner.rate_hz:=30", "offset_m:=[1, 2]")
    assert node.parameters.require_valid().inner.rate_hz == 30.0
    assert node.parameters.current.offset_m == (1.0, 2.0)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("num_featurs:=5", "unknown parameter 'num_featurs'; did you mean 'num_features'?"),
        ("inner.rate:=5.0", "did you mean 'inner.rate_hz'?"),
        ("num_features:=5", "num_features is 5; allowed is 10 to 1000"),
        ("inner.rate_hz:=500.0", "allowed is 0.5 to 120 Hz"),
        ("inner.mode:=fats", "did you mean 'fast'?"),
        ("enabled:=3", "takes a value of type bool"),
        ("num_features:=3.5", "takes a value of type int"),
    ],
)
def test_bad_start_values_fail_configure_in_one_line(argument: str, message: str) -> None:
    node = make(argument)
    assert len(node.parameters.problems) == 1
    assert message in node.parameters.problems[0]
    with pytest.raises(ConfigError):
        node.parameters.require_valid()
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert message in node.last_error
    assert "\n" not in node.last_error


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("num_featurs: 50", "unknown parameter 'num_featurs'; did you mean 'num_features'?"),
        ("inner: {rate_hz: 500.0}", "inner.rate_hz is 500.0; allowed is 0.5 to 120 Hz"),
        ("inner: {mode: fats}", "did you mean 'fast'?"),
        ("offset_m: [0.0, .nan]", "must be finite"),
        ("enabled: [true, false]", "takes a value of type bool"),
    ],
)
def test_a_parameter_file_is_checked_like_the_command_line(tmp_path: Path, lines: str, message: str) -> None:
    file = tmp_path / "my parameters.yaml"
    file.write_text(f"demo:\n  ros__parameters:\n    {lines}\n")
    made.append(EgoLifecycleNode("demo", DemoConfig, cli_args=["--ros-args", "--params-file", str(file)]))
    made[-1].trigger_configure()
    assert made[-1].state == "unconfigured"
    assert message in made[-1].last_error
    assert "\n" not in made[-1].last_error


def test_a_bad_start_value_can_be_set_right() -> None:
    node = make("num_features:=5")
    assert set_one(node, "num_features", 50)[0]
    node.trigger_configure()
    assert node.state == "inactive"
    assert node.last_error == ""


def test_two_bad_values_are_both_named() -> None:
    node = make("num_features:=5", "colour:=red")
    assert len(node.parameters.problems) == 2


def test_live_change_replaces_the_group() -> None:
    node = make()
    before = node.parameters.current
    node.trigger_configure()
    assert set_one(node, "inner.rate_hz", 25.0) == (True, "")
    assert node.parameters.current.inner.rate_hz == 25.0
    assert before.inner.rate_hz == 10.0


def test_out_of_range_and_wrong_choice_are_refused_with_a_reason() -> None:
    node = make()
    done, reason = set_one(node, "inner.rate_hz", 1000.0)
    assert not done
    assert "inner.rate_hz" in reason
    done, reason = set_one(node, "inner.mode", "slow")
    assert not done
    assert "choose one of fast, careful" in reason
    assert node.parameters.current == DemoConfig()


def test_read_only_is_refused() -> None:
    done, reason = set_one(make(), "serial", "xyz")
    assert not done
    assert "read-only" in reason


def test_reconfigure_parameters_are_refused_while_in_use_and_taken_after_cleanup() -> None:
    node = make()
    node.trigger_configure()
    done, reason = set_one(node, "num_features", 500)
    assert not done
    assert "takes effect on configure" in reason
    node.trigger_cleanup()
    assert set_one(node, "num_features", 500)[0]
    assert node.parameters.current.num_features == 500


def test_unknown_name_cannot_be_set_live() -> None:
    from rclpy.exceptions import ParameterNotDeclaredException

    with pytest.raises(ParameterNotDeclaredException):
        set_one(make(), "colour", "red")


def test_qos_overrides_and_sim_time_are_no_unknown_parameters() -> None:
    node = make("use_sim_time:=true", "qos_overrides./x.publisher.depth:=3")
    assert node.parameters.problems == []
    assert node.get_parameter("use_sim_time").value is True
