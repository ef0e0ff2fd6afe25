"""Dense depth of every frame: triangulated where the camera's motion shows it, from the network elsewhere.

Three statements about log depth meet, each with its standard deviation: the network's, the last frame's result carried along
by the pose, and triangulation of optical flow to several keyframes. The flow (DIS, Kroeger et al., ECCV 2016) runs against
keyframes already warped by the best guess so far, so that it has to find small residual motion only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.geometry.flow import DenseFlow
from ego_perception.reconstruction.config import DenseConfig
from ego_perception.reconstruction.fill import fill_guided, spread_values
from ego_perception.reconstruction.pnp import Pose

Image = NDArray[np.float32]

_FLOW_SIGMA_PX = 0.35
_MAX_EPIPOLAR_PX = 0.8
_MAX_PHOTO_ERROR = 25.0  # grey levels
_MIN_TEXTURE = 150.0  # mean squared gradient below which flow is a guess
_MAX_DISAGREEMENT_PX = 1.5  # between references: what moves on its own has another depth in each
_MAX_CONTRADICTION = 3.0  # standard deviations of the network, beyond which a triangulated depth is taken for motion
_MAX_SIGMA = 0.15  # of triangulated log depth
_SIGMA_FLOOR = 0.03
_COMMON_SIGMA = 0.1  # of log depth, from poses and focal length: shared by all pixels, so that it never averages out
_FILL_SIGMA = 0.15  # of log depth filled in from near geometry
_GUIDE_EPS = 1e-3
_CARRY_SIGMA = 0.05  # growth of carried log depth's standard deviation per frame, in quadrature
_LOG_QUARTER = float(np.log(1.25))
MIN_DEPTH_M, MAX_DEPTH_M = 0.05, 50.0


@dataclass(frozen=True, eq=False)
class Reference:
    """A keyframe that depth is triangulated against: (h, w) grey image and camera-from-world pose."""

    grey: NDArray[np.uint8]
    pose: Pose


@dataclass(frozen=True, eq=False)
class SparseDepth:
    """Landmarks in the current frame: (N, 2) pixels of the small image, (N,) log depths, (N,) standard deviations."""

    uv: NDArray[np.float64]
    log_depth: NDArray[np.float64]
    sigma: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DenseDepth:
    """(h, w) log depth in the scale of the map, and its standard deviation."""

    log_depth: Image
    sigma: Image

    @property
    def depth(self) -> Image:
        """(h, w) float32 metres."""
        return np.clip(np.exp(self.log_depth), MIN_DEPTH_M, MAX_DEPTH_M).astype(np.float32)

    @property
    def confidence(self) -> Image:
        """Probability that depth is within 25 % of the truth, by a normal error of log depth."""
        z = _LOG_QUARTER / (np.sqrt(2.0) * np.maximum(self.sigma, 1e-3))
        # Abramowitz and Stegun 7.1.27: erf to 5e-4, without a special function per pixel
        poly = 1 + z * (0.278393 + z * (0.230389 + z * (0.000972 + z * 0.078108)))
        return (1.0 - 1.0 / poly**4).astype(np.float32)


class DenseEstimator:
    """Depth frame by frame; keeps the last result to carry it along."""

    def __init__(self, config: DenseConfig) -> None:
        self._config = config
        self._flow = DenseFlow()
        self._last: tuple[DenseDepth, Pose, PinholeCamera] | None = None

    def reset(self) -> None:
        """Forget the last frame."""
        self._last = None

    def estimate(
        self,
        grey: NDArray[np.uint8],
        camera: PinholeCamera,
        pose: Pose,
        references: Sequence[Reference],
        sparse: SparseDepth,
        network: DenseDepth,
        ignore: NDArray[np.bool_] | None = None,
    ) -> DenseDepth:
        """Estimate depth of one frame.

        Args:
            grey: (h, w) image.
            camera: of that size.
            pose: camera-from-world.
            references: keyframes of the same size and camera.
            sparse: landmarks in this frame.
            network: the network's log depth and standard deviation at this size.
            ignore: (h, w) True where geometry must not be used (the wearer's hands).
        """
        shape = grey.shape
        sparse_value, sparse_weight = _rasterise(sparse, network.log_depth)
        value, weight = sparse_value * sparse_weight, sparse_weight.copy()
        carried = self._carry(camera, pose, shape)
        if carried is not None:
            carried_weight = _weight(carried.sigma)
            value += (carried.log_depth - network.log_depth) * carried_weight
            weight += carried_weight
        width = max(5, shape[1] // 12)
        bend = spread_values((value / np.maximum(weight, 1e-9)).astype(np.float32), weight, width)
        guess = network.log_depth + bend
        triangulated, sigma = self._triangulate(grey, camera, pose, references, guess)
        sigma[_contradicts(triangulated, network, value, weight)] = np.inf
        if ignore is not None:
            sigma[ignore] = np.inf
        geometric = _combine(DenseDepth(triangulated, sigma), carried)
        self._last = geometric, pose, camera
        return self._fuse(grey, network, geometric, (sparse_value, sparse_weight))

    def _fuse(
        self, grey: NDArray[np.uint8], network: DenseDepth, geometric: DenseDepth, sparse: tuple[Image, Image]
    ) -> DenseDepth:
        """Bend the network to the geometry, edge-aware, and let the geometry stand where it is sure."""
        weight = _weight(geometric.sigma)
        residual = (np.where(weight > 0, geometric.log_depth - network.log_depth, 0.0) * weight).astype(np.float32)
        fill_weight = weight + sparse[1]
        fill_value = ((residual + sparse[0] * sparse[1]) / np.maximum(fill_weight, 1e-9)).astype(np.float32)
        width = max(7, grey.shape[1] // 14)
        filled = fill_guided(grey.astype(np.float32) / np.float32(255), fill_value, fill_weight, width, _GUIDE_EPS)
        support = cv2.blur(np.minimum(fill_weight * np.float32(0.01), 1.0), (2 * width | 1, 2 * width | 1))
        fill_sigma = np.sqrt(_FILL_SIGMA**2 + np.maximum(1.0 - 4.0 * support, 0.0) * network.sigma**2)
        w_fill = (1.0 / fill_sigma**2).astype(np.float32)
        total = weight + w_fill
        log_depth = network.log_depth + (residual + filled * w_fill) / total
        sigma = np.sqrt(1.0 / total + _COMMON_SIGMA**2)
        low, high = np.log(MIN_DEPTH_M), np.log(MAX_DEPTH_M)
        return DenseDepth(np.clip(log_depth, low, high).astype(np.float32), sigma.astype(np.float32))

    def _carry(self, camera: PinholeCamera, pose: Pose, shape: tuple[int, ...]) -> DenseDepth | None:
        """The last result as seen from here: forward warp, the nearest point wins; infinite sigma where nothing lands."""
        if self._last is None or self._last[0].log_depth.shape != shape:
            return None
        last, (R0, t0), camera0 = self._last
        R = (pose[0] @ R0.T).astype(np.float32)
        t = (pose[1] - pose[0] @ R0.T @ t0).astype(np.float32)
        points = (camera0.rays() * np.exp(last.log_depth)[..., None]).reshape(-1, 3) @ R.T + t
        z = points[:, 2]
        front = (z > MIN_DEPTH_M) & np.isfinite(last.sigma.ravel())
        safe = np.where(front, z, 1.0)
        x = np.rint(camera.fx * points[:, 0] / safe + camera.cx).astype(np.int32)
        y = np.rint(camera.fy * points[:, 1] / safe + camera.cy).astype(np.int32)
        use = np.flatnonzero(front & (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0]))
        use = use[np.argsort(-z[use], kind="stable")]
        log_depth = np.zeros(shape, np.float32)
        sigma = np.full(shape, np.inf, np.float32)
        log_depth[y[use], x[use]] = np.log(z[use])
        sigma[y[use], x[use]] = np.hypot(last.sigma.ravel()[use], np.float32(_CARRY_SIGMA))
        return DenseDepth(log_depth, sigma)

    def _triangulate(
        self, grey: NDArray[np.uint8], camera: PinholeCamera, pose: Pose, references: Sequence[Reference], guess: Image
    ) -> tuple[Image, Image]:
        """Log depth and its standard deviation (infinite where unusable) from flow to all references."""
        none = guess, np.full(guess.shape, np.inf, np.float32)
        if not references:
            return none
        inverse, information = [], []
        q0 = np.exp(-guess)
        for reference in references:
            q, w = self._match(grey, camera, pose, reference, q0)
            inverse.append(q)
            information.append(w)
        Q, W = np.stack(inverse), np.stack(information)
        q = (Q * W).sum(0) / np.maximum(W.sum(0), 1e-9)
        robust = W
        for _ in range(2):  # references that disagree by more than about a pixel lose weight
            robust = W / (1.0 + (Q - q) ** 2 * W)
            q = (Q * robust).sum(0) / np.maximum(robust.sum(0), 1e-9)
        disagreement = ((Q - q) ** 2 * W).sum(0) / np.maximum((W > 0).sum(0), 1)
        sigma = _FLOW_SIGMA_PX / np.sqrt(np.maximum(robust.sum(0), 1e-6)) / np.maximum(q, 1e-3)
        gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        texture = cv2.blur(gx * gx + gy * gy, (5, 5))
        usable = (sigma < _MAX_SIGMA) & (texture > _MIN_TEXTURE) & (q > 1.0 / MAX_DEPTH_M)
        usable &= disagreement < _MAX_DISAGREEMENT_PX**2
        log_depth = -np.log(np.maximum(q, 1.0 / MAX_DEPTH_M))
        return log_depth.astype(np.float32), np.where(usable, sigma, np.inf).astype(np.float32)

    def _match(
        self, grey: NDArray[np.uint8], camera: PinholeCamera, pose: Pose, reference: Reference, q0: Image
    ) -> tuple[Image, Image]:
        """Inverse depth from one reference and its information: squared pixels per unit of inverse depth, 0 if unusable.

        With x' ~ R x + q t, the match (u, v) gives two linear equations a q = b; their residual is the epipolar distance.
        """
        R = (reference.pose[0] @ pose[0].T).astype(np.float32)
        t = (reference.pose[1] - reference.pose[0] @ pose[0].T @ pose[1]).astype(np.float32)
        fx, fy, cx, cy = (np.float32(v) for v in (camera.fx, camera.fy, camera.cx, camera.cy))
        turned = camera.rays() @ R.T
        warped_z = np.maximum(turned[..., 2] + q0 * t[2], 1e-3)
        map_x = fx * (turned[..., 0] + q0 * t[0]) / warped_z + cx
        map_y = fy * (turned[..., 1] + q0 * t[1]) / warped_z + cy
        warped = cv2.remap(reference.grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        flow = self._flow.between(grey, np.asarray(warped, np.uint8))
        h, w = grey.shape
        at_x = np.arange(w, dtype=np.float32) + flow[..., 0]
        at_y = np.arange(h, dtype=np.float32)[:, None] + flow[..., 1]
        px = cv2.remap(map_x, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        py = cv2.remap(map_y, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        u, v = (px - cx) / fx, (py - cy) / fy
        ax, ay = (t[0] - u * t[2]) * fx, (t[1] - v * t[2]) * fy
        bx, by = (u * turned[..., 2] - turned[..., 0]) * fx, (v * turned[..., 2] - turned[..., 1]) * fy
        information = ax * ax + ay * ay + np.float32(1e-9)
        q = (ax * bx + ay * by) / information
        epipolar = np.abs(ax * by - ay * bx) / np.sqrt(information)
        seen = cv2.remap(reference.grey, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        photo = cv2.absdiff(grey, seen)
        ok = (epipolar < _MAX_EPIPOLAR_PX) & (photo < _MAX_PHOTO_ERROR) & (q > 1e-3)
        ok &= (px > 1) & (py > 1) & (px < w - 2) & (py < h - 2) & (turned[..., 2] + q * t[2] > 1e-2)
        # Information is in (pixels per unit of q)^2; the standard deviation of q is then flow sigma / sqrt(information).
        return q.astype(np.float32), np.where(ok, information, np.float32(0.0)).astype(np.float32)


def _combine(fresh: DenseDepth, carried: DenseDepth | None) -> DenseDepth:
    """Triangulated and carried depth by inverse variance; where they contradict each other the fresh one stands."""
    if carried is None:
        return fresh
    w_fresh, w_carried = _weight(fresh.sigma), _weight(carried.sigma)
    variance = fresh.sigma**2 + carried.sigma**2 + np.float32(_SIGMA_FLOOR**2)
    with np.errstate(invalid="ignore"):
        clash = (carried.log_depth - fresh.log_depth) ** 2 > 9.0 * variance
    w_carried = np.where(clash & (w_fresh > 0), np.float32(0.0), w_carried)
    total = w_fresh + w_carried
    safe = np.maximum(total, np.float32(1e-9))
    log_depth = (np.where(w_fresh > 0, fresh.log_depth, 0.0) * w_fresh + carried.log_depth * w_carried) / safe
    sigma = np.where(total > 0, 1.0 / np.sqrt(safe), np.float32(np.inf))
    return DenseDepth(log_depth.astype(np.float32), sigma.astype(np.float32))


def _contradicts(triangulated: Image, network: DenseDepth, residual: Image, weight: Image) -> NDArray[np.bool_]:
    """Where triangulation is absurd by the network's measure, after a common shift to the known `residual / weight`."""
    known = weight > 0
    shift = float(np.median(residual[known] / weight[known])) if known.any() else 0.0
    limit = _MAX_CONTRADICTION * np.maximum(network.sigma, 0.3)
    return np.asarray(np.abs(triangulated - network.log_depth - np.float32(shift)) > limit)


def _weight(sigma: Image) -> Image:
    """Inverse variance with a floor; 0 for an infinite standard deviation."""
    return (1.0 / (np.float32(_SIGMA_FLOOR**2) + sigma**2)).astype(np.float32)


def _rasterise(sparse: SparseDepth, base: Image) -> tuple[Image, Image]:
    """Residuals of landmarks to `base` as an image, and their weights."""
    h, w = base.shape
    value, weight = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    if len(sparse.uv) == 0:
        return value, weight
    x = np.clip(np.rint(sparse.uv[:, 0]).astype(int), 0, w - 1)
    y = np.clip(np.rint(sparse.uv[:, 1]).astype(int), 0, h - 1)
    wi = (1.0 / (_SIGMA_FLOOR**2 + sparse.sigma**2)).astype(np.float32)
    np.add.at(value, (y, x), (sparse.log_depth - base[y, x]).astype(np.float32) * wi)
    np.add.at(weight, (y, x), wi)
    return (value / np.maximum(weight, 1e-9)).astype(np.float32), weight
