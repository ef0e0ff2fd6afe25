"""Reads the sizes of a network from what its weight file declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ego_perception.errors import WeightsError

_T = TypeVar("_T")


def read_sizes(cls: type[_T], values: Mapping[str, Any], path: Path, largest: int = 4096) -> _T:
    """Make a dataclass of integers, and tuples of integers, from the description in a weight file.

    Args:
        cls: the dataclass of sizes.
        values: as kept in the file, where tuples are lists.
        path: the file, for messages.
        largest: number that a size may be.

    Raises:
        WeightsError: unknown or missing sizes, or numbers outside of 1 to `largest`.
    """
    lists = {f.name: str(f.type).startswith("tuple") for f in fields(cls)}  # type: ignore[arg-type]
    names = set(lists)
    if set(values) != names:
        raise WeightsError(f"{path} declares the sizes {sorted(values)}, not {sorted(names)}; train or fetch it anew")
    numbers: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if wrong := sorted(name for name, value in numbers.items() if isinstance(value, tuple) != lists[name]):
        raise WeightsError(f"{path} declares a number for a list, or a list for a number, in {wrong}; train or fetch it anew")
    flat = [n for value in numbers.values() for n in (value if isinstance(value, tuple) else (value,))]
    if any(type(n) is not int or not 0 < n <= largest for n in flat):
        raise WeightsError(
            f"{path} declares sizes that are not positive integers up to {largest}: {numbers}; train or fetch it anew"
        )
    return cls(**numbers)
