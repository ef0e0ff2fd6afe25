"""Parameters from a file and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ego_perception.cli.settings import resolve_config
from ego_perception.errors import ConfigError


def test_defaults_file_and_command_line_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("tracking:\n  num_features: 200\n  patch_px: 21\n")
    config = resolve_config(file, ["tracking.num_features=250"])
    assert config.tracking.num_features == 250
    assert config.tracking.patch_px == 21
    assert resolve_config(None, []).tracking.num_features != 250


def test_parameter_file_of_the_node_counts_by_its_estimator_group(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text(
        "reconstruction:\n  ros__parameters:\n    input.queue_size: 9\n"
        "    estimator:\n      tracking:\n        num_features: 123\n"
    )
    assert resolve_config(file, ["estimator.tracking.patch_px=15"]).tracking.num_features == 123


def test_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("")
    assert resolve_config(tmp_path / "p.yaml", []) == resolve_config(None, [])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("tracking.num_features", "name=value"),
        ("=3", "name=value"),
        ("tracking.num_featurs=3", "did you mean 'tracking.num_features'"),
        ("tracking.num_features=many", "takes a value of type int"),
        ("tracking.num_features=1000000", "allowed is"),
        ("tracking.num_features=[", "no YAML value"),
    ],
)
def test_bad_assignments(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_config(None, [assignment])


@pytest.mark.parametrize("content", ["- 1\n", "a: [", "just text", "unknown: 3"])
def test_bad_files(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(ConfigError):
        resolve_config(tmp_path / "p.yaml", [])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve_config(tmp_path / "none.yaml", [])
