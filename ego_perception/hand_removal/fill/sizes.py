"""Sizes and input planes of the fill network; shared by training and use, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import WeightsError

KIND: Final = "hand-removal-fill"  # of weight files that fit the network
VERSION: Final = 1  # of the network's layout
STRIDE: Final = 32  # input sides are multiples of this
PLANES: Final = 14
"""Input planes: image with an empty hole 3, remembered background 3, its confidence, hole, never seen, age, last output 3, its
validity. Colours in -1..1, the rest in 0..1; age as 1 - exp(-seconds / 5)."""
AGE_SCALE_S: Final = 5.0


@dataclass(frozen=True)
class FillConfig:
    """Sizes of the network.

    Attributes:
        widths: channels at strides 2, 4, 8 and 16.
        blocks: residual blocks at strides 4, 8 and 16 on the way down.
    """

    widths: tuple[int, ...] = (32, 48, 96, 144)
    blocks: tuple[int, ...] = (1, 2, 6)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path) -> FillConfig:
        """Read the sizes that `path` declares.

        Raises:
            WeightsError: unknown or missing sizes, or numbers no network of this kind has.
        """
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise WeightsError(f"{path} declares the sizes {sorted(values)}, not {sorted(names)}; train or fetch it anew")
        numbers: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        flat = [n for value in numbers.values() for n in (value if isinstance(value, tuple) else (value,))]
        if any(type(n) is not int or not 0 < n <= 4096 for n in flat) or any(n % 4 for n in numbers["widths"]):
            raise WeightsError(f"{path} declares sizes that no fill network has: {numbers}; train or fetch it anew")
        config = cls(**numbers)
        if (len(config.widths), len(config.blocks)) != (4, 3):
            raise WeightsError(f"{path} declares {config}; the network has 4 widths and 3 counts of blocks")
        return config
