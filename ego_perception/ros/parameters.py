"""ROS parameters of a node, declared from its parameter dataclass (`ego_perception.parameters`).

Every field becomes a declared parameter with type, range, description and read-only mark. A value from a YAML file or the
command line that cannot be used does not stop the node from starting, because a node without lifecycle services leaves a
launch hanging: the parameter keeps its default, and `problems` says what is wrong until it is set right. Configure fails on it.
"""

from __future__ import annotations

import sys
import threading
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ego_perception.errors import ConfigError
from ego_perception.parameters import Apply, ParameterSpec, specs, to_dict, updated

T = TypeVar("T")

_SCALAR_TYPES: dict[Any, int] = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_ARRAY_TYPES: dict[Any, int] = {
    bool: ParameterType.PARAMETER_BOOL_ARRAY,
    int: ParameterType.PARAMETER_INTEGER_ARRAY,
    float: ParameterType.PARAMETER_DOUBLE_ARRAY,
    str: ParameterType.PARAMETER_STRING_ARRAY,
}
_FOREIGN = ("use_sim_time", "qos_overrides.", "start_type_description_service")


class NodeParameters(Generic[T]):
    """The live values of one node's parameter group.

    The node must be built with `automatically_declare_parameters_from_overrides=True`: it is how rclpy tells which values the
    user gave. `current` may be read from any thread; it is a frozen dataclass that a change replaces.

    Args:
        node: the node that owns the parameters.
        cls: the parameter group.
        is_configured: True while values that apply on configure are in use, so that changing them is refused.
    """

    def __init__(self, node: Node, cls: type[T], is_configured: Callable[[], bool]) -> None:
        self._node = node
        self._specs = {spec.name: spec for spec in specs(cls)}
        self._is_configured = is_configured
        self._problems: dict[str, str] = {}
        self._lock = threading.Lock()
        self._current: T = cls()
        self._declare(_take_overrides(node))
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._store)

    @property
    def current(self) -> T:
        """The group with all values set so far."""
        return self._current

    @property
    def problems(self) -> list[str]:
        """What is wrong with the values the node was started with, one line each."""
        return list(self._problems.values())

    def require_valid(self) -> T:
        """Return the values.

        Raises:
            ConfigError: the node was started with an unknown parameter or an unusable value.
        """
        if self._problems:
            raise ConfigError("; ".join(self._problems.values()))
        return self._current

    def _declare(self, overrides: dict[str, Any]) -> None:
        for name, value in overrides.items():
            try:
                self._current = updated(self._current, {name: value})
            except ConfigError as error:
                self._problems[name] = str(error)
        values = to_dict(self._current)
        for name, spec in self._specs.items():
            self._node.declare_parameter(name, values[name], describe(spec), ignore_override=True)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse a change that is out of range or that this state does not allow."""
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            try:
                spec.check(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            if spec.apply is Apply.RECONFIGURE and self._is_configured():
                reason = f"{spec.name} takes effect on configure; deactivate and clean up the node first"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _store(self, parameters: list[Parameter]) -> None:
        changes = {p.name: p.value for p in parameters if p.name in self._specs}
        with self._lock:
            self._current = updated(self._current, changes)
            for name in changes:
                self._problems.pop(name, None)


def describe(spec: ParameterSpec) -> ParameterDescriptor:
    """Build the descriptor that `ros2 param describe` shows."""
    text = spec.doc + (f" Unit: {spec.unit}." if spec.unit else "") + f" Applied: {spec.apply.value}."
    if spec.choices:
        text += f" One of: {', '.join(spec.choices)}."
    descriptor = ParameterDescriptor(
        name=spec.name, type=_ros_type(spec), description=text, read_only=spec.apply is Apply.READ_ONLY
    )
    if spec.ge is None and spec.le is None:
        return descriptor
    if spec.type is float:
        low = -sys.float_info.max if spec.ge is None else float(spec.ge)
        high = sys.float_info.max if spec.le is None else float(spec.le)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    elif spec.type is int:
        first = -(2**63) if spec.ge is None else int(spec.ge)
        last = 2**63 - 1 if spec.le is None else int(spec.le)
        descriptor.integer_range = [IntegerRange(from_value=first, to_value=last, step=0)]
    return descriptor


def _ros_type(spec: ParameterSpec) -> int:
    if typing.get_origin(spec.type) is tuple:
        return _ARRAY_TYPES[typing.get_args(spec.type)[0]]
    return _SCALAR_TYPES[spec.type]


def _take_overrides(node: Node) -> dict[str, Any]:
    """Remove what rclpy declared from the user's values without a descriptor, and return those values."""
    declared: Mapping[str, Any] = node.get_parameters_by_prefix("")
    given = {name: parameter.value for name, parameter in declared.items() if not name.startswith(_FOREIGN)}
    for name in given:
        node.undeclare_parameter(name)
    return given
