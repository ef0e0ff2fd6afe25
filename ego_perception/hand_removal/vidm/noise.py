"""Noise that belongs to places of the scene: the same place starts from the same noise in every frame, so that its fill stays.

The noise of a cell is looked up in a table, at the place to which the background of that cell moved back. Looking up the
nearest entry keeps it Gaussian and white, which any blending between entries would not; the table repeats beyond its sides.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TABLE_CELLS: Final = 256  # side of the table; a latent of the published size has 64


class NoiseTable:
    """White noise over the scene, drawn once; on the CPU, so that devices agree.

    Args:
        channels: of the latent.
    """

    def __init__(self, channels: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._table = torch.randn((1, channels, TABLE_CELLS, TABLE_CELLS), generator=generator)

    def field(self, cells: tuple[int, int], place: NDArray[np.float64]) -> Tensor:
        """Noise of one image.

        Args:
            cells: height and width of its latent.
            place: (3, 3) homography from the image to where its background was in the first one, in shares of width and height.

        Returns:
            (1, C, h, w) on the CPU.
        """
        height, width = cells
        x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
        there = cv2.perspectiveTransform(np.stack([x, y], axis=-1), place) * (width, height)
        # A homography that runs away (a line at infinity within the image) must not end in an index that is none.
        at = np.floor(np.nan_to_num(np.clip(there, -1e6, 1e6))).astype(np.int64) % TABLE_CELLS
        return self._table[:, :, torch.from_numpy(at[..., 1]), torch.from_numpy(at[..., 0])]
