"""Smooth completion of a field from the pixels where it is known (pull-push, Gortler et al., SIGGRAPH 1996)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def pull_push(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill a field where its weight is small by averages of ever larger surroundings.

    Args:
        values: (H, W) or (H, W, C) float32; finite everywhere, also where the weight is zero.
        weight: (H, W) float32 in 0..1, 0 where the value is unknown.

    Returns:
        Field of the same shape, equal to `values` where the weight is one. All zero where no weight is given at all.
    """
    weights = [weight]
    pulled = [np.asarray(values * _over(weight, values), np.float32)]
    while max(weights[-1].shape) > 1:
        pulled.append(_halved(pulled[-1]))
        weights.append(_halved(weights[-1]))
    filled = pulled[-1] / _over(np.maximum(weights[-1], np.float32(1e-6)), values)
    for known, w in zip(reversed(pulled[:-1]), reversed(weights[:-1]), strict=True):
        above = cv2.resize(filled, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR).reshape(known.shape)
        # `known` is an average times its weight already: what is missing of the weight comes from above.
        filled = known + _over(1 - w, values) * above
    return filled


def _over(weight: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weight in the shape that multiplies each channel."""
    return weight if values.ndim == 2 else weight[..., None]


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the size, with the middle where it was: what is resized back must not have moved."""
    height, width = -(-values.shape[0] // 2), -(-values.shape[1] // 2)
    half = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.float32).reshape(height, width, *values.shape[2:])  # OpenCV drops a last axis of one
