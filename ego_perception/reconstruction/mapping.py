"""Keyframes: when to make one, its new landmarks, their triangulation, and the bundle adjustment that follows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction import pinhole, triangulation
from ego_perception.reconstruction.bootstrap import MapState, two_view_start
from ego_perception.reconstruction.bundle_adjustment import BundleProblem, BundleResult, DepthPriors, adjust
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.intrinsics import FocalEstimate
from ego_perception.reconstruction.pnp import Pose
from ego_perception.reconstruction.sparse_map import Keyframe, Rows, SparseMap

_log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_YOUNG_KEYFRAMES = 5
_YOUNG_ITERATIONS = 20
_TWO_VIEW_KEYFRAMES = 12  # with more of them, a first and newest view that still overlap say nothing new
_CLEARLY_BETTER = 0.9  # of the cost
_INDEPENDENT_DEPTHS = 20  # of one image, judged by the blobs of a small network's error
_MIN_SIGMA = 0.01  # of log depth; correlated errors keep a landmark from being known better


def wants_keyframe(config: ReconstructionConfig, sparse: SparseMap, pose: Pose, rows: Rows) -> bool:
    """True when the newest keyframe overlaps too little with what is tracked, or the baseline to it has grown enough."""
    last = sparse.keyframes[-1]
    common = np.isin(last.rows, rows, assume_unique=True).sum()
    if common < config.keyframes.min_overlap * len(last.rows):
        return True
    if len(rows) == 0:
        return False
    R, t = pose
    depth = float(np.median(sparse.X[rows] @ R[2] + t[2]))
    baseline = float(np.linalg.norm(-R.T @ t - last.centre))
    ratio = config.keyframes.baseline_ratio * (0.5 if is_young(sparse) else 1.0)
    return baseline > ratio * max(depth, 0.1)


def is_young(sparse: SparseMap) -> bool:
    """True while the map still rests on the network's depth: few keyframes, or few landmarks fixed by parallax."""
    return len(sparse.keyframes) < _YOUNG_KEYFRAMES or int((sparse.alive & (sparse.sigma < 0.05)).sum()) < 50


def add_landmarks(
    sparse: SparseMap, camera: PinholeCamera, pose: Pose, serial: int, uv: NDArray[np.float32], log_depth: Array, sigma: Array
) -> Rows:
    """Make landmarks of new features from a depth guess in the scale of the map; returns their rows (maybe fewer).

    A network errs in large blobs, so that many landmarks of one image know hardly more than a few do: their standard
    deviations grow with their number.
    """
    rows = sparse.allocate(len(uv))
    n = len(rows)
    sigma = sigma * max(1.0, np.sqrt(n / _INDEPENDENT_DEPTHS))
    R, t = pose
    in_camera = pinhole.rays(camera, uv[:n]) * np.exp(log_depth[:n, None])
    sparse.X[rows] = (in_camera - t) @ R
    sparse.sigma[rows] = sparse.prior_sigma[rows] = sigma[:n]
    sparse.prior_log_depth[rows] = log_depth[:n]
    sparse.anchor[rows] = serial
    sparse.origin[rows] = -R.T @ t
    return rows


def retriangulate(config: ReconstructionConfig, sparse: SparseMap, camera: PinholeCamera) -> None:
    """Replace poorly known depths of the newest keyframe's landmarks by triangulation where the ray angle allows."""
    newest = sparse.keyframes[-1]
    rows = newest.rows[sparse.sigma[newest.rows] > 0.1]
    for old in sparse.keyframes[-config.bundle.window : -1]:
        seen = old.positions(rows)
        use = np.isfinite(seen[:, 0])
        if not use.any():
            continue
        uv_new = newest.positions(rows[use])
        X, good = triangulation.triangulate_checked(camera, old.pose, newest.pose, seen[use], uv_new)
        sparse.X[rows[use][good]] = X[good]
        rows = np.setdiff1d(rows, rows[use][good])


def adjust_window(config: ReconstructionConfig, sparse: SparseMap, focal: FocalEstimate, refine_focal: bool) -> Rows:
    """Adjust the newest keyframes, their landmarks and the focal length, and drop the landmarks that disagree.

    Args:
        focal: taken as prior and updated when `refine_focal`, once the map no longer rests on the network.

    Returns:
        The landmarks dropped.
    """
    if len(sparse.keyframes) < 2:
        return np.zeros(0, np.intp)
    if is_young(sparse):
        done = _adjust_young(config, sparse, focal)
    else:
        done = _adjust_once(config, sparse, focal, refine_focal, config.bundle.iterations)
        if refine_focal:
            focal.update(done.result.problem.log_focal, done.result.focal_sigma)
    result = done.result
    wrong = (result.error_px > config.bundle.max_residual_px) | (result.depth < 0.05)
    dropped = np.unique(done.rows[result.problem.point[wrong]])
    sparse.forget(dropped)
    return dropped


@dataclass(frozen=True, eq=False)
class _Adjustment:
    rows: Rows
    result: BundleResult


def _adjust_young(config: ReconstructionConfig, sparse: SparseMap, focal: FocalEstimate) -> _Adjustment:
    """Adjust from where the map stands and from the two-view solution; the better one stays."""
    iterations = _YOUNG_ITERATIONS
    before = MapState.of(sparse)
    done = _adjust_once(config, sparse, focal, False, iterations)
    after = MapState.of(sparse)
    before.restore(sparse)
    if len(sparse.keyframes) <= _TWO_VIEW_KEYFRAMES and two_view_start(config, sparse, focal.camera):
        other = _adjust_once(config, sparse, focal, False, iterations)
        if other.result.cost < _CLEARLY_BETTER * done.result.cost:
            _log.info("two-view solution taken: cost %.0f instead of %.0f", other.result.cost, done.result.cost)
            return other
    after.restore(sparse)
    return done


def _adjust_once(
    config: ReconstructionConfig, sparse: SparseMap, focal: FocalEstimate, refine_focal: bool, iterations: int
) -> _Adjustment:
    """One bundle adjustment of the window, written into the map."""
    window, num_fixed = sparse.window(config.bundle.window, config.bundle.anchors)
    rows, problem = _problem(config, sparse, focal.start, window, num_fixed)
    problem = replace(problem, log_focal=focal.mean)
    if refine_focal:
        problem = replace(problem, focal_mean=focal.mean, focal_sigma=focal.sigma)
    result = adjust(problem, iterations)
    for i, keyframe in enumerate(window):
        keyframe.R, keyframe.t = result.problem.R[i], result.problem.t[i]
        mine = keyframe.rows[sparse.anchor[keyframe.rows] == keyframe.serial]
        sparse.origin[mine] = keyframe.centre
    sparse.X[rows] = result.problem.X
    _refresh_uncertainty(sparse, rows, result)
    return _Adjustment(rows, result)


def _problem(
    config: ReconstructionConfig, sparse: SparseMap, camera: PinholeCamera, window: list[Keyframe], num_fixed: int
) -> tuple[Rows, BundleProblem]:
    """Landmarks seen at least twice in the window, or once with a depth prior there."""
    all_rows = np.concatenate([k.rows for k in window])
    all_uv = np.concatenate([k.uv for k in window]).astype(np.float64)
    all_keyframes = np.repeat(np.arange(len(window)), [len(k.rows) for k in window])
    count = np.bincount(all_rows, minlength=sparse.capacity)
    rows = np.flatnonzero(count >= 2)
    index = np.full(sparse.capacity, -1, np.intp)
    index[rows] = np.arange(len(rows))
    use = index[all_rows] >= 0
    at = {k.serial: i for i, k in enumerate(window)}
    anchor = np.array([at.get(int(a), -1) for a in sparse.anchor[rows]], np.intp)
    known = np.flatnonzero(anchor >= 0)
    priors = DepthPriors(known, anchor[known], sparse.prior_log_depth[rows[known]], sparse.prior_sigma[rows[known]])
    fixed = np.arange(len(window)) < num_fixed
    return rows, BundleProblem(
        camera=camera,
        R=np.array([k.R for k in window]),
        t=np.array([k.t for k in window]),
        fixed=fixed,
        X=sparse.X[rows],
        keyframe=all_keyframes[use],
        point=index[all_rows[use]],
        uv=all_uv[use],
        pixel_sigma=config.tracking.pixel_sigma_px,
        priors=priors,
    )


def _refresh_uncertainty(sparse: SparseMap, rows: Rows, result: BundleResult) -> None:
    """Standard deviation of log depth along the first ray: moving by s means moving X by s (X - origin)."""
    along = sparse.X[rows] - sparse.origin[rows]
    information = np.einsum("mi,mij,mj->m", along, result.point_information, along)
    sparse.sigma[rows] = np.clip(1.0 / np.sqrt(np.maximum(information, 1e-12)), _MIN_SIGMA, 1.0)
