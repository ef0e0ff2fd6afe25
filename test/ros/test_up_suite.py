"""`ego up` with a simulated camera, the shipped weights and the recorder: live outputs, one TF tree, a result after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from ros_support import Graph, Listener, wait_for
from sensor_msgs.msg import PointCloud2

from ego_msgs.msg import NodeStatus
from ego_perception.bag import BagReader
from ego_perception.data.result import ResultReader
from ego_perception.messages import stamp_ns_of, unpack_cloud
from ego_perception.ros.tf import TransformBuffer

pytestmark = pytest.mark.slow

SMALL = ("sim.width:=320", "sim.height:=240", "sim.preset:=plain", "sim.supersample:=1", "sim.shadow_map_px:=0")


@pytest.mark.parametrize("processes", [False, True])
def test_the_suite_runs_and_ctrl_c_leaves_a_result(graph: Graph, namespace: str, tmp_path: Path, processes: bool) -> None:
    out = tmp_path / "my result"
    parameters = [x for p in (*SMALL, f"path:='{out}'") for x in ("-p", p)]
    nodes = ["egosim", "reconstruction", "recorder", *["--processes"] * processes]
    observer = graph.observer(namespace)
    odom, points, status = (
        Listener(observer, kind, f"reconstruction/{name}")
        for kind, name in ((Odometry, "odom"), (PointCloud2, "points"), (NodeStatus, "status"))
    )
    buffer = TransformBuffer(observer)
    process = subprocess.Popen(
        [sys.executable, "-m", "ego_perception.cli.main", "up", *nodes, "--ros-args", "-r", f"__ns:={namespace}", *parameters],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: process.poll() is not None or (len(odom) > 20 and len(points) > 20), 120, "outputs")
        heard = len(odom)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, shown + errors
    assert "Traceback" not in errors
    stamps = [stamp_ns_of(message) for message in odom.messages]
    assert stamps == sorted(set(stamps))
    assert np.isfinite(unpack_cloud(points.last)[0]).any()
    assert status.last.model_sha256
    assert buffer.lookup("map", "camera_optical_frame") is not None
    result = ResultReader(out)
    assert result.run["status"] == "finished"
    assert 0 < len(result.frames) <= heard + 20
    with BagReader(out / "result") as bag:
        assert bag.damages == []
        assert bag.topics["/reconstruction/odom"].count > 0
