"""Sizes of the depth network and of its input, and the focal ratio; shared by training and use, free of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import WeightsError
from ego_perception.weights.sizes import read_sizes

KIND: Final = "reconstruction-depth"  # of weight files that fit the network
VERSION: Final = 1  # of the network's layout


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network.

    Attributes:
        stem: channels at half resolution.
        widths: channels of the four encoder stages, strides 4 to 32.
        counts: residual blocks of each stage.
        decoder: channels of the decoder from stride 32 to stride 2.
        area: pixels of the input image, whatever its aspect ratio.
    """

    stem: int = 16
    widths: tuple[int, ...] = (32, 64, 96, 160)
    counts: tuple[int, ...] = (2, 2, 2, 2)
    decoder: tuple[int, ...] = (64, 64, 64, 48, 32)
    area: int = 128 * 96

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path) -> NetworkConfig:
        """Read the sizes that `path` declares.

        Raises:
            WeightsError: unknown or missing sizes, or numbers no network of this kind has.
        """
        config = read_sizes(cls, values, path, largest=1 << 20)
        if (len(config.widths), len(config.counts), len(config.decoder)) != (4, 4, 5):
            raise WeightsError(f"{path} declares {config}; the network has 4 widths, 4 counts and 5 decoder levels")
        return config


def focal_ratio(fx: float, fy: float, width: int, height: int) -> float:
    """The camera's focal length relative to its image size: sqrt(fx fy / (W H)), all in pixels."""
    return math.sqrt(fx * fy / (width * height))


def network_size(width: int, height: int, area: int) -> tuple[int, int]:
    """Width and height, multiples of 8 and about `area` pixels in all, that an image is resized to.

    The aspect ratio is kept within 4 %; images more than 2.4 times as long as wide are squeezed to that.
    """
    aspect = min(max(width / height, 1 / 2.4), 2.4)
    return 8 * max(4, round(math.sqrt(area * aspect) / 8)), 8 * max(4, round(math.sqrt(area / aspect) / 8))
