"""The set-up steps in their order. Everything they write lies below `.venv`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ego_perception.setup import environment, interfaces, system
from ego_perception.setup.stamps import Stamps, key_of, write_atomically

NUM_STEPS: Final = 7


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        root: the clone.
        fingerprint: of everything the environment is made from; written at the end, compared by `./ego` at each start.
        allow_apt: whether missing system packages may be installed.
        want_gpu: insist on the CUDA build of torch; None keeps the earlier choice.
    """

    root: Path
    fingerprint: str
    allow_apt: bool = True
    want_gpu: bool | None = None


class Setup:
    """Runs the steps that are not done yet."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._root = options.root
        self._prefix = options.root / ".venv"
        self._state = self._prefix / "ego"
        self._logs = self._state / "logs"
        self._stamps = Stamps(self._state / "stamps")
        self._number = 0

    def run(self) -> None:
        """Bring the environment up to date.

        Raises:
            SetupError: when a step fails; the steps before it stay done.
        """
        self._discard_moved_environment()
        (self._state / "fingerprint").unlink(missing_ok=True)
        self._check_system()
        tools, python, ros = (self._root / "config" / "lock" / f"{name}.txt" for name in ("tools", "python", "ros"))
        want_gpu = self._choose_gpu()
        key = key_of([], sys.version, str(self._root))
        self._step("environment", "virtual environment", key, self._create)
        key = key_of([tools], key)
        self._step("installer", "package installer", key, lambda _: environment.install_uv(self._prefix, tools))
        key = key_of([python, ros], key, str(want_gpu))
        title = "Python and ROS packages from the locks (some minutes)"
        self._step("packages", title, key, lambda again: self._install_locks([python, ros], want_gpu, again))
        sources = sorted(file for file in (self._root / "ego_msgs").rglob("*") if file.is_file() and file.suffix != ".md")
        interfaces_key = key_of([*sources, Path(interfaces.__file__)], key)
        self._step("interfaces", "ROS interfaces (one to three minutes)", interfaces_key, self._build_interfaces)
        files = [self._root / name for name in ("setup.py", "setup.cfg", "package.xml")]
        self._step("package", "ego_perception itself", key_of(files, key), self._install_package)
        self._finish()

    def _say(self, title: str) -> None:
        self._number += 1
        print(f"[{self._number}/{NUM_STEPS}] {title}", file=sys.stderr, flush=True)

    def _step(self, name: str, title: str, key: str, action: Callable[[bool], None]) -> None:
        self._say(title)
        if self._stamps.is_done(name, key):
            return
        start = time.monotonic()
        with self._stamps.running(name, key) as was_cut_short:
            action(was_cut_short)
        print(f"      {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)

    def _discard_moved_environment(self) -> None:
        # Scripts in an environment hold its absolute path, so one that was made elsewhere is of no use.
        made_for = self._state / "root"
        if made_for.is_file() and made_for.read_text() != str(self._root):
            print(f"ego: the environment was made for {made_for.read_text()}; making it again", file=sys.stderr)
            shutil.rmtree(self._prefix)

    def _check_system(self) -> None:
        self._say("system packages")
        absent = system.ensure(allow_apt=self._options.allow_apt)
        if absent:
            command = " ".join(system.apt_command(absent))
            print(
                f"      the simulator cannot draw without {', '.join(n.name for n in absent)}: sudo {command}", file=sys.stderr
            )

    def _choose_gpu(self) -> bool:
        choice = self._state / "gpu"
        if self._options.want_gpu is None:
            return choice.is_file() and choice.read_text() == "True"
        write_atomically(choice, str(self._options.want_gpu))
        return self._options.want_gpu

    def _create(self, _: bool) -> None:
        environment.create(self._prefix)
        write_atomically(self._state / "root", str(self._root))

    def _install_locks(self, locks: list[Path], want_gpu: bool, reinstall: bool) -> None:
        log = self._logs / "packages.log"
        environment.install_locks(self._prefix, locks, want_gpu=want_gpu, reinstall=reinstall, log=log)
        if environment.remove_torchvision(self._prefix):
            print("      removed torchvision, which does not fit this torch", file=sys.stderr)
        environment.check_torch(self._prefix, want_gpu=want_gpu)
        interfaces.rewrite_exports(self._prefix, *interfaces.include_folders(environment.python_of(self._prefix)))

    def _build_interfaces(self, _: bool) -> None:
        work = self._prefix / "interfaces"
        shutil.rmtree(work, ignore_errors=True)
        if not interfaces.has_package(self._prefix, "tf2_msgs"):
            source = interfaces.write_tf2_msgs(work / "tf2_msgs")
            interfaces.build(source, work / "build" / "tf2_msgs", self._prefix, self._logs / "tf2_msgs")
        interfaces.build(self._root / "ego_msgs", work / "build" / "ego_msgs", self._prefix, self._logs / "ego_msgs")
        # The build folders are large and of no use any more; the next build starts afresh anyway.
        shutil.rmtree(work, ignore_errors=True)

    def _install_package(self, _: bool) -> None:
        environment.install_package(self._prefix, self._root, self._logs / "package.log")

    def _finish(self) -> None:
        self._say("ready")
        write_atomically(self._state / "fingerprint", f"{self._options.fingerprint}\n")
