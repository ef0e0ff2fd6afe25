"""The live node measured from outside: rate and age of its outputs with all of them subscribed, and its cost when idle."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ego_perception.cli.benchmarks.row import BenchmarkRow
from ego_perception.cli.node_processes import NodeProcess
from ego_perception.errors import EgoPerceptionError

if TYPE_CHECKING:
    from ego_perception.nodes.probe import Probe

_WARM_UP_S = 5.0


def live_rows(recording: Path, seconds: float) -> list[BenchmarkRow]:
    """Play a raw recording at its own rate to the node, with a listener on every output.

    Args:
        recording: bag of 640x480 raw images, long enough (`recording_s`); decoding is the camera driver's work, not the node's.
        seconds: time measured, after a warm-up.
    """
    from ego_perception.messages import SceneTopic
    from ego_perception.nodes.probe import Probe
    from ego_perception.ros.process import init, shutdown

    space = f"/ego_{os.getpid()}"
    init()
    try:
        with NodeProcess("reconstruction") as node, Probe(space) as probe:
            node.wait_until_active(120.0)
            play = {"source": str(recording), "playback.stamps": "now", "playback.publish_truth": False}
            with NodeProcess("player", play) as player:
                player.wait_until_active(60.0)
                wait_for_poses(probe)
                time.sleep(_WARM_UP_S)
                probe.clear()
                cpu_before, started = cpu_s(node.pid), time.monotonic()
                time.sleep(seconds)
                load = (cpu_s(node.pid) - cpu_before) / (time.monotonic() - started)
                seen = probe.arrivals
    finally:
        shutdown()
    clouds, poses = seen[SceneTopic.POINTS], seen[SceneTopic.ODOM]
    p95 = max(clouds.age_ms(95), poses.age_ms(95))
    silent = [topic.value for topic, arrivals in seen.items() if not arrivals.times_s]
    return [
        BenchmarkRow("live 640x480, clouds: rate, Hz", clouds.rate_hz, target=">= 10", reached=clouds.rate_hz >= 10),
        BenchmarkRow("live 640x480, poses: rate, Hz", poses.rate_hz, target=">= 10", reached=poses.rate_hz >= 10),
        BenchmarkRow("live 640x480, stamp to arrival: p50, ms", clouds.age_ms(50)),
        BenchmarkRow("live 640x480, stamp to arrival: p95, ms", p95, target="<= 150", reached=p95 <= 150),
        BenchmarkRow("live 640x480: cores used by the node", load),
        BenchmarkRow("live 640x480: outputs without a message", float(len(silent)), target="0", reached=not silent),
    ]


def recording_s(seconds: float) -> float:
    """How long a recording must be, so that it does not end, or start again elsewhere, while it is measured."""
    return seconds + _WARM_UP_S + 3.0


def wait_for_poses(probe: Probe) -> None:
    """Wait for the first pose.

    Raises:
        EgoPerceptionError: none came.
    """
    from ego_perception.messages import SceneTopic

    end = time.monotonic() + 60.0
    while not probe.arrivals[SceneTopic.ODOM].times_s:
        if time.monotonic() > end:
            raise EgoPerceptionError("no pose came from the node within 60 s; see ego doctor")
        time.sleep(0.05)


def idle_rows(seconds: float) -> list[BenchmarkRow]:
    """An active node without images and without listeners."""
    with NodeProcess("reconstruction") as node:
        node.wait_until_active(120.0)
        time.sleep(_WARM_UP_S)
        before, started = cpu_s(node.pid), time.monotonic()
        time.sleep(seconds)
        share = 100.0 * (cpu_s(node.pid) - before) / (time.monotonic() - started)
    return [BenchmarkRow("idle node, no subscribers: percent of a core", share, target="< 5", reached=share < 5)]


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
