"""Bundle adjustment: derivatives against differences, recovery of a perturbed scene, gauge, focal length, priors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, so3_exp, so3_log
from ego_perception.reconstruction.bundle_adjustment import BundleProblem, DepthPriors, adjust, linearise

CAMERA = PinholeCamera(640, 480, 520.0, 510.0, 320.0, 240.0)


def scene(num_keyframes: int = 5, num_points: int = 60, seed: int = 0) -> BundleProblem:
    """A perfect problem: points 1.5-4 m ahead of cameras that move sideways and turn."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-1, 1, (num_points, 2)), rng.uniform(1.5, 4, num_points)])
    R = so3_exp(rng.normal(0, 0.04, (num_keyframes, 3)))
    R[0] = np.eye(3)
    t = np.column_stack([-0.12 * np.arange(num_keyframes), *rng.normal(0, 0.03, (2, num_keyframes))])
    t[0] = 0
    keyframe, point = (a.ravel() for a in np.meshgrid(np.arange(num_keyframes), np.arange(num_points), indexing="ij"))
    Y = np.einsum("oij,oj->oi", R[keyframe], X[point]) + t[keyframe]
    fixed = np.arange(num_keyframes) < 2
    return BundleProblem(CAMERA, R, t, fixed, X, keyframe, point, CAMERA.project(Y))


def with_priors(p: BundleProblem, sigma: float = 0.2, offset: float = 0.0) -> BundleProblem:
    """Log-depth priors of all points in keyframe 2."""
    n = len(p.X)
    depth = (p.X @ p.R[2].T + p.t[2])[:, 2]
    return replace(p, priors=DepthPriors(np.arange(n), np.full(n, 2), np.log(depth) + offset, np.full(n, sigma)))


def perturbed(p: BundleProblem, seed: int = 1, size: float = 1.0) -> BundleProblem:
    """Free poses and all points moved away from the truth."""
    rng = np.random.default_rng(seed)
    free = (~p.fixed)[:, None]
    turn = so3_exp(rng.normal(0, 0.01 * size, (len(p.R), 3)) * free)
    t = p.t + rng.normal(0, 0.02 * size, p.t.shape) * free
    return replace(p, R=turn @ p.R, t=t, X=p.X * rng.uniform(1 - 0.1 * size, 1 + 0.1 * size, (len(p.X), 1)))


def moved(p: BundleProblem, keyframe: int, delta: np.ndarray) -> BundleProblem:
    """One pose perturbed on the left by (w, v)."""
    R, t = p.R.copy(), p.t.copy()
    turn = so3_exp(delta[:3])
    R[keyframe], t[keyframe] = turn @ R[keyframe], turn @ t[keyframe] + delta[3:]
    return replace(p, R=R, t=t)


@pytest.mark.parametrize("axis", range(6))
def test_pose_derivatives_equal_differences(axis: int) -> None:
    p = perturbed(with_priors(scene()))
    lin, h = linearise(p), 1e-6
    step = np.zeros(6)
    step[axis] = h
    plus, minus = linearise(moved(p, 2, step)), linearise(moved(p, 2, -step))
    mine = p.keyframe == 2
    np.testing.assert_allclose(
        lin.by_pose[mine, :, axis], (plus.residual - minus.residual)[mine] / (2 * h), rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
        lin.prior_by_pose[:, axis], (plus.prior_residual - minus.prior_residual) / (2 * h), rtol=1e-5, atol=1e-6
    )
    assert np.all((plus.residual - minus.residual)[~mine] == 0)


@pytest.mark.parametrize("axis", range(3))
def test_point_derivatives_equal_differences(axis: int) -> None:
    p = perturbed(with_priors(scene()))
    lin, h = linearise(p), 1e-6
    step = h * np.eye(3)[axis]
    plus, minus = linearise(replace(p, X=p.X + step)), linearise(replace(p, X=p.X - step))
    np.testing.assert_allclose(lin.by_point[..., axis], (plus.residual - minus.residual) / (2 * h), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        lin.prior_by_point[:, axis], (plus.prior_residual - minus.prior_residual) / (2 * h), rtol=1e-5, atol=1e-6
    )


def test_focal_derivative_equals_difference() -> None:
    p = replace(perturbed(scene()), focal_sigma=0.1, log_focal=0.05)
    lin, h = linearise(p), 1e-6
    plus, minus = linearise(replace(p, log_focal=0.05 + h)), linearise(replace(p, log_focal=0.05 - h))
    np.testing.assert_allclose(lin.by_focal, (plus.residual - minus.residual) / (2 * h), rtol=1e-5, atol=1e-4)
    assert lin.focal_residual == pytest.approx(0.5)


def test_recovers_a_perturbed_scene() -> None:
    truth = scene()
    result = adjust(perturbed(truth), 30)
    assert result.error_px.max() < 1e-3
    np.testing.assert_allclose(result.problem.t, truth.t, atol=1e-5)
    np.testing.assert_allclose(result.problem.X, truth.X, atol=1e-4)
    assert np.linalg.norm(so3_log(result.problem.R @ truth.R.transpose(0, 2, 1)), axis=1).max() < 1e-5


def test_converges_quadratically_near_the_solution() -> None:
    """A wrong derivative still converges, but slowly; a right one is done in a few steps."""
    result = adjust(perturbed(scene(), size=0.3), 5)
    assert result.error_px.max() < 1e-2


def test_fixed_keyframes_stay() -> None:
    start = perturbed(scene())
    result = adjust(start, 10)
    assert np.array_equal(result.problem.R[:2], start.R[:2])
    assert np.array_equal(result.problem.t[:2], start.t[:2])


def test_never_gets_worse() -> None:
    for seed in range(5):
        result = adjust(perturbed(scene(seed=seed), seed, size=4.0), 3)
        assert result.cost <= result.initial_cost


def test_outliers_move_little() -> None:
    truth = scene()
    uv = truth.uv.copy()
    uv[::25] += 60.0
    result = adjust(perturbed(replace(truth, uv=uv)), 30)
    np.testing.assert_allclose(result.problem.t, truth.t, atol=0.02)
    assert np.median(result.error_px[::25]) > 30


def test_focal_length_is_found() -> None:
    truth = scene(num_keyframes=8)
    wrong = replace(truth, camera=CAMERA.with_focal(1.08), focal_sigma=0.2)
    result = adjust(wrong, 40)
    assert np.exp(result.problem.log_focal) == pytest.approx(1 / 1.08, rel=2e-3)
    assert result.focal_sigma is not None
    assert 0 < result.focal_sigma < 0.05


def test_focal_length_stays_with_its_prior_where_motion_says_nothing() -> None:
    """One free keyframe without baseline: the posterior is no surer than the prior by much."""
    truth = scene(num_keyframes=2, num_points=30)
    still = replace(truth, R=np.array([np.eye(3)] * 2), t=np.zeros((2, 3)), fixed=np.array([True, False]), focal_sigma=0.1)
    still = replace(still, uv=CAMERA.project(still.X[still.point]))
    result = adjust(with_priors_first(still), 10)
    assert result.problem.log_focal == pytest.approx(0.0, abs=1e-6)
    assert result.focal_sigma == pytest.approx(0.1, rel=0.2)


def with_priors_first(p: BundleProblem) -> BundleProblem:
    """Log-depth priors of all points in keyframe 0."""
    n = len(p.X)
    return replace(p, priors=DepthPriors(np.arange(n), np.zeros(n, int), np.log(p.X[:, 2]), np.full(n, 0.2)))


def test_depth_priors_set_the_scale() -> None:
    """With one fixed keyframe geometry leaves the scale open; the priors decide it."""
    truth = scene()
    one_fixed = replace(truth, fixed=np.arange(5) < 1)
    start = replace(one_fixed, t=truth.t * 0.8, X=truth.X * 0.8)
    assert linearise(start).error_px.max() < 1e-9
    result = adjust(with_priors_of(start, truth), 40)
    np.testing.assert_allclose(result.problem.X, truth.X, rtol=2e-3)


def with_priors_of(p: BundleProblem, truth: BundleProblem) -> BundleProblem:
    """Priors taken from the true scene, in the fixed first keyframe."""
    n = len(p.X)
    return replace(p, priors=DepthPriors(np.arange(n), np.zeros(n, int), np.log(truth.X[:, 2]), np.full(n, 0.2)))


def test_point_information_predicts_the_scatter() -> None:
    """Points estimated from noisy pixels with known poses scatter as the information says."""
    truth = replace(scene(num_points=200), fixed=np.ones(5, bool))
    squared = []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 0.7, truth.uv.shape)
        result = adjust(replace(truth, uv=truth.uv + noise, pixel_sigma=0.7), 20)
        error = result.problem.X - truth.X
        squared.append(np.einsum("mi,mij,mj->m", error, result.point_information, error))
    assert np.mean(squared) == pytest.approx(3.0, rel=0.15)  # chi-square with three degrees of freedom


def test_same_input_same_bytes() -> None:
    a, b = adjust(perturbed(with_priors(scene())), 10), adjust(perturbed(with_priors(scene())), 10)
    assert a.problem.X.tobytes() == b.problem.X.tobytes()
