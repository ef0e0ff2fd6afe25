"""`ego demo`: the whole way once, on a simulated recording with ground truth.

EgoSim is recorded to a rosbag2 MCAP; the player sends it over ROS topics to the real reconstruction node, on request with hand
removal beside it, each node in a process of its own; the recorder node writes what comes out. Then report, table and viewer.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ego_perception.cli.node_processes import NodeProcess
from ego_perception.errors import EgoPerceptionError, OutputError
from ego_perception.nodes.wiring import BESIDE_HAND_REMOVAL, MASK_REMAPS

app = typer.Typer(add_completion=False)

_MASK_LIMIT_S: Final = 5.0
"""Longest wait for the mask of one image; far more than one takes, as every frame of a demo counts."""
_GEOMETRY_LIMIT_S: Final = 1.0
"""The same for its depth and pose."""
_TILT_DEG: Final = 25.0
"""How far down the camera looks: the wearer's hands are in view for much of the recording."""


@app.command(help="Record EgoSim, reconstruct it live over ROS topics, write a report, and show it. Ctrl-C ends the viewer.")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Result folder; replaces an earlier demo.")] = Path("out/demo"),
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the recording.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Room and walk of EgoSim.")] = 10500,
    hands: Annotated[bool, typer.Option("--hand-removal/--no-hand-removal", help="Also remove the wearer's hands.")] = True,
    view: Annotated[bool, typer.Option("--view/--no-view", help="Serve the viewer at the end.")] = True,
    port: Annotated[int, typer.Option(help="Port of the viewer.")] = 8080,
) -> None:
    """Run the demo."""
    console = Console()
    out = out.absolute()
    clear(out)
    recording = out / "recording"
    console.rule("1/3  record EgoSim", align="left")
    record(recording, seed, seconds)
    console.rule("2/3  reconstruct, live over ROS topics", align="left")
    reconstruct_live(recording, out, seed, seconds, console, hands=hands)
    console.rule("3/3  report", align="left")
    conclude(out, console)
    if view:
        from ego_perception.viz.viewer import serve

        serve(out, port=port)


def clear(out: Path) -> None:
    """Make room for a new result; only a folder that looks like an earlier one is emptied.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    try:
        if out.exists() and any(out.iterdir()):
            if not ((out / "recording").exists() or (out / "recording.partial").exists()):
                raise OutputError(f"{out} holds files that are not a demo's; name another folder with -o")
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error


def record(recording: Path, seed: int, seconds: float) -> None:
    """Record EgoSim with ground truth to a bag."""
    from ego_perception.cli.sim import sim

    sim(seed, recording, seconds=seconds, assignments=[f"camera_tilt_deg={_TILT_DEG:g}"])


def reconstruct_live(recording: Path, out: Path, seed: int, seconds: float, console: Console, *, hands: bool = False) -> None:
    """Play the bag to the nodes and record their outputs; with `hands` the reconstruction waits for each image's mask.

    Raises:
        EgoPerceptionError: a node did not start or ended with an error; its last lines are in the message.
    """
    command = f"./ego demo --seed {seed} --seconds {seconds:g} --{'' if hands else 'no-'}hand-removal"
    with contextlib.ExitStack() as nodes:
        settings: dict[str, Any] = {"input.queue_policy": "all"}
        remaps: dict[str, str] = {}
        if hands:
            removal = nodes.enter_context(NodeProcess("hand_removal", settings | {"geometry_wait_s": _GEOMETRY_LIMIT_S}))
            removal.wait_until_active(120.0)
            settings |= BESIDE_HAND_REMOVAL | {"input.ignore_mask_wait_s": _MASK_LIMIT_S}
            remaps = MASK_REMAPS
        reconstruction = nodes.enter_context(NodeProcess("reconstruction", settings, remaps=remaps))
        reconstruction.wait_until_active(120.0)
        keep = {"path": str(out), "reliability": "reliable", "source": f"sim:{seed}", "command": command}
        recorder = nodes.enter_context(NodeProcess("recorder", keep))
        recorder.wait_until_active(60.0)
        console.print(f"all nodes are active; playing {seconds:g} s, each frame once the last was answered")
        # Rate 0: a frame is sent when the one before was answered, so that a slow machine shows the same result, only later.
        play = {"source": str(recording), "playback.num_subscribers": 2 + hands, "playback.rate": 0.0}
        if hands:
            play["playback.answer_timeout_s"] = 2 * _MASK_LIMIT_S
        started = time.monotonic()
        player = nodes.enter_context(NodeProcess("player", play))
        player.wait_until_done(30.0 * seconds + 60.0)
        wait_for_quiet(out / "frames" / "frames.jsonl")
        console.print(f"played in {time.monotonic() - started:.1f} s, start of the player included", highlight=False)


def wait_for_quiet(log: Path, *, quiet_s: float = 2.0, limit_s: float = 60.0) -> None:
    """Wait until the recorder has written what is still on its way to it: its log no longer grows, or the limit is reached."""
    end = time.monotonic() + limit_s
    size, since = -1, time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < quiet_s:
        now = log.stat().st_size if log.exists() else 0
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.1)


def conclude(out: Path, console: Console) -> None:
    """Write the report and print the scores."""
    from ego_perception.cli.summary import show_metrics
    from ego_perception.evaluation import Metrics
    from ego_perception.viz.report import write_report

    report = write_report(out)
    metrics = out / "metrics.json"
    if not metrics.exists():
        raise EgoPerceptionError(f"the nodes wrote no scores to {metrics}; see the report {report}")
    show_metrics(console, Metrics.load(metrics))
    console.print(f"report  {report}\ncloud   {out / 'cloud.ply'}\nbag     {out / 'result'}", highlight=False, soft_wrap=True)
