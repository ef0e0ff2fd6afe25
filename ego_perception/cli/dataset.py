"""`ego dataset`: render training data with EgoSim, and check a data set.

Exit codes: 0 done, 1 an expected error or a damaged data set, 130 Ctrl-C; run the same command again to go on.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ego_perception.cli.sim import parse_size, words
from ego_perception.errors import ConfigError
from ego_perception.parameters import from_mapping
from ego_perception.simulation.dataset import DatasetConfig, Progress, write_dataset

app = typer.Typer(add_completion=False)

ACTIONS: Final = ("render", "verify")
_LINE_EVERY_S: Final = 5.0


@app.command(help="Render training data with EgoSim, resumable; or verify a data set.")
def dataset(
    action: Annotated[str, typer.Argument(help="render; verify DIR.")] = "render",
    folder: Annotated[Path | None, typer.Argument(help="Data set to verify.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the data set.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test; their rooms, looks and people are disjoint.")] = "train",
    frames: Annotated[int, typer.Option(help="Frames the data set should have; rounded up to whole clips.")] = 1000,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = "320x240",
    frames_per_clip: Annotated[int, typer.Option(help="Consecutive frames of one room.")] = 20,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 15.0,
    preset: Annotated[str, typer.Option(help="mix, plain, default or hard.")] = "mix",
    views: Annotated[
        str,
        typer.Option(
            help="walk; hands for the stretch that shows most of them; glimpses of hands all over the walk; random for "
            "unrelated views, depth only."
        ),
    ] = "walk",
    products: Annotated[
        str, typer.Option(help="Comma-separated: clean, background, flow, bodies, vertices, extra_views; or none.")
    ] = "clean,background,flow,bodies",
    photo: Annotated[str, typer.Option(help="off, or mix for lens and sensor effects.")] = "off",
    fov: Annotated[str, typer.Option(help="Least-largest vertical field of view, degrees.")] = "45-80",
    colour: Annotated[str, typer.Option(help="jpeg, or png for exact colours.")] = "jpeg",
    seed_offset: Annotated[int, typer.Option(help="Seeds of the split to leave out at its beginning.")] = 0,
) -> None:
    """Run one action."""
    if action not in ACTIONS:
        raise ConfigError(f"action is '{action}'; choose one of {', '.join(ACTIONS)}")
    if action == "verify":
        verify(folder or out)
        return
    if out is None or folder is not None:
        raise ConfigError("say where the data set goes: ego dataset --split train --frames 1000 -o DIR")
    width, height = parse_size(size)
    values: dict[str, Any] = {
        "split": split, "width": width, "height": height, "frames_per_clip": frames_per_clip, "fps": fps, "preset": preset,
        "views": views, "products": words(products), "photo": photo, "fov_y_deg": _range(fov), "colour": colour,
        "seed_offset": seed_offset,
    }  # fmt: skip
    config = from_mapping(DatasetConfig, values)
    command = shlex.join(["ego", "dataset", *sys.argv[2:]])
    meter = Meter(Console())
    num_frames = write_dataset(out, config, frames, jobs=jobs, command=command, on_progress=meter)
    typer.echo(f"{out}: {num_frames} frames in '{split}'")


def verify(folder: Path | None) -> None:
    """Check every clip of a data set; exit code 1 where one is damaged.

    Raises:
        ConfigError: no folder was named.
    """
    from ego_perception.data.clips import ClipDataset

    if folder is None:
        raise ConfigError("say which data set to verify: ego dataset verify DIR")
    clips = ClipDataset(folder)
    damaged = [fault for _, fault in clips.verify() if fault]
    for fault in damaged:
        typer.echo(f"damaged: {fault}")
    for name in clips.strangers():
        typer.echo(f"not in the index: {name}; run `ego dataset` again")
    whole = clips.num_clips - len(damaged)
    typer.echo(f"{folder}: {whole} of {clips.num_clips} clips are whole, {len(clips)} frames")
    if damaged:
        raise typer.Exit(1)


class Meter:
    """Shows frames, speed and time left: in place on a terminal, every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Take one step."""
        now, is_last = time.monotonic(), progress.done >= progress.total
        if not (is_last or self._console.is_terminal or now - self._last_s >= _LINE_EVERY_S):
            return
        self._last_s = now
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        line = f"{progress.done} of {progress.total} frames, {progress.frames_per_s:.1f} frames/s, {minutes}:{seconds:02d} left"
        end = "\r" if self._console.is_terminal and not is_last else "\n"
        self._console.print(line.ljust(60), end=end, highlight=False)


def _range(text: str) -> tuple[float, ...]:
    try:
        low, _, high = text.partition("-")
        return float(low), float(high or low)
    except ValueError:
        raise ConfigError(f"fov is '{text}'; write it as LEAST-LARGEST, such as 45-80") from None
