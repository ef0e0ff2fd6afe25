"""The `ego` command: verbs, help, and exit codes."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import typer

from ego_perception.cli import main as cli
from ego_perception.errors import BagError


def run_with(monkeypatch: pytest.MonkeyPatch, command: Any, *args: str) -> int:
    app = typer.Typer()
    app.command()(command)
    monkeypatch.setitem(sys.modules, "ego_perception.cli.run", cast(ModuleType, SimpleNamespace(app=app)))
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", *args])
    return int(stop.value.code or 0)


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in cli.VERBS)


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_has_a_module_with_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    assert f"ego {verb}" in capsys.readouterr().out


def test_a_mistyped_verb_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["repaly"])
    assert stop.value.code == 2
    assert "did you mean 'replay'?" in capsys.readouterr().err


def test_an_expected_error_is_one_line_and_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise BagError("bag x is empty; record again")

    assert run_with(monkeypatch, command) == 1
    assert capsys.readouterr().err == "ego run: bag x is empty; record again\n"


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert run_with(monkeypatch, command) == 130


def test_wrong_usage_is_two(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command(number: int) -> None:
        """Take a number."""

    assert run_with(monkeypatch, command, "x") == 2
    assert "see ego run --help" in capsys.readouterr().err


def test_a_requested_exit_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise typer.Exit(3)

    assert run_with(monkeypatch, command) == 3


def test_version() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ego_perception.cli.main", "--version"], capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.startswith("ego 0.")
