"""Curves whose values are known, and the promises of the smoothers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.motion.curves import (
    KeyTrack,
    bump,
    lower_envelope,
    min_jerk,
    progress,
    smooth_to_rate,
    soft_limit,
    wander,
    wrap_angle,
)


def test_minimum_jerk_starts_and_ends_at_rest() -> None:
    x = np.linspace(0, 1, 2001)
    y = min_jerk(x)
    assert y[0] == 0 and y[-1] == 1 and y[1000] == pytest.approx(0.5)
    velocity = np.gradient(y, x)
    assert velocity.max() == pytest.approx(1.875, abs=1e-3), "Flash and Hogan 1985: 15/8 of the mean"
    assert abs(velocity[0]) < 1e-3 and abs(velocity[-1]) < 1e-3
    assert min_jerk(-3.0) == 0 and min_jerk(7.0) == 1


def test_a_bump_is_one_in_the_middle_and_nothing_outside() -> None:
    assert bump(0.5) == pytest.approx(1.0)
    np.testing.assert_array_equal(bump(np.array([-1.0, 0.0, 1.0, 2.0])), 0.0)


def test_keys_are_held_before_between_and_after() -> None:
    track = KeyTrack(np.array([1.0, 0.0]))
    track.to([3.0, 1.0], 1.0, 2.0)
    track.to([0.0, 0.0], 4.0, 5.0)
    got = track.sample(np.array([0.0, 1.5, 3.0, 9.0]))
    np.testing.assert_allclose(got, [[1, 0], [2, 0.5], [3, 1], [0, 0]], atol=1e-12)
    np.testing.assert_array_equal(track.last, [0, 0])
    assert KeyTrack(np.array(2.0)).sample(np.zeros(3)).tolist() == [2.0] * 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=20, max_size=120), st.integers(3, 12))
def test_the_envelope_never_exceeds_its_bound(values: list[float], width: int) -> None:
    bound = np.array(values)
    assert (lower_envelope(bound, width) <= bound + 1e-12).all()


def test_the_envelope_of_a_constant_is_that_constant() -> None:
    np.testing.assert_allclose(lower_envelope(np.full(40, 0.7), 6), 0.7)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=30, max_size=90))
def test_smoothing_keeps_to_the_rate(values: list[float]) -> None:
    out = smooth_to_rate(np.array(values)[:, None], 0.05, 60.0, 1.5)
    assert np.abs(np.diff(out, axis=0)).max() * 60.0 < 1.5


def test_soft_limits_are_soft_and_are_limits() -> None:
    x = np.linspace(0, 50, 5001)
    y = soft_limit(x, 1.0, 0.6)
    np.testing.assert_array_equal(y[x <= 0.6], x[x <= 0.6])
    assert y.max() <= 1.0 and (np.diff(y) >= 0).all()
    assert np.abs(np.diff(y, 2)).max() < 1e-3, "no corner"


def test_wandering_has_unit_size_and_does_not_depend_on_the_length() -> None:
    times = np.arange(0, 200, 0.02)
    long, short = (wander(np.random.default_rng(3), t, 0.3, 1.5) for t in (times, times[:100]))
    assert long.std() == pytest.approx(1.0, abs=0.25)
    np.testing.assert_array_equal(long[:100], short)


def test_angles_and_shares() -> None:
    np.testing.assert_allclose(wrap_angle([3.5, -3.5, 0.1]), [3.5 - 2 * np.pi, 2 * np.pi - 3.5, 0.1])
    np.testing.assert_allclose(progress(np.array([0.0, 1.5, 9.0]), 1.0, 2.0), [0, 0.5, 1])
