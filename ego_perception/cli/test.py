"""`ego test`: lint, types and tests of a clone; how many tests passed comes last.

The types take minutes on one core, so they are checked beside the tests, which wait for other processes half of the time;
for the same reason a whole run has at least two processes for the tests.
Exit code: that of the first step that failed. Steps after it run all the same, so that one run shows everything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
}
TYPES: Final = ("types", ["mypy"])
MOST_PROCESSES: Final = 6  # each holds torch, MuJoCo and a ROS context
_BEHIND: Final = ("nice", "-n", "10")  # the tests come first

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
    arguments = pytest_arguments(context.args, everything=everything)
    if context.args:
        raise typer.Exit(run_tests(root, arguments)[0])
    codes = [run_step(title, command, root) for title, command in LINT.items()]
    if any(codes):
        typer.echo("== lint failed, see above; the tests run all the same, the exit code stays", err=True)
    with step_beside(*TYPES, root) as types:
        code, closing = run_tests(root, arguments)
        codes += [types(), code]
    typer.echo(f"== tests: {closing}")
    raise typer.Exit(next((code for code in codes if code), 0))


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
    """Arguments for pytest: what the user gave, and no slow tests unless asked for; a whole run is spread over processes."""
    selects = any(word == "-m" or word.startswith("-m=") for word in given)
    spread = ["-n", str(min(max(2, os.cpu_count() or 2), MOST_PROCESSES)), "--dist", "loadfile"]
    return [*([] if everything or selects else ["-m", "not slow"]), *(given or spread)]


def run_step(title: str, command: Sequence[str], root: Path) -> int:
    """Run one tool as a module of this interpreter and return its exit code."""
    typer.echo(f"== {title}: {' '.join(command)}", err=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=root, check=False).returncode


@contextmanager
def step_beside(title: str, command: Sequence[str], root: Path) -> Iterator[Callable[[], int]]:
    """Run one tool while other things happen.

    Yields:
        Waits for the tool's end, shows what it printed, and returns its exit code.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        words = [*_BEHIND, sys.executable, "-m", *command]
        process = subprocess.Popen(words, cwd=root, stdout=printed, stderr=subprocess.STDOUT)

        def finish() -> int:
            code = process.wait()
            typer.echo(f"== {title}: {' '.join(command)}", err=True)
            printed.seek(0)
            typer.echo(printed.read(), nl=False)
            return code

        try:
            yield finish
        finally:
            process.kill()
            process.wait()


def run_tests(root: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Run pytest; a run in which every test was skipped or deselected counts as a failure.

    Returns:
        Exit code, and the counts of pytest's closing line.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        code = run_step("tests", ["pytest", f"--junitxml={report}", "-o", "junit_logging=no", *arguments], root)
        if not report.is_file():
            return code, "no test ran"
        counts = counts_of(report)
    if code == 0 and counts.num_run == 0:
        typer.echo("ego test: every test was skipped; that is no success", err=True)
        return NO_TESTS, counts.line()
    return code, counts.line()


@dataclass(frozen=True)
class Counts:
    """How many tests did what, and how long they took."""

    failed: int
    errors: int
    passed: int
    skipped: int
    seconds: float

    @property
    def num_run(self) -> int:
        """How many really ran."""
        return self.failed + self.errors + self.passed

    def line(self) -> str:
        """As pytest would close."""
        words = [f"{count} {name}" for name, count in asdict(self).items() if count and name != "seconds"]
        return f"{', '.join(words) or 'no tests ran'} in {self.seconds:.2f}s"


def counts_of(report: Path) -> Counts:
    """Read a JUnit report."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    tests, failed, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    return Counts(failed, errors, tests - failed - errors - skipped, skipped, seconds)
