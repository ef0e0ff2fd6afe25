"""`ego bench`: speed, latency and memory, each beside a baseline measured in the same run."""

from __future__ import annotations

import contextlib
import enum
import itertools
import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ego_perception import __version__
from ego_perception.errors import OutputError

if TYPE_CHECKING:
    from ego_perception.cli.benchmarks import BenchmarkRow
    from ego_perception.data import Frame

app = typer.Typer(add_completion=False)

_SEED: Final = 10501
_HANDS_SEED: Final = 10507
"""A clip in which, with the camera tilted, hands are in view in most images; what a hole costs is not seen without one."""
_TILT_DEG: Final = 30.0
"""How far down the camera looks where hand removal is measured, so that it sees hands."""
_FRAMES: Final = 120
"""Images that hand removal is measured on one by one."""


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
    subjects: Annotated[
        list[Subject] | None,
        typer.Argument(help="What to measure; everything if left out, but for the diffusion model, which hand_removal adds."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=2.0, help="Length of the live measurements.")] = 20.0,
    minutes: Annotated[float, typer.Option(min=0.5, help="Stream time of the memory measurement.")] = 10.0,
    seed: Annotated[
        int | None,
        typer.Option(help=f"EgoSim clip; {_SEED} if left out, for hand removal {_HANDS_SEED}, in which hands are seen."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the rows to this file.")] = None,
    quality: Annotated[
        Path | None,
        typer.Option(
            help="Instead: clips with exact truth, on which the imported diffusion model's steps and solvers are compared."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="With --quality: another weight file of the diffusion model.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="With --quality: frames to fill at most.")] = 24,
) -> None:
    """Measure, print a table, and write JSON."""
    if quality is not None:
        from ego_perception.cli.benchmarks.vidm_quality import measure_quality, quality_table

        Console().print(quality_table(measure_quality(quality, weights, frames)))
        return
    chosen = subjects or list(Subject)
    rows: list[BenchmarkRow] = []
    console = Console()
    for subject in chosen:
        console.print(f"measuring {subject.value} ...", highlight=False)
        rows += measure(subject, seed, seconds, minutes, in_full=bool(subjects))
    show(console, rows)
    if output is not None:
        save(output, rows, {"seeds": {one.value: seed_of(one, seed) for one in chosen}, "seconds": seconds, "minutes": minutes})
    if any(row.reached is False for row in rows):
        raise typer.Exit(1)


def measure(
    subject: Subject, chosen_seed: int | None, seconds: float, minutes: float, *, in_full: bool = False
) -> list[BenchmarkRow]:
    """Measure one subject; `in_full` also what takes minutes and is measured on request only."""
    seed = seed_of(subject, chosen_seed)
    from ego_perception.cli.benchmarks import cloud, front_end, live, memory, simulation

    without_frames = {
        Subject.CLOUD: cloud.cloud_rows,
        Subject.SIMULATION: lambda: simulation.simulation_rows(seed, seconds),
        Subject.IDLE: lambda: live.idle_rows(seconds),
        Subject.HAND_REMOVAL: lambda: measure_hand_removal(seed, seconds, with_diffusion=in_full),
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
    return front_end.front_end_rows(frames)


def seed_of(subject: Subject, chosen: int | None) -> int:
    """The clip that is measured on."""
    return (_HANDS_SEED if subject is Subject.HAND_REMOVAL else _SEED) if chosen is None else chosen


def measure_hand_removal(seed: int, seconds: float, *, with_diffusion: bool) -> list[BenchmarkRow]:
    """Measure hand removal image by image and live, and on request the diffusion model."""
    from ego_perception.bag import BagSource
    from ego_perception.cli.benchmarks import compact_removal, hand_removal, live
    from ego_perception.data import Frame

    with tempfile.TemporaryDirectory() as folder:
        recording = record(Path(folder) / "clip", seed, live.recording_s(seconds), f"camera_tilt_deg={_TILT_DEG:g}")
        with contextlib.closing(BagSource(recording)) as source:
            frames = [frame for frame in itertools.islice(source, _FRAMES) if isinstance(frame, Frame)]
        rows = [*compact_removal.compact_rows(frames), *live.removal_rows(recording, seconds)]
    return rows + (hand_removal.diffusion_rows(frames, hand_removal.imported_vidm()) if with_diffusion else [])


def clip(seed: int) -> list[Frame]:
    """Ten seconds of EgoSim without the truth, which would only take memory."""
    from ego_perception.simulation import EgoSim, EgoSimConfig

    with EgoSim(EgoSimConfig(seed=seed)) as simulator:
        return [replace(frame, truth=None) for frame in simulator]


def record(path: Path, seed: int, seconds: float, *assignments: str) -> Path:
    """A walk in EgoSim, with parameters as `name=value`, as a bag of raw images."""
    from ego_perception.cli.sim import Picture, sim

    sim(seed, path, seconds=seconds, image=Picture.RAW, products="none", assignments=list(assignments))
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
