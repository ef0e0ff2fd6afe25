"""`ego test`: which steps run, what their exit codes make, and that a run without tests is no success."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ego_perception.cli import test as verb
from ego_perception.errors import SetupError

ROOT = Path(__file__).resolve().parents[3]


class Steps:
    """Stands for the tools: `codes` are their exit codes, `ran` the order in which they started and were waited for."""

    def __init__(self) -> None:
        self.codes = {"lint": 0, "format": 0, "types": 0, "tests": 0}
        self.ran: list[str] = []
        self.commands: list[list[str]] = []

    def run(self, title: str, command: list[str], root: Path) -> int:
        self.ran.append(title)
        self.commands.append(list(command))
        return self.codes[title]

    @contextmanager
    def beside(self, title: str, command: list[str], root: Path) -> Iterator[Callable[[], int]]:
        self.ran.append(f"{title} started")
        yield lambda: self.run(title, command, root)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(verb, "install_tools", lambda root: None)
    monkeypatch.setattr(verb, "run_step", steps.run)
    monkeypatch.setattr(verb, "step_beside", steps.beside)
    return steps


def test_all_good_is_success(steps: Steps) -> None:
    assert CliRunner().invoke(verb.app, []).exit_code == 0
    assert steps.ran == ["lint", "format", "types started", "tests", "types"]


@pytest.mark.parametrize(
    ("failures", "code"),
    [({"lint": 1, "types": 2}, 1), ({"types": 2, "tests": 1}, 2), ({"tests": 1}, 1), ({"tests": 5}, 5)],
)
def test_exit_code_is_that_of_the_first_failure(failures: dict[str, int], code: int, steps: Steps) -> None:
    steps.codes.update(failures)
    assert CliRunner().invoke(verb.app, []).exit_code == code


def test_tests_run_also_after_a_lint_failure(steps: Steps) -> None:
    steps.codes["lint"] = 1
    result = CliRunner().invoke(verb.app, [])
    assert "tests" in steps.ran and "types" in steps.ran
    assert "lint failed, see above" in result.output


def test_pytest_arguments_leave_lint_out(steps: Steps) -> None:
    result = CliRunner().invoke(verb.app, ["test/unit/geometry", "-k", "inverse", "--all"])
    assert result.exit_code == 0, result.output
    (command,) = steps.commands
    assert command[0] == "pytest"
    assert command[-3:] == ["test/unit/geometry", "-k", "inverse"]
    assert "not slow" not in command


@pytest.mark.parametrize(
    ("given", "everything", "expected"),
    [
        ([], False, ["-m", "not slow", "-n", "2", "--dist", "loadfile"]),
        ([], True, ["-n", "2", "--dist", "loadfile"]),
        (["-m", "ros"], False, ["-m", "ros"]),
        (["-x"], False, ["-m", "not slow", "-x"]),
    ],
)
def test_slow_tests_only_when_asked_for_and_whole_runs_in_processes(
    given: list[str], everything: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert verb.pytest_arguments(given, everything=everything) == expected


def small_suite(folder: Path, body: str) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: slow\n")
    (folder / "test_it.py").write_text(body)
    return folder


@pytest.mark.parametrize(
    ("body", "code", "closing"),
    [
        (
            "import pytest\ndef test_good(): pass\ndef test_also(): pass\n@pytest.mark.skip\ndef test_not(): pass\n",
            0,
            "2 passed, 1 skipped in",
        ),
        (
            "import pytest\n@pytest.fixture\ndef broken(): raise OSError\n"
            "def test_bad(): assert False\ndef test_good(): pass\ndef test_error(broken): pass\n",
            1,
            "1 failed, 1 errors, 1 passed in",
        ),
        ("import pytest\n@pytest.mark.skip\ndef test_skipped(): pass\n", verb.NO_TESTS, "1 skipped in"),
        ("x = 1\n", verb.NO_TESTS, "no tests ran in"),
    ],
    ids=["good", "bad", "all skipped", "none"],
)
def test_counts_and_that_a_run_without_tests_is_no_success(
    body: str, code: int, closing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the plugins take most of the time of such a run
    found, line = verb.run_tests(small_suite(tmp_path, body), [])
    assert found == code and line.startswith(closing)


def test_a_tool_beside_the_tests_is_shown_when_they_are_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tool.py").write_text("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    with verb.step_beside("types", ["tool"], tmp_path) as finish:
        print("tests", flush=True)
        assert finish() == 3
    out, err = capfd.readouterr()
    assert out.splitlines()[0] == "tests" and set(out.splitlines()[1:]) == {"out", "err"}
    assert err.splitlines() == ["== types: tool"]


def test_a_tool_beside_the_tests_ends_with_them(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("import time; from pathlib import Path\ntime.sleep(100)\nPath('done').touch()")
    with pytest.raises(KeyboardInterrupt), verb.step_beside("types", ["tool"], tmp_path):
        raise KeyboardInterrupt
    assert not (tmp_path / "done").exists()


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
