"""Nodes as real processes: a clean end on Ctrl-C, errors in one line, and a killed node that comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from nav_msgs.msg import Odometry
from ros_support import Camera, Graph, Listener, wait_for
from sensor_msgs.msg import Image

from ego_perception.data import Frame
from ego_perception.messages import image_from_frame, stamp_ns_of
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.source import _NoParameters
from ego_perception.ros.supervisor import ProcessUnit, RestartPolicy, Supervisor, ThreadUnit

START_S = 60.0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "my clip"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.full((24, 32, 3), 40 * number, np.uint8))
    return folder


def player(clip: Path, namespace: str) -> list[str]:
    pairs = ["autostart:=true", f"source:='{clip}'", "playback.loop:=true", "playback.stamps:=now"]
    return ["--ros-args", "-r", f"__ns:={namespace}", *[x for p in pairs for x in ("-p", p)]]


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_ends_cleanly_on_a_signal(graph: Graph, namespace: str, clip: Path, number: int) -> None:
    image = Listener(graph.observer(namespace), Image, "image")
    process = start("ego_perception.nodes.player_node", *player(clip, namespace))
    try:
        wait_for(lambda: len(image) > 2, START_S, "images of the process")
        code, text = finish(process, number)
    finally:
        process.kill()
    assert code == 0, text
    assert "Traceback" not in text


def test_a_node_that_was_never_configured_ends_cleanly(namespace: str, graph: Graph) -> None:
    process = start("ego_perception.nodes.recorder_node", "--ros-args", "-r", f"__ns:={namespace}")
    observer = graph.observer()
    try:
        wait_for(lambda: ("recorder", namespace) in observer.get_node_names_and_namespaces(), START_S, "the node")
        code, text = finish(process, signal.SIGINT)
    finally:
        process.kill()
    assert code == 0, text


def test_up_runs_nodes_until_ctrl_c(graph: Graph, namespace: str, clip: Path) -> None:
    image = Listener(graph.observer(namespace), Image, "image")
    process = start("ego_perception.cli.main", "up", "player", *player(clip, namespace))
    try:
        wait_for(lambda: len(image) > 2, START_S, "images")
        code, text = finish(process, signal.SIGINT)
    finally:
        process.kill()
    assert code == 0, text
    assert "Traceback" not in text


def test_up_reports_a_wrong_value_in_one_line_and_ends(clip: Path) -> None:
    process = start("ego_perception.cli.main", "up", "player", "--ros-args", "-p", "source:=/no/such/clip")
    out, err = process.communicate(timeout=START_S)
    assert process.returncode == 1, out + err
    assert "'/no/such/clip' is no file or folder" in err
    assert "Traceback" not in err


def test_a_killed_process_comes_back(graph: Graph, namespace: str, clip: Path) -> None:
    image = Listener(graph.observer(namespace), Image, "image")
    unit = ProcessUnit("player", "ego_perception.nodes.player_node", player(clip, namespace))
    supervisor, stop = Supervisor([unit], RestartPolicy(first_s=0.1)), threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    try:
        wait_for(lambda: len(image) > 2, START_S, "images of the first life")
        assert unit.process is not None
        os.kill(unit.process.pid, signal.SIGKILL)
        wait_for(lambda: supervisor.num_restarts == 1, what="restart")
        heard = len(image)
        wait_for(lambda: len(image) > heard, START_S, "images of the second life")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_killed_reconstruction_resumes_its_outputs(graph: Graph, namespace: str) -> None:
    """With the shipped weights, while the camera goes on; nothing but the process itself is started again."""
    camera = Camera(graph.observer(namespace), width=320, height=240)
    odom = Listener(camera.node, Odometry, "reconstruction/odom")
    arguments = ["--ros-args", "-r", f"__ns:={namespace}", "-p", "autostart:=true"]
    unit = ProcessUnit("reconstruction", "ego_perception.nodes.reconstruction_node", arguments)
    supervisor, stop = Supervisor([unit], RestartPolicy(first_s=0.1)), threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    texture = np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8)
    wall = cv2.resize(texture, (400, 240), interpolation=cv2.INTER_CUBIC)

    def sees() -> int:
        """Send the next picture; the number of poses so far."""
        stamp_ns = time.time_ns()
        left = int(20 * (1 + np.sin(stamp_ns * 1e-9)))
        pixels = np.ascontiguousarray(wall[:, left : left + 320])
        frame = Frame(stamp_ns, pixels, camera=camera.pinhole, frame_id="cam_optical")
        camera.info.publish(camera.info_message(stamp_ns))
        camera.image.publish(image_from_frame(camera.factory, frame))
        time.sleep(0.05)
        return len(odom)

    try:
        wait_for(lambda: sees() > 2, START_S, "poses of the first life")
        assert unit.process is not None
        os.kill(unit.process.pid, signal.SIGKILL)
        wait_for(lambda: supervisor.num_restarts == 1, what="restart")
        time.sleep(0.2)  # what the first life sent is through
        heard, killed_ns = sees(), time.time_ns()
        wait_for(lambda: sees() > heard + 2, START_S, "poses of the second life")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert stamp_ns_of(odom.last) > killed_ns


def test_a_broken_callback_costs_its_node_one_restart(namespace: str) -> None:
    made: list[EgoLifecycleNode[Any]] = []

    class Fragile(EgoLifecycleNode[_NoParameters]):
        def heartbeat(self) -> None:
            if len(made) == 1:
                raise RuntimeError("a defect")

    def make() -> EgoLifecycleNode[Any]:
        made.append(Fragile("fragile", _NoParameters, namespace=namespace, autostart=True, status_period_s=0.05))
        return made[-1]

    supervisor, stop = Supervisor([ThreadUnit("fragile", make)], RestartPolicy(first_s=0.1)), threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    wait_for(lambda: len(made) == 2 and made[1].is_active and made[1].num_beats > 2)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert supervisor.num_restarts == 1
    time.sleep(0.1)
    assert len(made) == 2
