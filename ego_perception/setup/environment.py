"""The virtual environment: its creation, and its packages from the exact locks in `config/lock/`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from ego_perception.errors import SetupError
from ego_perception.setup.shell import run

PACKAGE: Final = "ego_perception"
_NETWORK_HINT: Final = "check the network (HTTPS_PROXY, PIP_INDEX_URL) and the free space, then run ./ego setup again"


def python_of(prefix: Path) -> Path:
    """Interpreter of the environment at `prefix`."""
    return prefix / "bin" / "python"


def create(prefix: Path) -> None:
    """Create the environment, or complete one whose creation was interrupted."""
    run([sys.executable, "-m", "venv", prefix], hint=f"delete {prefix} and run ./ego setup again")


def install_uv(prefix: Path, lock: Path) -> None:
    """Install uv, the installer of everything else."""
    run([python_of(prefix), "-m", "pip", "install", "--force-reinstall", "-r", lock], hint=_NETWORK_HINT)


def uv(prefix: Path, *arguments: str | Path, log: Path | None = None) -> str:
    """Run uv for the environment at `prefix`.

    pip's variables for an index and a certificate hold for uv as well, which has names of its own for them.
    """
    renamed = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_CERT": "SSL_CERT_FILE"}
    extra = {new: os.environ[old] for old, new in renamed.items() if os.environ.get(old) and not os.environ.get(new)}
    extra["VIRTUAL_ENV"] = str(prefix)
    return run([prefix / "bin" / "uv", *arguments], hint=_NETWORK_HINT, extra_env=extra, log=log)


def torch_arguments(*, want_gpu: bool) -> list[str]:
    """Choose the build of torch: that of a local folder of wheels if there is one, else the one that fits the GPU driver.

    Args:
        want_gpu: disregard the folder of wheels, because it may hold the CPU build.
    """
    folder = os.environ.get("PIP_FIND_LINKS", "")
    if not want_gpu and folder and any(Path(folder).glob("torch-*.whl")):
        return ["--find-links", folder]
    return ["--torch-backend", "auto"]


def install_locks(prefix: Path, locks: list[Path], *, want_gpu: bool, reinstall: bool, log: Path) -> None:
    """Install exactly what the locks name.

    Args:
        reinstall: replace every package, because an interruption may have left one half written.
    """
    command: list[str | Path] = ["pip", "install", *torch_arguments(want_gpu=want_gpu)]
    for lock in locks:
        command += ["-r", lock]
    uv(prefix, *command, *(["--reinstall"] if reinstall else []), log=log)


def check_torch(prefix: Path, *, want_gpu: bool) -> None:
    """Check that torch imports, and that it is a CUDA build where one was asked for.

    Raises:
        SetupError: when not.
    """
    code = "import torch; print(torch.__version__, torch.version.cuda or 'cpu')"
    version = run([python_of(prefix), "-c", code], hint="torch is damaged; run ./ego setup again").strip()
    if want_gpu and version.endswith("cpu"):
        raise SetupError(
            f"--gpu: no NVIDIA driver was found, torch {version} was installed; install the driver or leave --gpu out"
        )


def remove_torchvision(prefix: Path) -> bool:
    """Keep torchvision out: builds that do not match torch break every package that tries to import it."""
    if not list(prefix.glob("lib/python3.*/site-packages/torchvision*")):
        return False
    uv(prefix, "pip", "uninstall", "torchvision")
    return True


def install_package(prefix: Path, root: Path, log: Path) -> None:
    """Install the clone itself so that edits take effect, and register it in the ament index of the environment."""
    uv(prefix, "pip", "install", "--no-deps", "--no-build-isolation", "--editable", root, log=log)
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / PACKAGE
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    share = prefix / "share" / PACKAGE
    if share.is_dir() and not share.is_symlink():
        shutil.rmtree(share)
    share.mkdir(parents=True)
    for name in ("config", "launch", "models", "package.xml"):
        (share / name).symlink_to(root / name)
    link_nodes(prefix)


def link_nodes(prefix: Path) -> None:
    """Put the node executables where `ros2 run` and launch files look for them."""
    folder = prefix / "lib" / PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    for script in sorted((prefix / "bin").glob("*_node")):
        link = folder / script.name
        link.unlink(missing_ok=True)
        link.symlink_to(script)
