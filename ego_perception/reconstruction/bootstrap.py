"""A second opinion on a young map: the two-view solution that needs no depth from the network.

A wrong depth guess can lead the first adjustments into a mirrored valley (a relief bent the other way explains small motion
nearly as well), from which no local step escapes. While the map is young its first and newest keyframes are therefore
also solved by the essential matrix (Nister, PAMI 2004); the solution that explains all observations better stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction import pinhole, pnp
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.pnp import Pose
from ego_perception.reconstruction.sparse_map import Rows, SparseMap
from ego_perception.reconstruction.triangulation import triangulate_checked

Array = NDArray[np.float64]

_MIN_POINTS = 40
_EPIPOLAR_PX = 1.5


@dataclass(frozen=True, eq=False)
class MapState:
    """Poses of all keyframes and all points, to go back to."""

    poses: list[Pose]
    X: Array
    sigma: Array
    origin: Array

    @classmethod
    def of(cls, sparse: SparseMap) -> MapState:
        """Copy the state of a map."""
        poses = [(k.R.copy(), k.t.copy()) for k in sparse.keyframes]
        return cls(poses, sparse.X.copy(), sparse.sigma.copy(), sparse.origin.copy())

    def restore(self, sparse: SparseMap) -> None:
        """Put it back."""
        for keyframe, (R, t) in zip(sparse.keyframes, self.poses, strict=True):
            keyframe.R, keyframe.t = R, t
        sparse.X, sparse.sigma, sparse.origin = self.X, self.sigma, self.origin


def two_view_start(config: ReconstructionConfig, sparse: SparseMap, camera: PinholeCamera) -> bool:
    """Replace poses and points of a young map by the two-view solution, in the scale of the network's depth.

    Returns:
        False, with the map untouched, where the two views do not determine a solution.
    """
    first, newest = sparse.keyframes[0], sparse.keyframes[-1]
    rows = np.intersect1d(first.rows, newest.rows, assume_unique=True)
    if len(rows) < _MIN_POINTS:
        return False
    uv_first, uv_newest = first.positions(rows), newest.positions(rows)
    relative = _essential(camera, uv_first, uv_newest)
    if relative is None:
        return False
    unit: Pose = (np.eye(3), np.zeros(3))
    Y, good = triangulate_checked(camera, unit, relative, uv_first, uv_newest)
    if good.sum() < _MIN_POINTS or good.sum() < 0.5 * len(rows):
        return False
    anchored = good & (sparse.anchor[rows] == first.serial)
    if anchored.sum() < _MIN_POINTS // 2:
        return False
    scale = float(np.exp(np.median(sparse.prior_log_depth[rows[anchored]] - np.log(Y[anchored, 2]))))
    X = (Y * scale - first.t) @ first.R
    pose: Pose = (relative[0] @ first.R, relative[0] @ first.t + relative[1] * scale)
    return _spread(config, sparse, camera, rows[good], X[good], pose)


def _essential(camera: PinholeCamera, uv_first: Array, uv_second: Array) -> Pose | None:
    a, b = camera.normalise(uv_first), camera.normalise(uv_second)
    E, inliers = cv2.findEssentialMat(a, b, np.eye(3), cv2.RANSAC, 0.999, _EPIPOLAR_PX / camera.fx)
    if E is None or E.shape != (3, 3):
        return None
    _, R, t, _ = cv2.recoverPose(E, a, b, np.eye(3), mask=inliers)
    return np.asarray(R, np.float64), np.asarray(t, np.float64).ravel()


def _spread(
    config: ReconstructionConfig, sparse: SparseMap, camera: PinholeCamera, rows: Rows, X: Array, newest_pose: Pose
) -> bool:
    """Fit the keyframes between to the triangulated points, then move all other landmarks along with their keyframes."""
    poses: list[Pose] = [sparse.keyframes[0].pose]
    for keyframe in sparse.keyframes[1:-1]:
        uv = keyframe.positions(rows)
        seen = np.isfinite(uv[:, 0])
        landmarks = pnp.Landmarks(X[seen], np.zeros((int(seen.sum()), 3)), uv[seen], np.ones(int(seen.sum())))
        fit = pnp.solve(camera, landmarks, [poses[-1], newest_pose], config.tracking.pixel_sigma_px)
        if fit is None or fit.num_inliers < config.tracking.min_inliers:
            return False
        poses.append((fit.R, fit.t))
    poses.append(newest_pose)
    for keyframe, (R, t) in zip(sparse.keyframes, poses, strict=True):
        keyframe.R, keyframe.t = R, t
        mine = keyframe.rows[sparse.anchor[keyframe.rows] == keyframe.serial]
        in_camera = pinhole.rays(camera, keyframe.positions(mine)) * np.exp(sparse.prior_log_depth[mine])[:, None]
        sparse.X[mine] = (in_camera - t) @ R
        sparse.origin[mine] = keyframe.centre
    sparse.X[rows] = X
    return True
