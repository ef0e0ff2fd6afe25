"""Sizes and input planes of the fill network; shared by training and use, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import WeightsError
from ego_perception.weights.sizes import read_sizes

KIND: Final = "hand-removal-fill"  # of weight files that fit the network
VERSION: Final = 2  # of the network's layout
STRIDE: Final = 32  # input sides are multiples of this
PLANES: Final = 14
"""Input planes: image with an empty hole 3, background as remembered and smoothly continued 3, its confidence, hole, never
seen, age, last output 3, its validity. Colours in -1..1, the rest in 0..1; age as 1 - exp(-seconds / 5)."""
LAST_PLANES: Final = 4  # of them, at the end: the last output and its validity
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
        config = read_sizes(cls, values, path)
        if (len(config.widths), len(config.blocks)) != (4, 3) or any(width % 4 for width in config.widths):
            raise WeightsError(f"{path} declares {config}; the network has 4 widths, multiples of 4, and 3 counts of blocks")
        return config
