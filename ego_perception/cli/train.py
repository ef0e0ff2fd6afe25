"""`ego train`: train a compact model on EgoSim, rendering the images first where none are given."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from ego_perception.cli.train_tasks import TASKS, TrainJob
from ego_perception.errors import ConfigError
from ego_perception.parameters import flatten, from_mapping, to_dict

if TYPE_CHECKING:
    from ego_perception.engine.network_task import TrainParameters

app = typer.Typer(add_completion=False)


@app.command(help="Train a compact model on EgoSim.")
def train(
    task: Annotated[str, typer.Argument(help=f"What to train: {', '.join(TASKS)}.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run: checkpoint, weights, TensorBoard events.")
    ] = Path("out/train"),
    data: Annotated[
        Path | None, typer.Option(help="Folder with the data sets train/ and val/; rendered into OUT/data if left out.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with parameters, as in config/train/.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; wins over the file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and augmentation; wins over the file.")] = None,
    rooms: Annotated[int, typer.Option(help="Rooms to render when --data is left out.")] = 1500,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    start: Annotated[Path | None, typer.Option(help="Weight file to begin with, instead of random weights.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT/checkpoint.pt.")] = False,
    override: Annotated[bool, typer.Option("--override", help="Resume with this run's parameters where they changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Resolve the parameters, render what is missing, train."""
    if task not in TASKS:
        raise ConfigError(f"task is '{task}'; choose one of {', '.join(TASKS)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    if start is not None and resume:
        raise ConfigError("--start begins a run and --resume goes on with one; give one of them")
    job = TASKS[task]
    parameters = _parameters(job, config, steps=steps, seed=seed)
    folder = data or out / "data"
    if dry_run:
        source = f"data sets in {folder}" if data else f"{rooms} rooms rendered into {folder}"
        typer.echo(yaml.safe_dump({"task": task, "out": str(out), "data": source, **to_dict(parameters)}, sort_keys=False))
        return
    if data is None:
        _render(job, folder, rooms)
    _train(job, parameters, folder, out, device, start=start, resume=resume, override=override)


def _parameters(job: TrainJob, path: Path | None, **options: int | None) -> TrainParameters:
    """Defaults, then the file, then the command line."""
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path} holds {type(values).__name__}, not parameters; see config/train/")
    given = {f"trainer.{name}": value for name, value in options.items() if value is not None}
    parameters: TrainParameters = from_mapping(job.config(), {**flatten(values), **given})
    return parameters


def _train(
    job: TrainJob,
    parameters: TrainParameters,
    data: Path,
    out: Path,
    device: str,
    *,
    start: Path | None,
    resume: bool,
    override: bool,
) -> None:
    from ego_perception.engine import Trainer
    from ego_perception.engine.distributed import join_workplace

    with join_workplace(device) as workplace:
        if not workplace.is_main:
            logging.getLogger().setLevel(logging.WARNING)
        trainer = Trainer(job.build(parameters, data), parameters.trainer, to_dict(parameters), out, workplace)
        if start is not None:
            trainer.start_from(start)
        if resume:
            trainer.resume(override=override)
        if not trainer.run():
            typer.echo(f"stopped at step {trainer.step}; go on with --resume")
            raise typer.Exit(130)


def _render(job: TrainJob, folder: Path, rooms: int) -> None:
    """Render the training and held-out rooms that are not there yet; one held-out room for ten to train on."""
    from ego_perception.simulation.dataset import write_dataset

    jobs = max(1, len(os.sched_getaffinity(0)) - 1)
    for split, count in (("val", max(1, rooms // 10)), ("train", rooms)):
        write_dataset(folder / split, job.clips(split), count * job.frames_per_room, jobs=jobs)
