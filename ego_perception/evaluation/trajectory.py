"""Absolute and relative trajectory error, scale and coverage.

ATE and RPE after Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012. The absolute error is
computed by evo, the alignment by `geometry.umeyama`; tests hold the two libraries against each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from evo.core.metrics import APE, PoseRelation
from evo.core.trajectory import PosePath3D
from numpy.typing import NDArray

from ego_perception.data.tum import Trajectory
from ego_perception.errors import EgoPerceptionError
from ego_perception.geometry import Similarity, invert, so3_log, umeyama

Float = NDArray[np.float64]
_MIN_POSES: Final = 3
_SECOND_NS: Final = 1_000_000_000


class Alignment(enum.Enum):
    """What is fitted before positions are compared."""

    SIM3 = "rotation, translation and scale"
    SE3 = "rotation and translation"
    ORIGIN = "first pose"
    NONE = "nothing"


@dataclass(frozen=True)
class TrajectoryScore:
    """One trajectory against the truth; lengths in metres, angles in radians.

    Attributes:
        num_frames: frames with a true pose.
        num_poses: of these, frames with an estimated pose.
        first_pose_frame: frames before the first estimated pose.
        path_length_m: of the truth.
        ate_rmse_m, ate_mean_m, ate_max_m: position error after Sim(3).
        ate_se3_m, ate_origin_m: RMSE after SE(3), and with the first poses laid on each other.
        scale: factor from estimate to truth.
        scale_thirds: the same for each third of the trajectory alone, over `scale`: (1, 1, 1) is free of drift.
        rpe_frame_m, rpe_frame_rad: RMSE of the motion between neighbouring frames, after scaling.
        rpe_second_m, rpe_second_rad: the same over one second; None for shorter recordings.
        standing_still_m: ATE RMSE of a camera that never moves.
    """

    num_frames: int
    num_poses: int
    first_pose_frame: int
    path_length_m: float
    ate_rmse_m: float
    ate_mean_m: float
    ate_max_m: float
    ate_se3_m: float
    ate_origin_m: float
    scale: float
    scale_thirds: tuple[float, float, float]
    rpe_frame_m: float
    rpe_frame_rad: float
    rpe_second_m: float | None
    rpe_second_rad: float | None
    standing_still_m: float

    @property
    def coverage(self) -> float:
        """Share of frames with a pose, 0..1."""
        return self.num_poses / self.num_frames

    @property
    def ate_share_of_path(self) -> float | None:
        """ATE RMSE over the length of the true path; None when the camera stood."""
        return self.ate_rmse_m / self.path_length_m if self.path_length_m > 0 else None

    @property
    def scale_drift(self) -> float:
        """Largest over smallest scale of the thirds, minus one."""
        return max(self.scale_thirds) / min(self.scale_thirds) - 1.0 if min(self.scale_thirds) > 0 else float("inf")


def associate(estimate: Trajectory, truth: Trajectory, tolerance_s: float = 0.01) -> tuple[Trajectory, Trajectory]:
    """Pair each estimated pose with the true pose nearest in time; each true pose serves at most once.

    Returns:
        Both trajectories, cut to the pairs.
    """
    tolerance_ns = round(tolerance_s * 1e9)
    right = np.clip(np.searchsorted(truth.stamps_ns, estimate.stamps_ns), 0, len(truth) - 1)
    left = np.maximum(right - 1, 0)
    closer_left = np.abs(truth.stamps_ns[left] - estimate.stamps_ns) <= np.abs(truth.stamps_ns[right] - estimate.stamps_ns)
    nearest = np.where(closer_left, left, right)
    distance = np.abs(truth.stamps_ns[nearest] - estimate.stamps_ns)
    order = np.lexsort((distance, nearest))
    first_of_each = np.r_[True, np.diff(nearest[order]) > 0]
    chosen = np.sort(order[first_of_each & (distance[order] <= tolerance_ns)])
    used = nearest[chosen]
    return (
        Trajectory(estimate.stamps_ns[chosen], estimate.T_world_cam[chosen]),
        Trajectory(truth.stamps_ns[used], truth.T_world_cam[used]),
    )


def align(estimate: Trajectory, truth: Trajectory, alignment: Alignment) -> tuple[Trajectory, Similarity]:
    """Move the estimate onto the truth (paired poses) as far as `alignment` allows.

    Returns:
        The moved trajectory, and the similarity that moved it.
    """
    if alignment is Alignment.NONE:
        similarity = Similarity(1.0, np.eye(3), np.zeros(3))
    elif alignment is Alignment.ORIGIN:
        T = truth.T_world_cam[0] @ invert(estimate.T_world_cam[0])
        similarity = Similarity(1.0, T[:3, :3], T[:3, 3])
    else:
        similarity = umeyama(estimate.positions, truth.positions, with_scale=alignment is Alignment.SIM3)
    moved = estimate.T_world_cam.copy()
    moved[:, :3, :3] = similarity.R @ moved[:, :3, :3]
    moved[:, :3, 3] = similarity.apply(estimate.positions)
    return Trajectory(estimate.stamps_ns, moved), similarity


def score_trajectory(estimate: Trajectory, truth: Trajectory, *, tolerance_s: float = 0.01) -> TrajectoryScore:
    """Score an estimate against all true poses of a recording.

    Args:
        estimate: poses that were given; frames without one are missing, not repeated.
        truth: one pose per frame of the recording.
        tolerance_s: largest difference of paired stamps.

    Raises:
        EgoPerceptionError: fewer than three pairs.
    """
    est, ref = associate(estimate, truth, tolerance_s)
    if len(est) < _MIN_POSES:
        raise EgoPerceptionError(f"{len(est)} poses match the truth's {len(truth)} stamps; scoring needs at least 3")
    aligned, similarity = align(est, ref, Alignment.SIM3)
    errors = position_errors(aligned, ref)
    frame_m, frame_rad = relative_errors(aligned, ref, _neighbours(ref.stamps_ns))
    second_m, second_rad = relative_errors(aligned, ref, _pairs_at(ref.stamps_ns, _SECOND_NS))
    return TrajectoryScore(
        num_frames=len(truth),
        num_poses=len(est),
        first_pose_frame=int(np.searchsorted(truth.stamps_ns, ref.stamps_ns[0])),
        path_length_m=truth.path_length_m,
        ate_rmse_m=_rms(errors),
        ate_mean_m=float(errors.mean()),
        ate_max_m=float(errors.max()),
        ate_se3_m=_rms(position_errors(align(est, ref, Alignment.SE3)[0], ref)),
        ate_origin_m=_rms(position_errors(align(est, ref, Alignment.ORIGIN)[0], ref)),
        scale=similarity.scale,
        scale_thirds=_scale_thirds(aligned, ref),
        rpe_frame_m=_rms(frame_m),
        rpe_frame_rad=_rms(frame_rad),
        rpe_second_m=_rms(second_m) if len(second_m) else None,
        rpe_second_rad=_rms(second_rad) if len(second_rad) else None,
        standing_still_m=_rms(np.linalg.norm(truth.positions - truth.positions.mean(axis=0), axis=1)),
    )


def position_errors(estimate: Trajectory, truth: Trajectory) -> Float:
    """(N,) distances between paired positions, metres."""
    ape = APE(PoseRelation.point_distance)
    ape.process_data((PosePath3D(poses_se3=list(truth.T_world_cam)), PosePath3D(poses_se3=list(estimate.T_world_cam))))
    return np.asarray(ape.error, np.float64)


def relative_errors(estimate: Trajectory, truth: Trajectory, pairs: NDArray[np.int64]) -> tuple[Float, Float]:
    """Compare the motions between paired poses.

    Args:
        pairs: (M, 2) indices of start and end.

    Returns:
        (M,) translation errors in metres and (M,) rotation errors in radians.
    """
    moves = [invert(t.T_world_cam[pairs[:, 0]]) @ t.T_world_cam[pairs[:, 1]] for t in (truth, estimate)]
    difference = invert(moves[0]) @ moves[1]
    angles = np.linalg.norm(so3_log(difference[:, :3, :3]), axis=-1) if len(pairs) else np.zeros(0)
    return np.linalg.norm(difference[:, :3, 3], axis=-1), angles


def _neighbours(stamps_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs one frame apart; a step over lost frames is no neighbour."""
    steps = np.diff(stamps_ns)
    start = np.flatnonzero(steps <= 1.5 * np.median(steps))
    return np.stack([start, start + 1], axis=1)


def _pairs_at(stamps_ns: NDArray[np.int64], delta_ns: int) -> NDArray[np.int64]:
    """Pairs `delta_ns` apart, within half a frame."""
    tolerance = 0.5 * float(np.median(np.diff(stamps_ns)))
    end = np.clip(np.searchsorted(stamps_ns, stamps_ns + delta_ns - round(tolerance)), 0, len(stamps_ns) - 1)
    fits = np.abs(stamps_ns[end] - stamps_ns - delta_ns) <= tolerance + 1
    start = np.flatnonzero(fits)
    return np.stack([start, end[start]], axis=1)


def _scale_thirds(aligned: Trajectory, truth: Trajectory) -> tuple[float, float, float]:
    parts = np.array_split(np.arange(len(truth)), 3)
    scales = [
        umeyama(aligned.positions[part], truth.positions[part]).scale if len(part) >= _MIN_POSES else 1.0 for part in parts
    ]
    return scales[0], scales[1], scales[2]


def _rms(errors: Float) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else 0.0
