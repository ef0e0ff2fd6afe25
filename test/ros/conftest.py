"""Fixtures of the tests with a live middleware."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.utilities import try_shutdown
from reconstruction_rig import Rig
from ros_support import NUMBERS, Graph

from ego_perception.ros.process import init


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts rclpy."""
    for item in items:
        if "test/ros" in item.path.as_posix():
            item.add_marker(pytest.mark.ros)


@pytest.fixture(scope="session", autouse=True)
def middleware() -> Iterator[None]:
    """One rclpy context for the whole run; the domain is set in test/conftest.py."""
    init([])
    yield
    try_shutdown()


@pytest.fixture
def namespace() -> str:
    """A namespace of this test's own, so that no test hears another."""
    return f"/t{next(NUMBERS)}"


@pytest.fixture
def graph() -> Iterator[Graph]:
    """Nodes spinning on threads, stopped and destroyed in the right order at the end."""
    made = Graph()
    yield made
    made.close()


@pytest.fixture
def rig(graph: Graph, namespace: str) -> Rig:
    """The reconstruction node, not yet configured."""
    return Rig(graph, namespace)
