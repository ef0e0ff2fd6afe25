"""Dependencies point one way: walks every import statement, also those inside functions."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ego_perception

ROOT = Path(ego_perception.__file__).parent
BASE = {"errors", "parameters", "resources", "environment", "geometry"}
TASKS = {"reconstruction", "hand_removal", "simulation"}

# Package -> what it may import from this project. A new package must be entered here on purpose.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "parameters": {"errors"},
    "resources": {"errors"},
    "environment": BASE,
    "geometry": {"errors"},
    "nn": set(),
    "data": BASE | {"runtime"},
    "weights": BASE,
    "engine": BASE | {"weights"},
    "runtime": BASE | {"data"},
    "evaluation": BASE | {"data", "runtime"},
    "messages": BASE | {"data", "runtime", "body"},
    "bag": BASE | {"data", "runtime", "messages"},
    "viz": BASE | {"data", "runtime", "evaluation"},
    "reconstruction": BASE | {"nn", "data", "weights", "engine", "runtime"},
    "hand_removal": BASE | {"nn", "data", "weights", "engine", "runtime"},
    "body": BASE,
    "motion": BASE | {"body"},
    "simulation": BASE | {"data", "runtime", "body", "motion"},
    "ros": BASE | {"data", "runtime", "messages"},
    "nodes": BASE | TASKS | {"data", "runtime", "messages", "bag", "ros", "evaluation", "viz", "weights", "sources", "body"},
    "sources": BASE | {"data", "runtime", "messages", "bag", "simulation"},
    "cli": {"*"},
    "setup": BASE,
}
ROS_ONLY = {"rclpy", "launch", "launch_ros", "tf2_ros", "tf2_msgs", "ego_msgs", "cv_bridge", "message_filters"}
ROS_ONLY |= {
    f"{kind}_msgs" for kind in ("sensor", "geometry", "std", "nav", "diagnostic", "lifecycle", "rosgraph", "visualization")
}
ROS_ONLY |= {"std_srvs", "builtin_interfaces", "rcl_interfaces", "rosidl_runtime_py", "ament_index_python"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Absolute names of everything a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            module = node.module or ""
            yield module
            if module == "ego_perception":
                yield from (f"{module}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_the_allowed_way(path: Path) -> None:
    package = package_of(path)
    if package in ("__init__", "__main__"):
        return
    assert package in ALLOWED, f"package {package} has no entry in ALLOWED"
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "ego_perception" and rest:
            target = rest.split(".")[0]
            allowed = ALLOWED[package]
            fine = target == package or "*" in allowed or target in allowed or target == "__version__"
            assert fine, f"{path.relative_to(ROOT)} imports {name}"
        if top in ROS_ONLY:
            assert package in ("ros", "nodes"), f"{path.relative_to(ROOT)} imports {name}: ROS belongs in ros/ and nodes/"


def test_every_entry_of_the_table_is_a_real_package() -> None:
    present = {package_of(p) for p in modules()}
    assert present - {"__init__", "__main__"} <= set(ALLOWED)


@pytest.mark.parametrize("name", ["cli.main", "data", "runtime", "geometry", "parameters"])
def test_light_modules_stay_light(name: str) -> None:
    """The CLI's first import and the shared types must not load a framework."""
    code = (
        f"import sys, ego_perception.{name}\n"
        "heavy = {'torch', 'mujoco', 'viser', 'onnxruntime', 'rclpy', 'matplotlib', 'rosbags', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
