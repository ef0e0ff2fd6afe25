"""What an estimator of hand removal tells and asks in the middle of a frame, passed on by those around it.

A hand mask is known long before the image without hands. Who waits for it (a reconstruction, to leave the hands out) gets it
at once, and may answer with depth and pose of the same frame, by which the background is carried over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry

MaskListener = Callable[[Frame, NDArray[np.uint8]], None]
"""Takes a frame and its (H, W) `HandLabel` values."""
GeometryGiver = Callable[[Frame], SceneGeometry | None]
"""Gives depth and pose of a frame, or None where nobody knows them."""


@runtime_checkable
class Speaks(Protocol):
    """An estimator with something to tell and to ask in the middle of a frame."""

    on_mask: MaskListener | None
    geometry_of: GeometryGiver | None


class Relay:
    """Passes on what the estimator inside tells and asks.

    Args:
        inside: anything; where it does not speak, nothing is passed on.
    """

    def __init__(self, inside: object) -> None:
        self.on_mask: MaskListener | None = None
        """Told each mask as soon as it is found."""
        self.geometry_of: GeometryGiver | None = None
        """Asked, once the mask was told, for depth and pose of the very frame."""
        if isinstance(inside, Speaks):
            inside.on_mask, inside.geometry_of = self.pass_mask, self.ask_geometry

    def pass_mask(self, frame: Frame, labels: NDArray[np.uint8]) -> None:
        """Tell whoever listens."""
        if self.on_mask is not None:
            self.on_mask(frame, labels)

    def ask_geometry(self, frame: Frame) -> SceneGeometry | None:
        """Ask whoever knows."""
        return None if self.geometry_of is None else self.geometry_of(frame)
