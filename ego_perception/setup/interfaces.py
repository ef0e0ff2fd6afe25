"""Builds the ROS interface packages into the virtual environment, so that nothing has to be sourced.

`ego_msgs` comes from the clone. `tf2_msgs` has no wheel; its only message has one line, and a package around that line is
written into the build folder where the environment lacks it. Its type hash equals that of every other ROS 2 Jazzy machine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from ego_perception.setup.shell import run

# Include paths of the machine that built the wheels; CMake refuses target files that name folders that do not exist.
_FOREIGN_NUMPY: Final = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/_core/include")
_FOREIGN_PYTHON: Final = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")

_TF2_PACKAGE_XML: Final = """<?xml version="1.0"?>
<package format="3">
  <name>tf2_msgs</name>
  <version>0.36.0</version>
  <description>tf2_msgs/TFMessage for environments that have no tf2_msgs.</description>
  <maintainer email="maintainers@ego-perception.org">ego_perception maintainers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <build_depend>rosidl_default_generators</build_depend>
  <depend>geometry_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
_TF2_CMAKE: Final = """cmake_minimum_required(VERSION 3.16)
project(tf2_msgs)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(geometry_msgs REQUIRED)
rosidl_generate_interfaces(${PROJECT_NAME} msg/TFMessage.msg DEPENDENCIES geometry_msgs)
ament_export_dependencies(rosidl_default_runtime)
ament_package()
"""
_TF2_MESSAGE: Final = "geometry_msgs/TransformStamped[] transforms\n"


def rewrite_exports(prefix: Path, python_include: Path, numpy_include: Path) -> int:
    """Point the exported CMake targets under `prefix` at this machine's headers; return how many files changed."""
    changed = 0
    for file in sorted(prefix.glob("share/*/cmake/*_pyExport.cmake")):
        text = file.read_text()
        # A function as replacement, because a path may hold backslashes that `re` would read as group references.
        new = _FOREIGN_NUMPY.sub(lambda _: str(numpy_include), text)
        new = _FOREIGN_PYTHON.sub(lambda _: str(python_include), new)
        if new != text:
            partial = file.with_suffix(".partial")
            partial.write_text(new)
            partial.replace(file)
            changed += 1
    return changed


def include_folders(python: Path) -> tuple[Path, Path]:
    """Folders of the Python and NumPy headers that `python` uses."""
    code = "import sysconfig, numpy; print(sysconfig.get_path('include')); print(numpy.get_include())"
    python_include, numpy_include = run(
        [python, "-c", code], hint="the environment is incomplete, run ./ego setup again"
    ).splitlines()[-2:]
    return Path(python_include), Path(numpy_include)


def write_tf2_msgs(folder: Path) -> Path:
    """Write the source of a `tf2_msgs` package into `folder`; return it."""
    (folder / "msg").mkdir(parents=True, exist_ok=True)
    (folder / "package.xml").write_text(_TF2_PACKAGE_XML)
    (folder / "CMakeLists.txt").write_text(_TF2_CMAKE)
    (folder / "msg" / "TFMessage.msg").write_text(_TF2_MESSAGE)
    return folder


def has_package(prefix: Path, name: str) -> bool:
    """Whether the ament index under `prefix` lists the package."""
    return (prefix / "share" / "ament_index" / "resource_index" / "packages" / name).is_file()


def build(source: Path, build_folder: Path, prefix: Path, log: Path) -> None:
    """Configure, build and install one ament_cmake package into `prefix`.

    Raises:
        SetupError: when CMake or the compiler fails.
    """
    env = {
        "AMENT_PREFIX_PATH": str(prefix),
        "CMAKE_PREFIX_PATH": str(prefix),
        "LD_LIBRARY_PATH": str(prefix / "lib"),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(prefix),
    }
    hint = f"see the messages below, then run ./ego setup again; to start afresh delete {build_folder}"
    configure: list[str | Path] = ["cmake", "-G", "Ninja", "-S", source, "-B", build_folder, f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    configure += [f"-DPython3_EXECUTABLE={prefix / 'bin' / 'python'}", "-DBUILD_TESTING=OFF"]
    run(configure, hint=hint, log=log.with_suffix(".configure.log"), extra_env=env)
    run(["cmake", "--build", build_folder], hint=hint, log=log.with_suffix(".build.log"), extra_env=env)
    run(["cmake", "--install", build_folder], hint=hint, log=log.with_suffix(".install.log"), extra_env=env)
