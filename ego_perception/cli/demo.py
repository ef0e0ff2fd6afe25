"""`ego demo`: the whole way once, on a simulated recording with ground truth.

EgoSim is recorded to a rosbag2 MCAP; the player sends it over ROS topics to the real reconstruction node, each node in a
process of its own; the recorder node writes what comes out. Then report, table and viewer.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ego_perception.cli.node_processes import NodeProcess
from ego_perception.errors import EgoPerceptionError, OutputError

app = typer.Typer(add_completion=False)


@app.command(help="Record EgoSim, reconstruct it live over ROS topics, write a report, and show it. Ctrl-C ends the viewer.")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Result folder; replaces an earlier demo.")] = Path("out/demo"),
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the recording.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Room and walk of EgoSim.")] = 10502,
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
    reconstruct_live(recording, out, seed, seconds, console)
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

    sim(seed, recording, seconds=seconds)


def reconstruct_live(recording: Path, out: Path, seed: int, seconds: float, console: Console) -> None:
    """Play the bag to the reconstruction node and record its outputs.

    Raises:
        EgoPerceptionError: a node did not start or ended with an error; its last lines are in the message.
    """
    command = f"./ego demo --seed {seed} --seconds {seconds:g}"
    with contextlib.ExitStack() as nodes:
        reconstruction = nodes.enter_context(NodeProcess("reconstruction", {"input.queue_policy": "all"}))
        reconstruction.wait_until_active(120.0)
        keep = {"path": str(out), "reliability": "reliable", "source": f"sim:{seed}", "command": command}
        recorder = nodes.enter_context(NodeProcess("recorder", keep))
        recorder.wait_until_active(60.0)
        console.print(f"reconstruction and recorder are active; playing {seconds:g} s, each frame once the last was answered")
        # Rate 0: a frame is sent when the one before was answered, so that a slow machine shows the same result, only later.
        play = {"source": str(recording), "playback.num_subscribers": 2, "playback.rate": 0.0}
        started = time.monotonic()
        player = nodes.enter_context(NodeProcess("player", play))
        player.wait_until_done(30.0 * seconds + 60.0)
        console.print(f"played in {time.monotonic() - started:.1f} s, start of the player included", highlight=False)


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
