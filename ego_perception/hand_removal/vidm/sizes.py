"""Sizes of the diffusion model; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import WeightsError
from ego_perception.weights.sizes import read_sizes

KIND: Final = "vidm"  # of weight files: four frames
LDM_KIND: Final = "ldm-inpainting"  # of weight files: the single-frame model that VIDM was fine-tuned from
VERSION: Final = 1  # of the layout of both

IMAGE_SIZE: Final = 256  # side of the images that the published model was trained on, pixels
CELL: Final = 4  # side of the square of pixels that one latent cell stands for


@dataclass(frozen=True)
class VidmSizes:
    """Sizes of the diffusion model; the defaults are the published ones.

    Attributes:
        frames: images seen at once; the last one is the target. One gives the single-frame base model.
        width: channels of the UNet at full latent resolution.
        multipliers: of `width`, per level, each level half the size of the one before.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention: reduction factors (1, 2, 4, ...) of the levels with attention.
        heads: of every attention.
        first_stage_widths: channels of the three levels of the autoencoder.
        first_stage_blocks: residual blocks per level of its encoder; one more in the decoder.
        codes: size of its codebook.
        code_width: channels of a latent.
    """

    frames: int = 4
    width: int = 256
    multipliers: tuple[int, ...] = (1, 2, 3, 4)
    blocks: int = 2
    attention: tuple[int, ...] = (2, 4, 8)
    heads: int = 8
    first_stage_widths: tuple[int, ...] = (128, 256, 512)
    first_stage_blocks: int = 2
    codes: int = 8192
    code_width: int = 3

    @property
    def input_channels(self) -> int:
        """Of the UNet, per frame: noisy latent, latent of the masked image, mask."""
        return 2 * self.code_width + 1

    @property
    def reduction(self) -> int:
        """Pixels per cell of the coarsest level: image sides must be multiples of it."""
        return CELL * 2 ** (len(self.multipliers) - 1)

    def to_dict(self) -> dict[str, Any]:
        """For a weight file."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path) -> VidmSizes:
        """Read the sizes that `path` declares.

        Raises:
            WeightsError: unknown or missing sizes, or numbers no network of this kind has.
        """
        sizes = read_sizes(cls, values, path, largest=1 << 16)
        sizes._check(path)
        return sizes

    def _check(self, path: Path) -> None:
        widths = [self.width * m for m in self.multipliers]
        grouped = all(w % 32 == 0 and w % self.heads == 0 for w in widths) and all(w % 32 == 0 for w in self.first_stage_widths)
        if not grouped or len(self.first_stage_widths) != 3:
            raise WeightsError(
                f"{path} declares {self}; widths must be multiples of 32 and of the heads, and the first stage has three levels"
            )


PUBLISHED: Final = VidmSizes()
"""VIDM as published: 387,508,227 + 53,219,486 parameters."""

LDM_PUBLISHED: Final = VidmSizes(frames=1)
"""Latent diffusion's `inpainting_big`: 387,245,827 + 53,219,486 parameters."""
