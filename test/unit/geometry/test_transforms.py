"""Laws of rigid transforms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ego_perception.geometry import (
    R_FLU_OPTICAL,
    invert,
    make_transform,
    matrix_from_quat_xyzw,
    quat_xyzw_from_matrix,
    so3_exp,
    so3_log,
    transform_points,
)

vectors = arrays(np.float64, 3, elements=st.floats(-3, 3))


@given(vectors, vectors)
def test_inverse_undoes_a_transform(rotvec: np.ndarray, t: np.ndarray) -> None:
    T = make_transform(so3_exp(rotvec), t)
    np.testing.assert_allclose(invert(T) @ T, np.eye(4), atol=1e-12)


@given(vectors, vectors, vectors)
def test_composition_is_associative_with_points(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> None:
    T_a, T_b = make_transform(so3_exp(a), b), make_transform(so3_exp(b), a)
    np.testing.assert_allclose(transform_points(T_a @ T_b, p), transform_points(T_a, transform_points(T_b, p)), atol=1e-10)


@given(vectors)
def test_quaternion_round_trip_has_unit_norm_and_positive_w(rotvec: np.ndarray) -> None:
    R = so3_exp(rotvec)
    q = quat_xyzw_from_matrix(R)
    assert q[3] >= 0
    assert np.linalg.norm(q) == pytest.approx(1)
    np.testing.assert_allclose(matrix_from_quat_xyzw(q), R, atol=1e-12)


@given(arrays(np.float64, 3, elements=st.floats(-1.7, 1.7)))
def test_log_inverts_exp_below_pi(rotvec: np.ndarray) -> None:
    np.testing.assert_allclose(so3_log(so3_exp(rotvec)), rotvec, atol=1e-9)


def test_quaternion_of_a_known_turn() -> None:
    quarter_about_z = so3_exp([0, 0, np.pi / 2])
    np.testing.assert_allclose(quat_xyzw_from_matrix(quarter_about_z), [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12)
    np.testing.assert_allclose(
        transform_points(make_transform(quarter_about_z, [1, 0, 0]), np.array([1.0, 0, 0])), [1, 1, 0], atol=1e-12
    )


def test_optical_axes_map_to_body_axes() -> None:
    right, down, forward = np.eye(3)
    np.testing.assert_array_equal(R_FLU_OPTICAL @ forward, [1, 0, 0])
    np.testing.assert_array_equal(R_FLU_OPTICAL @ right, [0, -1, 0])
    np.testing.assert_array_equal(R_FLU_OPTICAL @ down, [0, 0, -1])
    assert np.linalg.det(R_FLU_OPTICAL) == pytest.approx(1)


def test_batched_inverse_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    T = np.stack([make_transform(so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in range(5)])
    np.testing.assert_allclose(invert(T), np.linalg.inv(T), atol=1e-12)


def test_points_keep_their_precision() -> None:
    points = np.zeros((2, 3), np.float32)
    assert transform_points(np.eye(4), points).dtype == np.float32
