"""Smooth curves over time: minimum-jerk keys, band-limited unrest, lower envelopes and rate-limited smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d, minimum_filter1d, uniform_filter1d

Array = NDArray[np.float64]
Rng = np.random.Generator


def min_jerk(x: ArrayLike) -> Array:
    """The straight reach of least jerk, 0 to 1 (Flash and Hogan, J. Neuroscience 1985); velocity and acceleration end at 0."""
    x = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    return x**3 * (x * (6.0 * x - 15.0) + 10.0)


def progress(times: Array, start: float, end: float) -> Array:
    """Share of the interval that has passed at each time, 0 to 1."""
    return np.clip((times - start) / (end - start), 0.0, 1.0)


def bump(x: ArrayLike) -> Array:
    """A smooth hill over 0..1 of height one, zero with two derivatives at both ends."""
    x = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    return 64.0 * (x * (1.0 - x)) ** 3


@dataclass
class KeyTrack:
    """A value that moves from key to key by minimum-jerk transitions; overlapping transitions add up.

    Attributes:
        value: what it holds before the first key; scalar or vector.
    """

    value: Array
    _keys: list[tuple[float, float, Array]] = field(default_factory=list)
    _last: Array | None = None

    def to(self, value: ArrayLike, start: float, end: float) -> None:
        """Move to `value` during the interval."""
        target = np.asarray(value, dtype=np.float64)
        self._keys.append((start, end, target - self.last))
        self._last = target

    @property
    def last(self) -> Array:
        """The value after the last key."""
        return self.value if self._last is None else self._last

    def sample(self, times: Array) -> Array:
        """(T, ...) values."""
        out = np.broadcast_to(self.value, (len(times), *np.shape(self.value))).astype(np.float64)
        for start, end, delta in self._keys:
            out += min_jerk(progress(times, start, end)).reshape(-1, *[1] * delta.ndim) * delta
        return out


def wander(rng: Rng, times: Array, low_hz: float, high_hz: float) -> Array:
    """A sum of sines of about unit standard deviation in a frequency band."""
    frequency, phase = rng.uniform(low_hz, high_hz, 5), rng.uniform(0.0, 2.0 * math.pi, 5)
    return np.sin(2.0 * math.pi * frequency[:, None] * times + phase[:, None]).sum(axis=0) * math.sqrt(2.0 / 5.0)


def lower_envelope(bound: Array, width: int) -> Array:
    """A smooth curve that nowhere exceeds `bound`: a running minimum, then averages no wider than its window.

    Args:
        width: half width of the window, samples; at least 3.
    """
    low = minimum_filter1d(bound, 2 * width + 1, mode="nearest")
    third = 2 * (width // 3) + 1  # three box filters make a piecewise cubic kernel within the window
    for _ in range(3):
        low = uniform_filter1d(low, third, mode="nearest")
    return low


def smooth(values: Array, sigma_s: float, rate_hz: float) -> Array:
    """Gaussian smoothing along the first axis; the ends are held."""
    out: Array = gaussian_filter1d(values, sigma_s * rate_hz, axis=0, mode="nearest")
    return out


def smooth_to_rate(values: Array, sigma_s: float, rate_hz: float, limit: float) -> Array:
    """Smooth along the first axis, more and more until nothing changes faster than `limit` per second."""
    while True:
        out = smooth(values, sigma_s, rate_hz)
        if len(out) < 2 or np.abs(np.diff(out, axis=0)).max() * rate_hz < limit:
            return out
        sigma_s *= 1.2


def soft_limit(x: Array, limit: Array | float, knee: Array | float) -> Array:
    """`x` up to `knee`, then smoothly and ever more slowly towards `limit`; never above it."""
    span = np.asarray(limit) - np.asarray(knee)
    over = np.maximum(x - knee, 0.0) / span
    return np.where(x > knee, knee + span * np.tanh(over), x)


def wrap_angle(angle: ArrayLike) -> Array:
    """The same angle in -pi..pi."""
    return (np.asarray(angle, dtype=np.float64) + math.pi) % (2.0 * math.pi) - math.pi
