"""From one image to the next: follow the landmarks, fit the pose, judge how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import TrackingState
from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction import pinhole, pnp
from ego_perception.reconstruction.config import TrackingConfig
from ego_perception.reconstruction.features import follow
from ego_perception.reconstruction.motion import MotionModel
from ego_perception.reconstruction.sparse_map import Rows, SparseMap

_SCARCE_SHARE = 0.2  # of the wanted number of features, below which a pose rests on too little
_CONFIRMED_SIGMA = 0.1  # of log depth
_UNCONFIRMED_VOTE = 0.1
_COVERED_SURVIVAL = 0.45  # share of landmarks surviving one frame, below which something came between
_DROP_SIGMAS = 10.0  # tracks this far from the pose are gone for good; nearer ones may have a wrong depth only


@dataclass(frozen=True, eq=False)
class Tracks:
    """Landmarks seen in the newest image: (N,) rows and (N, 2) float32 pixels."""

    rows: Rows
    uv: NDArray[np.float32]

    @classmethod
    def none(cls) -> Tracks:
        """Nothing tracked."""
        return cls(np.zeros(0, np.intp), np.zeros((0, 2), np.float32))

    def select(self, keep: NDArray[np.bool_]) -> Tracks:
        """Those with `keep`."""
        return Tracks(self.rows[keep], self.uv[keep])

    def joined(self, rows: Rows, uv: NDArray[np.float32]) -> Tracks:
        """These and more."""
        return Tracks(np.concatenate([self.rows, rows]), np.concatenate([self.uv, uv.astype(np.float32)]))

    def without(self, rows: Rows) -> Tracks:
        """These less some landmarks."""
        return self.select(~np.isin(self.rows, rows))


@dataclass(frozen=True, eq=False)
class TrackResult:
    """One tracked frame.

    Attributes:
        state, reason: the judgement; LOST means that `fit` must not be used.
        tracks: what is still followed.
        fit: pose and agreement, None where none was found.
        survival: share of the landmarks expected inside the image that could be followed.
        is_covered: True when so few survived that something must have come between.
    """

    state: TrackingState
    reason: str
    tracks: Tracks
    fit: pnp.PoseFit | None
    survival: float
    is_covered: bool


def track(
    config: TrackingConfig,
    sparse: SparseMap,
    camera: PinholeCamera,
    before: NDArray[np.uint8],
    now: NDArray[np.uint8],
    tracks: Tracks,
    motion: MotionModel,
    stamp_ns: int,
    ignore: NDArray[np.bool_] | None,
) -> TrackResult:
    """Follow `tracks` from the image `before` to `now` and fit the pose."""
    predicted = motion.predict(stamp_ns)
    expected = pinhole.project(camera, sparse.X[tracks.rows] @ predicted[0].T + predicted[1])
    limit = 2.0 * max(now.shape)
    usable = (expected.points[:, 2] > 0.05) & (np.abs(expected.uv) < limit).all(axis=1)
    guess = np.where(usable[:, None], expected.uv, tracks.uv).astype(np.float32)
    found, good = follow(config, before, now, tracks.uv, guess)
    if ignore is not None:
        good &= ~mask_at(ignore, found)
    survival = _survival(good, guess, now.shape)
    alive = Tracks(tracks.rows[good], found[good])
    starts = [predicted] if motion.last is None else [predicted, motion.last]
    seen = landmarks(sparse, alive)
    fit = pnp.solve(camera, seen, starts, config.pixel_sigma_px) if len(alive.rows) >= config.min_inliers else None
    state, reason = _judge(config, fit, len(alive.rows), survival)
    if fit is not None and state is not TrackingState.LOST and not motion.is_plausible((fit.R, fit.t), stamp_ns):
        state, reason = TrackingState.LOST, "the fitted pose jumps further than a head can move"
    if fit is not None and state is not TrackingState.LOST:
        alive = alive.select(~_far_off(camera, seen, fit, config.pixel_sigma_px))
    return TrackResult(state, reason, alive, fit, survival, survival < _COVERED_SURVIVAL)


def landmarks(sparse: SparseMap, tracks: Tracks) -> pnp.Landmarks:
    """What pose fitting needs of the tracked landmarks.

    Those whose depth parallax has not confirmed vote little: they may sit on a hand that just came into view.
    """
    importance = np.where(sparse.sigma[tracks.rows] < _CONFIRMED_SIGMA, 1.0, _UNCONFIRMED_VOTE)
    return pnp.Landmarks(sparse.X[tracks.rows], sparse.spread(tracks.rows), tracks.uv.astype(np.float64), importance)


def mask_at(mask: NDArray[np.bool_], uv: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The mask's value at (N, 2) pixels, clipped into the image."""
    x = np.clip(np.rint(uv[:, 0]), 0, mask.shape[1] - 1).astype(np.intp)
    y = np.clip(np.rint(uv[:, 1]), 0, mask.shape[0] - 1).astype(np.intp)
    return mask[y, x]


def _judge(config: TrackingConfig, fit: pnp.PoseFit | None, count: int, survival: float) -> tuple[TrackingState, str]:
    if fit is None:
        return TrackingState.LOST, f"only {count} landmarks could be followed"
    agreeing, share = fit.num_inliers, fit.num_inliers / max(count, 1)
    lost = [
        (agreeing < config.min_inliers, f"only {agreeing} landmarks agree with any pose"),
        (share < config.min_inlier_share, f"only {share:.0%} of the landmarks agree with any pose"),
    ]
    degraded = [
        (share < config.degraded_inlier_share, f"{share:.0%} of the landmarks agree with the pose"),
        (survival < config.degraded_survival, f"{survival:.0%} of the landmarks survived: the view is covered or blurred"),
        (agreeing < _SCARCE_SHARE * config.num_features, f"only {agreeing} landmarks are left to follow"),
    ]
    for state, checks in ((TrackingState.LOST, lost), (TrackingState.DEGRADED, degraded)):
        for applies, reason in checks:
            if applies:
                return state, reason
    return TrackingState.TRACKING, ""


def _survival(good: NDArray[np.bool_], guess: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """Share that could be followed of those that a turn of the head did not move out of the image."""
    inside = (guess > 0).all(axis=1) & (guess[:, 0] < shape[1]) & (guess[:, 1] < shape[0])
    return float(good[inside].mean()) if inside.any() else 0.0


def _far_off(camera: PinholeCamera, seen: pnp.Landmarks, fit: pnp.PoseFit, sigma: float) -> NDArray[np.bool_]:
    projection = pinhole.project(camera, seen.X @ fit.R.T + fit.t)
    far = np.linalg.norm(projection.uv - seen.uv, axis=1) > _DROP_SIGMAS * sigma
    return far & ~fit.inliers
