"""Reads the tensors of other people's checkpoints (pickled state dicts) without running anything they contain.

torch's restricted reader admits tensors and plain containers. Training frameworks also leave the names of a few of their
classes in a file; those listed here are replaced by an empty class that does nothing. Any other name is refused.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ego_perception.errors import WeightsError

INERT: Final = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Names that Lightning's checkpoints are known to hold beside tensors."""

# What readers raise on bytes that make no sense; a file from elsewhere may be damaged anywhere.
_DAMAGE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


class InertObject(dict[Any, Any]):
    """Stands for an object of a class that is not installed; keeps nothing and does nothing."""

    def __setstate__(self, state: object) -> None:
        """Drop the state."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the entry `state_dict` of a checkpoint, or the checkpoint itself where it is a plain state dict.

    Tensors are mapped from the file, so that parts which are not used (optimiser states) take no memory.

    Raises:
        WeightsError: missing, truncated, not a checkpoint, holding code, or without tensors by name.
    """
    if not path.is_file():
        raise WeightsError(f"checkpoint {path} is missing; check the path")
    content = _restricted_load(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path} has no state dict; it is no checkpoint of a network")
    others = [str(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise WeightsError(f"{path} has no state dict: {', '.join(others[:5])} are no tensors; give the whole checkpoint")
    return dict(state)


def _restricted_load(path: Path) -> Any:
    # A class per name, since the reader tells its globals apart by the object.
    inert = [(type("InertObject", (InertObject,), {}), name) for name in INERT]
    try:
        with torch.serialization.safe_globals(list(inert)):
            # Only the zip format, in use since torch 1.6, can be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        if name is not None:
            raise WeightsError(
                f"{path} refers to {name[1]}, which is no tensor; nothing was run and nothing is imported from it"
            ) from error
        raise WeightsError(f"{path} is no checkpoint, or is damaged; fetch it anew") from error
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise WeightsError(f"{path} cannot be read as a checkpoint ({reason}); fetch it anew") from error
