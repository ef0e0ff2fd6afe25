"""Smooth completion of a field from the pixels where it is known (pull-push, Gortler et al., SIGGRAPH 1996)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_COARSEST = 4


def pull_push(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill a field where its weight is small by averages of ever larger surroundings.

    Args:
        values: (H, W) or (H, W, C) float32; finite everywhere, also where the weight is zero.
        weight: (H, W) float32 in 0..1, 0 where the value is unknown.

    Returns:
        Field of the same shape, equal to `values` where the weight is one. All zero where no weight is given at all.
    """
    field = values if values.ndim == 3 else values[..., None]
    pulled, weights = [field * weight[..., None]], [weight]
    while min(weights[-1].shape) > _COARSEST:
        pulled.append(_shape3(cv2.pyrDown(pulled[-1])))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), np.float32))
    filled = _normalised(pulled[-1], weights[-1])
    for known, w in zip(reversed(pulled[:-1]), reversed(weights[:-1]), strict=True):
        above = _shape3(cv2.resize(filled, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR))
        trust = np.clip(w, 0, 1)[..., None]
        filled = trust * _normalised(known, w) + (1 - trust) * above
    return filled if values.ndim == 3 else np.ascontiguousarray(filled[..., 0])


def _normalised(weighted: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(weighted / np.maximum(weight, np.float32(1e-6))[..., None], np.float32)


def _shape3(image: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(image if image.ndim == 3 else image[..., None], np.float32)
