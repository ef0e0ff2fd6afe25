"""`ego test`: which steps run, what their exit codes make, and that a run without tests is no success."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ego_perception.cli import test as verb
from ego_perception.errors import SetupError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Exit code by step title; what ran is noted by its presence in `ran`."""
    codes = {"lint": 0, "format": 0, "types": 0, "tests": 0}
    monkeypatch.setattr(verb, "install_tools", lambda root: None)
    monkeypatch.setattr(verb, "run_step", lambda title, command, root: codes[title])
    return codes


def test_all_good_is_success(steps: dict[str, int]) -> None:
    assert CliRunner().invoke(verb.app, []).exit_code == 0


@pytest.mark.parametrize(
    ("failures", "code"),
    [({"lint": 1, "types": 2}, 1), ({"types": 2, "tests": 1}, 2), ({"tests": 1}, 1), ({"tests": 5}, 5)],
)
def test_exit_code_is_that_of_the_first_failure(failures: dict[str, int], code: int, steps: dict[str, int]) -> None:
    steps.update(failures)
    assert CliRunner().invoke(verb.app, []).exit_code == code


def test_tests_run_also_after_a_lint_failure(steps: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    steps["lint"] = 1
    monkeypatch.setattr(verb, "run_step", lambda title, command, root: (ran.append(title), steps[title])[1])
    CliRunner().invoke(verb.app, [])
    assert ran == ["lint", "format", "types", "tests"]


def test_pytest_arguments_leave_lint_out(steps: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(verb, "run_step", lambda title, command, root: (commands.append(list(command)), 0)[1])
    result = CliRunner().invoke(verb.app, ["test/unit/geometry", "-k", "inverse", "--all"])
    assert result.exit_code == 0, result.output
    (command,) = commands
    assert command[0] == "pytest"
    assert command[-3:] == ["test/unit/geometry", "-k", "inverse"]
    assert "not slow" not in command


@pytest.mark.parametrize(
    ("given", "everything", "expected"),
    [
        ([], False, ["-m", "not slow"]),
        ([], True, []),
        (["-m", "ros"], False, ["-m", "ros"]),
        (["-x"], False, ["-m", "not slow", "-x"]),
    ],
)
def test_slow_tests_only_when_asked_for(given: list[str], everything: bool, expected: list[str]) -> None:
    assert verb.pytest_arguments(given, everything=everything) == expected


def small_suite(folder: Path, body: str) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: slow\n")
    (folder / "test_it.py").write_text(body)
    return folder


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("def test_good(): pass\n", 0),
        ("def test_bad(): assert False\n", 1),
        ("import pytest\n@pytest.mark.skip\ndef test_skipped(): pass\n", verb.NO_TESTS),
        ("x = 1\n", verb.NO_TESTS),
    ],
    ids=["good", "bad", "all skipped", "none"],
)
def test_a_run_without_tests_is_no_success(body: str, code: int, tmp_path: Path) -> None:
    assert verb.run_tests(small_suite(tmp_path, body), []) == code


def test_pins_that_differ_are_found(tmp_path: Path) -> None:
    lock = tmp_path / "dev.txt"
    lock.write_text("# comment\npytest==9.0\nruff==0.1  # reason\nmypy==2.0\n")
    versions = {"pytest": "9.0", "ruff": "0.2"}
    assert verb.outdated_pins(lock, versions.get) == ["ruff==0.1", "mypy==2.0"]


def test_tools_are_installed_only_where_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple] = []
    monkeypatch.setattr(verb.environment, "uv", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(verb, "outdated_pins", lambda lock: [])
    verb.install_tools(ROOT)
    assert calls == []
    monkeypatch.setattr(verb, "outdated_pins", lambda lock: ["ruff==0.1"])
    verb.install_tools(ROOT)
    ((_, *arguments),) = calls
    assert arguments == ["pip", "install", "-r", ROOT / "config" / "lock" / "dev.txt"]


def test_installed_package_without_tests_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "share_dir", lambda: tmp_path)
    with pytest.raises(SetupError, match="works in a clone"):
        verb.clone_root()


def test_continuous_integration_runs_this_verb() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"/ego\" test", script.read_text())
