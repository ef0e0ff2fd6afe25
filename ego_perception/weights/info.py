"""What a weight file says of itself; read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from ego_perception.errors import WeightsError

METADATA_KEY: Final = "ego_perception"


@dataclass(frozen=True)
class WeightsInfo:
    """The description kept in a weight file.

    Attributes:
        kind: which network the tensors fit, such as "reconstruction-depth".
        version: of that network's layout; another one cannot be loaded.
        config: arguments that build the network.
        training: parameters and amount of training, for the record.
        metrics: figures reached, for the record.
    """

    kind: str
    version: int
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def read_info(path: Path, kind: str | None = None, version: int | None = None) -> WeightsInfo:
    """Read the description only.

    Raises:
        WeightsError: missing, damaged, without description, or of another kind or version than asked for.
    """
    with open_weights(path, "np") as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
    try:
        info = WeightsInfo(**json.loads(text or ""))
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path} has no description of this package; it was made for other software") from error
    if kind is not None and info.kind != kind:
        raise WeightsError(f"{path} holds '{info.kind}' weights but '{kind}' are needed; give the right file")
    if version is not None and info.version != version:
        raise WeightsError(f"{path} has layout version {info.version} but this package needs {version}; train or fetch it anew")
    return info


def open_weights(path: Path, framework: str) -> Any:
    """Open a safetensors file as a context manager.

    Raises:
        WeightsError: missing, truncated, or of another format (a pickle, for instance; nothing is unpickled).
    """
    if not path.is_file():
        raise WeightsError(f"weights {path} are missing; check the path or run `ego weights list`")
    try:
        return safe_open(str(path), framework=framework)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch or train it anew") from error
