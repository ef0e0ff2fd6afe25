"""The base class of all nodes: what is created is undone, in reverse, on every way out."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from lifecycle_msgs.srv import ChangeState, GetState
from ros_support import Graph, wait_for
from std_msgs.msg import String
from std_srvs.srv import Trigger

from ego_perception.errors import WeightsError
from ego_perception.parameters import param
from ego_perception.ros import qos
from ego_perception.ros.lifecycle import EgoLifecycleNode


@dataclass(frozen=True)
class Config:
    size: int = param(1, "Size.", ge=1)


class Probe(EgoLifecycleNode[Config]):
    """Records the order of events and can be told to fail."""

    def __init__(self, namespace: str, **kwargs: object) -> None:
        self.events: list[str] = []
        self.fail_setup: Exception | None = None
        self.fail_run: Exception | None = None
        self.heard: list[str] = []
        super().__init__("probe", Config, namespace=namespace, status_period_s=0.05, **kwargs)

    def setup(self, config: Config, scope: ExitStack) -> None:
        self.events.append("setup")
        scope.callback(self.events.append, "undo setup")
        self.out = self.publisher(scope, String, "~/out")
        if self.fail_setup:
            raise self.fail_setup

    def run(self, config: Config, scope: ExitStack) -> None:
        self.events.append("run")
        scope.callback(self.events.append, "stop worker")
        self.subscription(scope, String, "in", lambda m: self.heard.append(m.data), qos.RESULT)
        self.service(scope, Trigger, "~/ask", lambda _, response: response)
        self.timer(scope, 0.01, lambda: None)
        scope.callback(self.events.append, "stop input")
        if self.fail_run:
            raise self.fail_run


@pytest.fixture
def probe(namespace: str) -> Iterator[Probe]:
    node = Probe(namespace)
    yield node
    node.destroy_node()


def entities(node: Probe) -> tuple[int, ...]:
    return tuple(len(list(x)) for x in (node.publishers, node.subscriptions, node.services, node.timers, node.waitables))


def test_teardown_is_the_reverse_of_creation(probe: Probe) -> None:
    probe.trigger_configure()
    probe.trigger_activate()
    probe.trigger_deactivate()
    probe.trigger_cleanup()
    assert probe.events == ["setup", "run", "stop input", "stop worker", "undo setup"]
    assert probe.state == "unconfigured"


def test_a_hundred_cycles_leave_nothing_behind(probe: Probe) -> None:
    probe.trigger_configure()
    probe.trigger_cleanup()
    threads, before = threading.active_count(), entities(probe)
    for _ in range(100):
        probe.trigger_configure()
        probe.trigger_activate()
        probe.trigger_deactivate()
        probe.trigger_cleanup()
    gc.collect()
    assert entities(probe) == before
    assert threading.active_count() <= threads


def test_an_expected_failure_of_setup_is_one_line_and_leaves_nothing(probe: Probe) -> None:
    before = entities(probe)
    probe.fail_setup = WeightsError("weights are damaged; run `ego weights verify`")
    probe.trigger_configure()
    assert probe.state == "unconfigured"
    assert probe.last_error == "weights are damaged; run `ego weights verify`"
    assert entities(probe) == before
    assert probe.events == ["setup", "undo setup"]


def test_a_defect_in_setup_goes_through_error_back_to_unconfigured(probe: Probe) -> None:
    probe.fail_setup = ZeroDivisionError("division by zero")
    probe.trigger_configure()
    assert probe.state == "unconfigured"
    assert "ZeroDivisionError" in probe.last_error
    probe.fail_setup = None
    probe.trigger_configure()
    assert (probe.state, probe.last_error) == ("inactive", "")


def test_a_failure_of_run_stays_inactive_and_can_be_repeated(probe: Probe) -> None:
    probe.trigger_configure()
    before = entities(probe)
    probe.fail_run = WeightsError("no camera")
    probe.trigger_activate()
    assert (probe.state, probe.is_active) == ("inactive", False)
    assert entities(probe) == before
    probe.fail_run = None
    probe.trigger_activate()
    assert (probe.state, probe.is_active) == ("active", True)


def test_an_undoing_that_fails_does_not_keep_the_others(probe: Probe) -> None:
    probe.trigger_configure()
    assert probe._configured is not None

    def broken() -> None:
        raise OSError("no space left")

    probe._configured.callback(broken)
    before = len(list(probe.publishers))
    probe.trigger_cleanup()
    assert probe.state == "unconfigured"
    assert len(list(probe.publishers)) == before - 1
    assert "no space left" in probe.last_error


def test_shutdown_from_active_undoes_everything(probe: Probe) -> None:
    probe.trigger_configure()
    probe.trigger_activate()
    probe.trigger_shutdown()
    assert probe.state == "finalized"
    assert probe.events[-3:] == ["stop input", "stop worker", "undo setup"]


def test_destroying_an_active_node_undoes_everything(namespace: str) -> None:
    node = Probe(namespace)
    node.trigger_configure()
    node.trigger_activate()
    node.destroy_node()
    assert node.events[-3:] == ["stop input", "stop worker", "undo setup"]


def test_input_is_heard_only_while_active(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace))
    observer = graph.observer(namespace)
    publisher = observer.create_publisher(String, "in", qos.RESULT)
    node.trigger_configure()
    assert publisher.get_subscription_count() == 0
    node.trigger_activate()
    wait_for(publisher.get_subscription_count)
    publisher.publish(String(data="a"))
    wait_for(lambda: node.heard == ["a"])
    node.trigger_deactivate()
    wait_for(lambda: publisher.get_subscription_count() == 0)


def test_publishers_are_silent_while_inactive(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace))
    observer = graph.observer(namespace)
    heard: list[str] = []
    observer.create_subscription(String, "probe/out", lambda m: heard.append(m.data), qos.RESULT)
    node.trigger_configure()
    wait_for(node.out.get_subscription_count)
    node.out.publish(String(data="too early"))
    node.trigger_activate()
    node.out.publish(String(data="now"))
    wait_for(lambda: heard)
    assert heard == ["now"]


def test_the_heartbeat_beats_in_every_state(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace))
    wait_for(lambda: node.num_beats > 2)
    node.trigger_configure()
    beats = node.num_beats
    wait_for(lambda: node.num_beats > beats + 2)


def test_the_heartbeat_beats_while_simulated_time_stands_still(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace, cli_args=["--ros-args", "-p", "use_sim_time:=true"]))
    wait_for(lambda: node.num_beats > 2)
    assert node.get_clock().now().nanoseconds == 0


def test_a_manager_can_drive_it_over_services(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace))
    observer = graph.observer(namespace)
    change = observer.create_client(ChangeState, "probe/change_state")
    ask = observer.create_client(GetState, "probe/get_state")
    assert change.wait_for_service(10)
    for label, state in (
        ("configure", "inactive"),
        ("activate", "active"),
        ("deactivate", "inactive"),
        ("cleanup", "unconfigured"),
    ):
        request = ChangeState.Request()
        request.transition.label = label
        future = change.call_async(request)
        wait_for(future.done)
        assert future.result().success
        asked = ask.call_async(GetState.Request())
        wait_for(asked.done)
        assert asked.result().current_state.label == state == node.state


def test_qos_can_be_overridden_by_parameter(namespace: str) -> None:
    name = f"{namespace}/probe/out"
    arguments = [f"qos_overrides.{name}.publisher.depth:=3", f"qos_overrides.{name}.publisher.reliability:=best_effort"]
    node = Probe(namespace, cli_args=["--ros-args", *[x for a in arguments for x in ("-p", a)]])
    node.trigger_configure()
    assert node.out.qos_profile.depth == 3
    assert node.out.qos_profile.reliability is qos.ReliabilityPolicy.BEST_EFFORT
    assert qos.RESULT.depth == 10, "an override must not change the shared profile"
    node.trigger_cleanup()
    node.trigger_configure()
    assert node.out.qos_profile.depth == 3
    node.destroy_node()


def test_a_wrong_qos_override_fails_configure_and_names_the_topic(namespace: str) -> None:
    name = f"{namespace}/probe/out"
    node = Probe(namespace, cli_args=["--ros-args", "-p", f"qos_overrides.{name}.publisher.reliability:=sometimes"])
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert name in node.last_error
    node.destroy_node()


def test_a_qos_mismatch_is_noted_with_topic_and_policy(graph: Graph, namespace: str) -> None:
    node = graph.add(Probe(namespace))
    observer = graph.observer(namespace)
    observer.create_publisher(String, "in", qos.SENSOR_INPUT)
    node.trigger_configure()
    node.trigger_activate()
    wait_for(lambda: node.qos_problems)
    assert node.qos_problems == {f"{namespace}/in": "RELIABILITY"}
