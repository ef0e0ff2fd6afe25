"""Pose of one frame, triangulation and the motion gate: known answers on synthetic points."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, so3_exp, so3_log
from ego_perception.reconstruction import pinhole, pnp
from ego_perception.reconstruction.config import TrackingConfig
from ego_perception.reconstruction.motion import MotionModel
from ego_perception.reconstruction.triangulation import triangulate, triangulate_checked

CAMERA = PinholeCamera(640, 480, 520.0, 515.0, 320.0, 240.0)
R_TRUE, T_TRUE = so3_exp([0.05, -0.12, 0.03]), np.array([0.2, -0.05, 0.1])


def seen_points(n: int = 150, noise_px: float = 0.5, outliers: float = 0.0, seed: int = 0) -> pnp.Landmarks:
    """Landmarks of known depth in front of the camera at the true pose."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-1.2, 1.2, n), rng.uniform(-0.9, 0.9, n), rng.uniform(2, 5, n)])
    uv = CAMERA.project(X @ R_TRUE.T + T_TRUE) + rng.normal(0, noise_px, (n, 2))
    wrong = rng.random(n) < outliers
    uv[wrong] = rng.uniform(0, 480, (int(wrong.sum()), 2))
    return pnp.Landmarks(X, np.zeros((n, 3)), uv, np.ones(n))


def angle_deg(R: np.ndarray) -> float:
    """Rotation angle between `R` and the truth."""
    return float(np.degrees(np.linalg.norm(so3_log(R @ R_TRUE.T))))


def test_projection_derivatives_equal_differences() -> None:
    points, h = np.array([[0.3, -0.2, 2.0], [-0.5, 0.4, 3.5]]), 1e-6
    projection = pinhole.project(CAMERA, points)
    for axis in range(3):
        step = h * np.eye(3)[axis]
        change = (pinhole.project(CAMERA, points + step).uv - pinhole.project(CAMERA, points - step).uv) / (2 * h)
        np.testing.assert_allclose(projection.jacobian[..., axis], change, rtol=1e-6, atol=1e-4)
        turned = (
            pinhole.project(CAMERA, points @ so3_exp(step).T).uv - pinhole.project(CAMERA, points @ so3_exp(-step).T).uv
        ) / (2 * h)
        np.testing.assert_allclose(projection.pose_jacobian[..., axis], turned, rtol=1e-6, atol=1e-4)


def test_projection_equals_the_camera() -> None:
    points = np.random.default_rng(0).uniform([-1, -1, 0.5], [1, 1, 4], (50, 3))
    np.testing.assert_allclose(pinhole.project(CAMERA, points).uv, CAMERA.project(points))
    rays = pinhole.rays(CAMERA, CAMERA.project(points))
    np.testing.assert_allclose(rays * points[:, 2:], points, atol=1e-12)


def test_pose_from_a_near_start() -> None:
    fit = pnp.solve(CAMERA, seen_points(), [(np.eye(3), np.zeros(3))], 0.5)
    assert fit is not None
    assert angle_deg(fit.R) < 0.05
    np.testing.assert_allclose(fit.t, T_TRUE, atol=0.01)
    assert fit.num_inliers > 140


@pytest.mark.parametrize("outliers", [0.2, 0.4, 0.5])
def test_pose_survives_outliers_and_a_bad_start(outliers: float) -> None:
    seen = seen_points(outliers=outliers)
    fit = pnp.solve(CAMERA, seen, [(so3_exp([0.0, 0.6, 0.0]), np.array([-0.5, 0.0, 0.0]))], 0.5)
    assert fit is not None
    assert angle_deg(fit.R) < 0.2
    assert fit.num_inliers / 150 == pytest.approx(1 - outliers, abs=0.1)


def test_too_few_landmarks_give_no_pose() -> None:
    assert pnp.solve(CAMERA, seen_points(3), [(np.eye(3), np.zeros(3))], 0.5) is None


def test_information_predicts_the_scatter() -> None:
    """The error of the translation, whitened by the covariance, has unit size."""
    squared = []
    for seed in range(40):
        fit = pnp.solve(CAMERA, seen_points(60, 0.5, seed=seed), [(R_TRUE, T_TRUE)], 0.5)
        assert fit is not None
        turn = so3_log(fit.R @ R_TRUE.T)
        error = np.concatenate([turn, fit.t - so3_exp(turn) @ T_TRUE])
        squared.append(error @ fit.information @ error)
    # chi-square with six degrees of freedom; the Cauchy weight at two sigma counts each landmark for about two thirds
    assert 3.0 < np.mean(squared) < 7.5


def test_uncertain_depth_hardly_moves_the_camera_sideways() -> None:
    """All depths 30 % too large: trusted depths give a translation 30 % too long, uncertain ones the same but say so."""
    seen = seen_points(noise_px=0.1)
    far = seen.X * 1.3
    trusted = pnp.solve(CAMERA, pnp.Landmarks(far, np.zeros_like(far), seen.uv, seen.importance), [(R_TRUE, T_TRUE)], 0.5)
    doubted = pnp.solve(CAMERA, pnp.Landmarks(far, 0.3 * far, seen.uv, seen.importance), [(R_TRUE, T_TRUE)], 0.5)
    assert trusted is not None
    assert doubted is not None
    np.testing.assert_allclose(np.linalg.norm(trusted.t), 1.3 * np.linalg.norm(T_TRUE), rtol=0.02)
    assert angle_deg(doubted.R) < 0.1
    sure, unsure = (np.sqrt(np.trace(np.linalg.inv(f.information)[3:, 3:])) for f in (trusted, doubted))
    assert unsure > 2 * sure


def test_pose_is_deterministic() -> None:
    seen = seen_points(outliers=0.5)
    a, b = (pnp.solve(CAMERA, seen, [(np.eye(3), np.ones(3))], 0.5) for _ in range(2))
    assert a is not None
    assert b is not None
    assert a.R.tobytes() + a.t.tobytes() == b.R.tobytes() + b.t.tobytes()


def test_triangulation_known_answer() -> None:
    X = np.array([[0.0, 0.0, 2.0], [0.5, -0.3, 3.0]])
    first, second = (np.eye(3), np.zeros(3)), (np.eye(3), np.array([-1.0, 0.0, 0.0]))
    x0, x1 = X[:, :2] / X[:, 2:], (X + second[1])[:, :2] / X[:, 2:]
    found, angle = triangulate(first, second, x0, x1)
    np.testing.assert_allclose(found, X, atol=1e-9)
    assert angle[0] == pytest.approx(np.arctan(0.5), abs=1e-9)


def test_triangulation_refuses_small_angles_points_behind_and_mismatches() -> None:
    X = np.array([[0.1, 0.0, 2.0]] * 4) + np.array([[0.0], [0.1], [0.2], [0.3]])
    eye, side = (np.eye(3), np.zeros(3)), (np.eye(3), np.array([-0.3, 0.0, 0.0]))
    near = (np.eye(3), np.array([-0.005, 0.0, 0.0]))
    uv0, uv1 = CAMERA.project(X), CAMERA.project(X + side[1])
    assert triangulate_checked(CAMERA, eye, side, uv0, uv1)[1].all()
    assert not triangulate_checked(CAMERA, eye, near, uv0, CAMERA.project(X + near[1]))[1].any()
    assert not triangulate_checked(CAMERA, eye, side, uv1, uv0)[1].any()  # swapped views meet behind the camera
    assert not triangulate_checked(CAMERA, eye, side, uv0, uv1 + np.array([0.0, 9.0]))[1].any()


def test_motion_is_extrapolated_over_time() -> None:
    motion = MotionModel(TrackingConfig())
    step = so3_exp([0.0, 0.1, 0.0])
    motion.update((np.eye(3), np.zeros(3)), 0)
    motion.update((step, np.array([0.1, 0.0, 0.0])), 100_000_000)
    R, t = motion.predict(200_000_000)
    np.testing.assert_allclose(R, step @ step, atol=1e-12)
    np.testing.assert_allclose(t, step @ [0.1, 0.0, 0.0] + [0.1, 0.0, 0.0], atol=1e-12)
    motion.stop()
    np.testing.assert_array_equal(motion.predict(200_000_000)[0], step)


@pytest.mark.parametrize(
    ("turn_rad", "shift_m", "plausible"), [(0.1, 0.1, True), (0.1, 2.0, False), (2.5, 0.1, False), (0.0, 0.0, True)]
)
def test_motion_gate(turn_rad: float, shift_m: float, plausible: bool) -> None:
    motion = MotionModel(TrackingConfig(max_speed_m_s=4.0, max_rotation_deg_s=600.0))
    motion.update((np.eye(3), np.zeros(3)), 0)
    assert motion.is_plausible((so3_exp([0.0, turn_rad, 0.0]), np.array([shift_m, 0, 0])), 100_000_000) is plausible
    assert motion.is_plausible((np.eye(3), np.array([2.0, 0.0, 0.0])), 1_000_000_000)
