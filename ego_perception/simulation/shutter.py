"""Rolling shutter and motion blur: which renders one image is made of, and how they are put together.

Row v of an image of H rows is exposed during [c - E/2, c + E/2] about c = (v / (H - 1) - 1/2) R, where R is the time from the
first to the last row and E the exposure time. Between renders the light is taken to change linearly in time; so the weight of a
render in a row is the integral of its hat function over the exposure, in closed form, and both effects are one weighted sum.
Light adds up linearly, so the sum is taken after undoing the sRGB curve (IEC 61966-2-1).

Time zero is the middle row's middle of exposure: the stamp of the frame. Depth, ids, poses and all other truth belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError

NUM_RENDERS: Final = 5
"""Renders of one image with either effect; odd, so that the frame's own instant is one of them."""
NUM_RENDERS_BOTH: Final = 7
"""The same with both effects."""

_LEVELS = 65536
Light = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SubRender:
    """One render that an image needs.

    Attributes:
        offset_s: its time, relative to the stamp of the frame.
        weights: (H,) share of each row's light; over all renders they sum to one.
        rows: the rows with a weight.
    """

    offset_s: float
    weights: NDArray[np.float32]
    rows: slice


@dataclass(frozen=True)
class Shutter:
    """How long and when each row sees the scene.

    Attributes:
        height: rows of the final image.
        rolling_s: time from the first row to the last.
        exposure_s: time that each row is exposed.
    """

    height: int
    rolling_s: float = 0.0
    exposure_s: float = 0.0

    @cached_property
    def renders(self) -> tuple[SubRender, ...]:
        """What has to be drawn, in order of time; the middle one is the frame's own instant."""
        if self.rolling_s <= 0 and self.exposure_s <= 0:
            return (SubRender(0.0, np.ones(self.height, np.float32), slice(0, self.height)),)
        count = NUM_RENDERS_BOTH if self.rolling_s > 0 and self.exposure_s > 0 else NUM_RENDERS
        times = np.linspace(-0.5, 0.5, count) * (self.rolling_s + self.exposure_s)
        weights = self._weights(times)
        return tuple(_sub_render(float(t), w) for t, w in zip(times, weights, strict=True))

    @property
    def is_instant(self) -> bool:
        """True where one render is the whole image."""
        return len(self.renders) == 1

    def combine(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Expose one image from the (H, W, 3) sRGB images of `renders`, in their order.

        Raises:
            SimulationError: another number of images, or one of another height.
        """
        if len(images) != len(self.renders) or any(image.shape[0] != self.height for image in images):
            shapes = [image.shape for image in images]
            raise SimulationError(f"an image of {self.height} rows needs {len(self.renders)} renders, got {shapes}")
        if self.is_instant:
            return images[0]
        total = np.zeros(images[0].shape, np.float32)
        for image, render in zip(images, self.renders, strict=True):
            total[render.rows] += render.weights[render.rows, None, None] * to_linear(image[render.rows])
        return to_srgb(total)

    def _weights(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, H) integrals of the hat functions on `times` over each row's exposure."""
        centre = np.linspace(-0.5, 0.5, self.height) * self.rolling_s if self.height > 1 else np.zeros(1)
        step = times[1] - times[0]
        first, last = ((centre[None] + s * self.exposure_s / 2 - times[:, None]) / step for s in (-1, 1))
        if self.exposure_s <= 0:
            return np.maximum(0.0, 1.0 - np.abs(first))
        weights = _hat_integral(last) - _hat_integral(first)
        return weights / weights.sum(axis=0)


def to_linear(image: NDArray[np.uint8]) -> Light:
    """Undo the sRGB curve: linear light from 0 to 1, float32, same shape."""
    return np.asarray(cv2.LUT(image, _TO_LINEAR), np.float32)


def to_srgb(light: Light) -> NDArray[np.uint8]:
    """Clip linear light to 0..1, apply the sRGB curve, and round to 8 bits."""
    index = np.multiply(light, np.float32(_LEVELS - 1))
    np.clip(index, 0, _LEVELS - 1, out=index)
    index += np.float32(0.5)
    return np.asarray(np.take(_TO_SRGB, index.astype(np.uint16)), np.uint8)


def _sub_render(offset_s: float, weights: NDArray[np.float64]) -> SubRender:
    seen = np.flatnonzero(weights > 1e-6)
    rows = slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 0)
    return SubRender(offset_s, weights.astype(np.float32), rows)


def _hat_integral(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral of max(0, 1 - |t|) from minus infinity to x."""
    x = np.clip(x, -1.0, 1.0)
    return 0.5 + x - 0.5 * x * np.abs(x)


def _decode_srgb(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encode_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-12) ** (1 / 2.4) - 0.055)


_TO_LINEAR: Final = _decode_srgb(np.arange(256) / 255).astype(np.float32)
_TO_SRGB: Final = np.rint(255 * _encode_srgb(np.arange(_LEVELS) / (_LEVELS - 1))).astype(np.uint8)
