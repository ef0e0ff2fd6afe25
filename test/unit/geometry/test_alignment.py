"""Closed-form alignment: known answers, weights, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ego_perception.errors import EgoPerceptionError
from ego_perception.geometry import Similarity, so3_exp, umeyama

RNG = np.random.default_rng(1)


@given(arrays(np.float64, 3, elements=st.floats(-3, 3)), st.floats(0.1, 10))
def test_a_similarity_is_recovered_exactly(rotvec: np.ndarray, scale: float) -> None:
    source = np.random.default_rng(0).normal(size=(20, 3))
    truth = Similarity(scale, so3_exp(rotvec), np.array([1.0, -2.0, 3.0]))
    found = umeyama(source, truth.apply(source))
    assert found.scale == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(found.R, truth.R, atol=1e-8)
    np.testing.assert_allclose(found.t, truth.t, atol=1e-7)


def test_a_mirrored_cloud_gives_a_rotation_not_a_reflection() -> None:
    source = RNG.normal(size=(30, 3))
    found = umeyama(source, source * [1, 1, -1])
    assert np.linalg.det(found.R) == pytest.approx(1)


def test_weight_zero_removes_an_outlier() -> None:
    source = RNG.normal(size=(10, 3))
    target = source.copy()
    target[0] += 100
    weights = np.ones(10)
    weights[0] = 0
    np.testing.assert_allclose(umeyama(source, target, weights=weights).apply(source[1:]), target[1:], atol=1e-9)


def test_scale_can_be_held() -> None:
    source = RNG.normal(size=(10, 3))
    assert umeyama(source, 3 * source, with_scale=False).scale == 1.0


def test_matrix_form_agrees() -> None:
    s = Similarity(2.0, so3_exp([0.1, 0.2, 0.3]), np.array([1.0, 2, 3]))
    p = np.array([0.3, -0.4, 0.5])
    np.testing.assert_allclose((s.matrix() @ [*p, 1])[:3], s.apply(p))


@pytest.mark.parametrize(
    ("source", "target"),
    [(np.zeros((2, 3)), np.zeros((2, 3))), (np.zeros((4, 3)), np.zeros((5, 3))), (np.zeros((4, 2)), np.zeros((4, 2)))],
)
def test_too_few_or_unlike_points_are_refused(source: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(EgoPerceptionError, match="alignment needs"):
        umeyama(source, target)


def test_weights_without_mass_are_refused() -> None:
    with pytest.raises(EgoPerceptionError, match="sum to zero"):
        umeyama(np.eye(3), np.eye(3), weights=np.zeros(3))
