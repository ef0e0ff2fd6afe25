"""`ego run`: the user's own input into a result folder, reconstructed and on request without the wearer's hands."""

from __future__ import annotations

import logging
from collections.abc import Sized
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from ego_perception.cli.offline import Job, load_model, reconstruct, with_tasks
from ego_perception.cli.progress import ProgressSink
from ego_perception.cli.settings import resolve_config, resolve_removal
from ego_perception.cli.sources import KINDS, open_source
from ego_perception.cli.summary import show_outcome
from ego_perception.cli.tasks import RECONSTRUCTION, TASKS, Selection, parse_tasks
from ego_perception.runtime import Source

app = typer.Typer(add_completion=False)


@app.command(help="Reconstruct an input: point cloud, camera path, depth, a report. Exit codes: 0 done, 1 error, 130 Ctrl-C.")
def run(
    source: Annotated[str, typer.Argument(help=f"Input: {KINDS}.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Result folder; out/NAME-OF-INPUT if left out.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second of a folder, or instead of a video's stamps.")] = None,
    intrinsics: Annotated[str | None, typer.Option(help="fx,fy,cx,cy in pixels, or a calibration file.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with parameters.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One parameter as name=value; repeatable.")] = None,
    tasks: Annotated[str, typer.Option(help=f"What to run, separated by commas: {', '.join(TASKS)}.")] = RECONSTRUCTION,
    hand_masks: Annotated[
        str | None, typer.Option(help="Topic of a bag with hand masks, for hand_removal.mask_source=topic or auto.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Weight file instead of the shipped one.")] = None,
    view: Annotated[bool, typer.Option("--view", help="Open the result in the web viewer at the end.")] = False,
    port: Annotated[int, typer.Option(help="Port of the viewer.")] = 8080,
    no_bag: Annotated[bool, typer.Option("--no-bag", help="Write no result bag.")] = False,
    clouds: Annotated[bool, typer.Option("--clouds", help="Also score point clouds where there is truth.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Open, reconstruct, report."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    resolved = resolve_config(config, settings or [])
    selection = Selection(parse_tasks(tasks), resolve_removal(settings or []))
    frames = open_source(source, fps=fps, intrinsics=intrinsics, hand_masks=selection.hand_masks(hand_masks))
    folder = default_out("out", frames.name) if out is None else out
    if dry_run:
        plan: dict[str, object] = {"source": frames.name, "out": str(folder), "tasks": list(selection.tasks)}
        plan["parameters"] = selection.parameters(resolved)
        typer.echo(yaml.safe_dump(plan, sort_keys=False))
        frames.close()
        return
    job = Job("run", frames, folder, resolved, not no_bag, clouds, max_frames, selection)
    execute(job, weights, view_port=port if view else None)


def execute(job: Job, weights: Path | None, *, view_port: int | None) -> None:
    """Run a job with progress, print its outcome, and serve the viewer if asked.

    Raises:
        typer.Exit: with 130 after Ctrl-C.
    """
    console = Console(stderr=True)
    scene = load_model(job.config, weights) if job.selection.has_reconstruction else None
    model = with_tasks(scene, job.selection)
    with ProgressSink(console, _length(job)) as progress:
        outcome = reconstruct(job, model, [progress])
    show_outcome(Console(), outcome)
    if outcome.interrupted:
        raise typer.Exit(130)
    if view_port is not None:
        from ego_perception.viz.viewer import serve

        serve(job.out, port=view_port)


def default_out(parent: str, source_name: str) -> Path:
    """A folder named after the input, with characters that shells dislike replaced."""
    stem = source_name.removeprefix("bag ").replace(":", "-")
    return Path(parent) / (Path(stem).stem or "result")


def _length(job: Job) -> int | None:
    source: Source = job.source
    length = len(source) if isinstance(source, Sized) else None
    limits = [n for n in (length, job.max_frames) if n is not None]
    return min(limits, default=None)
