"""Training checkpoints: tensors, numbers and strings only, written atomically, read by torch's restricted loader."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ego_perception.errors import OutputError, WeightsError

_FORMAT: Final = 1


@dataclass
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    Attributes:
        step: steps done.
        config: the run's parameters under dotted names.
        model, average: state dicts of the model and of its averaged weights.
        optimizer: state dict of the optimiser.
        task: the task's own state, such as the order of its samples.
    """

    step: int
    config: dict[str, Any]
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    task: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves the old file or the new one, never half of one.

    Raises:
        OutputError: the folder cannot be written.
    """
    parts = {f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format": _FORMAT, **parts}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"checkpoint {path} cannot be written: {error.strerror or error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing but tensors and plain values is unpacked.

    Raises:
        WeightsError: missing, damaged, of another format, or holding anything that would run code.
    """
    if not path.is_file():
        raise WeightsError(f"no checkpoint at {path}; start without --resume")
    if not zipfile.is_zipfile(path):  # torch would fall back to a pickle format that this package never wrote
        raise WeightsError(
            f"checkpoint {path} cannot be read (not a torch file, or cut short); use an older one or start again"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, LookupError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"checkpoint {path} cannot be read ({reason}); use an older one or start again") from error
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise WeightsError(f"{path} is not a training checkpoint of this version; start again without --resume")
    try:
        return Checkpoint(**content)
    except TypeError as error:
        raise WeightsError(f"checkpoint {path} lacks parts ({error}); start again without --resume") from error
