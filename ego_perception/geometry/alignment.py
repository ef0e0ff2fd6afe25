"""Closed-form alignment of paired points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import EgoPerceptionError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """A map x -> scale * R @ x + t between two frames, metres."""

    scale: float
    R: Array
    t: Array

    def apply(self, points: Array) -> Array:
        """Map points of shape (..., 3)."""
        return self.scale * points @ self.R.T + self.t

    def matrix(self) -> Array:
        """The (4, 4) matrix with the scale in its upper left block."""
        T = np.eye(4)
        T[:3, :3] = self.scale * self.R
        T[:3, 3] = self.t
        return T


def umeyama(source: Array, target: Array, *, weights: Array | None = None, with_scale: bool = True) -> Similarity:
    """Find the similarity that takes `source` to `target` in the weighted least-squares sense.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991, eqs. 40-42.

    Args:
        source: (N, 3) points, N >= 3.
        target: (N, 3) points.
        weights: (N,) non-negative weights; None means equal weights.
        with_scale: False fixes the scale at one.

    Returns:
        The similarity; `target ~ result.apply(source)`.

    Raises:
        EgoPerceptionError: fewer than three pairs, shapes that differ, or weights that sum to nothing.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or len(source) < 3:
        raise EgoPerceptionError(f"alignment needs two (N, 3) arrays with N >= 3, got {source.shape} and {target.shape}")
    w = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = float(w.sum())
    if not total > 0:
        raise EgoPerceptionError("alignment weights sum to zero: no point pair can be used")
    w = w / total
    mu_s, mu_t = w @ source, w @ target
    s0, t0 = source - mu_s, target - mu_t
    U, D, Vt = np.linalg.svd((t0 * w[:, None]).T @ s0)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    R = (U * sign) @ Vt
    variance = float(w @ (s0**2).sum(axis=1))
    scale = float((D * sign).sum()) / variance if with_scale and variance > 0 else 1.0
    return Similarity(scale, R, mu_t - scale * R @ mu_s)
