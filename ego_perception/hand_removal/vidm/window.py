"""The part of an image that the diffusion model works on: a square around the hole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.vidm.sizes import CELL

MIN_SIDE_PX: Final = 160
CONTEXT_FACTOR: Final = 1.6  # side of the window over the longer side of the hole's bounding box


@dataclass(frozen=True)
class Window:
    """Pixels left <= x < left + width, top <= y < top + height; multiples of the latent cell."""

    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns in the image."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def cells(self) -> tuple[slice, slice]:
        """Rows and columns in a latent."""
        rows, columns = self.pixels
        return slice(rows.start // CELL, rows.stop // CELL), slice(columns.start // CELL, columns.stop // CELL)


def whole(width: int, height: int) -> Window:
    """The window that is the image."""
    return Window(0, 0, width, height)


def around_hole(hole: NDArray[np.bool_], multiple: int, min_side: int = MIN_SIDE_PX, factor: float = CONTEXT_FACTOR) -> Window:
    """Choose a square around the hole, moved and cut so that it lies within the image.

    Args:
        hole: (H, W), not empty; H and W are multiples of `multiple`.
        multiple: of the sides of the window.
    """
    height, width = hole.shape
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = multiple * int(np.ceil(max(min_side, factor * longer) / multiple))
    left, window_width = _place((columns[0] + columns[-1] + 1) / 2, side, width)
    top, window_height = _place((rows[0] + rows[-1] + 1) / 2, side, height)
    return Window(left, top, window_width, window_height)


def _place(middle: float, side: int, limit: int) -> tuple[int, int]:
    side = min(side, limit)
    start = CELL * round((middle - side / 2) / CELL)
    return min(max(start, 0), limit - side), side
