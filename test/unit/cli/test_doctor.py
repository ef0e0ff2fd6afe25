"""`ego doctor`: each check judged on injected facts, and the report as table and JSON."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from ego_perception.cli import checks, doctor
from ego_perception.cli.checks import Check, Status
from ego_perception.setup.system import Kind, Need

ALL_PRESENT = dict.fromkeys(checks.PACKAGES, "1.0")


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def torch_build(cuda: str | None, *, available: bool) -> Any:
    gpu = SimpleNamespace(is_available=lambda: available, get_device_name=lambda _: "A GPU")
    return SimpleNamespace(version=SimpleNamespace(cuda=cuda), cuda=gpu)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ((3, 9, 9), Status.FAIL),
        ((3, 10, 0), Status.OK),
        ((3, 11, 7), Status.OK),
        ((3, 13, 1), Status.OK),
        ((3, 14, 0), Status.FAIL),
    ],
)
def test_python(version: tuple[int, ...], status: Status) -> None:
    assert checks.check_python(version).status is status


def test_packages_are_all_there() -> None:
    found = checks.check_packages(ALL_PRESENT.get)
    assert {check.status for check in found} == {Status.OK}
    assert by_name(found)["torchvision"].found.startswith("absent")


def test_missing_package_is_named_with_a_remedy() -> None:
    found = by_name(checks.check_packages({**ALL_PRESENT, "mujoco": None}.get))
    assert found["mujoco"].status is Status.FAIL
    assert "./ego setup" in found["mujoco"].remedy
    assert found["numpy"].status is Status.OK


def test_torchvision_is_refused() -> None:
    check = by_name(checks.check_packages({**ALL_PRESENT, "torchvision": "0.28"}.get))["torchvision"]
    assert check.status is Status.FAIL
    assert "0.28" in check.found


@pytest.mark.parametrize(
    ("cuda", "available", "has_device", "status", "said"),
    [
        ("13.0", True, True, Status.OK, "A GPU"),
        (None, False, False, Status.OK, "CPU build"),
        ("13.0", False, False, Status.OK, "CUDA 13.0 build"),
        ("13.0", False, True, Status.WARN, "cannot use"),
        (None, False, True, Status.WARN, "CPU build"),
    ],
)
def test_gpu(cuda: str | None, available: bool, has_device: bool, status: Status, said: str) -> None:
    check = checks.check_gpu(torch_build(cuda, available=available), has_nvidia_device=has_device)
    assert check.status is status
    assert said in check.found
    assert (check.remedy != "") is (status is Status.WARN)


def loader(missing: str = "", error: type[ImportError] = ModuleNotFoundError) -> Any:
    def load(name: str) -> Any:
        if name == missing:
            raise error(f"no {name}", name=name)
        return SimpleNamespace(get_rmw_implementation_identifier=lambda: "rmw_test")

    return load


def test_middleware_that_works(tmp_path: Path) -> None:
    profile = tmp_path / "profile.xml"
    profile.write_text("<profiles/>")
    found = checks.check_middleware(loader(), {"FASTRTPS_DEFAULT_PROFILES_FILE": str(profile)})
    assert {check.status for check in found} == {Status.OK}
    assert by_name(found)["middleware"].found == "rmw_test"
    assert by_name(found)["dds profile"].found == str(profile)


def test_machine_without_ros_is_no_failure() -> None:
    (check,) = checks.check_middleware(loader("rclpy"), {})
    assert check.status is Status.WARN
    assert "not installed" in check.found


def test_rclpy_that_does_not_load_is_a_failure() -> None:
    (check,) = checks.check_middleware(loader("rclpy", ImportError), {})
    assert check.status is Status.FAIL
    assert "LD_LIBRARY_PATH" in check.remedy


def test_missing_interfaces_are_a_failure() -> None:
    found = by_name(checks.check_middleware(loader("ego_msgs.msg"), {}))
    assert found["ego_msgs"].status is Status.FAIL
    assert found["tf2_msgs"].status is Status.OK


@pytest.mark.parametrize(
    ("content", "status"),
    [("<profiles/>", Status.OK), ("<profiles>", Status.FAIL), (None, Status.FAIL)],
    ids=["good", "cut", "absent"],
)
def test_profile(content: str | None, status: Status, tmp_path: Path) -> None:
    file = tmp_path / "profile.xml"
    if content is not None:
        file.write_text(content)
    assert checks.check_profile({"FASTRTPS_DEFAULT_PROFILES_FILE": str(file)}).status is status
    assert checks.check_profile({"FASTDDS_DEFAULT_PROFILES_FILE": str(file)}).status is status


def test_no_profile_is_a_warning() -> None:
    assert checks.check_profile({}).status is Status.WARN


@pytest.fixture
def models(tmp_path: Path) -> Path:
    content = b"weights"
    (tmp_path / "depth.safetensors").write_bytes(content)
    row: dict[str, Any] = {"name": "depth", "version": 1, "file": "depth.safetensors", "bytes": len(content), "metrics": {}}
    row |= {"sha256": hashlib.sha256(content).hexdigest(), "seed": 0, "licence": "Apache-2.0"}
    row |= dict.fromkeys(("input", "command", "data", "commit"), "text")
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"weights": [row]}))
    return tmp_path


def test_weights_with_their_checksum(models: Path) -> None:
    (check,) = checks.check_weights(models)
    assert check.status is Status.OK
    assert hashlib.sha256(b"weights").hexdigest() in check.found


@pytest.mark.parametrize("damage", [b"weightz", b"weig", None], ids=["changed", "cut", "absent"])
def test_damaged_weights_are_a_failure(damage: bytes | None, models: Path) -> None:
    file = models / "depth.safetensors"
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    (check,) = checks.check_weights(models)
    assert check.status is Status.FAIL
    assert "depth.safetensors" in check.found


def test_missing_manifest_is_a_failure(tmp_path: Path) -> None:
    (check,) = checks.check_weights(tmp_path)
    assert check.status is Status.FAIL


def test_system_packages_are_named_with_the_command() -> None:
    assert checks.check_system([]).status is Status.OK
    check = checks.check_system([Need(Kind.LIBRARY, "libOSMesa.so.8", "libosmesa6")])
    assert check.status is Status.WARN
    assert "libOSMesa.so.8" in check.found
    assert check.remedy.endswith("libosmesa6")


BROKEN = Check("numpy", Status.FAIL, "not installed", "run ./ego setup")
WORRY = Check("gpu", Status.WARN, "an NVIDIA device", "update the driver")
FINE = Check("python", Status.OK, "3.11.7")
TOPIC = {"name": "/image", "types": ["sensor_msgs/msg/Image"], "publishers": ["/camera"], "subscribers": ["/viewer"]}


def test_only_failures_make_it_unhealthy() -> None:
    assert doctor.Report([FINE, WORRY]).is_healthy
    assert not doctor.Report([FINE, BROKEN]).is_healthy


def test_json_holds_everything() -> None:
    content = json.loads(doctor.Report([FINE, BROKEN], [TOPIC], ["/image: nothing"]).as_json())
    assert content["ok"] is False
    assert content["checks"][1] == {"name": "numpy", "status": "fail", "found": "not installed", "remedy": "run ./ego setup"}
    assert content["topics"] == [TOPIC]
    assert content["mismatches"] == ["/image: nothing"]


def test_table_shows_findings_remedies_topics_and_mismatches() -> None:
    out = io.StringIO()
    doctor.show(doctor.Report([FINE, BROKEN], [TOPIC], ["/image: nothing"]), Console(file=out, width=200))
    text = out.getvalue()
    for part in ("python", "3.11.7", "-> run ./ego setup", "/image", "/camera", "/viewer", "mismatch /image: nothing"):
        assert part in text


@pytest.mark.parametrize(("found", "code"), [([FINE, WORRY], 0), ([FINE, BROKEN], 1)])
def test_exit_code(found: list[Check], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda seconds: doctor.Report(found))
    result = CliRunner().invoke(doctor.app, ["--json"])
    assert result.exit_code == code
    assert json.loads(result.stdout)["ok"] is (code == 0)


def test_real_machine_without_looking_at_topics() -> None:
    report = doctor.examine(seconds=0)
    assert {"python", "torch", "torchvision", "gpu", "rclpy", "system packages"} <= set(by_name(list(report.checks)))
    assert report.topics == []
