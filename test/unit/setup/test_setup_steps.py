"""The set-up as a whole, with its commands replaced: order, resuming, moved clones, the choice of GPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ego_perception.errors import SetupError
from ego_perception.setup import environment, interfaces, system
from ego_perception.setup.__main__ import main, parse
from ego_perception.setup.steps import NUM_STEPS, Options, Setup


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "my clone"
    (root / "config" / "lock").mkdir(parents=True)
    for name in ("tools", "python", "ros"):
        (root / "config" / "lock" / f"{name}.txt").write_text(f"{name}==1\n")
    (root / "ego_msgs" / "msg").mkdir(parents=True)
    (root / "ego_msgs" / "msg" / "A.msg").write_text("uint8 a\n")
    for name in ("setup.py", "setup.cfg", "package.xml"):
        (root / name).write_text(name)
    return root


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces what the steps do by a note that they were done."""
    made: list[str] = []

    def note(name: str, result: Any = None) -> Any:
        def act(*_: Any, **arguments: Any) -> Any:
            made.append(f"{name}{' again' if arguments.get('reinstall') else ''}{' gpu' if arguments.get('want_gpu') else ''}")
            return result

        return act

    monkeypatch.setattr(system, "ensure", lambda allow_apt: [])
    monkeypatch.setattr(environment, "create", note("create"))
    monkeypatch.setattr(environment, "install_uv", note("uv"))
    monkeypatch.setattr(environment, "install_locks", note("locks"))
    monkeypatch.setattr(environment, "remove_torchvision", lambda prefix: False)
    monkeypatch.setattr(environment, "check_torch", lambda prefix, want_gpu: None)
    monkeypatch.setattr(environment, "install_package", note("package"))
    monkeypatch.setattr(interfaces, "include_folders", lambda python: (Path("/py"), Path("/np")))
    monkeypatch.setattr(interfaces, "rewrite_exports", note("exports"))
    monkeypatch.setattr(interfaces, "build", note("build"))
    return made


ALL = ["create", "uv", "locks", "exports", "build", "build", "package"]


def set_up(clone: Path, **options: Any) -> None:
    Setup(Options(clone, "print", **options)).run()


def test_first_run_does_everything_in_order_and_leaves_the_fingerprint(clone: Path, done: list[str], capfd: Any) -> None:
    set_up(clone)
    assert done == ALL
    assert (clone / ".venv" / "ego" / "fingerprint").read_text() == "print\n"
    assert f"[{NUM_STEPS}/{NUM_STEPS}]" in capfd.readouterr().err


def test_second_run_does_nothing(clone: Path, done: list[str]) -> None:
    set_up(clone)
    done.clear()
    set_up(clone)
    assert done == []


@pytest.mark.parametrize(
    ("changed", "redone"),
    [
        ("setup.py", ["package"]),
        ("ego_msgs/msg/A.msg", ["build", "build"]),
        ("config/lock/ros.txt", ["locks", "exports", "build", "build", "package"]),
        ("config/lock/tools.txt", ["uv", "locks", "exports", "build", "build", "package"]),
    ],
)
def test_a_change_redoes_what_depends_on_it(changed: str, redone: list[str], clone: Path, done: list[str]) -> None:
    set_up(clone)
    done.clear()
    (clone / changed).write_text("changed")
    set_up(clone)
    assert done == redone


def test_tf2_msgs_is_built_only_where_missing(clone: Path, done: list[str]) -> None:
    marker = clone / ".venv/share/ament_index/resource_index/packages/tf2_msgs"
    marker.parent.mkdir(parents=True)
    marker.touch()
    set_up(clone)
    assert done.count("build") == 1


def test_failed_step_is_resumed_where_it_failed(clone: Path, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise SetupError("the compiler is broken")

    with monkeypatch.context() as broken:
        broken.setattr(interfaces, "build", fail)
        with pytest.raises(SetupError):
            set_up(clone)
    assert not (clone / ".venv" / "ego" / "fingerprint").exists()
    done.clear()
    set_up(clone)
    assert done == ["build", "build", "package"]


def test_interrupted_installation_is_done_again_from_scratch(
    clone: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(environment, "install_locks", stop)
        with pytest.raises(KeyboardInterrupt):
            set_up(clone)
    set_up(clone)
    assert "locks again" in done
    assert done.count("create") == 1


def test_moved_clone_gets_a_new_environment(clone: Path, done: list[str]) -> None:
    set_up(clone)
    done.clear()
    moved = clone.with_name("elsewhere")
    shutil.move(clone, moved)
    (moved / ".venv" / "stale").touch()
    set_up(moved)
    assert done == ALL
    assert not (moved / ".venv" / "stale").exists()


def test_an_environment_that_is_not_ours_to_discard_stays(clone: Path, done: list[str]) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "kept").touch()
    set_up(clone)
    assert (clone / ".venv" / "kept").exists()


def test_choice_of_gpu_is_remembered_until_changed(clone: Path, done: list[str]) -> None:
    for option, expected in ((None, ["locks"]), (True, ["locks gpu"]), (None, []), (False, ["locks"])):
        done.clear()
        set_up(clone, want_gpu=option)
        assert [entry for entry in done if entry.startswith("locks")] == expected


def test_command_line_reports_a_failure_in_one_place(
    clone: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(allow_apt: bool) -> None:
        raise SetupError(f"missing system packages, apt {allow_apt}")

    monkeypatch.setattr(system, "ensure", fail)
    assert main(["--root", str(clone), "--no-apt"]) == 1
    assert "ego: missing system packages, apt False" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [(KeyboardInterrupt(), 130, "resumes"), (OSError(28, "No space left on device"), 1, "free space")],
)
def test_command_line_survives(
    raised: BaseException, code: int, said: str, clone: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(environment, "create", fail)
    assert main(["--root", str(clone)]) == code
    assert said in capsys.readouterr().err


def test_options(tmp_path: Path) -> None:
    assert parse(["--root", str(tmp_path)]) == Options(tmp_path, "", allow_apt=True, want_gpu=None)
    given = parse(["--root", str(tmp_path), "--fingerprint", "1 2", "--no-apt", "--gpu"])
    assert given == Options(tmp_path, "1 2", allow_apt=False, want_gpu=True)
    with pytest.raises(SystemExit) as caught:
        parse(["--root", str(tmp_path), "--nonsense"])
    assert caught.value.code == 2
