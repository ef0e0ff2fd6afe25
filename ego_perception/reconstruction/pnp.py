"""The pose of one frame from landmarks whose depth may be uncertain.

Every landmark carries one direction of uncertainty: along the ray on which it was first seen. Its projection is therefore
weighted by the inverse of sigma^2 I + g g^T, g being that direction in the image. A landmark that owes its depth to the
network alone then constrains rotation fully but translation only across its epipolar line, and counts fully once
parallax has fixed its depth. Hypotheses come from the motion so far and, where those find too little agreement, from
three-point samples (Ke and Roumeliotis, "An efficient algebraic solution to P3P", 2017, by OpenCV).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, so3_exp
from ego_perception.reconstruction import pinhole

Array = NDArray[np.float64]
Pose = tuple[Array, Array]
"""Camera-from-world rotation (3, 3) and translation (3,)."""

INLIER_SIGMAS = 3.5
_GOOD_SHARE = 0.6  # of inliers, above which no samples are drawn
_NUM_SAMPLES = 60
_COARSE_TO_FINE = (12.0, 5.0, 2.5, 2.0, 2.0, 2.0)  # Cauchy scale per step, standard deviations


@dataclass(frozen=True, eq=False)
class Landmarks:
    """N landmarks as one frame sees them.

    Attributes:
        X: (N, 3) world points, metres.
        spread: (N, 3) one standard deviation of X along the ray of first sight, metres, world axes.
        uv: (N, 2) pixels.
        importance: (N,) factor on the vote of a landmark, 0..1.
    """

    X: Array
    spread: Array
    uv: Array
    importance: Array


@dataclass(frozen=True, eq=False)
class PoseFit:
    """A fitted pose.

    Attributes:
        R, t: camera-from-world.
        inliers: (N,) landmarks within `INLIER_SIGMAS`.
        information: (6, 6) inverse covariance of the left perturbation (w, v), from the inliers.
    """

    R: Array
    t: Array
    inliers: NDArray[np.bool_]
    information: Array

    @property
    def num_inliers(self) -> int:
        """Landmarks that agree."""
        return int(self.inliers.sum())


def solve(camera: PinholeCamera, seen: Landmarks, starts: Sequence[Pose], pixel_sigma: float) -> PoseFit | None:
    """Find the pose that most landmarks agree with.

    Args:
        camera: of the frame.
        seen: at least four landmarks.
        starts: guesses from the motion so far; the first is the likeliest.
        pixel_sigma: standard deviation of a track, pixels.

    Returns:
        The best fit, or None with fewer than four landmarks.
    """
    if len(seen.X) < 4:
        return None
    total = float(seen.importance.sum())
    best = max((_refined(camera, seen, start, pixel_sigma) for start in starts), key=lambda h: h.score)
    if best.agreeing < _GOOD_SHARE * total:
        samples = _best_samples(camera, seen, pixel_sigma)
        refined = [_refined(camera, seen, pose, pixel_sigma, first=2) for pose in samples]
        best = max([best, *refined], key=lambda h: h.score)
    return fit_at(camera, seen, best.pose, pixel_sigma)


def fit_at(camera: PinholeCamera, seen: Landmarks, pose: Pose, pixel_sigma: float) -> PoseFit:
    """Judge a pose without moving it."""
    squared, A, _ = _normal_equations(camera, seen, pose, pixel_sigma, 2.0)
    inliers = squared < INLIER_SIGMAS**2
    return PoseFit(pose[0], pose[1], inliers, A)


def _whitened(camera: PinholeCamera, seen: Landmarks, pose: Pose, sigma: float) -> tuple[Array, Array, pinhole.Projection]:
    """Residuals (N, 2) and projected spread g (N, 2), both in units of `sigma`, and the projection."""
    R, t = pose
    projection = pinhole.project(camera, seen.X @ R.T + t)
    g = (projection.jacobian @ (seen.spread @ R.T)[..., None])[..., 0] / sigma
    return (projection.uv - seen.uv) / sigma, g, projection


def _mahalanobis(r: Array, g: Array) -> Array:
    """r^T (I + g g^T)^-1 r by the Sherman-Morrison formula."""
    gr = np.einsum("...i,...i->...", g, r)
    squared: Array = np.einsum("...i,...i->...", r, r) - gr**2 / (1.0 + np.einsum("...i,...i->...", g, g))
    return squared


def _normal_equations(
    camera: PinholeCamera, seen: Landmarks, pose: Pose, sigma: float, cauchy: float
) -> tuple[Array, Array, Array]:
    r, g, projection = _whitened(camera, seen, pose, sigma)
    squared = _mahalanobis(r, g)
    weight = seen.importance / (1.0 + squared / cauchy**2)
    weight = np.where(projection.points[:, 2] > pinhole.MIN_DEPTH_M, weight, 0.0)
    J = projection.pose_jacobian / sigma
    shrink = 1.0 / (1.0 + np.einsum("ni,ni->n", g, g))
    along = np.einsum("ni,nij->nj", g, J)
    gr = np.einsum("ni,ni->n", g, r)
    Jw = (J * weight[:, None, None]).reshape(-1, 6)
    A = Jw.T @ J.reshape(-1, 6) - (along * (weight * shrink)[:, None]).T @ along
    b = Jw.T @ r.ravel() - along.T @ (weight * shrink * gr)
    return squared, A, b


def _refine(camera: PinholeCamera, seen: Landmarks, pose: Pose, sigma: float, first: int = 0) -> Pose:
    """Gauss-Newton with a Cauchy weight that narrows step by step."""
    R, t = pose
    for cauchy in _COARSE_TO_FINE[first:]:
        _, A, b = _normal_equations(camera, seen, (R, t), sigma, cauchy)
        delta = np.linalg.solve(A + 1e-6 * np.eye(6) + 1e-6 * np.diag(np.diag(A)), -b)
        turn = so3_exp(delta[:3])
        R, t = turn @ R, turn @ t + delta[3:]
    return R, t


class _Hypothesis(NamedTuple):
    """A pose with its votes: `score` by a truncated quadratic (MSAC, Torr and Zisserman 2000), `agreeing` the inliers."""

    score: float
    agreeing: float
    pose: Pose


def _judge(camera: PinholeCamera, seen: Landmarks, pose: Pose, sigma: float) -> _Hypothesis:
    r, g, projection = _whitened(camera, seen, pose, sigma)
    squared = _mahalanobis(r, g)
    vote = np.where(projection.points[:, 2] > pinhole.MIN_DEPTH_M, seen.importance, 0.0)
    score = float((np.maximum(1.0 - squared / INLIER_SIGMAS**2, 0.0) * vote).sum())
    return _Hypothesis(score, float(vote[squared < INLIER_SIGMAS**2].sum()), pose)


def _refined(camera: PinholeCamera, seen: Landmarks, pose: Pose, sigma: float, first: int = 0) -> _Hypothesis:
    return _judge(camera, seen, _refine(camera, seen, pose, sigma, first), sigma)


def _best_samples(camera: PinholeCamera, seen: Landmarks, sigma: float, keep: int = 2) -> list[Pose]:
    """The best-scoring poses of three-point samples, drawn with a fixed seed so that a replay repeats."""
    rng = np.random.default_rng(len(seen.X))
    K = camera.K
    scored: list[_Hypothesis] = []
    for _ in range(_NUM_SAMPLES):
        pick = rng.choice(len(seen.X), 3, replace=False)
        count, rotations, translations = cv2.solveP3P(seen.X[pick], seen.uv[pick], K, np.zeros(4), cv2.SOLVEPNP_AP3P)
        for rotation, translation in zip(rotations[:count], translations[:count], strict=True):
            if np.isfinite(rotation).all() and np.isfinite(translation).all():
                pose = (so3_exp(rotation.ravel()), translation.ravel().astype(np.float64))
                scored.append(_judge(camera, seen, pose, 2.0 * sigma))
    return [h.pose for h in sorted(scored, key=lambda h: -h.score)[:keep]]
