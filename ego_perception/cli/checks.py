"""The checks of `ego doctor`. Each takes the facts it judges, so that a test can give it others."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from ego_perception import __version__
from ego_perception.errors import EgoPerceptionError
from ego_perception.resources import share_dir
from ego_perception.setup import system

PACKAGES: Final = (
    "numpy",
    "scipy",
    "opencv-python-headless",
    "torch",
    "onnxruntime",
    "mujoco",
    "rosbags",
    "roma",
    "trimesh",
    "viser",
    "evo",
)
INTERFACES: Final = ("ego_msgs.msg", "tf2_msgs.msg", "sensor_msgs.msg", "nav_msgs.msg", "diagnostic_msgs.msg")
_SET_UP: Final = "run ./ego setup"


class Status(Enum):
    """How a check came out. FAIL means that something essential does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, what was found, and what to do about it."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def distribution_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Python 3.10 to 3.13 is supported; way B is locked for 3.11."""
    text = ".".join(map(str, version))
    if not (3, 10) <= version[:2] <= (3, 13):
        return Check("python", Status.FAIL, text, "use Python 3.11; EGO_PYTHON names it")
    return Check("python", Status.OK, f"{text} ({sys.executable})")


def check_package() -> Check:
    """This package and the folder of its data files."""
    try:
        return Check("ego_perception", Status.OK, f"{__version__} ({share_dir()})")
    except EgoPerceptionError as error:
        return Check("ego_perception", Status.FAIL, str(error), _SET_UP)


def check_packages(version_of: Callable[[str], str | None] = distribution_version) -> list[Check]:
    """The libraries that the package runs on, and the absence of torchvision."""
    checks = []
    for name in PACKAGES:
        version = version_of(name)
        checks.append(Check(name, Status.OK, version) if version else Check(name, Status.FAIL, "not installed", _SET_UP))
    torchvision = version_of("torchvision")
    if torchvision:
        remedy = "uninstall it: a build that does not fit this torch breaks every package that imports it"
        checks.append(Check("torchvision", Status.FAIL, torchvision, remedy))
    else:
        checks.append(Check("torchvision", Status.OK, "absent, as it should be"))
    return checks


def check_gpu(torch: Any, *, has_nvidia_device: bool) -> Check:
    """Which device the models can use."""
    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    if torch.cuda.is_available():
        return Check("gpu", Status.OK, f"{torch.cuda.get_device_name(0)}, {build}")
    if not has_nvidia_device:
        return Check("gpu", Status.OK, f"none, {build} of torch")
    if torch.version.cuda:
        return Check(
            "gpu", Status.WARN, f"an NVIDIA device that torch cannot use, {build}", "update the NVIDIA driver (nvidia-smi)"
        )
    return Check("gpu", Status.WARN, f"an NVIDIA device, but the {build} of torch", "run ./ego setup --gpu")


def check_middleware(
    load: Callable[[str], Any] = importlib.import_module, environ: Mapping[str, str] = os.environ
) -> list[Check]:
    """rclpy, the middleware in use, its profile, and the message packages."""
    try:
        rclpy = load("rclpy")
    except ModuleNotFoundError as error:
        if error.name == "rclpy":
            return [
                Check(
                    "rclpy", Status.WARN, "not installed; files, bags, training and viewers work", f"for live topics {_SET_UP}"
                )
            ]
        return [Check("rclpy", Status.FAIL, f"cannot be imported: {error}", _SET_UP)]
    except ImportError as error:
        return [Check("rclpy", Status.FAIL, f"cannot be imported: {error}", f"unset LD_LIBRARY_PATH, or {_SET_UP}")]
    version = distribution_version("ros-rclpy") or distribution_version("rclpy") or "unknown version"
    checks = [Check("rclpy", Status.OK, version), Check("middleware", Status.OK, rclpy.get_rmw_implementation_identifier())]
    checks.append(check_profile(environ))
    checks += [_check_import(name, load) for name in INTERFACES]
    return checks


def check_profile(environ: Mapping[str, str]) -> Check:
    """The Fast DDS profile; without a large shared-memory segment best-effort images are lost."""
    name = environ.get("FASTRTPS_DEFAULT_PROFILES_FILE") or environ.get("FASTDDS_DEFAULT_PROFILES_FILE")
    if not name:
        return Check(
            "dds profile",
            Status.WARN,
            "none: images sent as best effort may be lost",
            "name config/fastdds.xml in FASTRTPS_DEFAULT_PROFILES_FILE",
        )
    try:
        ElementTree.parse(name)
    except (OSError, ElementTree.ParseError) as error:
        return Check("dds profile", Status.FAIL, f"{name}: {error}", "correct FASTRTPS_DEFAULT_PROFILES_FILE")
    return Check("dds profile", Status.OK, name)


def check_weights(folder: Path | None = None) -> list[Check]:
    """Every shipped weight file against its checksum."""
    from ego_perception.resources import models_dir
    from ego_perception.weights import read_manifest, verify_weights

    try:
        models = folder or models_dir()
        entries = read_manifest(models)
    except EgoPerceptionError as error:
        return [Check("weights", Status.FAIL, str(error))]
    checks = []
    for entry in entries:
        try:
            verify_weights(entry, models)
            checks.append(Check(f"weights {entry.name}", Status.OK, f"version {entry.version}, sha256 {entry.sha256}"))
        except EgoPerceptionError as error:
            checks.append(Check(f"weights {entry.name}", Status.FAIL, str(error)))
    return checks


def check_system(lacking: list[system.Need] | None = None) -> Check:
    """System packages. Compilers are needed at set-up only, so that nothing here is essential once it is done."""
    needs = system.missing() if lacking is None else lacking
    if not needs:
        return Check("system packages", Status.OK, "complete")
    names = ", ".join(need.name for need in needs)
    return Check("system packages", Status.WARN, f"missing: {names}", f"sudo {' '.join(system.apt_command(needs))}")


def _check_import(name: str, load: Callable[[str], Any]) -> Check:
    package = name.partition(".")[0]
    try:
        load(name)
    except ImportError as error:
        return Check(package, Status.FAIL, f"cannot be imported: {error}", _SET_UP)
    return Check(package, Status.OK, "importable")
