"""The parameter reference page is what the code declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ego_perception.cli.params import app, page
from ego_perception.nodes.config import NODE_CONFIGS
from ego_perception.parameters import Apply, specs
from ego_perception.resources import share_dir


def test_the_committed_page_is_up_to_date() -> None:
    path = share_dir() / "docs" / "parameters.md"
    assert path.read_text(encoding="utf-8") == page(), "run `./ego params`"


def test_every_parameter_of_every_node_has_its_row() -> None:
    text = page()
    for name, config in NODE_CONFIGS.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for spec in specs(config):
            assert f"| `{spec.name}` |" in section


def test_a_row_tells_range_unit_and_when_it_applies() -> None:
    row = next(line for line in page().splitlines() if line.startswith("| `input.camera_info_timeout_s`"))
    assert "| 0.1 to 60 s | next frame |" in row


@pytest.mark.parametrize("config", NODE_CONFIGS.values())
def test_every_description_is_one_sentence(config: type) -> None:
    for spec in specs(config):
        assert spec.doc.endswith("."), spec.name
        assert "\n" not in spec.doc
        assert "|" not in spec.doc


@pytest.mark.parametrize("config", NODE_CONFIGS.values())
def test_units_are_in_the_names_where_there_is_one(config: type) -> None:
    endings = {"s": "_s", "m": "_m", "rad": "_rad", "Hz": ("_hz", "fps", "rate_hz")}
    for spec in specs(config):
        if spec.unit in endings:
            assert spec.name.endswith(endings[spec.unit]), spec.name


def test_defaults_are_within_their_own_ranges() -> None:
    for config in NODE_CONFIGS.values():
        for spec in specs(config):
            spec.check(spec.default)
            assert isinstance(spec.apply, Apply)


def test_writing_and_checking(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "parameters.md"
    runner = CliRunner()
    assert runner.invoke(app, ["-o", str(path)]).exit_code == 0
    assert path.read_text() == page()
    assert runner.invoke(app, ["-o", str(path), "--check"]).exit_code == 0
    path.write_text("old")
    assert runner.invoke(app, ["-o", str(path), "--check"]).exit_code == 1
    assert path.read_text() == "old"
