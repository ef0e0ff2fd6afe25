"""The environment: choice of the torch build, uv's variables, torchvision, registration in the ament index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ego_perception.errors import SetupError
from ego_perception.setup import environment


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """Records commands in place of running them."""
    made: list[tuple[list[str], dict[str, str]]] = []

    def record(command: list[Any], *, extra_env: dict[str, str] | None = None, **_: Any) -> str:
        made.append(([str(word) for word in command], dict(extra_env or {})))
        return ""

    monkeypatch.setattr(environment, "run", record)
    return made


def test_local_wheel_of_torch_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert environment.torch_arguments(want_gpu=False) == ["--find-links", str(tmp_path)]
    assert environment.torch_arguments(want_gpu=True) == ["--torch-backend", "auto"]


@pytest.mark.parametrize("links", ["", "/no/such/folder", "folder without torch"])
def test_without_a_local_wheel_the_driver_decides(links: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path) if " " in links else links)
    assert environment.torch_arguments(want_gpu=False) == ["--torch-backend", "auto"]


def test_reinstall_only_after_an_interruption(calls: list, tmp_path: Path) -> None:
    for again in (False, True):
        environment.install_locks(tmp_path, [tmp_path / "l.txt"], want_gpu=False, reinstall=again, log=tmp_path / "log")
    assert ["--reinstall" in command for command, _ in calls] == [False, True]
    assert all(str(tmp_path / "l.txt") in command for command, _ in calls)


def test_index_and_certificate_of_pip_hold_for_uv(calls: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "file:///mirror")
    monkeypatch.setenv("PIP_CERT", "/cert.pem")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/own.pem")
    environment.uv(tmp_path, "pip", "list")
    _, extra = calls[0]
    assert extra["UV_DEFAULT_INDEX"] == "file:///mirror"
    assert "SSL_CERT_FILE" not in extra, "what the user set for uv must win"
    assert extra["VIRTUAL_ENV"] == str(tmp_path)


@pytest.mark.parametrize("present", [False, True])
def test_torchvision_is_removed_where_present(present: bool, calls: list, tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    if present:
        (site / "torchvision").mkdir()
    assert environment.remove_torchvision(tmp_path) is present
    assert len(calls) == int(present)


@pytest.mark.parametrize(
    ("printed", "want_gpu", "fails"), [("2.13.0 13.0", True, False), ("2.13.0 cpu", False, False), ("2.13.0 cpu", True, True)]
)
def test_gpu_is_insisted_on(printed: str, want_gpu: bool, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "run", lambda *_, **__: f"{printed}\n")
    if fails:
        with pytest.raises(SetupError, match="--gpu"):
            environment.check_torch(tmp_path, want_gpu=want_gpu)
    else:
        environment.check_torch(tmp_path, want_gpu=want_gpu)


@pytest.mark.usefixtures("calls")
def test_package_is_registered_and_linked_twice_over(tmp_path: Path) -> None:
    prefix, root = tmp_path / "a prefix", tmp_path / "a clone"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "player_node").touch()
    (root / "config").mkdir(parents=True)
    (root / "config" / "x.yaml").write_text("x: 1\n")
    for _ in range(2):
        environment.install_package(prefix, root, tmp_path / "log")
    assert (prefix / "share/ament_index/resource_index/packages/ego_perception").is_file()
    assert (prefix / "share/ego_perception/config/x.yaml").read_text() == "x: 1\n"
    assert (prefix / "lib/ego_perception/player_node").is_symlink()
