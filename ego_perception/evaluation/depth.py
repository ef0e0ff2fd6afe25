"""Depth error over a clip, gathered frame by frame in bounded memory.

AbsRel and the deltas depend on the ratio of prediction and truth alone, so one fine histogram of that ratio is enough to apply
afterwards the one scale per clip, which is known only at the end. RMSE comes from exact moments. The histogram's bins are
0.05 % wide: the scale is exact to that, AbsRel to better than 0.0005 and a delta to the share of pixels in one bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_DEPTH_M: Final = 0.1
MAX_DEPTH_M: Final = 10.0
DELTAS: Final = (1.25, 1.25**2, 1.25**3)

_BIN: Final = 5e-4
_LOG_RANGE: Final = math.log(1000.0)
_NUM_BINS: Final = 2 * math.ceil(_LOG_RANGE / _BIN)
_SAMPLES_PER_FRAME: Final = 512
_MAX_SAMPLED_FRAMES: Final = 1024
Float = NDArray[np.float64]


@dataclass(frozen=True)
class DepthScore:
    """Depth error pooled over the pixels of a clip.

    Attributes:
        scale: factor applied to the prediction (the mean one where each frame has its own).
        shift_m: metres added after scaling.
        abs_rel: mean of |prediction - truth| / truth.
        rmse_m: root mean square of prediction - truth.
        delta1, delta2, delta3: share of pixels whose ratio to the truth is within 1.25, 1.25^2, 1.25^3.
        coverage: share of pixels with truth that have a prediction.
        num_pixels: scored pixels.
    """

    scale: float
    shift_m: float
    abs_rel: float
    rmse_m: float
    delta1: float
    delta2: float
    delta3: float
    coverage: float
    num_pixels: int


class DepthAccumulator:
    """Takes frames one by one; truth within 0.1-10 m counts, predictions that are NaN or not positive lower the coverage."""

    def __init__(self) -> None:
        self._num_truth = 0
        self._count: Float = np.zeros(_NUM_BINS)
        self._ratio_sum: Float = np.zeros(_NUM_BINS)
        self._moments: Float = np.zeros(3)  # of prediction^2, prediction * truth, truth^2
        self._metric: Float = np.zeros(5)
        self._per_frame: Float = np.zeros(6)
        self._samples: list[NDArray[np.float32]] = []
        self._stride = 1
        self._num_frames = 0

    def add(self, prediction: NDArray[np.floating], truth: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> None:
        """Add one frame.

        Args:
            prediction: (H, W) metres, NaN where there is none.
            truth: (H, W) metres, 0 or NaN where unknown.
            mask: (H, W), True where the pixel is scored; pixels outside count neither as truth nor as coverage.
        """
        known = (truth >= MIN_DEPTH_M) & (truth <= MAX_DEPTH_M)
        if mask is not None:
            known &= mask
        self._num_truth += int(known.sum())
        usable = known & (prediction > 0) & np.isfinite(prediction)
        if not usable.any():
            return
        p, t = prediction[usable].astype(np.float64), truth[usable].astype(np.float64)
        ratio = p / t
        index = np.clip(((np.log(ratio) + _LOG_RANGE) / _BIN).astype(np.int64), 0, _NUM_BINS - 1)
        self._count += np.bincount(index, minlength=_NUM_BINS)
        self._ratio_sum += np.bincount(index, ratio, minlength=_NUM_BINS)
        self._moments += (float(p @ p), float(p @ t), float(t @ t))
        self._metric += _sums(p, t)
        scale = float(np.median(t / p))
        self._per_frame += (*_sums(scale * p, t), scale * len(p))
        self._sample(p, t)

    @property
    def is_empty(self) -> bool:
        """True when no pixel could be scored."""
        return not self._count.any()

    def one_scale(self) -> DepthScore:
        """One scale per clip: the median of truth over prediction, all frames pooled."""
        scale = 1.0 / self._ratio_quantile(0.5)
        scaled = scale * self._ratio_sum
        # Within a bin all ratios lie on one side of the truth, except in the single bin that holds it.
        abs_rel = float(np.abs(scaled - self._count).sum() / self._num_scored)
        pp, pt, tt = self._moments
        rmse = math.sqrt(max(0.0, scale**2 * pp - 2 * scale * pt + tt) / self._num_scored)
        deltas = [self._share_below(limit / scale) - self._share_below(1.0 / (limit * scale)) for limit in DELTAS]
        return self._score(scale, 0.0, abs_rel, rmse, deltas)

    def metric(self) -> DepthScore:
        """No scale: the prediction's own metres."""
        return self._from_sums(1.0, self._metric)

    def per_frame_scale(self) -> DepthScore:
        """One scale for each frame: the median of truth over prediction."""
        return self._from_sums(self._per_frame[5] / self._num_scored, self._per_frame[:5])

    def scale_and_shift(self) -> DepthScore:
        """One least-squares scale and shift per clip, from and on an even sample of at most half a million pixels."""
        p, t = np.concatenate(self._samples, axis=1).astype(np.float64)
        scale, shift = np.linalg.lstsq(np.stack([p, np.ones_like(p)], axis=1), t, rcond=None)[0]
        sums = _sums(np.maximum(scale * p + shift, 1e-6), t) / len(p) * self._num_scored
        return self._from_sums(float(scale), sums, float(shift))

    @property
    def _num_scored(self) -> float:
        return float(self._count.sum())

    def _ratio_quantile(self, share: float) -> float:
        """The ratio below which `share` of the pixels lie, interpolated inside its bin."""
        cumulative = np.cumsum(self._count)
        target = share * cumulative[-1]
        i = int(np.searchsorted(cumulative, target))
        inside = (target - (cumulative[i] - self._count[i])) / self._count[i]
        return math.exp((i + inside) * _BIN - _LOG_RANGE)

    def _share_below(self, ratio: float) -> float:
        position = min(max((math.log(ratio) + _LOG_RANGE) / _BIN, 0.0), _NUM_BINS - 1.0)
        i = int(position)
        return float(self._count[:i].sum() + (position - i) * self._count[i]) / self._num_scored

    def _sample(self, p: Float, t: Float) -> None:
        """Keep evenly spread pixels of every k-th frame; k doubles when too many frames are kept."""
        if self._num_frames % self._stride == 0:
            step = max(1, len(p) // _SAMPLES_PER_FRAME)
            self._samples.append(np.stack([p[::step], t[::step]]).astype(np.float32))
            if len(self._samples) > _MAX_SAMPLED_FRAMES:
                self._samples = self._samples[::2]
                self._stride *= 2
        self._num_frames += 1

    def _from_sums(self, scale: float, sums: Float, shift: float = 0.0) -> DepthScore:
        abs_rel, squared, *deltas = sums / self._num_scored
        return self._score(scale, shift, float(abs_rel), math.sqrt(squared), [float(d) for d in deltas])

    def _score(self, scale: float, shift: float, abs_rel: float, rmse: float, deltas: list[float]) -> DepthScore:
        coverage = self._num_scored / self._num_truth
        return DepthScore(scale, shift, abs_rel, rmse, deltas[0], deltas[1], deltas[2], coverage, int(self._num_scored))


def _sums(p: Float, t: Float) -> Float:
    """Sums over pixels: relative error, squared error, and pixels within each delta."""
    error, worst = p - t, np.maximum(p / t, t / p)
    return np.array([(np.abs(error) / t).sum(), error @ error, *((worst < limit).sum() for limit in DELTAS)])
