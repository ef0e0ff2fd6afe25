"""Nodes as child processes of a command: started with parameters, watched, and ended as Ctrl-C would end them."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from ego_perception.errors import EgoPerceptionError

_GRACE_S: Final = 30.0


class NodeProcess:
    """One node of this package, in its own process, configured and activated by itself; use as a context.

    Args:
        node: name, as in `nodes.config.NODE_CONFIGS`.
        parameters: ROS parameters by dotted name.
        remaps: topics of the node by name, as other names.
        namespace: ROS namespace, so that two commands on one machine do not hear each other's topics.
    """

    def __init__(
        self,
        node: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        remaps: Mapping[str, str] | None = None,
        namespace: str | None = None,
    ) -> None:
        self.node = node
        space = namespace or f"/ego_{os.getpid()}"
        values = {"autostart": True} | dict(parameters or {})
        arguments = ["--ros-args", "-r", f"__ns:={space}"]
        for name, value in values.items():
            arguments += ["-p", f"{name}:={json.dumps(value)}"]
        for topic, other in (remaps or {}).items():
            arguments += ["-r", f"{topic}:={other}"]
        # What a command starts stays on this machine, and a child in this environment needs no second bootstrap.
        environment = os.environ | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"ego_perception.nodes.{node}_node", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,  # a Ctrl-C is ours to pass on, in order
        )
        self._lines: collections.deque[str] = collections.deque(maxlen=30)
        self._active = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"output of {node}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def wait_until_active(self, timeout_s: float) -> None:
        """Wait for the node to say that it is active.

        Raises:
            EgoPerceptionError: it ended, or took longer.
        """
        end = time.monotonic() + timeout_s
        while not self._active.wait(0.05):
            if self._process.poll() is not None:
                raise self._failure(f"ended with exit code {self._process.returncode} before it was active")
            if time.monotonic() > end:
                raise self._failure(f"was not active after {timeout_s:g} s")

    def wait_until_done(self, timeout_s: float) -> None:
        """Wait for the node to end by itself.

        Raises:
            EgoPerceptionError: it ended with an error, or took longer.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failure(f"was not done after {timeout_s:g} s") from None
        if code != 0:
            raise self._failure(f"ended with exit code {code}")

    def stop(self) -> int:
        """End the node as Ctrl-C would, by force if that takes too long; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._reader.join(5.0)
        return code

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        code = self.stop()
        if kind is None and code != 0:
            raise self._failure(f"ended with exit code {code}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            if line.rstrip().endswith(": activated"):
                self._active.set()

    def _failure(self, what: str) -> EgoPerceptionError:
        shown = "\n  ".join(list(self._lines)[-8:]) or "it printed nothing"
        return EgoPerceptionError(f"node {self.node} {what}; its last lines:\n  {shown}")
