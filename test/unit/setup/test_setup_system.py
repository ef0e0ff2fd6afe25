"""System packages: what is missing is named, installed only where allowed, and fatal only where essential."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ego_perception.errors import SetupError
from ego_perception.setup import system
from ego_perception.setup.shell import BOOTSTRAP_GUARD, run
from ego_perception.setup.system import Kind, Need

COMPILER = Need(Kind.TOOL, "no-such-compiler", "compiler-package")
DRAWING = Need(Kind.LIBRARY, "libno_such_thing.so.9", "drawing-package", is_essential=False)


@pytest.mark.parametrize(
    "need",
    [COMPILER, DRAWING, Need(Kind.MODULE, "no_such_module", "p"), Need(Kind.HEADER, "no_such_header.h", "p")],
    ids=lambda need: need.kind.value,
)
def test_what_is_not_there_is_missing(need: Need) -> None:
    assert not system.is_present(need)


@pytest.mark.parametrize(
    "need",
    [Need(Kind.TOOL, "sh", "dash"), Need(Kind.MODULE, "json", "p"), Need(Kind.LIBRARY, "libc.so.6", "libc6")],
    ids=lambda need: need.kind.value,
)
def test_what_is_there_is_present(need: Need) -> None:
    assert system.is_present(need)


def test_missing_essential_names_packages_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "NEEDS", (COMPILER, DRAWING))
    with pytest.raises(SetupError, match=r"no-such-compiler.*sudo apt-get install .*compiler-package drawing-package"):
        system.ensure(allow_apt=False)


def test_missing_drawing_library_is_returned_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "NEEDS", (DRAWING,))
    assert system.ensure(allow_apt=False) == [DRAWING]


def test_nothing_missing_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "NEEDS", (Need(Kind.TOOL, "sh", "dash"),))
    monkeypatch.setattr(system, "run", lambda *_, **__: pytest.fail("apt-get was run"))
    assert system.ensure(allow_apt=True) == []


@pytest.mark.parametrize(("allow_apt", "is_root"), [(False, True), (True, False)])
def test_apt_needs_both_permission_and_root(allow_apt: bool, is_root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "NEEDS", (DRAWING,))
    monkeypatch.setattr(system, "may_install", lambda: is_root)
    monkeypatch.setattr(system, "run", lambda *_, **__: pytest.fail("apt-get was run"))
    assert system.ensure(allow_apt=allow_apt) == [DRAWING]


def test_apt_waits_for_its_lock_and_installs_each_package_once(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Need(Kind.TOOL, "no-such-linker", "compiler-package")
    monkeypatch.setattr(system, "NEEDS", (COMPILER, twin, DRAWING))
    monkeypatch.setattr(system, "may_install", lambda: True)
    commands: list[list[str]] = []
    monkeypatch.setattr(system, "run", lambda command, **_: commands.append(command))
    with pytest.raises(SetupError):  # the packages are not really there afterwards
        system.ensure(allow_apt=True)
    update, install = commands
    assert update == ["apt-get", "-o", "DPkg::Lock::Timeout=300", "update"]
    assert "DPkg::Lock::Timeout=300" in install
    assert install.count("compiler-package") == 1
    assert "drawing-package" in install


def test_failed_command_says_what_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    with pytest.raises(SetupError) as caught:
        run(["sh", "-c", "echo the reason; exit 3"], hint="do this", log=log)
    assert "status 3" in str(caught.value)
    assert "do this" in str(caught.value)
    assert "the reason" in str(caught.value)
    assert "the reason" in log.read_text()


def test_command_that_does_not_exist_is_a_set_up_error() -> None:
    with pytest.raises(SetupError, match="cannot be started"):
        run(["/no/such/program"], hint="install it")


def test_children_do_not_inherit_the_bootstrap_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOOTSTRAP_GUARD, "1")
    code = f"import os; print({BOOTSTRAP_GUARD!r} in os.environ, os.environ['EXTRA'])"
    # -S: without site-packages there is no start-up hook that would set the guard again.
    assert run([sys.executable, "-S", "-c", code], hint="", extra_env={"EXTRA": "a b"}).split() == ["False", "a", "b"]
