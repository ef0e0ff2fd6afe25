"""`ego replay`: every frame of a recording in order, no wall clock; the result is byte-equal on repeat."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from ego_perception.cli.offline import Job
from ego_perception.cli.run import default_out, execute
from ego_perception.cli.settings import resolve_config, resolve_removal
from ego_perception.cli.sources import open_source
from ego_perception.cli.tasks import RECONSTRUCTION, TASKS, Selection, parse_tasks
from ego_perception.errors import SourceError

app = typer.Typer(add_completion=False)


@app.command(help="Replay a recording deterministically. Exit codes: 0 done, 1 error, 130 Ctrl-C.")
def replay(
    recording: Annotated[str, typer.Argument(help="A rosbag2 folder or file; also a video, an image folder or sim:SEED.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Result folder; out/replay/NAME if left out.")] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also score point clouds, and fail where the recording has no ground truth.")
    ] = False,
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
    no_bag: Annotated[bool, typer.Option("--no-bag", help="Write no result bag.")] = False,
) -> None:
    """Open, replay, score."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    resolved = resolve_config(config, settings or [])
    selection = Selection(parse_tasks(tasks), resolve_removal(settings or []))
    frames = open_source(recording, fps=fps, intrinsics=intrinsics, hand_masks=selection.hand_masks(hand_masks))
    if frames.is_live:
        frames.close()
        raise SourceError(f"'{recording}' is live and cannot be replayed; use ego run, or record it first")
    folder = default_out("out/replay", frames.name) if out is None else out
    job = Job("replay", frames, folder, resolved, not no_bag, evaluate, max_frames, selection)
    execute(job, weights, view_port=None)
    if evaluate and not (folder / "metrics.json").is_file():
        raise SourceError(f"'{recording}' holds no ground truth (depth or poses), so there is nothing to evaluate")
