"""Resolves the parameters of a run from defaults, a YAML file and `--set`, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ego_perception.errors import ConfigError
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.parameters import flatten, from_mapping
from ego_perception.reconstruction.config import ReconstructionConfig

_NODE_GROUP = "estimator."
_REMOVAL_GROUP = "hand_removal."


def resolve_config(file: Path | None, assignments: Sequence[str]) -> ReconstructionConfig:
    """Build the configuration.

    Args:
        file: parameters of the reconstruction, or the parameter file of its node, of which the `estimator` group counts.
        assignments: `name=value`, with dotted names and YAML values.

    Raises:
        ConfigError: an unreadable file, an assignment without `=`, an unknown name or a value out of range.
    """
    values = {} if file is None else read_parameters(file)
    for assignment in assignments:
        if assignment.strip().startswith(_REMOVAL_GROUP):
            continue
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set takes name=value, got '{assignment}'; ego params lists the names")
        try:
            values[name.strip().removeprefix(_NODE_GROUP)] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {name}: '{text}' is no YAML value") from error
    return from_mapping(ReconstructionConfig, values)


def resolve_removal(assignments: Sequence[str]) -> HandRemovalNodeConfig:
    """Build the configuration of hand removal from the assignments to `hand_removal.<name>`.

    Raises:
        ConfigError: an assignment without `=`, an unknown name or a value out of range.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        if not assignment.strip().startswith(_REMOVAL_GROUP):
            continue
        name, equals, text = assignment.strip().partition("=")
        if not equals:
            raise ConfigError(f"--set takes name=value, got '{assignment}'; ego params lists the names")
        try:
            values[name.strip().removeprefix(_REMOVAL_GROUP)] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {name}: '{text}' is no YAML value") from error
    return from_mapping(HandRemovalNodeConfig, values)


def read_parameters(file: Path) -> dict[str, Any]:
    """Read a parameter file as dotted names of the reconstruction.

    Raises:
        ConfigError: unreadable, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration '{file}' cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration '{file}' is not YAML: {str(error).splitlines()[0]}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"configuration '{file}' holds {type(content).__name__}; parameters are name: value")
    for node in content.values():
        if isinstance(node, dict) and "ros__parameters" in node:
            dotted = flatten(node["ros__parameters"] or {})
            return {name.removeprefix(_NODE_GROUP): v for name, v in dotted.items() if name.startswith(_NODE_GROUP)}
    return flatten(content)
