"""The simulated image sensor: slow drifts, vignette, noise and JPEG, each a function of seed and time or frame number only.

So frames can be made in any order, and two pictures of the same instant (with and without the wearer) get the same treatment:
where they were equal, they stay equal.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError

CORRELATION_S: Final = 2.0
"""Time after which a drift has forgotten where it was."""
READ_SHARE: Final = 0.02
"""Share of the read noise in the variance at mid grey; the rest is shot noise."""
MID_GREY: Final = 128
MAX_RATE_HZ: Final = 1.5
"""Drifts have no faster parts; automatic exposure and white balance are slow on purpose."""

_NUM_WAVES = 24
_MID_LIGHT, _MID_SLOPE = 0.21586, 1.07526
"""Linear light of mid grey, and the slope of the sRGB curve there."""


class Drift:
    """A smooth stationary random function of time with mean 0 and standard deviation 1 over seeds.

    A sum of cosines with random phases, their rates drawn from the power spectrum of the Ornstein-Uhlenbeck process (a Cauchy
    distribution; random Fourier features, Rahimi and Recht, NIPS 2007) cut at `MAX_RATE_HZ`.
    """

    def __init__(self, seed: tuple[int, ...]) -> None:
        rng = np.random.default_rng(seed)
        scale = 1 / (2 * math.pi * CORRELATION_S)
        share = rng.uniform(0.0, math.atan(MAX_RATE_HZ / scale), _NUM_WAVES)
        self._omega = 2 * math.pi * scale * np.tan(share)
        self._phase = rng.uniform(0.0, 2 * math.pi, _NUM_WAVES)

    def at(self, t: float) -> float:
        """Value at `t` seconds."""
        return math.sqrt(2 / _NUM_WAVES) * float(np.cos(self._omega * t + self._phase).sum())


@functools.lru_cache(maxsize=8)
def vignette_map(width: int, height: int, strength: float) -> NDArray[np.float32]:
    """(H, W, 1) factor on linear light: 1 in the middle, 1 - strength in the corners, falling with the squared radius."""
    x = (np.arange(width, dtype=np.float32) - 0.5 * (width - 1)) ** 2
    y = (np.arange(height, dtype=np.float32) - 0.5 * (height - 1)) ** 2
    radius2 = (y[:, None] + x) / max(float(y[0] + x[0]), 1e-9)
    out = (1 - np.float32(strength) * radius2)[..., None].astype(np.float32)
    out.flags.writeable = False
    return out


def noise_draw(shape: tuple[int, ...], seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal numbers of one exposure."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def add_noise(light: NDArray[np.float32], draw: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """Add shot and read noise to linear light.

    The variance is a L + b (Foi et al., "Practical Poissonian-Gaussian noise modeling", TIP 2008); a and b follow from the
    standard deviation `level` in grey levels at mid grey and from `READ_SHARE`.
    """
    variance = (level / (255 * _MID_SLOPE)) ** 2
    shot, read = np.float32((1 - READ_SHARE) * variance / _MID_LIGHT), np.float32(READ_SHARE * variance)
    return light + np.sqrt(np.maximum(light, 0) * shot + read) * draw


def jpeg_round_trip(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress and decompress an (H, W, 3) RGB image.

    Raises:
        SimulationError: the quality is not within 1 to 100.
    """
    if not 1 <= quality <= 100:
        raise SimulationError(f"JPEG quality {quality} is outside 1 to 100")
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
