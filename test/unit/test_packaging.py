"""The package files: what colcon, pip and ROS tools read is complete and agrees."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from ego_perception import __version__, environment, resources
from ego_perception.resources import ResourceError

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "config" / "lock"


@pytest.fixture(scope="module")
def setup_arguments() -> dict[str, Any]:
    """What setup.py gives to setuptools."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
        runpy.run_path(str(ROOT / "setup.py"))
    return given


def pins(name: str) -> dict[str, str]:
    lines = (LOCKS / f"{name}.txt").read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", key).lower(): version for key, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("verb", ["build", "list", "test"])
def test_colcon_finds_both_packages(verb: str) -> None:
    paths = yaml.safe_load((ROOT / "colcon_defaults.yaml").read_text())[verb]["base-paths"]
    assert sorted(paths) == [".", "ego_msgs"]
    assert all((ROOT / path / "package.xml").is_file() for path in paths)


@pytest.mark.parametrize(("folder", "build_type"), [(".", "ament_python"), ("ego_msgs", "ament_cmake")])
def test_package_xml(folder: str, build_type: str) -> None:
    package = ElementTree.parse(ROOT / folder / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("export/build_type") == build_type
    assert package.findtext("license") == "Apache-2.0"
    assert package.findtext("version") == __version__
    maintainer = package.find("maintainer")
    assert maintainer is not None
    assert re.fullmatch(r"[\w.-]+@[\w-]+\.\w{2,}", maintainer.get("email", ""))


def test_messages_are_built_before_the_package() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert "ego_msgs" in {entry.text for entry in package.iter("exec_depend")}


def test_names_and_versions_agree(setup_arguments: dict[str, Any]) -> None:
    assert setup_arguments["name"] == ElementTree.parse(ROOT / "package.xml").findtext("name")
    assert setup_arguments["version"] == __version__


def test_data_files_exist_and_hold_what_ros_looks_for(setup_arguments: dict[str, Any]) -> None:
    installed = {f"{folder}/{Path(file).name}" for folder, files in setup_arguments["data_files"] for file in files}
    missing = [file for _, files in setup_arguments["data_files"] for file in files if not (ROOT / file).is_file()]
    assert missing == []
    wanted = ["ego_perception/package.xml", "ego_perception/config/fastdds.xml"]
    assert {f"share/{name}" for name in wanted} <= installed
    assert "share/ament_index/resource_index/packages/ego_perception" in installed
    for folder in ("config", "launch", "models"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"share/ego_perception/{file.relative_to(ROOT)}" in installed


def test_every_package_folder_is_installed(setup_arguments: dict[str, Any]) -> None:
    on_disk = {".".join(init.parent.relative_to(ROOT).parts) for init in (ROOT / "ego_perception").rglob("__init__.py")}
    assert set(setup_arguments["packages"]) == on_disk
    plain = {".".join(f.parent.relative_to(ROOT).parts) for f in (ROOT / "ego_perception").rglob("*.py")}
    assert plain == on_disk, "a folder with modules lacks its __init__.py and would not be installed"


def test_scripts_point_at_functions(setup_arguments: dict[str, Any]) -> None:
    scripts = setup_arguments["entry_points"]["console_scripts"]
    names = [script.partition(" = ")[0] for script in scripts]
    assert names[0] == "ego"
    assert {"reconstruction_node", "egosim_node", "player_node", "recorder_node", "viewer_node"} <= set(names)
    for script in scripts:
        module, _, function = script.partition(" = ")[2].partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None and spec.origin is not None, f"{module} does not exist"
        assert re.search(rf"^def {function}\(", Path(spec.origin).read_text(), re.MULTILINE)


def test_ros_finds_the_scripts_in_lib() -> None:
    text = (ROOT / "setup.cfg").read_text()
    assert "script_dir=$base/lib/ego_perception" in text
    assert "install_scripts=$base/lib/ego_perception" in text


@pytest.mark.parametrize("name", ["tools", "python", "ros", "dev"])
def test_locks_are_exact_and_name_no_index_or_build(name: str) -> None:
    for line in (LOCKS / f"{name}.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


def test_locks_agree_where_they_overlap() -> None:
    merged: dict[str, str] = {}
    for name in ("python", "ros", "dev"):
        for key, version in pins(name).items():
            assert merged.setdefault(key, version) == version, f"{key} is pinned twice"


def test_lock_holds_what_the_package_asks_for(setup_arguments: dict[str, Any]) -> None:
    wanted = {re.split(r"[<>=]", requirement)[0] for requirement in setup_arguments["install_requires"]}
    assert wanted <= set(pins("python"))


def test_environment_holds_neither_torchvision_nor_test_tools() -> None:
    assert "torchvision" not in {**pins("python"), **pins("ros"), **pins("dev")}
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & {*pins("python"), *pins("ros")}


def test_shell_script_is_valid_and_executable() -> None:
    assert os.access(ROOT / "ego", os.X_OK)
    assert subprocess.run(["sh", "-n", ROOT / "ego"], check=False).returncode == 0


def test_shell_script_refuses_a_path_that_search_paths_cannot_hold(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "ego").write_text((ROOT / "ego").read_text())
    done = subprocess.run(["sh", folder / "ego", "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "colon" in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_asking_for_help_does_not_set_anything_up(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "ego").write_text((ROOT / "ego").read_text())
    done = subprocess.run(["sh", tmp_path / "ego", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ./ego VERB")
    assert [path.name for path in tmp_path.iterdir()] == ["ego"]


def test_resources_are_found_in_a_clone() -> None:
    assert resources.share_dir() == ROOT
    assert resources.config_dir() == ROOT / "config"


def installed_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that the package lies below a prefix."""
    module = tmp_path / "prefix" / "lib" / "python3.12" / "site-packages" / "ego_perception" / "resources.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(resources, "__file__", str(module))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    return tmp_path / "prefix" / "share" / "ego_perception"


@pytest.mark.parametrize("through_index", [False, True])
def test_resources_are_found_in_an_installation(through_index: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = installed_copy(tmp_path, monkeypatch)
    if through_index:
        share = tmp_path / "other" / "share" / "ego_perception"
        monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(["", "/no/such/prefix", str(tmp_path / "other")]))
    (share / "models").mkdir(parents=True)
    (share / "package.xml").touch()
    assert resources.share_dir() == share
    assert resources.models_dir() == share / "models"
    with pytest.raises(ResourceError, match="incomplete"):
        resources.config_dir()


def test_missing_resources_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_copy(tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match="install the package"):
        resources.share_dir()


def test_environment_defaults_leave_alone_what_is_set() -> None:
    values = environment.defaults({})
    assert values["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    assert values["OPENBLAS_NUM_THREADS"] == "1"
    assert values["MUJOCO_GL"] in ("egl", "osmesa")
    assert Path(values["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    chosen = dict.fromkeys(values, "chosen")
    assert environment.defaults(chosen) == {}


def test_environment_leaves_the_middleware_of_a_sourced_distribution_alone() -> None:
    values = environment.defaults({"ROS_DISTRO": "jazzy"})
    assert not {"RMW_IMPLEMENTATION", "AMENT_PREFIX_PATH", "FASTRTPS_DEFAULT_PROFILES_FILE"} & set(values)
    assert "OPENBLAS_NUM_THREADS" in values


def test_discovery_is_left_to_the_user() -> None:
    assert not {"ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY"} & set(environment.defaults({}))


_IMAGES_COME_AND_GO = """
import resource, sys, threading
import numpy as np
from ego_perception.environment import keep_freed_memory
assert sys.argv[1] == "plain" or keep_freed_memory()
def work():
    for _ in range(3):
        images = [np.ones((480, 640, 3), np.uint8) for _ in range(8)]
        del images
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(20):
        images = [np.ones((480, 640, 3), np.uint8) for _ in range(8)]
        del images
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is of glibc, which only Linux has")
def test_memory_of_freed_images_is_kept_for_the_next_in_every_thread() -> None:
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", _IMAGES_COME_AND_GO, how], check=True, capture_output=True, cwd=ROOT).stdout)
        for how in ("plain", "kept")
    )
    assert kept < 200 and plain > 10 * kept  # page faults


def test_dds_profile_holds_the_largest_image_we_send() -> None:
    tree = ElementTree.parse(ROOT / "config" / "fastdds.xml")
    space = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
    sizes = {name: int(tree.findtext(f".//{space}{name}") or 0) for name in ("segment_size", "maxMessageSize")}
    assert sizes["maxMessageSize"] >= 1280 * 720 * 3 + 4096
    assert sizes["segment_size"] >= 4 * sizes["maxMessageSize"]
    transports = [node.text for node in tree.iter(f"{space}type")]
    assert transports == ["SHM", "UDPv4"]
