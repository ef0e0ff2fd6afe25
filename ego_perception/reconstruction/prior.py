"""What the geometry asks of the network: metric depth with its uncertainty from one image, and a guess of the focal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera


@dataclass(frozen=True, eq=False)
class PriorPrediction:
    """One image seen by the network.

    Attributes:
        depth: (h, w) float32 metres, everywhere finite and positive; the field of view of the image at the network's size.
        sigma: (h, w) float32 standard deviation of log depth.
        fov_y_rad: guessed vertical field of view, radians.
        fov_sigma: standard deviation of the logarithm of the guessed focal length.
    """

    depth: NDArray[np.float32]
    sigma: NDArray[np.float32]
    fov_y_rad: float
    fov_sigma: float


class DepthPrior(Protocol):
    """A single-image depth network behind one call."""

    def predict(self, rgb: NDArray[np.uint8], camera: PinholeCamera | None) -> PriorPrediction:
        """Look at an (H, W, 3) RGB image; a known camera makes the depth metric for its focal length."""
        ...
