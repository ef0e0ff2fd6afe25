"""Sizes and classes of the segmenter; shared by training and use, free of torch."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import WeightsError
from ego_perception.weights.sizes import read_sizes

KIND: Final = "hand-segmentation"  # of weight files that fit the network
VERSION: Final = 2  # of the network's layout
STRIDE: Final = 32  # input sides are multiples of this


class HandClass(enum.IntEnum):
    """Classes of the network."""

    NONE = 0
    LEFT_HAND = 1
    RIGHT_HAND = 2
    LEFT_ARM = 3
    RIGHT_ARM = 4
    HELD_OBJECT = 5


MIRRORED: Final = (0, 2, 1, 4, 3, 5)
"""Class that each class becomes in a mirrored image."""


@dataclass(frozen=True)
class SegmenterConfig:
    """Sizes of the network.

    Attributes:
        stem: channels at half resolution.
        widths: channels of the four encoder stages, strides 4 to 32.
        counts: residual blocks of each stage.
        decoder: channels of the decoder from stride 32 to stride 2.
        width: width of the input image, pixels; the height follows the camera's aspect ratio.
    """

    stem: int = 16
    widths: tuple[int, ...] = (24, 40, 72, 112)
    counts: tuple[int, ...] = (1, 3, 4, 2)
    decoder: tuple[int, ...] = (48, 48, 40, 32, 24)
    width: int = 320

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path) -> SegmenterConfig:
        """Read the sizes that `path` declares.

        Raises:
            WeightsError: unknown or missing sizes, or numbers no network of this kind has.
        """
        config = read_sizes(cls, values, path)
        if (len(config.widths), len(config.counts), len(config.decoder)) != (4, 4, 5):
            raise WeightsError(f"{path} declares {config}; the network has 4 widths, 4 counts and 5 decoder levels")
        return config


def input_size(width: int, height: int, wanted_width: int) -> tuple[int, int]:
    """Width and height of the network's input for images of a size: near the same aspect ratio, multiples of `STRIDE`."""
    scale = wanted_width / width
    return max(STRIDE, wanted_width // STRIDE * STRIDE), max(STRIDE, round(height * scale / STRIDE) * STRIDE)
