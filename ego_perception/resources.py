"""Finds the files that ship beside the code: parameters, launch files, models. Works in a clone and in an installed package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ego_perception.errors import EgoPerceptionError

_PACKAGE: Final = "ego_perception"


class ResourceError(EgoPerceptionError):
    """A shipped file or folder that is not where the package looks for it."""


def share_dir() -> Path:
    """Folder that holds `config/`, `launch/` and `models/`: the clone, or `<prefix>/share/ego_perception`.

    Raises:
        ResourceError: when the package is installed without its data files.
    """
    package = Path(__file__).resolve().parent
    if (package.parent / "package.xml").is_file():
        return package.parent
    # Every parent is a candidate, because the depth below the prefix differs (lib/python3.12, local/lib/python3.12).
    prefixes = [
        *package.parents,
        *(Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry),
    ]
    for prefix in prefixes:
        share = prefix / "share" / _PACKAGE
        if (share / "package.xml").is_file():
            return share
    raise ResourceError(
        f"no share/{_PACKAGE} above {package} or in AMENT_PREFIX_PATH; install the package with colcon or ./ego setup"
    )


def config_dir() -> Path:
    """Folder of parameter files, QoS profiles and the Fast DDS profile."""
    return _existing("config")


def models_dir() -> Path:
    """Folder of the shipped weights and their manifest."""
    return _existing("models")


def launch_dir() -> Path:
    """Folder of the launch files."""
    return _existing("launch")


def _existing(name: str) -> Path:
    folder = share_dir() / name
    if not folder.is_dir():
        raise ResourceError(f"{folder} is missing; the installation is incomplete, install the package again")
    return folder
