"""Finding the camera again in the old map: binary descriptors at landmarks, matched to the lost image, then a pose."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction import pnp
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.features import detect, follow
from ego_perception.reconstruction.pinhole import project
from ego_perception.reconstruction.sparse_map import Keyframe, Rows, SparseMap

Grey = NDArray[np.uint8]

_DESCRIPTOR_BYTES = 32
_NUM_CORNERS = 700
_RATIO = 0.85  # of best to second-best Hamming distance
_MAX_DISTANCE = 64  # bits of 256
_MAX_POSITION_SIGMA = 0.02  # of the scene's depth; a pose less certain than that is no relocalisation
_MIN_PROMISE = 10.0  # landmarks worth looking for again
_KNOWN_SIGMA = 0.1  # of log depth, up to which a landmark is looked for again
_AT_ONCE_PX = 60.0  # motion bridged by tracking alone after a loss
_CONFIRM_PX = 25.0  # from where the descriptors' pose expects a landmark
_REACQUIRE_PX = 5.0  # from where the pose expects it
_SEARCH_SIGMA_PX = 3.0  # of a matched corner


def describe(grey: Grey, uv: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Upright ORB descriptors (Rublee et al., ICCV 2011) of (N, 2) pixels; (N, 32), all zero too close to the border.

    A head rolls little between visits, so the patch orientation is left out: it costs more matches than it saves.
    """
    out = np.zeros((len(uv), _DESCRIPTOR_BYTES), np.uint8)
    keypoints = [cv2.KeyPoint(float(x), float(y), 31.0, 0.0, 1.0, 0, i) for i, (x, y) in enumerate(uv)]
    smooth = cv2.GaussianBlur(grey, (5, 5), 1.2)
    kept, descriptors = cv2.ORB.create(edgeThreshold=18, nlevels=1).compute(smooth, keypoints)
    if descriptors is not None:
        out[[k.class_id for k in kept]] = descriptors
    return out


def relocalise(
    config: ReconstructionConfig,
    sparse: SparseMap,
    camera: PinholeCamera,
    grey: Grey,
    candidates: Sequence[Keyframe],
    last: pnp.Pose | None = None,
    ignore: NDArray[np.bool_] | None = None,
) -> tuple[pnp.PoseFit, Rows, NDArray[np.float32]] | None:
    """Find the camera by the keyframes given.

    First as if it had hardly moved since `last`, by tracking from the newest of them; then by descriptors.

    Returns:
        The pose, and the landmarks found with their (N, 2) pixels, inliers only; None where nothing is sure.
    """
    if last is not None and candidates:
        at_once = _confirm(config, sparse, camera, grey, last, candidates[0], _AT_ONCE_PX)
        if at_once is not None:
            return at_once
    corners = detect(config.tracking, grey, np.zeros((0, 2), np.float32), _NUM_CORNERS, ignore)
    if len(corners) < config.relocalisation.min_inliers:
        return None
    descriptors = describe(grey, corners)
    best: tuple[pnp.PoseFit, Keyframe] | None = None
    for keyframe in candidates:
        rows, uv = _match(keyframe, corners, descriptors)
        if len(rows) < config.relocalisation.min_inliers:
            continue
        seen = _landmarks(sparse, rows, uv)
        fit = pnp.solve(camera, seen, [keyframe.pose], _SEARCH_SIGMA_PX)
        if fit is not None and (best is None or fit.num_inliers > best[0].num_inliers):
            best = fit, keyframe
        if best is not None and best[0].num_inliers >= 2 * config.relocalisation.min_inliers:
            break
    if best is None or best[0].num_inliers < config.relocalisation.min_inliers // 2:
        return None
    fit, keyframe = best
    return _confirm(config, sparse, camera, grey, (fit.R, fit.t), keyframe, _CONFIRM_PX)


def find_again(
    config: ReconstructionConfig,
    sparse: SparseMap,
    camera: PinholeCamera,
    keyframe: Keyframe,
    grey: Grey,
    pose: pnp.Pose,
    rows: Rows,
    max_distance_px: float,
) -> tuple[Rows, NDArray[np.float32]]:
    """Look for landmarks of a keyframe in an image whose pose is roughly known; returns those found and their pixels."""
    projection = project(camera, sparse.X[rows] @ pose[0].T + pose[1])
    uv = projection.uv
    inside = (uv > 0).all(axis=1) & (uv[:, 0] < grey.shape[1] - 1) & (uv[:, 1] < grey.shape[0] - 1)
    inside &= projection.points[:, 2] > 0.05
    rows, uv = rows[inside], uv[inside].astype(np.float32)
    start = keyframe.positions(rows).astype(np.float32)
    found, good = follow(config.tracking, keyframe.grey, grey, start, uv)
    good &= np.linalg.norm(found - uv, axis=1) < max_distance_px
    return rows[good], found[good]


def reacquire(
    config: ReconstructionConfig,
    sparse: SparseMap,
    camera: PinholeCamera,
    grey: Grey,
    pose: pnp.Pose,
    tracked: Rows,
    ignore: NDArray[np.bool_] | None = None,
) -> tuple[Rows, NDArray[np.float32]]:
    """Take up landmarks again that went out of sight and are back, so that a known place is not mapped twice.

    Returns:
        Landmarks that are not in `tracked`, found where the pose says they are, and their (N, 2) pixels.
    """
    best, most = None, 0.0
    centre = -pose[0].T @ pose[1]
    for keyframe in sparse.keyframes:
        rows = np.setdiff1d(keyframe.rows, tracked, assume_unique=True)
        turn, shift = 1.0 - float(pose[0][2] @ keyframe.R[2]), float(np.linalg.norm(centre - keyframe.centre))
        promise = len(rows) * float(np.exp(-8.0 * turn - 2.0 * shift))
        if promise > most:
            best, most = (keyframe, rows), promise
    if best is None or most < _MIN_PROMISE:
        return np.zeros(0, np.intp), np.zeros((0, 2), np.float32)
    keyframe, rows = best
    rows = rows[sparse.sigma[rows] < _KNOWN_SIGMA]
    rows, uv = find_again(config, sparse, camera, keyframe, grey, pose, rows, _REACQUIRE_PX)
    if ignore is not None:
        free = ~ignore[np.rint(uv[:, 1]).astype(np.intp), np.rint(uv[:, 0]).astype(np.intp)]
        rows, uv = rows[free], uv[free]
    return rows, uv


def _match(
    keyframe: Keyframe, corners: NDArray[np.float32], descriptors: NDArray[np.uint8]
) -> tuple[Rows, NDArray[np.float64]]:
    """Landmarks of a keyframe and the corners that look like them, each corner used once."""
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(keyframe.descriptors, descriptors, k=2)
    chosen: dict[int, tuple[float, int]] = {}
    for pair in pairs:
        if len(pair) < 2 or pair[0].distance > min(_MAX_DISTANCE, _RATIO * pair[1].distance):
            continue
        known = chosen.get(pair[0].trainIdx)
        if known is None or pair[0].distance < known[0]:
            chosen[pair[0].trainIdx] = pair[0].distance, pair[0].queryIdx
    at = np.array(sorted(chosen), np.intp)
    query = np.array([chosen[int(i)][1] for i in at], np.intp)
    return keyframe.rows[query], corners[at].astype(np.float64)


def _confirm(
    config: ReconstructionConfig,
    sparse: SparseMap,
    camera: PinholeCamera,
    grey: Grey,
    pose: pnp.Pose,
    keyframe: Keyframe,
    max_distance_px: float,
) -> tuple[pnp.PoseFit, Rows, NDArray[np.float32]] | None:
    """Track the keyframe's landmarks into the image from where the pose says they are, and fit again."""
    rows, uv = find_again(config, sparse, camera, keyframe, grey, pose, keyframe.rows, max_distance_px)
    limit = config.relocalisation.min_inliers
    if len(rows) < limit:
        return None
    better = pnp.solve(camera, _landmarks(sparse, rows, uv.astype(np.float64)), [pose], config.tracking.pixel_sigma_px * 1.5)
    if better is None or better.num_inliers < max(limit, 0.5 * len(rows)):
        return None
    depth = np.median(sparse.X[rows[better.inliers]] @ better.R[2] + better.t[2])
    covariance = np.linalg.inv(better.information + 1e-9 * np.eye(6))
    if np.sqrt(np.trace(covariance[3:, 3:])) > _MAX_POSITION_SIGMA * depth:
        return None
    return better, rows[better.inliers], uv[better.inliers]


def _landmarks(sparse: SparseMap, rows: Rows, uv: NDArray[np.float64]) -> pnp.Landmarks:
    return pnp.Landmarks(sparse.X[rows], sparse.spread(rows), uv, np.ones(len(rows)))
