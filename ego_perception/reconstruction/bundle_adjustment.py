"""Windowed bundle adjustment: poses, points, one shared focal scale, and soft log-depth priors from the network.

Levenberg-Marquardt on Huber-weighted residuals, points eliminated by the Schur complement (Triggs et al., "Bundle
adjustment - a modern synthesis", 2000, section 6). The reduced system has six unknowns per free keyframe plus the focal
scale, so it is solved densely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ego_perception.geometry import PinholeCamera, so3_exp
from ego_perception.reconstruction import pinhole

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_HUBER = 2.0  # in standard deviations
_INITIAL_DAMPING = 1e-3
_RELATIVE_STOP = 5e-3  # smaller steps change no pose by as much as its own uncertainty, and cost a third of the time


@dataclass(frozen=True, eq=False)
class DepthPriors:
    """Soft statements "point i has this log depth in keyframe k".

    Attributes:
        point, keyframe: (P,) indices into the problem.
        log_depth: (P,) log metres.
        sigma: (P,) standard deviations of log depth.
    """

    point: Index
    keyframe: Index
    log_depth: Array
    sigma: Array

    @classmethod
    def none(cls) -> DepthPriors:
        """No priors."""
        empty = np.zeros(0, np.intp)
        return cls(empty, empty, np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class BundleProblem:
    """State and measurements of a window of N keyframes, M points and O observations.

    Attributes:
        camera: shared by all keyframes; its focal length is the one before `log_focal` is applied.
        R, t: (N, 3, 3), (N, 3) camera-from-world poses.
        fixed: (N,) keyframes that must not move.
        X: (M, 3) world points.
        keyframe, point: (O,) indices of each observation.
        uv: (O, 2) pixels.
        pixel_sigma: standard deviation of an observation, pixels.
        priors: soft log depths.
        focal_sigma: standard deviation of the log focal scale around `focal_mean`; None holds the focal length.
        focal_mean, log_focal: expected and current logarithm of the factor on both focal lengths.
    """

    camera: PinholeCamera
    R: Array
    t: Array
    fixed: NDArray[np.bool_]
    X: Array
    keyframe: Index
    point: Index
    uv: Array
    pixel_sigma: float = 1.0
    priors: DepthPriors = field(default_factory=DepthPriors.none)
    focal_sigma: float | None = None
    focal_mean: float = 0.0
    log_focal: float = 0.0


@dataclass(frozen=True, eq=False)
class BundleResult:
    """The adjusted problem and how well each part of it is known.

    Attributes:
        problem: the input with R, t, X and log_focal replaced.
        cost, initial_cost: robust cost after and before.
        error_px: (O,) distance of each observation from its projection, pixels.
        depth: (O,) depth of each observation's point, metres.
        point_information: (M, 3, 3) inverse covariance of the points with poses held, world axes.
        focal_sigma: posterior standard deviation of the log focal scale, or None where it was held.
    """

    problem: BundleProblem
    cost: float
    initial_cost: float
    error_px: Array
    depth: Array
    point_information: Array
    focal_sigma: float | None


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Whitened residuals with weights and derivatives at one state; exposed so that tests can check the derivatives.

    `residual` (O, 2), by pose (O, 2, 6), by point (O, 2, 3), by log focal (O, 2); the prior ones without the 2.
    """

    residual: Array
    by_pose: Array
    by_point: Array
    by_focal: Array
    weight: Array
    prior_residual: Array
    prior_by_pose: Array
    prior_by_point: Array
    prior_weight: Array
    focal_residual: float
    cost: float
    error_px: Array
    depth: Array


def linearise(p: BundleProblem) -> Linearisation:
    """Evaluate residuals, Huber weights and analytic derivatives of a problem."""
    camera = p.camera.with_focal(float(np.exp(p.log_focal)))
    Rk = p.R[p.keyframe]
    Y = np.einsum("oij,oj->oi", Rk, p.X[p.point]) + p.t[p.keyframe]
    projection = pinhole.project(camera, Y)
    error = projection.uv - p.uv
    scale = 1.0 / p.pixel_sigma
    residual = error * scale
    norm = np.linalg.norm(residual, axis=1)
    weight, cost = _huber(norm)

    q = p.priors
    Ra = p.R[q.keyframe]
    Ya = np.einsum("oij,oj->oi", Ra, p.X[q.point]) + p.t[q.keyframe]
    za = np.maximum(Ya[:, 2], pinhole.MIN_DEPTH_M)
    prior_residual = (np.log(za) - q.log_depth) / q.sigma
    prior_weight, prior_cost = _huber(np.abs(prior_residual))
    per_depth = 1.0 / (za * q.sigma)
    # d z = (w x y)_z + v_z = w . (y x e_z) + v_z, with y x e_z = (y_y, -y_x, 0)
    prior_by_pose = np.zeros((len(za), 6))
    prior_by_pose[:, 0] = Ya[:, 1] * per_depth
    prior_by_pose[:, 1] = -Ya[:, 0] * per_depth
    prior_by_pose[:, 5] = per_depth
    focal_residual = 0.0 if p.focal_sigma is None else (p.log_focal - p.focal_mean) / p.focal_sigma
    return Linearisation(
        residual=residual,
        by_pose=projection.pose_jacobian * scale,
        by_point=(projection.jacobian @ Rk) * scale,
        by_focal=(projection.uv - np.array([camera.cx, camera.cy])) * scale,
        weight=weight,
        prior_residual=prior_residual,
        prior_by_pose=prior_by_pose,
        prior_by_point=Ra[:, 2] * per_depth[:, None],
        prior_weight=prior_weight,
        focal_residual=focal_residual,
        cost=cost + prior_cost + focal_residual**2,
        error_px=norm * p.pixel_sigma,
        depth=Y[:, 2],
    )


def adjust(problem: BundleProblem, iterations: int) -> BundleResult:
    """Minimise the robust cost; the result is never worse than the input."""
    state, here, damping = problem, linearise(problem), _INITIAL_DAMPING
    initial_cost = here.cost
    system = _NormalEquations(state, here)
    for _ in range(iterations):
        candidate = system.step(damping)
        there = linearise(candidate)
        if not there.cost < here.cost:
            damping *= 10.0
            continue
        converged = here.cost - there.cost < _RELATIVE_STOP * here.cost
        state, here, damping = candidate, there, damping * 0.2
        system = _NormalEquations(state, here)
        if converged:
            break
    return BundleResult(
        state, here.cost, initial_cost, here.error_px, here.depth, system.point_information, system.focal_sigma()
    )


def _huber(norm: Array) -> tuple[Array, float]:
    inside = norm <= _HUBER
    weight = np.where(inside, 1.0, _HUBER / np.maximum(norm, 1e-12))
    cost = np.where(inside, norm**2, 2 * _HUBER * norm - _HUBER**2).sum()
    return weight, float(cost)


class _NormalEquations:
    """Blocks of J^T W J at one state. Reduced unknowns: six per free keyframe, then the log focal scale."""

    def __init__(self, p: BundleProblem, lin: Linearisation) -> None:
        self._p = p
        self._free = np.flatnonzero(~p.fixed)
        self._with_focal = p.focal_sigma is not None
        slot = np.full(len(p.R), -1, np.intp)
        slot[self._free] = np.arange(len(self._free))
        n, m = len(self._free), len(p.X)
        self._size = 6 * n + 1
        weighted = lin.weight[:, None, None]
        point_t = (lin.by_point * weighted).transpose(0, 2, 1)  # (O, 3, 2)

        by_point = _summer(p.point, m)
        V = _sum_rows(by_point, point_t @ lin.by_point)
        g_point = -_sum_rows(by_point, (point_t @ lin.residual[..., None])[..., 0])
        H = np.zeros((n, 6, 6))
        H_focal = np.zeros((n, 6))
        g_pose = np.zeros((n, 6))
        W = np.zeros((m, n, 6, 3))

        k = slot[p.keyframe]
        use = k >= 0
        by_pose = _summer(k[use], n)
        pose_t = (lin.by_pose[use] * weighted[use]).transpose(0, 2, 1)  # (O', 6, 2)
        H += _sum_rows(by_pose, pose_t @ lin.by_pose[use])
        g_pose -= _sum_rows(by_pose, (pose_t @ lin.residual[use][..., None])[..., 0])
        H_focal += _sum_rows(by_pose, (pose_t @ lin.by_focal[use][..., None])[..., 0])
        W[p.point[use], k[use]] = pose_t @ lin.by_point[use]
        W_focal = _sum_rows(by_point, (point_t @ lin.by_focal[..., None])[..., 0])

        q, w = p.priors, lin.prior_weight
        by_prior = _summer(q.point, m)
        V += _sum_rows(by_prior, w[:, None, None] * lin.prior_by_point[:, :, None] * lin.prior_by_point[:, None, :])
        g_point -= _sum_rows(by_prior, (w * lin.prior_residual)[:, None] * lin.prior_by_point)
        ka = slot[q.keyframe]
        use_a = ka >= 0
        by_anchor = _summer(ka[use_a], n)
        pose_a, w_a = lin.prior_by_pose[use_a], w[use_a]
        H += _sum_rows(by_anchor, w_a[:, None, None] * pose_a[:, :, None] * pose_a[:, None, :])
        g_pose -= _sum_rows(by_anchor, (w_a * lin.prior_residual[use_a])[:, None] * pose_a)
        # A point has at most one prior, so indexed addition meets no duplicates.
        W[q.point[use_a], ka[use_a]] += w_a[:, None, None] * pose_a[:, :, None] * lin.prior_by_point[use_a][:, None, :]

        self.point_information = V
        self._g_point = g_point
        self._W = np.concatenate([W.reshape(m, 6 * n, 3), W_focal[:, None, :]], axis=1)
        self._H, self._g = self._assemble(H, H_focal, g_pose, lin)

    def _assemble(self, H: Array, H_focal: Array, g_pose: Array, lin: Linearisation) -> tuple[Array, Array]:
        n = len(H)
        full = np.zeros((self._size, self._size))
        for i in range(n):
            full[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] = H[i]
        full[:-1, -1] = full[-1, :-1] = H_focal.ravel()
        gradient = np.append(g_pose.ravel(), 0.0)
        if self._p.focal_sigma is not None:
            full[-1, -1] = (lin.weight[:, None] * lin.by_focal**2).sum() + self._p.focal_sigma**-2
            gradient[-1] = -(lin.weight[:, None] * lin.by_focal * lin.residual).sum() - lin.focal_residual / self._p.focal_sigma
        return full, gradient

    def _reduce(self, damping: float) -> tuple[Array, Array, Array]:
        """The Schur complement S, its right side, and the inverse point blocks."""
        V = self.point_information
        diagonal = np.einsum("mii->mi", V)
        V_inverse = np.linalg.inv(V + (damping * diagonal + 1e-9)[..., None] * np.eye(3))
        WV = self._W @ V_inverse
        flat = self._W.transpose(1, 0, 2).reshape(self._size, -1)
        S = self._H.copy()
        S[np.diag_indices(self._size)] *= 1.0 + damping
        S -= WV.transpose(1, 0, 2).reshape(self._size, -1) @ flat.T
        g = self._g - np.einsum("mcj,mj->c", WV, self._g_point)
        if not self._with_focal:
            S[-1, :] = S[:, -1] = 0.0
            S[-1, -1], g[-1] = 1.0, 0.0
        S[np.diag_indices(self._size)] += 1e-9
        return S, g, V_inverse

    def step(self, damping: float) -> BundleProblem:
        """The problem after one damped Gauss-Newton step."""
        S, g, V_inverse = self._reduce(damping)
        delta = np.linalg.solve(S, g)
        d_point = (V_inverse @ (self._g_point - np.einsum("mcj,c->mj", self._W, delta))[..., None])[..., 0]
        d_pose = delta[:-1].reshape(-1, 6)
        R, t = self._p.R.copy(), self._p.t.copy()
        turn = so3_exp(d_pose[:, :3])
        R[self._free] = turn @ R[self._free]
        t[self._free] = np.einsum("nij,nj->ni", turn, t[self._free]) + d_pose[:, 3:]
        return replace(self._p, R=R, t=t, X=self._p.X + d_point, log_focal=self._p.log_focal + float(delta[-1]))

    def focal_sigma(self) -> float | None:
        """Posterior standard deviation of the log focal scale."""
        if not self._with_focal:
            return None
        S, _, _ = self._reduce(0.0)
        unit = np.zeros(self._size)
        unit[-1] = 1.0
        return float(np.sqrt(max(np.linalg.solve(S, unit)[-1], 0.0)))


def _summer(index: Index, count: int) -> sparse.csr_array:
    """The (count, n) matrix that sums rows sharing an index."""
    n = len(index)
    return sparse.csr_array((np.ones(n), (index, np.arange(n))), shape=(count, n))


def _sum_rows(summer: sparse.csr_array, values: Array) -> Array:
    """Sum rows of `values`, any shape behind the first axis; result has one row per row of the summer."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(summer @ flat).reshape(summer.shape[0], *values.shape[1:])
