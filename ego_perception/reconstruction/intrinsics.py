"""The camera at tracking size, and its focal length as a running estimate: given, refined or started from the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ego_perception.geometry import PinholeCamera

_WINDOW_OVERLAP = 8.0  # bundle adjustments that share most of their measurements count as one
_MIN_SIGMA = 0.005  # of the log focal length: it never becomes certain, as lenses focus and breathe


@dataclass
class FocalEstimate:
    """A Gaussian over the logarithm of the factor on the starting camera's focal lengths.

    Attributes:
        start: camera at tracking size that the factor refers to.
        is_estimated: True when no intrinsics were given.
        mean: logarithm of the factor.
        information: inverse variance of it.
    """

    start: PinholeCamera
    is_estimated: bool
    mean: float
    information: float

    @classmethod
    def given(cls, camera: PinholeCamera, sigma: float) -> FocalEstimate:
        """Start from a camera calibration with a relative standard deviation."""
        return cls(camera, False, 0.0, sigma**-2)

    @classmethod
    def guessed(cls, camera: PinholeCamera, sigma: float) -> FocalEstimate:
        """Start from a guess."""
        return cls(camera, True, 0.0, sigma**-2)

    @property
    def factor(self) -> float:
        """Estimated over starting focal length."""
        return math.exp(self.mean)

    @property
    def camera(self) -> PinholeCamera:
        """Camera in use, tracking size."""
        return self.start.with_focal(self.factor)

    @property
    def sigma(self) -> float:
        """Standard deviation to hand to the next adjustment."""
        return max(1.0 / math.sqrt(self.information), _MIN_SIGMA)

    def update(self, mean: float, sigma: float | None) -> None:
        """Take the posterior of one bundle adjustment whose prior was this estimate."""
        if sigma is None or not (math.isfinite(mean) and math.isfinite(sigma)) or sigma <= 0:
            return
        gained = max(sigma**-2 - self.sigma**-2, 0.0)
        self.mean = mean
        self.information += gained / _WINDOW_OVERLAP

    def resized(self, width: int, height: int) -> FocalEstimate:
        """The same knowledge about the same camera with its image scaled."""
        return FocalEstimate(self.start.resized(width, height), self.is_estimated, self.mean, self.information)
