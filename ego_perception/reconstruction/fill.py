"""Filling an image from scattered, weighted values: normalised convolution and an edge-aware guided filter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

_SCALES = ((1, 1.0), (3, 1e-2), (9, 1e-4))  # box width factor and weight: holes are filled from further away, more weakly


def spread_values(values: Image, weights: Image, width: int) -> Image:
    """Weighted mean of the neighbourhood at three scales (Knutsson and Westin, "Normalized convolution", CVPR 1993).

    Args:
        values: (h, w), read only where `weights` is positive.
        weights: (h, w), not negative.
        width: box width of the finest scale, pixels.

    Returns:
        (h, w); zero where nothing with weight is within nine box widths.
    """
    total = np.zeros_like(values)
    norm = np.full_like(values, 1e-12)
    weighted = values * weights
    for factor, share in _SCALES:
        size = (factor * width | 1, factor * width | 1)
        total += share * cv2.blur(weighted, size)
        norm += share * cv2.blur(weights, size)
    return total / norm


def fill_guided(guide: Image, values: Image, weights: Image, width: int, eps: float) -> Image:
    """Fill from weighted values along the edges of a guide image.

    The guided filter (He, Sun and Tang, PAMI 2013) with weights: `values` is locally a linear function of `guide`.

    Args:
        guide: (h, w) in 0..1.
        values, weights: as in `spread_values`.
        width: box width, pixels.
        eps: guide variance below which the result is a plain mean.
    """
    size = (width | 1, width | 1)
    norm = cv2.blur(weights, size) + np.float32(1e-6)
    weighted_guide = weights * guide
    mean_guide = cv2.blur(weighted_guide, size) / norm
    mean_value = cv2.blur(weights * values, size) / norm
    covariance = cv2.blur(weighted_guide * values, size) / norm - mean_guide * mean_value
    variance = cv2.blur(weighted_guide * guide, size) / norm - mean_guide**2
    slope = covariance / (np.maximum(variance, 0.0) + np.float32(eps))
    offset = mean_value - slope * mean_guide
    return spread_values(slope, norm, width) * guide + spread_values(offset, norm, width)
