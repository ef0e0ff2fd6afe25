"""From the light on the sensor to the 8-bit image, in the order of a camera.

1. `lens` and `shutter` come before: they decide which light falls on which pixel.
2. Vignette: linear light times 1 - v (r / r_corner)^2.
3. Exposure: times exp(s x(t)), with the standard deviation s of the configuration and a drift x, see `sensor.Drift`.
4. White balance: red and blue times exp(s y(t)) and exp(s z(t)); green stays.
5. Shot and read noise, drawn by frame number.
6. Clipping, sRGB curve, 8 bits.
7. JPEG.

What is off is skipped; with everything off the image passes untouched.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.truth import PhotoTruth
from ego_perception.simulation import sensor
from ego_perception.simulation.config import PhotoConfig
from ego_perception.simulation.shutter import to_linear, to_srgb

_EXPOSURE, _RED, _BLUE, _NOISE = 71, 72, 73, 74
"""Random streams under the clip's seed."""


class Photo:
    """The sensor of one clip."""

    def __init__(self, config: PhotoConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._exposure, self._red, self._blue = (sensor.Drift((seed, stream)) for stream in (_EXPOSURE, _RED, _BLUE))
        self._last_draw: tuple[tuple[int, ...], NDArray[np.float32]] | None = None

    def truth(self, t: float) -> PhotoTruth:
        """What happens to an image taken at `t` seconds."""
        c = self._config
        exposure = math.exp(c.exposure_drift * self._exposure.at(t))
        red, blue = (math.exp(c.white_balance_drift * drift.at(t)) for drift in (self._red, self._blue))
        return PhotoTruth(
            exposure=exposure,
            white_balance=(red, 1.0, blue),
            noise_std=c.noise,
            blur_s=c.exposure_time_s,
            rolling_shutter_s=c.rolling_shutter_s,
            jpeg_quality=c.jpeg_quality,
        )

    def apply(self, image: NDArray[np.uint8], t: float, index: int, *, stream: int = 0) -> NDArray[np.uint8]:
        """Take a photo of an (H, W, 3) sRGB image.

        Args:
            t: time of the frame, seconds; decides the drifts.
            index: number of the frame; decides the noise. All versions of a frame (with and without the wearer) get the same.
            stream: another number for another camera, whose noise is its own.
        """
        c, truth = self._config, self.truth(t)
        if c.vignette > 0 or c.exposure_drift > 0 or c.white_balance_drift > 0 or c.noise > 0:
            light = to_linear(image)
            light *= np.asarray(truth.white_balance, np.float32) * np.float32(truth.exposure)
            if c.vignette > 0:
                light *= sensor.vignette_map(image.shape[1], image.shape[0], c.vignette)
            if c.noise > 0:
                light = sensor.add_noise(light, self._draw(image.shape, index, stream), c.noise)
            image = to_srgb(light)
        return sensor.jpeg_round_trip(image, c.jpeg_quality) if c.jpeg_quality > 0 else image

    def _draw(self, shape: tuple[int, ...], index: int, stream: int) -> NDArray[np.float32]:
        """The noise of one exposure; the last one is kept for the other versions of the frame."""
        key = (*shape, index, stream)
        if self._last_draw is None or self._last_draw[0] != key:
            self._last_draw = key, sensor.noise_draw(shape, (self._seed, _NOISE, index, stream))
        return self._last_draw[1]
