"""Cloud scores: hand-made distances, brute force, and a clip in another world."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.evaluation import CloudAccumulator, chamfer, f_score
from ego_perception.evaluation.clouds import nearest_distances
from ego_perception.geometry import PinholeCamera, make_transform, so3_exp

CAMERA = PinholeCamera(32, 24, 30.0, 30.0, 15.5, 11.5)


def test_distances_equal_brute_force() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(70, 3)), rng.normal(size=(90, 3))
    table = np.linalg.norm(a[:, None] - b[None], axis=-1)
    there, back = nearest_distances(a, b)
    assert np.allclose(there, table.min(axis=1))
    assert np.allclose(back, table.min(axis=0))


def test_chamfer_both_ways() -> None:
    there, back = np.array([0.1, 0.3]), np.array([0.2])
    assert chamfer(there, back) == pytest.approx(0.5 * (0.2 + 0.2))
    assert chamfer(there, back, squared=True) == pytest.approx((0.01 + 0.09) / 2 + 0.04)


def test_f_score_both_ways() -> None:
    there = np.array([0.01, 0.01, 0.5, 0.5])  # precision 1/2
    back = np.array([0.01] * 9 + [0.5] * 3)  # completeness 3/4
    assert f_score(there, back, 0.05) == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    recall = 2 / (2 + 3)  # true positives of the prediction over themselves and the missed truth
    assert f_score(there, back, 0.05, published=True) == pytest.approx(2 * 0.5 * recall / (0.5 + recall))


def test_f_score_limits() -> None:
    near, far = np.zeros(5), np.ones(5)
    for published in (False, True):
        assert f_score(near, near, 0.1, published=published) == pytest.approx(1.0)
        assert f_score(far, far, 0.1, published=published) == 0.0


def relief(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.0, 3.0, (24, 32)).astype(np.float32)


def clip(factor: float, noise: float = 0.0, n: int = 4, **options: int) -> CloudAccumulator:
    accumulator = CloudAccumulator(**options)
    M = make_transform(so3_exp([0.3, 1.0, -0.5]), [4, 5, 6])
    rng = np.random.default_rng(9)
    for i in range(n):
        truth = relief(i)
        T = make_transform(so3_exp([0, 0.1 * i, 0]), [0.2 * i, 0, 0])
        own = M @ T
        own[:3, 3] = M[:3, :3] @ T[:3, 3] * factor + M[:3, 3]
        prediction = truth * factor * np.exp(rng.normal(0, noise, truth.shape)).astype(np.float32)
        accumulator.add(prediction, truth, CAMERA, CAMERA, own, T)
    return accumulator


def test_perfect_clip_in_another_world() -> None:
    score = clip(0.5).score()
    assert score is not None
    assert score.scale == pytest.approx(2.0, rel=1e-3)
    assert score.chamfer_m < 2e-3  # depth is kept in millimetres
    assert min(score.f_score) > 0.99
    assert min(score.f_published) > 0.99
    assert score.num_frames == 4
    assert score.frame_stride == 1


def test_noise_makes_it_worse_and_wider_radii_forgive() -> None:
    clean, dirty = clip(1.0).score(), clip(1.0, noise=0.05).score()
    assert clean is not None
    assert dirty is not None
    assert dirty.chamfer_m > 5 * clean.chamfer_m
    assert dirty.chamfer_squared_m2 > clean.chamfer_squared_m2
    assert list(dirty.f_score) == sorted(dirty.f_score)
    assert dirty.f_score[0] < dirty.f_score[-1]


def test_long_clips_keep_every_kth_frame() -> None:
    score = clip(1.0, n=20, max_frames=5).score()
    assert score is not None
    assert score.frame_stride == 4
    assert score.num_frames == 5


def test_nothing_to_score() -> None:
    accumulator = CloudAccumulator()
    assert accumulator.score() is None
    accumulator.add(np.full((24, 32), np.nan), relief(0), CAMERA, CAMERA, np.eye(4), np.eye(4))
    assert accumulator.score() is None
