"""Recordings and ways to run the command, shared by the tests of the whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ego_perception.bag import FrameBagSink
from ego_perception.cli import main as cli
from ego_perception.data import Frame
from ego_perception.simulation import EgoSimConfig, SimSource
from ego_perception.simulation.config import PeopleConfig

ROOT = Path(__file__).resolve().parents[2]
NUM_FRAMES = 24


@pytest.fixture(scope="session")
def walk() -> list[Frame]:
    """A simulated walk of 1.6 s, 320x240, with ground truth."""
    config = EgoSimConfig(
        seed=4, width=320, height=240, duration_s=NUM_FRAMES / 15.0, supersample=1, people=PeopleConfig(wearer=False, others=0)
    )
    frames = [item for item in SimSource(config) if isinstance(item, Frame)]
    assert len(frames) == NUM_FRAMES
    return frames


@pytest.fixture(scope="session")
def recording(walk: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The walk as a bag, under a name with a space."""
    path = tmp_path_factory.mktemp("bags") / "my walk"
    sink = FrameBagSink(path)
    for frame in walk:
        sink.write(frame)
    sink.close()
    return path


StartEgo = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_ego() -> Iterator[StartEgo]:
    """Start `ego` as a process of its own; what is left of it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, file_limit: int = 0) -> subprocess.Popen[str]:
        limit = ["prlimit", f"--fsize={file_limit}"] if file_limit else []
        command = [*limit, sys.executable, "-m", "ego_perception.cli.main", *map(str, arguments)]
        # A user has not set what pytest's own environment sets, and hashing must not matter.
        ignored = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED")
        environment = {name: value for name, value in os.environ.items() if name not in ignored}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ego() -> Iterator[Callable[..., int]]:
    """Run `ego` in this process; its exit code."""

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        return int(stop.value.code or 0)

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)
