"""The supervisor with units that die, finish, refuse and fall silent on command; no node and no middleware."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ego_perception.ros.supervisor import ProcessUnit, RestartPolicy, Supervisor


class FakeUnit:
    """Dies when told to."""

    def __init__(self, name: str = "unit", *, lives: int = 1000) -> None:
        self.name = name
        self.death = self.refusal = ""
        self.is_finished = False
        self.num_beats: int | None = None
        self.starts: list[float] = []
        self.num_stops = 0
        self._lives = lives

    def start(self) -> None:
        self.starts.append(time.monotonic())
        self._lives -= 1
        self.death = "out of lives" if self._lives < 0 else ""

    def stop(self) -> None:
        self.num_stops += 1


class Running:
    """A supervisor on a thread."""

    def __init__(self, *units: FakeUnit, **policy: float) -> None:
        self.stop = threading.Event()
        self.supervisor = Supervisor(units, RestartPolicy(**policy))
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.code = self.supervisor.run(self.stop)

    def end(self) -> int | None:
        self.stop.set()
        self.thread.join(5)
        return self.code


def wait(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "condition did not come true"
        time.sleep(0.01)


def test_all_are_started_and_stopped_in_reverse() -> None:
    order: list[str] = []
    units = [FakeUnit("a"), FakeUnit("b")]
    for unit in units:
        unit.stop = lambda name=unit.name: order.append(name)
    running = Running(*units)
    wait(lambda: all(u.starts for u in units))
    assert running.end() == 0
    assert order == ["b", "a"]


def test_a_dead_unit_is_started_again_and_the_others_are_left_alone() -> None:
    dying, healthy = FakeUnit("dying"), FakeUnit("healthy")
    running = Running(dying, healthy, first_s=0.05)
    wait(lambda: dying.starts)
    dying.death = "a callback raised"
    wait(lambda: len(dying.starts) == 2)
    assert len(healthy.starts) == 1
    assert dying.num_stops == 1
    assert running.end() == 0
    assert running.supervisor.num_restarts == 1


def test_the_pause_doubles_up_to_its_limit() -> None:
    unit = FakeUnit(lives=0)
    running = Running(unit, first_s=0.15, longest_s=0.6)
    wait(lambda: len(unit.starts) == 5, 10)
    running.end()
    gaps = [b - a for a, b in zip(unit.starts, unit.starts[1:], strict=False)]
    assert gaps[0] >= 0.15
    assert gaps[1] >= 0.3
    assert gaps[2] >= 0.6
    assert gaps[3] < 1.5


def test_a_healthy_while_forgives_earlier_deaths() -> None:
    unit = FakeUnit()
    running = Running(unit, first_s=0.1, longest_s=10.0, forgiven_after_s=0.0)
    for count in range(1, 4):
        wait(lambda n=count: len(unit.starts) == n)
        unit.death = "again"
    wait(lambda: len(unit.starts) == 4)
    running.end()
    assert unit.starts[3] - unit.starts[0] < 3.0


def test_it_ends_when_all_are_finished() -> None:
    units = [FakeUnit("a"), FakeUnit("b")]
    running = Running(*units)
    units[0].is_finished = True
    wait(lambda: units[0].num_stops)
    assert running.code is None
    units[1].is_finished = True
    wait(lambda: running.code is not None)
    assert running.code == 0


def test_a_refusal_ends_everything_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    units = [FakeUnit("a"), FakeUnit("b")]
    units[1].refusal = "path is empty; set the parameter path"
    with caplog.at_level(logging.ERROR):
        running = Running(*units)
        wait(lambda: running.code is not None)
    assert running.code == 1
    assert "b cannot work: path is empty" in caplog.text
    assert units[0].num_stops == units[1].num_stops == 1


def test_a_silent_heart_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    unit = FakeUnit()
    unit.num_beats = 7
    with caplog.at_level(logging.ERROR):
        running = Running(unit, silent_after_s=0.2)
        time.sleep(0.8)
        running.end()
    assert caplog.text.count("has not given a heartbeat") == 1
    assert len(unit.starts) == 1


def test_a_beating_heart_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    unit = FakeUnit()
    unit.num_beats = 0
    with caplog.at_level(logging.ERROR):
        running = Running(unit, silent_after_s=0.3)
        for _ in range(8):
            time.sleep(0.08)
            unit.num_beats += 1
        running.end()
    assert "heartbeat" not in caplog.text


class TestProcessUnit:
    def unit(self, code: str) -> ProcessUnit:
        unit = ProcessUnit("child", "x", [])
        unit._command = [sys.executable, "-c", code]
        unit.start()
        return unit

    def test_exit_code_is_a_death(self) -> None:
        unit = self.unit("import sys; sys.exit(3)")
        wait(lambda: unit.death, 20)
        assert unit.death == "ended with exit code 3"
        assert not unit.is_finished

    def test_a_clean_end_is_no_death(self) -> None:
        unit = self.unit("pass")
        wait(lambda: unit.is_finished, 20)
        assert unit.death == ""

    def test_a_signal_is_a_death(self) -> None:
        unit = self.unit("import time; time.sleep(60)")
        assert unit.process is not None
        unit.process.kill()
        wait(lambda: unit.death, 20)
        assert unit.death == "ended by signal 9"

    def test_stop_ends_it(self) -> None:
        unit = self.unit("import time; time.sleep(60)")
        process = unit.process
        unit.stop()
        unit.stop()
        assert process is not None
        assert process.poll() is not None
