"""One weight file: tensors and a description of what they are, in safetensors. Nothing here unpickles."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn

from ego_perception.errors import OutputError, WeightsError
from ego_perception.weights.info import METADATA_KEY, WeightsInfo, open_weights, read_info

_MAX_LISTED: Final = 5


def save_weights(path: Path, tensors: Mapping[str, Tensor], info: WeightsInfo, *, half: bool = False) -> None:
    """Write a weight file atomically.

    Args:
        half: store matrices and kernels as float16 (half the size, 0.05 % rounding); vectors stay float32.

    Raises:
        OutputError: the file cannot be written.
    """
    stored = {
        name: (value.to(torch.float16) if half and value.ndim > 1 and value.is_floating_point() else value).contiguous().cpu()
        for name, value in tensors.items()
    }
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(save(stored, {METADATA_KEY: json.dumps(asdict(info), sort_keys=True)}))
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"weights {path} cannot be written: {error.strerror or error}") from error


def load_weights(path: Path, kind: str | None = None, version: int | None = None) -> tuple[dict[str, Tensor], WeightsInfo]:
    """Read tensors (floats as float32) and their description.

    Raises:
        WeightsError: as `read_info`, or a number that is not finite.
    """
    info = read_info(path, kind, version)
    with open_weights(path, "pt") as file:
        try:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is damaged ({error}); fetch or train it anew") from error
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not math.isfinite(float(value.abs().sum())):
            raise WeightsError(f"{path}: '{name}' holds numbers that are not finite; fetch or train it anew")
    return tensors, info


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a module whose layout they must match exactly.

    Raises:
        WeightsError: missing, unknown or differently shaped entries, the first five by name.
    """
    wanted = module.state_dict()
    faults = [f"'{name}' is missing" for name in wanted if name not in tensors]
    faults += [f"'{name}' is unknown" for name in tensors if name not in wanted]
    faults += [
        f"'{name}' is {tuple(tensors[name].shape)}, not {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if faults:
        more = f" and {len(faults) - _MAX_LISTED} more" if len(faults) > _MAX_LISTED else ""
        raise WeightsError(f"{path} does not fit the network: {'; '.join(faults[:_MAX_LISTED])}{more}")
    module.load_state_dict(dict(tensors))
