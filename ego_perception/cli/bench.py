"""`ego bench`: speed, latency and memory, each beside a baseline measured in the same run."""

from __future__ import annotations

import enum
import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ego_perception import __version__
from ego_perception.errors import OutputError

if TYPE_CHECKING:
    from ego_perception.cli.benchmarks import BenchmarkRow
    from ego_perception.data import Frame

app = typer.Typer(add_completion=False)


class Subject(str, enum.Enum):
    """What can be measured."""

    FRONT_END = "front-end"
    CLOUD = "cloud"
    LIVE = "live"
    IDLE = "idle"
    MEMORY = "memory"
    SIMULATION = "simulation"
    HAND_REMOVAL = "hand_removal"


@app.command(help="Measure on this machine; keep it otherwise idle. Exit code 1 where a target is missed.")
def bench(
    subjects: Annotated[list[Subject] | None, typer.Argument(help="What to measure; everything if left out.")] = None,
    seconds: Annotated[float, typer.Option(min=2.0, help="Length of the live measurements.")] = 20.0,
    minutes: Annotated[float, typer.Option(min=0.5, help="Stream time of the memory measurement.")] = 10.0,
    seed: Annotated[int, typer.Option(help="EgoSim clip that is played.")] = 10501,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the rows to this file.")] = None,
) -> None:
    """Measure, print a table, and write JSON."""
    chosen = subjects or list(Subject)
    rows: list[BenchmarkRow] = []
    console = Console()
    for subject in chosen:
        console.print(f"measuring {subject.value} ...", highlight=False)
        rows += measure(subject, seed, seconds, minutes)
    show(console, rows)
    if output is not None:
        save(output, rows, {"seed": seed, "seconds": seconds, "minutes": minutes})
    if any(row.reached is False for row in rows):
        raise typer.Exit(1)


def measure(subject: Subject, seed: int, seconds: float, minutes: float) -> list[BenchmarkRow]:
    """Measure one subject."""
    from ego_perception.cli.benchmarks import cloud, front_end, hand_removal, live, memory, simulation

    without_frames = {
        Subject.CLOUD: cloud.cloud_rows,
        Subject.SIMULATION: lambda: simulation.simulation_rows(seed, seconds),
        Subject.IDLE: lambda: live.idle_rows(seconds),
    }
    if subject in without_frames:
        return without_frames[subject]()
    if subject is Subject.LIVE:
        with tempfile.TemporaryDirectory() as folder:
            recording = record(Path(folder) / "clip", seed, live.recording_s(seconds))
            return live.live_rows(recording, seconds)
    frames = clip(seed)
    if subject is Subject.MEMORY:
        return memory.memory_rows(frames, minutes)
    if subject is Subject.HAND_REMOVAL:
        return hand_removal.diffusion_rows(frames, hand_removal.imported_vidm())
    return front_end.front_end_rows(frames)


def clip(seed: int) -> list[Frame]:
    """Ten seconds of EgoSim without the truth, which would only take memory."""
    from ego_perception.simulation import EgoSim, EgoSimConfig

    with EgoSim(EgoSimConfig(seed=seed)) as simulator:
        return [replace(frame, truth=None) for frame in simulator]


def record(path: Path, seed: int, seconds: float) -> Path:
    """A walk in EgoSim as a bag of raw images."""
    from ego_perception.cli.sim import Picture, sim

    sim(seed, path, seconds=seconds, image=Picture.RAW)
    return path


def show(console: Console, rows: list[BenchmarkRow]) -> None:
    """Print the table."""
    table = Table("figure", "value", "baseline", "baseline value", "ratio", "target", "")
    for row in rows:
        verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
        peer = "" if row.baseline_value is None else f"{row.baseline_value:.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.figure, f"{row.value:.2f}", row.baseline, peer, ratio, row.target, verdict)
    console.print(table)


def save(path: Path, rows: list[BenchmarkRow], options: dict[str, Any]) -> None:
    """Write the rows with what they were measured on.

    Raises:
        OutputError: the file cannot be written.
    """
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    content = {"version": __version__, "machine": machine, "options": options, "rows": [row.to_dict() for row in rows]}
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
