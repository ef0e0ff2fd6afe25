"""Keeps nodes running: starts them configured and active, brings back one that died, and ends all in the right order.

A node is a `Unit`: on its own executor thread in this process, or a process of its own. A unit that dies is started again after
a pause that doubles with each death in a row and is forgiven after a while of health.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.process import SpinThread

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.1
_STOP_S: Final = 10.0


class Unit(Protocol):
    """One supervised node."""

    name: str

    def start(self) -> None:
        """Bring it up; after a death also again."""
        ...

    def stop(self) -> None:
        """Take it down; safe to repeat."""
        ...

    @property
    def death(self) -> str:
        """Why it is dead, empty while it lives."""
        ...

    @property
    def is_finished(self) -> bool:
        """True when it ended because its work is done."""
        ...

    @property
    def refusal(self) -> str:
        """Why it cannot work as it is set up (a wrong parameter, say), empty otherwise; starting again would not help."""
        ...

    @property
    def num_beats(self) -> int | None:
        """Heartbeats so far, None where they cannot be seen from here."""
        ...


class ThreadUnit:
    """A node on its own single-threaded executor and thread in this process.

    Args:
        make: builds the node with `autostart`.
    """

    def __init__(self, name: str, make: Callable[[], EgoLifecycleNode[Any]]) -> None:
        self.name = name
        self.node: EgoLifecycleNode[Any] | None = None
        self._make = make
        self._spin: SpinThread | None = None

    def start(self) -> None:
        """Build the node and spin it."""
        self.node = self._make()
        self._spin = SpinThread(self.node)

    def stop(self) -> None:
        """Stop spinning, then destroy the node."""
        spin, node = self._spin, self.node
        self._spin = self.node = None
        if spin is not None and not spin.stop(_STOP_S):
            _log.error("%s did not stop in time", self.name)
        if node is not None:
            node.destroy_node()

    @property
    def death(self) -> str:
        """What ended the spinning."""
        if self._spin is None or self._spin.is_alive:
            return ""
        error = self._spin.error
        return f"{type(error).__name__}: {error}" if error is not None else "its executor ended"

    @property
    def is_finished(self) -> bool:
        """As the node says."""
        return self.node is not None and self.node.is_finished

    @property
    def refusal(self) -> str:
        """The node's error, where it could not be configured or activated."""
        return "" if self.node is None or self.node.is_active else self.node.last_error

    @property
    def num_beats(self) -> int | None:
        """Heartbeats of the node."""
        return None if self.node is None else self.node.num_beats


class ProcessUnit:
    """A node in a process of its own, which starts itself (`autostart`).

    Args:
        module: with a `main`, run by `python -m`.
        arguments: ROS arguments of the process.
    """

    num_beats: int | None = None
    refusal = ""

    def __init__(self, name: str, module: str, arguments: Sequence[str]) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, "-m", module, *arguments]

    def start(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(self._command)

    def stop(self) -> None:
        """Ask the process to end, and end it hard when it does not."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            _log.error("%s did not stop in time; killed", self.name)
            process.kill()
            process.wait()

    @property
    def death(self) -> str:
        """Exit code or signal of a process that failed."""
        code = None if self.process is None else self.process.poll()
        if code is None or code == 0:
            return ""
        return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    @property
    def is_finished(self) -> bool:
        """True when the process ended by itself without an error."""
        return self.process is not None and self.process.poll() == 0


@dataclass(frozen=True)
class RestartPolicy:
    """Pauses before a restart, and the health that forgives earlier deaths, seconds."""

    first_s: float = 0.5
    longest_s: float = 30.0
    forgiven_after_s: float = 60.0
    silent_after_s: float = 60.0


@dataclass
class _Record:
    """What the supervisor remembers of one unit."""

    deaths: int = 0
    started_s: float = 0.0
    restart_s: float | None = None
    done: bool = False
    beats: int = -1
    beat_s: float = 0.0
    is_silent: bool = False


class Supervisor:
    """Runs units until it is told to stop or all of them are finished.

    Attributes:
        num_restarts: deaths that were followed by a new start.
    """

    def __init__(self, units: Sequence[Unit], policy: RestartPolicy | None = None) -> None:
        self.num_restarts = 0
        self._units = units
        self._policy = policy or RestartPolicy()
        self._records = {unit.name: _Record() for unit in units}

    def run(self, stop: threading.Event) -> int:
        """Supervise.

        Returns:
            Exit code: 0 when stopped or all finished, 1 when a unit cannot work as it is set up.
        """
        try:
            for unit in self._units:
                self._start(unit)
            while not stop.wait(_POLL_S):
                refused = [unit for unit in self._units if unit.refusal and not self._records[unit.name].done]
                for unit in refused:
                    _log.error("%s cannot work: %s", unit.name, unit.refusal)
                if refused:
                    return 1
                for unit in self._units:
                    self._watch(unit)
                if all(record.done for record in self._records.values()):
                    return 0
        finally:
            for unit in reversed(self._units):
                unit.stop()
        return 0

    def _start(self, unit: Unit) -> None:
        record = self._records[unit.name]
        record.started_s = record.beat_s = time.monotonic()
        record.restart_s, record.beats = None, -1
        unit.start()

    def _watch(self, unit: Unit) -> None:
        record, now = self._records[unit.name], time.monotonic()
        if record.done:
            return
        if unit.is_finished:
            _log.info("%s is done", unit.name)
            record.done = True
            unit.stop()
        elif record.restart_s is not None:
            if now >= record.restart_s:
                self.num_restarts += 1
                self._start(unit)
        elif death := unit.death:
            self._schedule_restart(unit, record, death, now)
        else:
            self._listen(unit, record, now)

    def _schedule_restart(self, unit: Unit, record: _Record, death: str, now: float) -> None:
        if now - record.started_s > self._policy.forgiven_after_s:
            record.deaths = 0
        pause_s = min(self._policy.first_s * 2**record.deaths, self._policy.longest_s)
        record.deaths += 1
        record.restart_s = now + pause_s
        _log.warning("%s died (%s); starting it again in %.1f s", unit.name, death, pause_s)
        unit.stop()

    def _listen(self, unit: Unit, record: _Record, now: float) -> None:
        """Say once when a unit's heart stops: a thread cannot be ended from outside, so it is only reported."""
        beats = unit.num_beats
        if beats is None:
            return
        if beats != record.beats:
            record.beats, record.beat_s, record.is_silent = beats, now, False
        elif now - record.beat_s > self._policy.silent_after_s and not record.is_silent:
            record.is_silent = True
            _log.error("%s has not given a heartbeat for %.0f s; a callback hangs", unit.name, now - record.beat_s)
