"""Parameters declared once, as dataclasses; from them come ROS declarations, YAML checking, CLI flags and the reference page.

A group is a dataclass whose fields are made by `param` or are groups themselves; a nested field has a dotted name, such as
`tracking.num_features`. Groups are frozen: a live change makes a new object (`updated`).
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ego_perception.errors import ConfigError

T = TypeVar("T")


class Apply(enum.Enum):
    """When a new value takes effect."""

    LIVE = "next frame"
    RECONFIGURE = "on configure"
    READ_ONLY = "read-only"


@dataclasses.dataclass(frozen=True)
class ParameterSpec:
    """One declared parameter: everything its ROS descriptor and its line in the reference page need.

    Attributes:
        type: bool, int, float, str, or tuple[...] of one of these.
        ge, le: inclusive bounds, None where open.
    """

    name: str
    type: Any
    default: Any
    doc: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    choices: tuple[str, ...] | None = None
    apply: Apply = Apply.RECONFIGURE

    def check(self, value: Any) -> Any:
        """Return `value` as this parameter's type.

        Raises:
            ConfigError: wrong type, not finite, outside the range or not among the choices.
        """
        if typing.get_origin(self.type) is tuple:
            if isinstance(value, str) or not hasattr(value, "__iter__"):
                raise ConfigError(f"{self.name} is {value!r}; it takes a list")
            element = typing.get_args(self.type)[0]
            single = dataclasses.replace(self, type=element)
            return tuple(single.check(v) for v in value)
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.type:
            raise ConfigError(f"{self.name} is {value!r}; it takes a value of type {self.type.__name__}")
        if self.type is float and not math.isfinite(value):
            raise ConfigError(f"{self.name} is {value}; it must be finite")
        if (self.ge is not None and value < self.ge) or (self.le is not None and value > self.le):
            low = "-inf" if self.ge is None else self.ge
            high = "inf" if self.le is None else self.le
            raise ConfigError(f"{self.name} is {value}; allowed is {low} to {high} {self.unit}".rstrip())
        if self.choices is not None and value not in self.choices:
            raise ConfigError(
                f"{self.name} is {value!r}; choose one of {', '.join(self.choices)}{_hint(str(value), self.choices)}"
            )
        return value


def param(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] | None = None,
    apply: Apply = Apply.RECONFIGURE,
) -> Any:
    """Declare one field of a parameter group; `doc` is one sentence."""
    metadata = {"doc": doc, "unit": unit, "ge": ge, "le": le, "choices": choices, "apply": apply}
    return dataclasses.field(default=default, metadata={"param": metadata})


def group(cls: type[T]) -> T:
    """Declare a field that is a nested group with its own defaults."""
    return dataclasses.field(default_factory=cls)


def specs(cls: type[Any], prefix: str = "") -> Iterator[ParameterSpec]:
    """Yield every parameter of a group class, nested ones with dotted names, in declaration order."""
    hints = typing.get_type_hints(cls)
    for f in dataclasses.fields(cls):
        kind = hints[f.name]
        if isinstance(kind, types.GenericAlias) is False and dataclasses.is_dataclass(kind):
            yield from specs(typing.cast(type, kind), f"{prefix}{f.name}.")
        elif "param" in f.metadata:
            yield ParameterSpec(prefix + f.name, kind, f.default, **f.metadata["param"])


def from_mapping(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a group from nested or dotted keys.

    Raises:
        ConfigError: an unknown key (with the nearest known one), or a value that `ParameterSpec.check` refuses.
    """
    return updated(cls(), flatten(values))


def updated(current: T, values: Mapping[str, Any]) -> T:
    """A copy of a group with dotted `values` checked and replaced; `current` is left as it was.

    Raises:
        ConfigError: as `from_mapping`.
    """
    known = {spec.name: spec for spec in specs(type(current))}
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown parameter '{name}'{_hint(name, tuple(known))}")
    return _replace(current, {name: known[name].check(value) for name, value in values.items()})


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def to_dict(current: Any) -> dict[str, Any]:
    """The values of a group under their dotted names."""
    out: dict[str, Any] = {}
    for spec in specs(type(current)):
        value = current
        for part in spec.name.split("."):
            value = getattr(value, part)
        out[spec.name] = list(value) if isinstance(value, tuple) else value
    return out


def _replace(current: T, values: Mapping[str, Any]) -> T:
    direct: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        head, _, tail = name.partition(".")
        if tail:
            nested.setdefault(head, {})[tail] = value
        else:
            direct[head] = value
    for head, inner in nested.items():
        direct[head] = _replace(getattr(current, head), inner)
    return typing.cast(T, dataclasses.replace(typing.cast(Any, current), **direct))


def _hint(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""
