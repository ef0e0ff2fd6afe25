"""A newcomer's first minutes: clone into a folder with a space in its name, set up, ask the doctor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SET_UP_LIMIT_S = 900
SECOND_START_LIMIT_S = 20.0
"""A guard against doing everything again, not the figure to reach."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SET_UP_LIMIT_S + 300)]


def run(clone: Path, *arguments: str, limit_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    # The clone must not depend on the environment that runs this test.
    foreign = ("VIRTUAL_ENV", "AMENT_PREFIX_PATH", "PYTHONPATH", "FASTRTPS_DEFAULT_PROFILES_FILE")
    env = {key: value for key, value in os.environ.items() if key not in foreign}
    return subprocess.run([clone / "ego", *arguments], env=env, capture_output=True, text=True, timeout=limit_s, check=False)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this clone, without what is ignored, under a path with a space."""
    folder = tmp_path_factory.mktemp("clean") / "my clone"
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    done = run(folder, "setup", "--no-apt", limit_s=SET_UP_LIMIT_S)
    assert done.returncode == 0, done.stderr
    return folder


def test_doctor_finds_nothing_broken(clone: Path) -> None:
    done = run(clone, "doctor", "--json", "--seconds", "0.5")
    report = json.loads(done.stdout)
    assert [check for check in report["checks"] if check["status"] == "fail"] == []
    assert done.returncode == 0
    found = {check["name"]: check["found"] for check in report["checks"]}
    assert found["dds profile"] == str(clone / "config" / "fastdds.xml")
    assert str(clone) in found["ego_perception"]


def test_ros_works_without_sourcing_anything(clone: Path) -> None:
    code = (
        "import rclpy; from ego_msgs.msg import NodeStatus; from tf2_msgs.msg import TFMessage; "
        "rclpy.init(); node = rclpy.create_node('n'); node.create_publisher(NodeStatus, 'status', 1); "
        "node.destroy_node(); rclpy.shutdown(); print('fine')"
    )
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    done = subprocess.run([clone / ".venv/bin/python", "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


def test_second_set_up_does_nothing_and_is_quick(clone: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (clone / ".venv" / "ego" / "stamps").iterdir()}
    start = time.monotonic()
    assert run(clone, "--version").stdout.startswith("ego ")
    assert time.monotonic() - start < SECOND_START_LIMIT_S
    assert {path: path.stat().st_mtime_ns for path in (clone / ".venv" / "ego" / "stamps").iterdir()} == before


def test_scripts_work_by_themselves(clone: Path) -> None:
    done = subprocess.run([clone / ".venv/bin/ego", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ego "), done.stderr


def test_clone_stays_clean(clone: Path) -> None:
    new = {path.name for path in clone.iterdir()} - {path.name for path in ROOT.iterdir()} - {".venv"}
    assert new <= {"ego_perception.egg-info", "build"}
