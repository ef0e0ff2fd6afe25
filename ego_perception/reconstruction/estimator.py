"""The reconstruction as a streaming estimator: one frame in, pose, depth and map out, causal.

Every frame: judge the image, follow landmarks and fit the pose (`tracker`), estimate dense depth (`dense`), and, when the view
has changed enough, add a keyframe and adjust the newest ones (`mapping`). The first frame's landmarks get their depth
from the network, so that there are poses from the first frame on; parallax takes over as it grows. A lost track is looked for
in the old map (`relocalisation`); after a while a new map is started.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, invert, make_transform
from ego_perception.reconstruction import features, mapping, relocalisation
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.dense import DenseDepth, DenseEstimator, Reference, SparseDepth
from ego_perception.reconstruction.health import HealthMonitor, ImageHealth
from ego_perception.reconstruction.intrinsics import FocalEstimate
from ego_perception.reconstruction.motion import MotionModel
from ego_perception.reconstruction.pnp import Pose, PoseFit
from ego_perception.reconstruction.prior import DepthPrior
from ego_perception.reconstruction.sparse_map import Keyframe, SparseMap, map_pixels
from ego_perception.reconstruction.tracker import TrackResult, Tracks, track
from ego_perception.reconstruction.view import View, ViewFactory

_log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SCARCE_SHARE = 0.6  # of the wanted number of features, below which known landmarks are looked for again
_COVERED_HOLD_S = 0.5  # after something covered the view, no landmarks are made on it for this long
_COVARIANCE_FACTOR = 4.0  # landmarks share errors, so that they count for less than their number


class ReconstructionEstimator:
    """Camera poses, dense depth and a sparse map from one moving camera; implements `runtime.Estimator[SceneEstimate]`."""

    def __init__(self, config: ReconstructionConfig, prior: DepthPrior) -> None:
        self.config = config
        self._prior = prior
        self._views = ViewFactory(config)
        self._health = HealthMonitor()
        self._dense = DenseEstimator(config.dense)
        self._motion = MotionModel(config.tracking)
        cv2.setNumThreads(config.threads)
        self.reset()

    def reset(self) -> None:
        """Forget the map, the intrinsics and the motion; the network stays loaded."""
        self._map_id = 0
        self._focal: FocalEstimate | None = None
        self._given: PinholeCamera | None = None
        self._health.reset()
        self._clear_map()

    def _clear_map(self) -> None:
        self._map = SparseMap(max_keyframes=self.config.keyframes.max_kept)
        self._tracks = Tracks.none()
        self._before: NDArray[np.uint8] | None = None
        self._motion.reset()
        self._dense.reset()
        self._lost_since_ns: int | None = None
        self._covered_until_ns = 0
        self._num_frames = 0
        self._last_estimate: SceneEstimate | None = None
        self._candidate = 0

    def flush(self) -> Iterable[SceneEstimate]:
        """Nothing is held back."""
        return ()

    def push(self, frame: Frame) -> SceneEstimate:
        """Estimate one frame."""
        view = self._views.prepare(frame)
        self._adopt_camera(view)
        health = self._health.check(view.grey)
        if health.is_blind:
            return self._lose(view, health.value)
        if health is ImageHealth.FROZEN and self._last_estimate is not None:
            return self._repeat(view, health)
        network = self._look(view)
        if not self._map.keyframes:
            return self._start_map(view, network)
        found = None if self._lost_since_ns is not None else self._track(view)
        if found is None or found.fit is None or found.state is TrackingState.LOST:
            return self._recover(view, network, "looking for a known place" if found is None else found.reason)
        self._tracks = found.tracks
        if len(self._tracks.rows) < _SCARCE_SHARE * self.config.tracking.num_features:
            self._reacquire(view, (found.fit.R, found.fit.t))
        if found.is_covered and view.frame.stamp_ns >= self._covered_until_ns:
            self._covered_until_ns = view.frame.stamp_ns + int(_COVERED_HOLD_S * 1e9)
        return self._publish(view, network, found.fit, found.state, found.reason)

    # --- camera ---

    def _adopt_camera(self, view: View) -> None:
        """Take over given intrinsics when they are new, and follow a change of the image size."""
        given, old = view.frame.camera, self._focal
        if given is not None and (given != self._given or old is None):
            new = FocalEstimate.given(given.resized(*view.size), self.config.intrinsics.given_sigma)
        elif old is not None and (old.start.width, old.start.height) != view.size:
            new = old.resized(*view.size)
        else:
            return
        self._given, self._focal = given, new
        if old is None or not self._map.keyframes:
            return
        same_aspect = abs(old.start.width / old.start.height - view.size[0] / view.size[1]) < 0.01
        if given is None and not same_aspect:
            self._new_map("the image changed its shape and no intrinsics were given")
            self._focal = None
        elif old.is_estimated and given is not None:
            self._new_map("intrinsics arrived")
        else:
            self._rebase(old.camera, new.camera, view)

    def _rebase(self, old: PinholeCamera, new: PinholeCamera, view: View) -> None:
        """Carry the map over to a new image size: pixels move, world points stay."""
        H = new.K @ np.linalg.inv(old.K)
        self._map.rebase(H, view.size, (view.small.shape[1], view.small.shape[0]))
        self._tracks = Tracks(self._tracks.rows, map_pixels(H, self._tracks.uv))
        if self._before is not None:
            self._before = np.asarray(cv2.warpPerspective(self._before, H, view.size), np.uint8)
        self._dense.reset()

    def _look(self, view: View) -> DenseDepth:
        """Ask the network; without intrinsics its first answer also starts the focal length."""
        width, height = view.frame.size
        known = None if self._focal is None else self._focal.camera.resized(width, height)
        seen = self._prior.predict(view.frame.rgb, known)
        if self._focal is None:
            guess = PinholeCamera.from_fov(*view.size, seen.fov_y_rad)
            self._focal = FocalEstimate.guessed(guess, seen.fov_sigma)
        size = (view.small.shape[1], view.small.shape[0])
        log_depth = cv2.resize(np.log(seen.depth), size, interpolation=cv2.INTER_LINEAR)
        sigma = cv2.resize(seen.sigma, size, interpolation=cv2.INTER_LINEAR)
        return DenseDepth(log_depth.astype(np.float32), sigma.astype(np.float32))

    @property
    def _camera(self) -> PinholeCamera:
        assert self._focal is not None
        return self._focal.camera

    # --- a frame's way ---

    def _start_map(self, view: View, network: DenseDepth) -> SceneEstimate:
        """Make this frame the origin of a new map."""
        pose = np.eye(3), np.zeros(3)
        self._motion.update(pose, view.frame.stamp_ns, keep_velocity=False)
        dense = self._estimate_dense(view, pose, network)
        self._add_keyframe(view, pose, dense)
        self._before = view.grey
        if len(self._tracks.rows) < self.config.tracking.min_inliers:
            self._clear_map()
            return self._without_pose(view, "too few features to start a map", network)
        return self._assemble(view, pose, 1e-6 * np.eye(6), dense, TrackingState.TRACKING, "", is_keyframe=True)

    def _track(self, view: View) -> TrackResult | None:
        if self._before is None or len(self._tracks.rows) == 0:
            return None
        return track(
            self.config.tracking,
            self._map,
            self._camera,
            self._before,
            view.grey,
            self._tracks,
            self._motion,
            view.frame.stamp_ns,
            view.ignore,
        )

    def _publish(
        self, view: View, network: DenseDepth, fit: PoseFit, state: TrackingState, reason: str, *, jumped: bool = False
    ) -> SceneEstimate:
        """Dense depth, a keyframe where wanted, and the estimate of a frame whose pose is known."""
        stamp, pose = view.frame.stamp_ns, (fit.R, fit.t)
        dense = self._estimate_dense(view, pose, network)
        is_keyframe = stamp >= self._covered_until_ns and mapping.wants_keyframe(
            self.config, self._map, pose, self._tracks.rows
        )
        if is_keyframe:
            self._add_keyframe(view, pose, dense)
            pose = self._adjust()
        self._motion.update(pose, stamp, keep_velocity=not jumped)
        self._before = view.grey
        return self._assemble(view, pose, _world_covariance(fit), dense, state, reason, is_keyframe=is_keyframe)

    def _reacquire(self, view: View, pose: Pose) -> None:
        known = relocalisation.reacquire(self.config, self._map, self._camera, view.grey, pose, self._tracks.rows, view.ignore)
        self._tracks = self._tracks.joined(*known)

    def _add_keyframe(self, view: View, pose: Pose, dense: DenseDepth) -> None:
        """Find new features, give them depth, and store the frame."""
        tracking = self.config.tracking
        self._reacquire(view, pose)
        wanted = max(tracking.num_features - len(self._tracks.rows), 20)
        uv = features.detect(tracking, view.grey, self._tracks.uv, wanted, view.ignore)
        small = _to_small(view, uv)
        at = np.rint(small).astype(np.intp)
        log_depth = dense.log_depth[at[:, 1], at[:, 0]].astype(np.float64)
        sigma = np.maximum(dense.sigma[at[:, 1], at[:, 0]].astype(np.float64), self.config.prior.min_sigma)
        serial = self._map.next_serial
        rows = mapping.add_landmarks(self._map, self._camera, pose, serial, uv, log_depth, sigma)
        self._tracks = self._tracks.joined(rows, uv[: len(rows)])
        order = np.argsort(self._tracks.rows)
        rows, uv = self._tracks.rows[order], self._tracks.uv[order]
        described = relocalisation.describe(view.grey, uv)
        keyframe = Keyframe(serial, view.frame.stamp_ns, view.grey, view.small, *pose, rows, uv, described)
        self._map.add(keyframe)
        self._map.thin(self.config.bundle.window)
        self._map.collect(self._tracks.rows)

    def _adjust(self) -> Pose:
        """Triangulate and adjust the newest keyframes; returns the newest one's pose."""
        assert self._focal is not None
        focal = self._focal
        mapping.retriangulate(self.config, self._map, self._camera)
        may_refine = focal.is_estimated or self.config.intrinsics.refine
        dropped = mapping.adjust_window(self.config, self._map, focal, may_refine)
        self._tracks = self._tracks.without(dropped)
        return self._map.keyframes[-1].pose

    # --- losing and finding ---

    def _recover(self, view: View, network: DenseDepth, reason: str) -> SceneEstimate:
        """Look for the camera in the old map; after a while start a new one."""
        stamp = view.frame.stamp_ns
        if self._lost_since_ns is None:
            self._lost_since_ns = stamp
        found = relocalisation.relocalise(
            self.config, self._map, self._camera, view.grey, self._candidates(), self._motion.last, view.ignore
        )
        if found is not None and self._motion.is_plausible((found[0].R, found[0].t), stamp):
            fit, rows, uv = found
            self._lost_since_ns = None
            self._tracks = Tracks(rows, uv)
            return self._publish(view, network, fit, TrackingState.DEGRADED, "found again in the old map", jumped=True)
        if (stamp - self._lost_since_ns) * 1e-9 > self.config.relocalisation.give_up_s:
            self._new_map(f"no known place found for {self.config.relocalisation.give_up_s:g} s")
            return self._start_map(view, network)
        return self._lose(view, reason, network)

    def _candidates(self) -> list[Keyframe]:
        """The newest keyframes, then older ones in turn from frame to frame."""
        keyframes, count = self._map.keyframes, self.config.relocalisation.candidates
        newest = keyframes[-1 : -1 - (count + 1) // 2 : -1]
        older = keyframes[: len(keyframes) - len(newest)]
        turn = [older[-1 - (self._candidate + i) % len(older)] for i in range(min(count // 2, len(older)))]
        self._candidate += len(turn)
        return newest + turn

    def _lose(self, view: View, reason: str, network: DenseDepth | None = None) -> SceneEstimate:
        """Say that the pose is unknown."""
        if self._map.keyframes and self._lost_since_ns is None:
            self._lost_since_ns = view.frame.stamp_ns
        self._tracks = Tracks.none()
        self._before = None
        self._motion.stop()
        self._dense.reset()
        return self._without_pose(view, reason, network)

    def _new_map(self, reason: str) -> None:
        _log.warning("a new map is started: %s", reason)
        self._clear_map()
        self._map_id += 1

    # --- estimates ---

    def _estimate_dense(self, view: View, pose: Pose, network: DenseDepth) -> DenseDepth:
        h, w = view.small.shape
        rows = self._tracks.rows
        in_camera = self._map.X[rows] @ pose[0].T + pose[1]
        front = in_camera[:, 2] > 0.05
        sparse = SparseDepth(_to_small(view, self._tracks.uv)[front], np.log(in_camera[front, 2]), self._map.sigma[rows][front])
        depth = float(np.median(in_camera[front, 2])) if front.any() else 2.0
        references = [
            Reference(k.small, k.pose)
            for k in choose_references(self._map.keyframes, pose, depth, self.config.dense.references)
        ]
        camera = self._camera.resized(w, h)
        return self._dense.estimate(view.small, camera, pose, references, sparse, network, view.small_ignore)

    def _repeat(self, view: View, health: ImageHealth) -> SceneEstimate:
        """The last estimate again, for a picture that has not changed."""
        assert self._last_estimate is not None
        last = self._last_estimate
        state = TrackingState.LOST if last.state is TrackingState.LOST else TrackingState.DEGRADED
        self._motion.stop()
        return replace(last, frame=view.frame, state=state, reason=health.value, is_keyframe=False)

    def _without_pose(self, view: View, reason: str, network: DenseDepth | None = None) -> SceneEstimate:
        estimate = SceneEstimate(
            frame=view.frame,
            state=TrackingState.LOST,
            camera=self._output_camera(view),
            reason=reason,
            camera_is_estimated=self._focal is None or self._focal.is_estimated,
            depth=None if network is None else network.depth,
            confidence=None if network is None else network.confidence,
            landmarks=self._world_points(),
            map_id=self._map_id,
        )
        self._last_estimate = estimate
        return estimate

    def _assemble(
        self,
        view: View,
        pose: Pose,
        covariance: Array,
        dense: DenseDepth,
        state: TrackingState,
        reason: str,
        *,
        is_keyframe: bool,
    ) -> SceneEstimate:
        assert self._focal is not None
        T_world_cam = make_transform(R_FLU_OPTICAL, np.zeros(3)) @ invert(make_transform(*pose))
        estimate = SceneEstimate(
            frame=view.frame,
            state=state,
            camera=self._output_camera(view),
            reason=reason,
            camera_is_estimated=self._focal.is_estimated,
            T_world_cam=T_world_cam,
            covariance=covariance,
            depth=dense.depth,
            confidence=dense.confidence,
            landmarks=self._world_points(),
            is_keyframe=is_keyframe,
            map_id=self._map_id,
        )
        self._last_estimate = estimate
        return estimate

    def _output_camera(self, view: View) -> PinholeCamera:
        """Intrinsics in use at the frame's own size."""
        if self._focal is not None:
            return self._focal.camera.resized(*view.frame.size)
        return PinholeCamera.from_fov(*view.frame.size, np.radians(50.0))

    def _world_points(self) -> NDArray[np.float32]:
        return self._map.points @ R_FLU_OPTICAL.T.astype(np.float32)


def choose_references(keyframes: list[Keyframe], pose: Pose, depth: float, count: int) -> list[Keyframe]:
    """Keyframes whose baseline is near 8 % of the scene's depth and that look the same way."""
    R, t = pose
    centre = -R.T @ t

    def cost(keyframe: Keyframe) -> float:
        baseline = float(np.linalg.norm(centre - keyframe.centre)) / depth
        return abs(np.log(max(baseline, 1e-6) / 0.08)) + 4.0 * (1.0 - float(R[2] @ keyframe.R[2]))

    return sorted(keyframes, key=cost)[:count]


def _to_small(view: View, uv: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pixels of the tracking image in the image of dense depth, clipped into it."""
    h, w = view.small.shape
    scale = np.array([w / view.grey.shape[1], h / view.grey.shape[0]])
    return np.clip((uv.astype(np.float64) + 0.5) * scale - 0.5, 0.0, [w - 1.0, h - 1.0])


def _world_covariance(fit: PoseFit) -> Array:
    """Covariance of (position, rotation) in REP-103 world axes from the information of the left perturbation (w, v).

    The camera's centre moves by -R^T v and its rotation by -R^T w, both in world axes.
    """
    information = fit.information / _COVARIANCE_FACTOR + 1e-3 * np.eye(6)
    J = np.zeros((6, 6))
    J[:3, 3:] = J[3:, :3] = -R_FLU_OPTICAL @ fit.R.T
    covariance = J @ np.linalg.inv(information) @ J.T
    return 0.5 * (covariance + covariance.T)
