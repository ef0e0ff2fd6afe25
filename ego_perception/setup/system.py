"""Finds out which system packages are missing, and installs them where that is allowed."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sysconfig
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from ego_perception.errors import SetupError
from ego_perception.setup.shell import run


class Kind(Enum):
    """How to look for a need."""

    TOOL = "tool"
    LIBRARY = "library"
    MODULE = "module"
    HEADER = "header"


@dataclass(frozen=True)
class Need:
    """Something that a Debian package gives.

    Attributes:
        name: program, shared library, Python module or header that is looked for.
        package: name of the package in Debian 12 and Ubuntu 22.04 and 24.04.
        is_essential: False for what only drawing needs; its absence is a warning.
    """

    kind: Kind
    name: str
    package: str
    is_essential: bool = True


NEEDS: Final[tuple[Need, ...]] = (
    Need(Kind.TOOL, "gcc", "gcc"),
    Need(Kind.TOOL, "g++", "g++"),
    Need(Kind.TOOL, "cmake", "cmake"),
    Need(Kind.TOOL, "ninja", "ninja-build"),
    Need(Kind.MODULE, "ensurepip", "python3-venv"),
    Need(Kind.HEADER, "Python.h", "python3-dev"),
    Need(Kind.LIBRARY, "libglib-2.0.so.0", "libglib2.0-0", is_essential=False),
    Need(Kind.LIBRARY, "libGL.so.1", "libgl1", is_essential=False),
    Need(Kind.LIBRARY, "libEGL.so.1", "libegl1", is_essential=False),
    Need(Kind.LIBRARY, "libOSMesa.so.8", "libosmesa6", is_essential=False),
)


def is_present(need: Need) -> bool:
    """Whether this machine has what is needed, wherever it came from."""
    match need.kind:
        case Kind.TOOL:
            return shutil.which(need.name) is not None
        case Kind.MODULE:
            return importlib.util.find_spec(need.name) is not None
        case Kind.HEADER:
            return Path(sysconfig.get_path("include"), need.name).is_file()
        case Kind.LIBRARY:
            try:
                ctypes.CDLL(need.name)
            except OSError:
                return False
            return True


def missing() -> list[Need]:
    """Return the needs that this machine lacks."""
    return [need for need in NEEDS if not is_present(need)]


def apt_command(needs: list[Need]) -> list[str]:
    """Return the command that installs what gives `needs`."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *sorted({need.package for need in needs})]


def may_install() -> bool:
    """Whether packages can be installed from here: as root, with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure(*, allow_apt: bool) -> list[Need]:
    """Install what is missing where that is allowed; return what is still missing and not essential.

    Raises:
        SetupError: when something essential is missing and cannot be installed; names the command that does.
    """
    lacking = missing()
    if lacking and allow_apt and may_install():
        _install(lacking)
        lacking = missing()
    essential = [need for need in lacking if need.is_essential]
    if essential:
        names = ", ".join(need.name for need in essential)
        raise SetupError(
            f"missing system packages ({names}); install them and run again: sudo {' '.join(apt_command(lacking))}"
        )
    return lacking


def _install(needs: list[Need]) -> None:
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    # Another installation may hold the lock, for example the daily one of a machine that has just started.
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    command = apt_command(needs)
    hint = "check the network and the package sources, or install by hand and use --no-apt"
    run(["apt-get", *wait, "update"], hint=hint, extra_env=env)
    run([command[0], *wait, *command[1:]], hint=hint, extra_env=env)
