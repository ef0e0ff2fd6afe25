"""Running nodes in a process: initialise, spin, and end in the one order that neither aborts nor hangs.

Measured orders: leaving with a live spin thread aborts the interpreter (exit 134), also after only `rclpy.shutdown()` or an
executor shutdown without a join. Clean every time: shut the executor down, join its thread, destroy the node, shut rclpy down.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from ego_perception.environment import set_defaults
from ego_perception.errors import ConfigError, EgoPerceptionError
from ego_perception.ros.lifecycle import EgoLifecycleNode

RCLError = rclpy_implementation.RCLError


class SpinThread:
    """Spins one node on its own single-threaded executor and thread.

    Attributes:
        error: what ended the spinning, None while it runs or after `stop`.
    """

    def __init__(self, node: Node) -> None:
        self.error: Exception | None = None
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False once the spinning ended, for whatever reason."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the spinning; True when the thread ended in time. Safe to repeat."""
        self._executor.shutdown(timeout_sec=timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:  # one broken callback ends this node, not the process; the supervisor decides
            self.error = error


def init(args: Sequence[str] | None = None) -> None:
    """Start rclpy with this package's defaults for the middleware; signals stay ours. Set variables win over the defaults.

    Raises:
        ConfigError: ROS arguments, or a parameter file they name, that rcl cannot read.
    """
    set_defaults()
    try:
        rclpy.init(args=list(args) if args is not None else None, signal_handler_options=SignalHandlerOptions.NO)
    except RCLError as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"ROS arguments cannot be used: {reason[0]}") from error


def shutdown() -> None:
    """End rclpy; nodes and executors must be gone. Safe to repeat."""
    try_shutdown()


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set; a second signal interrupts hard."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_node(make: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node until Ctrl-C, SIGTERM or its own end; the body of every node's `main`.

    A lifecycle node is left to its manager (launch, `ros2 lifecycle`); one that should start by itself and cannot ends.

    Returns:
        Exit code: 0 after a stop that was asked for or the end of its work, 1 when the node could not start or broke.
    """
    node: Node | None = None
    spin: SpinThread | None = None
    try:
        init(args)
        with stop_on_signal() as stop:
            node = make()
            spin = SpinThread(node)
            while spin.is_alive and not stop.wait(0.2):
                if isinstance(node, EgoLifecycleNode) and node.has_failed_to_start:
                    return 1
                if isinstance(node, EgoLifecycleNode) and node.is_finished:
                    return 1 if node.error else 0
            if spin.error is not None:
                node.get_logger().fatal(f"node ended: {type(spin.error).__name__}: {spin.error}")
                return 1
    except EgoPerceptionError as error:
        print(f"ego: {error}", file=sys.stderr)
        return 1
    finally:
        if spin is not None:
            spin.stop()
        if node is not None:
            node.destroy_node()
        shutdown()
    return 0
