"""The live nodes measured from outside: rate and age of their outputs with all of them subscribed, and their cost when idle."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ego_perception.cli.benchmarks.row import BenchmarkRow
from ego_perception.cli.node_processes import NodeProcess
from ego_perception.errors import EgoPerceptionError
from ego_perception.nodes.wiring import BESIDE_HAND_REMOVAL, MASK_REMAPS

if TYPE_CHECKING:
    from ego_perception.nodes.probe import Arrivals, Probe, Topic

_WARM_UP_S = 5.0


@dataclass(frozen=True)
class Played:
    """What nodes did while a recording was played to them.

    Attributes:
        arrivals: of their outputs, by topic.
        cores: used by each node.
    """

    arrivals: Mapping[Topic, Arrivals]
    cores: Mapping[str, float]

    @property
    def silent(self) -> list[str]:
        """Outputs without a message."""
        return [topic.value for topic, arrivals in self.arrivals.items() if not arrivals.times_s]


def play(recording: Path, seconds: float, settings: Mapping[str, Mapping[str, Any]]) -> Played:
    """Play a raw recording at its own rate to nodes, with a listener on every output.

    Args:
        recording: bag of 640x480 raw images, long enough (`recording_s`); decoding is the camera driver's work, not the nodes'.
        seconds: time measured, after a warm-up.
        settings: parameters by node name.

    Raises:
        EgoPerceptionError: a node did not start, or gave nothing.
    """
    from ego_perception.nodes.probe import Probe
    from ego_perception.ros.process import init, shutdown

    init()
    try:
        with contextlib.ExitStack() as stack:
            nodes = start_nodes(stack, settings)
            names = {name: name if name in nodes else "" for name in ("reconstruction", "hand_removal")}
            probe = stack.enter_context(Probe(f"/ego_{os.getpid()}", **names))
            options = {"source": str(recording), "playback.stamps": "now", "playback.publish_truth": False}
            options["playback.num_subscribers"] = len(nodes)
            player = stack.enter_context(NodeProcess("player", options))
            player.wait_until_active(60.0)
            wait_for_outputs(probe)
            time.sleep(_WARM_UP_S)
            probe.clear()
            before, started = {name: cpu_s(node.pid) for name, node in nodes.items()}, time.monotonic()
            time.sleep(seconds)
            elapsed = time.monotonic() - started
            cores = {name: (cpu_s(node.pid) - before[name]) / elapsed for name, node in nodes.items()}
            return Played(probe.arrivals, cores)
    finally:
        shutdown()


def live_rows(recording: Path, seconds: float) -> list[BenchmarkRow]:
    """Measure reconstruction alone; arguments as of `play`."""
    from ego_perception.messages import SceneTopic

    played = play(recording, seconds, {"reconstruction": {}})
    clouds, poses = played.arrivals[SceneTopic.POINTS], played.arrivals[SceneTopic.ODOM]
    p95 = max(clouds.age_ms(95), poses.age_ms(95))
    return [
        at_least("live 640x480, clouds: rate, Hz", clouds.rate_hz, 10),
        at_least("live 640x480, poses: rate, Hz", poses.rate_hz, 10),
        BenchmarkRow("live 640x480, stamp to arrival: p50, ms", clouds.age_ms(50)),
        at_most("live 640x480, stamp to arrival: p95, ms", p95, 150),
        BenchmarkRow("live 640x480: cores used by the node", played.cores["reconstruction"]),
        silent_row("live 640x480", played),
    ]


def removal_rows(
    recording: Path, seconds: float, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[BenchmarkRow]:
    """Measure hand removal (mask, background and fill of every image), alone and with reconstruction beside it.

    Args:
        recording, seconds: as of `play`.
        settings: parameters by node name, in place of none.
    """
    from ego_perception.messages import SceneTopic
    from ego_perception.messages.hand_removal import RemovalTopic

    given = dict(settings or {})
    alone = play(recording, seconds, {"hand_removal": given.get("hand_removal", {})})
    image, mask = alone.arrivals[RemovalTopic.IMAGE], alone.arrivals[RemovalTopic.HAND_MASK]
    what = "hand removal live, 640x480"
    rows = [
        at_least(f"{what}, alone: rate, Hz", image.rate_hz, 8),
        BenchmarkRow(f"{what}, alone: stamp to arrival of the mask: p95, ms", mask.age_ms(95)),
        BenchmarkRow(f"{what}, alone: stamp to arrival: p50, ms", image.age_ms(50)),
        at_most(f"{what}, alone: stamp to arrival: p95, ms", image.age_ms(95), 200),
        BenchmarkRow(f"{what}, alone: cores used by the node", alone.cores["hand_removal"]),
        silent_row(f"{what}, alone", alone),
    ]
    both = play(
        recording,
        seconds,
        {"hand_removal": given.get("hand_removal", {}), "reconstruction": given.get("reconstruction", {})},
    )
    image, poses = both.arrivals[RemovalTopic.IMAGE], both.arrivals[SceneTopic.ODOM]
    return [
        *rows,
        at_least(f"{what}, beside reconstruction: rate, Hz", image.rate_hz, 5),
        at_least(f"{what}, beside reconstruction: rate of poses, Hz", poses.rate_hz, 5),
        BenchmarkRow(f"{what}, beside reconstruction: stamp to arrival: p95, ms", image.age_ms(95)),
        BenchmarkRow(f"{what}, beside reconstruction: stamp to arrival of poses: p95, ms", poses.age_ms(95)),
        BenchmarkRow(f"{what}, beside reconstruction: cores used by both", sum(both.cores.values())),
        silent_row(f"{what}, beside reconstruction", both),
    ]


def start_nodes(stack: contextlib.ExitStack, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeProcess]:
    """Start nodes that end with the stack; beside hand removal, the reconstruction leaves the hands out."""
    nodes = {}
    for name in sorted(settings):  # hand removal first, as the reconstruction takes its masks
        parameters, remaps = dict(settings[name]), {}
        if name == "reconstruction" and "hand_removal" in settings:
            parameters, remaps = BESIDE_HAND_REMOVAL | parameters, MASK_REMAPS
        nodes[name] = stack.enter_context(NodeProcess(name, parameters, remaps=remaps))
        nodes[name].wait_until_active(120.0)
    return nodes


def at_least(figure: str, value: float, target: float) -> BenchmarkRow:
    """A row whose value must not be smaller."""
    return BenchmarkRow(figure, value, target=f">= {target:g}", reached=value >= target)


def at_most(figure: str, value: float, target: float) -> BenchmarkRow:
    """A row whose value must not be larger."""
    return BenchmarkRow(figure, value, target=f"<= {target:g}", reached=value <= target)


def silent_row(what: str, played: Played) -> BenchmarkRow:
    """How many outputs had no message."""
    return BenchmarkRow(f"{what}: outputs without a message", float(len(played.silent)), target="0", reached=not played.silent)


def recording_s(seconds: float) -> float:
    """How long a recording must be, so that it does not end, or start again elsewhere, while it is measured."""
    return seconds + _WARM_UP_S + 3.0


def wait_for_outputs(probe: Probe) -> None:
    """Wait for the first pose, and the first image without hands, of the nodes that are there.

    Raises:
        EgoPerceptionError: one did not come.
    """
    from ego_perception.messages import SceneTopic
    from ego_perception.messages.hand_removal import RemovalTopic

    wanted = [topic for topic in (SceneTopic.ODOM, RemovalTopic.IMAGE) if topic in probe.arrivals]
    end = time.monotonic() + 60.0
    while missing := [topic for topic in wanted if not probe.arrivals[topic].times_s]:
        if time.monotonic() > end:
            raise EgoPerceptionError(f"nothing came on '{missing[0].value}' within 60 s; see ego doctor")
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
