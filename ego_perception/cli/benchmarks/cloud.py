"""How long a 640x480 PointCloud2 takes to build, against `sensor_msgs_py` where installed and a plain record array."""

from __future__ import annotations

import contextlib
import importlib
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.bag.types import RosbagsFactory
from ego_perception.cli.benchmarks.row import BenchmarkRow, interleaved
from ego_perception.messages.point_cloud import cloud_message

_DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])


def cloud_rows(repeats: int = 40) -> list[BenchmarkRow]:
    """Measure the build of an organised xyz + rgb cloud of 640x480 points, 4.9 MB."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.5, 5.0, (480, 640, 3)).astype(np.float32)
    colours = rng.integers(0, 255, (480, 640, 3), np.uint8)
    factories: dict[str, Any] = {"offline": RosbagsFactory()}
    with contextlib.suppress(ImportError):  # a machine without ROS has no such messages to build
        factories["rclpy"] = importlib.import_module("ego_perception.ros.factory").RclpyFactory()
    actions: dict[str, Any] = {
        name: partial(cloud_message, factory, points, colours, 1, "camera") for name, factory in factories.items()
    }
    actions["record array"] = lambda: record_array(points, colours)
    with contextlib.suppress(ImportError):  # only in a ROS workspace
        peer = importlib.import_module("sensor_msgs_py.point_cloud2")
        header, fields = _peer_inputs()
        actions["sensor_msgs_py"] = lambda: peer.create_cloud(header, fields, record_array(points, colours))
    measured = interleaved(actions, repeats)
    baseline = "sensor_msgs_py" if "sensor_msgs_py" in measured else "record array"
    return [
        BenchmarkRow(
            f"PointCloud2 640x480 xyz+rgb, {name} message: p50, ms",
            measured[name].p50,
            f"{baseline} p50",
            measured[baseline].p50,
            "<= 10",
            measured[name].p50 <= 10,
        )
        for name in factories
    ]


def record_array(points: NDArray[np.float32], colours: NDArray[np.uint8]) -> NDArray[Any]:
    """The plain way: a structured array filled field by field."""
    cloud = np.zeros(points.shape[:2], _DTYPE)
    for axis, name in enumerate("xyz"):
        cloud[name] = points[..., axis]
    r, g, b = (colours[..., i].astype(np.uint32) for i in range(3))
    cloud["rgb"] = (r << 16) | (g << 8) | b
    return cloud


def _peer_inputs() -> tuple[Any, list[Any]]:
    factory = importlib.import_module("ego_perception.ros.factory").RclpyFactory()
    fields = [
        factory.make("sensor_msgs/msg/PointField", name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate(("x", "y", "z", "rgb"))
    ]
    return factory.make("std_msgs/msg/Header", frame_id="camera"), fields
