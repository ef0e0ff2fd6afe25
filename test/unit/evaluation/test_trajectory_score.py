"""Trajectory scores: known answers, laws, and equality with evo's own commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evo.core import metrics, sync
from evo.core.trajectory import PoseTrajectory3D
from evo.tools import file_interface
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.data.tum import Trajectory, make_trajectory, read_tum
from ego_perception.errors import EgoPerceptionError
from ego_perception.evaluation import Alignment, align, associate, score_trajectory
from ego_perception.evaluation.trajectory import position_errors, relative_errors
from ego_perception.geometry import Similarity, make_transform, so3_exp

STEP_NS = 50_000_000


def walk(n: int = 120, seed: int = 0) -> Trajectory:
    """A smooth walk with turns, 20 Hz."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 20
    phase = rng.uniform(0, 6, 3)
    xyz = np.stack([np.sin(t + phase[0]), 0.5 * np.cos(0.7 * t + phase[1]), 0.2 * np.sin(1.3 * t + phase[2]) + 0.1 * t], axis=1)
    poses = [make_transform(so3_exp([0.2 * np.sin(v), 0.4 * v, 0.1]), p) for v, p in zip(t, xyz, strict=True)]
    return make_trajectory([10**9 + i * STEP_NS for i in range(n)], poses)


def moved(trajectory: Trajectory, similarity: Similarity) -> Trajectory:
    T = trajectory.T_world_cam.copy()
    T[:, :3, :3] = similarity.R @ T[:, :3, :3]
    T[:, :3, 3] = similarity.apply(trajectory.positions)
    return Trajectory(trajectory.stamps_ns, T)


def noisy(trajectory: Trajectory, sigma: float, seed: int = 1) -> Trajectory:
    T = trajectory.T_world_cam.copy()
    T[:, :3, 3] += np.random.default_rng(seed).normal(0, sigma, (len(T), 3))
    return Trajectory(trajectory.stamps_ns, T)


def part(trajectory: Trajectory, keep: slice | list[int]) -> Trajectory:
    return Trajectory(trajectory.stamps_ns[keep], trajectory.T_world_cam[keep])


SIMILARITY = Similarity(0.4, so3_exp([0.5, -1.0, 2.0]), np.array([10.0, -3.0, 1.0]))


def test_perfect_estimate_in_another_world_scores_zero() -> None:
    truth = walk()
    score = score_trajectory(moved(truth, SIMILARITY), truth)
    assert score.ate_rmse_m < 1e-9
    assert score.rpe_frame_m < 1e-9
    assert score.rpe_frame_rad < 1e-7
    assert score.scale == pytest.approx(2.5)
    assert score.scale_thirds == pytest.approx((1, 1, 1))
    assert score.coverage == 1.0
    assert score.scale_drift == pytest.approx(0, abs=1e-9)
    assert score.path_length_m == pytest.approx(truth.path_length_m)


def test_scale_is_seen_by_se3_and_origin_alignment() -> None:
    truth = walk()
    score = score_trajectory(moved(truth, SIMILARITY), truth)
    spread = np.sqrt(np.mean(np.sum((truth.positions - truth.positions.mean(0)) ** 2, axis=1)))
    assert score.ate_se3_m == pytest.approx(0.6 * spread, rel=1e-6)
    assert score.ate_origin_m > score.ate_se3_m


def test_noise_gives_its_own_size() -> None:
    truth = walk(3000)
    score = score_trajectory(noisy(truth, 0.02), truth)
    assert score.ate_rmse_m == pytest.approx(0.02 * np.sqrt(3), rel=0.05)
    assert score.rpe_frame_m == pytest.approx(0.02 * np.sqrt(6), rel=0.05)
    assert score.ate_mean_m < score.ate_rmse_m < score.ate_max_m


def test_standing_still_is_the_spread_of_the_truth() -> None:
    truth = walk()
    frozen = Trajectory(truth.stamps_ns, np.repeat(truth.T_world_cam[:1], len(truth), 0))
    score = score_trajectory(frozen, truth)
    assert score.ate_rmse_m == pytest.approx(score.standing_still_m)


def test_camera_that_stood_is_scored_without_a_share_of_its_path() -> None:
    truth = walk()
    frozen = Trajectory(truth.stamps_ns, np.repeat(truth.T_world_cam[:1], len(truth), 0))
    score = score_trajectory(frozen, frozen)
    assert score.ate_rmse_m == pytest.approx(0, abs=1e-12)
    assert score.ate_share_of_path is None


def test_scale_drift_by_thirds() -> None:
    truth = walk(300)
    steps = np.diff(truth.positions, axis=0) * np.linspace(1.2, 0.8, 299)[:, None]
    T = truth.T_world_cam.copy()
    T[1:, :3, 3] = truth.positions[0] + np.cumsum(steps, axis=0)
    thirds = score_trajectory(Trajectory(truth.stamps_ns, T), truth).scale_thirds
    assert thirds[0] < thirds[1] < thirds[2]
    assert thirds[2] / thirds[0] == pytest.approx((1 / 0.87) / (1 / 1.13), rel=0.12)


def test_constant_turn_rate_error() -> None:
    turning = walk()
    # Without true rotation the error of a step is the added angle itself.
    truth = Trajectory(turning.stamps_ns, np.array([make_transform(np.eye(3), p) for p in turning.positions]))
    T = truth.T_world_cam.copy()
    for i in range(len(T)):
        T[i, :3, :3] = so3_exp([0, 0, 0.001 * i])
    score = score_trajectory(Trajectory(truth.stamps_ns, T), truth)
    assert score.rpe_second_rad is not None
    assert score.rpe_frame_rad == pytest.approx(0.001, rel=0.01)
    assert score.rpe_second_rad == pytest.approx(0.02, rel=0.05)


def test_missing_poses_lower_the_coverage_alone() -> None:
    truth = walk()
    score = score_trajectory(part(truth, [*range(30, 60), *range(80, 120)]), truth)
    assert score.num_poses == 70
    assert score.first_pose_frame == 30
    assert score.coverage == pytest.approx(70 / 120)
    assert score.ate_rmse_m < 1e-9
    assert score.path_length_m == pytest.approx(truth.path_length_m)


def test_a_step_over_lost_frames_is_no_frame_to_frame_error() -> None:
    truth = walk()
    T = truth.T_world_cam.copy()
    T[60:, :3, 3] += [0.0, 0.0, 1.0]  # jumped while lost
    estimate = part(Trajectory(truth.stamps_ns, T), [*range(50), *range(60, 120)])
    aligned, ref = associate(estimate, truth)
    score = score_trajectory(aligned, ref)
    assert score.rpe_frame_m < 0.06


def test_short_recordings_have_no_error_per_second() -> None:
    truth = walk(10)
    assert score_trajectory(truth, truth).rpe_second_m is None


def test_too_few_pairs() -> None:
    truth = walk()
    with pytest.raises(EgoPerceptionError, match="2 poses match"):
        score_trajectory(part(truth, slice(0, 2)), truth)
    late = Trajectory(truth.stamps_ns + 10**12, truth.T_world_cam)
    with pytest.raises(EgoPerceptionError, match="0 poses match"):
        score_trajectory(late, truth)


def test_association_within_tolerance_and_once() -> None:
    truth = walk(5)
    shifted = Trajectory(truth.stamps_ns + 4_000_000, truth.T_world_cam)
    assert len(associate(shifted, truth)[0]) == 5
    assert len(associate(shifted, truth, tolerance_s=0.001)[0]) == 0
    twice = make_trajectory(
        [*truth.stamps_ns.tolist(), *(truth.stamps_ns + 1_000_000).tolist()], [*truth.T_world_cam, *truth.T_world_cam]
    )
    est, ref = associate(twice, truth)
    assert est.stamps_ns.tolist() == truth.stamps_ns.tolist()  # the nearer of both
    assert ref.stamps_ns.tolist() == truth.stamps_ns.tolist()


def test_alignments_allow_what_they_say() -> None:
    truth = walk()
    estimate = moved(truth, SIMILARITY)
    assert align(estimate, truth, Alignment.SIM3)[1].scale == pytest.approx(2.5)
    assert align(estimate, truth, Alignment.SE3)[1].scale == 1.0
    assert np.allclose(align(estimate, truth, Alignment.ORIGIN)[0].T_world_cam[0], truth.T_world_cam[0])
    assert np.array_equal(align(estimate, truth, Alignment.NONE)[0].T_world_cam, estimate.T_world_cam)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 10), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_score_does_not_depend_on_the_estimates_world(scale: float, motion: list[float]) -> None:
    truth = walk(60)
    estimate = noisy(truth, 0.05)
    other = moved(estimate, Similarity(scale, so3_exp(motion[:3]), np.array(motion[3:])))
    a, b = score_trajectory(estimate, truth), score_trajectory(other, truth)
    assert b.ate_rmse_m == pytest.approx(a.ate_rmse_m, rel=1e-6)
    assert b.rpe_frame_m == pytest.approx(a.rpe_frame_m, rel=1e-6)


def evo_pair(shared_data: Path) -> tuple[PoseTrajectory3D, PoseTrajectory3D]:
    folder = shared_data / "trajectories"
    ref = file_interface.read_tum_trajectory_file(str(folder / "freiburg1_xyz-groundtruth.txt"))
    est = file_interface.read_tum_trajectory_file(str(folder / "freiburg1_xyz-rgbdslam_drift.txt"))
    return sync.associate_trajectories(ref, est)


@pytest.mark.parametrize("with_scale", [True, False])
def test_real_trajectory_equals_evo(shared_data: Path, with_scale: bool) -> None:
    folder = shared_data / "trajectories"
    truth = read_tum(folder / "freiburg1_xyz-groundtruth.txt")
    estimate = read_tum(folder / "freiburg1_xyz-rgbdslam_drift.txt")
    est, ref = associate(estimate, truth)
    aligned, similarity = align(est, ref, Alignment.SIM3 if with_scale else Alignment.SE3)

    evo_ref, evo_est = evo_pair(shared_data)
    R, t, scale = evo_est.align(evo_ref, correct_scale=with_scale)
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((evo_ref, evo_est))

    assert len(est) == evo_est.num_poses
    assert np.allclose(similarity.R, R, atol=1e-6)
    assert np.allclose(similarity.t, t, atol=1e-6)
    assert similarity.scale == pytest.approx(scale, abs=1e-6)
    rmse = float(np.sqrt(np.mean(position_errors(aligned, ref) ** 2)))
    assert rmse == pytest.approx(ape.get_statistic(metrics.StatisticsType.rmse), abs=1e-6)


def test_real_relative_errors_equal_evo(shared_data: Path) -> None:
    evo_ref, evo_est = evo_pair(shared_data)
    stamps = np.arange(evo_ref.num_poses, dtype=np.int64)
    ref, est = (Trajectory(stamps, np.array(t.poses_se3)) for t in (evo_ref, evo_est))
    pairs = np.stack([stamps[:-1], stamps[1:]], axis=1)
    metres, radians = relative_errors(est, ref, pairs)
    for relation, ours in (
        (metrics.PoseRelation.translation_part, metres),
        (metrics.PoseRelation.rotation_angle_rad, radians),
    ):
        rpe = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
        rpe.process_data((evo_ref, evo_est))
        assert np.allclose(ours, rpe.error, atol=1e-5)
