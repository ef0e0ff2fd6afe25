"""The base class of every node: lifecycle, parameters, heartbeat, and a teardown that neither hangs nor leaks.

A node gives two methods, `setup` (on configure) and `run` (on activate). Each gets an `ExitStack` and pushes the undoing of
whatever it creates; the base class unwinds the stack on deactivate, cleanup, shutdown, failure and error alike, last created
first. So the order "stop input, wake and join the worker, then destroy publishers" follows from the order of creation, and a
failed transition leaves nothing behind. Subscriptions, timers and services created through this class hold that promise;
rclpy's own lifecycle only silences publishers.

There is no bond (bondcpp has no Python message package everywhere this runs): the heartbeat is `~/status` and `/diagnostics`,
sent in every state, with period `status_period_s`, on a steady clock, so that it also beats while simulated time stands still.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from ego_perception.errors import EgoPerceptionError
from ego_perception.ros import qos as qos_profiles
from ego_perception.ros.parameters import NodeParameters

T = TypeVar("T")

_SUCCESS, _FAILURE, _ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE, TransitionCallbackReturn.ERROR


class EgoLifecycleNode(LifecycleNode, Generic[T]):
    """A lifecycle node whose parameters are a dataclass and whose resources are undone in reverse order of creation.

    Args:
        name: node name; remaps apply.
        config_type: the parameter group.
        cli_args: ROS arguments of this node alone, starting with `--ros-args`.
        use_global_arguments: False where several nodes share the process and `cli_args` holds everything.
        autostart: configure and activate as soon as the node spins; the parameter `autostart` does the same.
        kwargs: passed to `rclpy.lifecycle.LifecycleNode`.
    """

    def __init__(
        self,
        name: str,
        config_type: type[T],
        *,
        cli_args: Sequence[str] | None = None,
        use_global_arguments: bool = True,
        status_period_s: float = 1.0,
        autostart: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            name,
            cli_args=list(cli_args) if cli_args else None,
            use_global_arguments=use_global_arguments,
            automatically_declare_parameters_from_overrides=True,
            **kwargs,
        )
        self.last_error = ""
        self.qos_problems: dict[str, str] = {}
        self.num_beats = 0
        self._configured: contextlib.ExitStack | None = None
        self._activated: contextlib.ExitStack | None = None
        self.parameters: NodeParameters[T] = NodeParameters(self, config_type, lambda: self._configured is not None)
        self._heartbeat = self.create_timer(status_period_s, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.has_failed_to_start = False  # only with autostart: nobody else would try again
        self._starter = None
        if autostart or getattr(self.parameters.current, "autostart", False):
            self._starter = self.create_timer(0.0, self._start, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def setup(self, config: T, scope: contextlib.ExitStack) -> None:
        """Allocate what costs time or memory: load weights, create publishers; push the undoing of each on `scope`."""

    def run(self, config: T, scope: contextlib.ExitStack) -> None:
        """Start work: first the worker, then what feeds it; push the undoing of each on `scope`."""

    def heartbeat(self) -> None:
        """Report health; called every `status_period_s` in every state."""

    @property
    def state(self) -> str:
        """unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    @property
    def is_finished(self) -> bool:
        """True when the node has done all it was for, so that its process may end."""
        return False

    @property
    def error(self) -> str:
        """Why the work of a finished node is incomplete; empty when it is not."""
        return ""

    @property
    def is_active(self) -> bool:
        """True while input is taken."""
        return self._activated is not None

    def publisher(
        self, scope: contextlib.ExitStack, msg_type: type, topic: str, qos: QoSProfile = qos_profiles.RESULT
    ) -> Publisher:
        """Create a publisher that lives as long as `scope` and sends only while the node is active; for use in `setup`."""
        made: Any = qos_profiles.create_publisher(self, msg_type, topic, qos, self._note_qos_problem, managed=True)
        scope.callback(self.destroy_lifecycle_publisher, made)
        return made

    def plain_publisher(self, msg_type: type, topic: str, qos: QoSProfile = qos_profiles.RESULT) -> Publisher:
        """Create a publisher that lives and sends as long as the node, in every state."""
        return qos_profiles.create_publisher(self, msg_type, topic, qos, self._note_qos_problem)

    def subscription(
        self,
        scope: contextlib.ExitStack,
        msg_type: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = qos_profiles.SENSOR_INPUT,
    ) -> Subscription:
        """Create a subscription that lives as long as `scope`."""
        made = qos_profiles.create_subscription(self, msg_type, topic, callback, qos, self._note_qos_problem)
        scope.callback(self.destroy_subscription, made)
        return made

    def service(self, scope: contextlib.ExitStack, srv_type: type, name: str, callback: Callable[[Any, Any], Any]) -> None:
        """Offer a service as long as `scope` lives."""
        scope.callback(self.destroy_service, self.create_service(srv_type, name, callback))

    def timer(
        self, scope: contextlib.ExitStack, period_s: float, callback: Callable[[], None], *, steady: bool = False
    ) -> None:
        """Call back periodically as long as `scope` lives; `steady` ignores simulated time."""
        clock = Clock(clock_type=ClockType.STEADY_TIME) if steady else None
        scope.callback(self.destroy_timer, self.create_timer(period_s, callback, clock=clock))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check parameters and run `setup`; on failure nothing is left behind."""
        self._undo_setup()
        scope = contextlib.ExitStack()
        result = self._attempt("configure", lambda: self.setup(self.parameters.require_valid(), scope), scope)
        self._configured = scope if result is _SUCCESS else None
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the publishers and run `run`; on failure nothing of it is left behind."""
        scope = contextlib.ExitStack()

        def start() -> None:
            super(EgoLifecycleNode, self).on_activate(state)
            scope.callback(super(EgoLifecycleNode, self).on_deactivate, state)
            self.run(self.parameters.current, scope)

        result = self._attempt("activate", start, scope)
        self._activated = scope if result is _SUCCESS else None
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo `run`."""
        self._undo_run()
        return _SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo `setup`."""
        self._undo_setup()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything, from any state."""
        self.release()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo everything and return to unconfigured; `last_error` keeps the cause."""
        self.release()
        return _SUCCESS

    def release(self) -> None:
        """Undo `run` and `setup` whatever the state; safe to repeat."""
        self._undo_run()
        self._undo_setup()

    def destroy_node(self) -> None:
        """Undo everything, then destroy the node."""
        self.release()
        super().destroy_node()

    def _attempt(self, what: str, action: Callable[[], None], scope: contextlib.ExitStack) -> TransitionCallbackReturn:
        try:
            action()
        except EgoPerceptionError as error:
            self.last_error = str(error)
            self.get_logger().error(f"cannot {what}: {error}")
            self._close(scope)
            return _FAILURE
        except Exception as error:
            self.last_error = f"{type(error).__name__}: {error}"
            self.get_logger().error(f"cannot {what}, this is a defect: {self.last_error}\n{traceback.format_exc()}")
            self._close(scope)
            return _ERROR
        self.last_error = ""
        self.get_logger().info(f"{what}d")
        return _SUCCESS

    def _undo_run(self) -> None:
        scope, self._activated = self._activated, None
        if scope is not None:
            self._close(scope)

    def _undo_setup(self) -> None:
        scope, self._configured = self._configured, None
        if scope is not None:
            self._close(scope)

    def _close(self, scope: contextlib.ExitStack) -> None:
        """Unwind; an undoing that fails is logged and does not keep the others from running."""
        try:
            scope.close()
        except Exception as error:
            self.last_error = f"{type(error).__name__}: {error}"
            self.get_logger().error(f"teardown: {self.last_error}\n{traceback.format_exc()}")

    def _note_qos_problem(self, topic: str, policy: str) -> None:
        self.qos_problems[topic] = policy
        self.get_logger().warning(
            f"a peer on '{topic}' has an incompatible {policy}; nothing will pass between us. "
            f"Match it with the parameter qos_overrides.{topic}.*"
        )

    def _start(self) -> None:
        """Configure and activate on the executor's thread, where no transition service runs beside it."""
        if self._starter is not None:
            self.destroy_timer(self._starter)
            self._starter = None
        if self.state == "unconfigured":
            started = self.trigger_configure() is _SUCCESS and self.trigger_activate() is _SUCCESS
            self.has_failed_to_start = not started

    def _beat(self) -> None:
        self.num_beats += 1
        self.heartbeat()
