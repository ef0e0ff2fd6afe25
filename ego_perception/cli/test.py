"""`ego test`: lint, types and tests of a clone; the closing line of pytest comes last.

Exit code: that of the first step that failed. Steps after it run all the same, so that one run shows everything.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final
from xml.etree import ElementTree

import typer

from ego_perception.cli.checks import distribution_version
from ego_perception.errors import SetupError
from ego_perception.resources import share_dir
from ego_perception.setup import environment

app = typer.Typer(add_completion=False)

NO_TESTS: Final = 5
"""pytest's exit code for "no tests collected", used here for "no test ran" as well."""

LINT: Final[dict[str, list[str]]] = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
}

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s#]+)")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def test(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Also run the slow suites (browser, clean clone, long runs).")
    ] = False,
) -> None:
    """Run lint, types and tests. Further arguments go to pytest; with any, lint and types are left out."""
    root = clone_root()
    install_tools(root)
    failure = 0
    if not context.args:
        for title, command in LINT.items():
            code = run_step(title, command, root)
            failure = failure or code
        if failure:
            typer.echo("== lint or types failed, see above; the tests run all the same, the exit code stays", err=True)
    code = run_tests(root, pytest_arguments(context.args, everything=everything))
    raise typer.Exit(failure or code)


def clone_root() -> Path:
    """The clone that this package runs from.

    Raises:
        SetupError: when it is installed without its tests.
    """
    root = share_dir()
    if not (root / "test").is_dir():
        raise SetupError(f"no tests beside {root}; `ego test` works in a clone")
    return root


def outdated_pins(lock: Path, version_of: Callable[[str], str | None] = distribution_version) -> list[str]:
    """Lines of a lock whose distribution is absent or of another version."""
    pins = [match for line in lock.read_text().splitlines() if (match := _PIN.match(line))]
    return [pin.group(0) for pin in pins if version_of(pin.group(1)) != pin.group(2)]


def install_tools(root: Path) -> None:
    """Install the linters and test tools where they are missing or of another version."""
    lock = root / "config" / "lock" / "dev.txt"
    outdated = outdated_pins(lock)
    if outdated:
        typer.echo(f"== installing test tools ({len(outdated)} packages)", err=True)
        environment.uv(Path(sys.prefix), "pip", "install", "-r", lock)


def pytest_arguments(given: Sequence[str], *, everything: bool) -> list[str]:
    """Arguments for pytest: what the user gave, and no slow tests unless asked for."""
    selects = any(word == "-m" or word.startswith("-m=") for word in given)
    return [*([] if everything or selects else ["-m", "not slow"]), *given]


def run_step(title: str, command: Sequence[str], root: Path) -> int:
    """Run one tool as a module of this interpreter and return its exit code."""
    typer.echo(f"== {title}: {' '.join(command)}", err=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=root, check=False).returncode


def run_tests(root: Path, arguments: Sequence[str]) -> int:
    """Run pytest; a run in which every test was skipped or deselected counts as a failure."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        code = run_step("tests", ["pytest", f"--junitxml={report}", "-o", "junit_logging=no", *arguments], root)
        if code == 0 and report.is_file() and num_run(report) == 0:
            typer.echo("ego test: every test was skipped; that is no success", err=True)
            return NO_TESTS
    return code


def num_run(report: Path) -> int:
    """How many tests of a JUnit report really ran."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    return sum(int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) for suite in suites)
