"""Pull-push: known pixels stay, constants and slopes go on, weights count."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.hand_removal.background.pull_push import pull_push

H, W = 60, 83


def holed(radius: int = 12) -> np.ndarray:
    weight = np.ones((H, W), np.float32)
    weight[30 - radius : 30 + radius, 40 - radius : 40 + radius] = 0
    return weight


@pytest.mark.parametrize("value", [-3.0, 0.0, 17.5])
def test_a_constant_goes_on(value: float) -> None:
    weight = holed()
    field = np.where(weight > 0, value, 99.0).astype(np.float32) * weight
    assert pull_push(field, weight) == pytest.approx(np.full((H, W), value), abs=1e-3)


def test_known_values_stay_and_a_slope_goes_on_roughly() -> None:
    slope = np.fromfunction(lambda y, x: 0.5 * x - 0.2 * y, (H, W)).astype(np.float32)
    weight = holed()
    filled = pull_push(slope * weight, weight)
    assert filled[weight > 0] == pytest.approx(slope[weight > 0], abs=1e-4)
    inside = weight == 0
    assert np.abs(filled - slope)[inside].max() < 4.0
    assert np.corrcoef(filled[inside], slope[inside])[0, 1] > 0.95


def test_the_heavier_side_wins() -> None:
    field, weight = np.zeros((32, 32), np.float32), np.zeros((32, 32), np.float32)
    field[:, :8], weight[:, :8] = 1.0, 1.0
    field[:, 24:], weight[:, 24:] = -1.0, 0.05
    assert pull_push(field, weight)[:, 10].min() > 0


def test_channels_are_alike_and_nothing_known_gives_zero() -> None:
    weight = holed()
    field = np.random.default_rng(0).normal(size=(H, W)).astype(np.float32)
    both = pull_push(np.stack([field, 2 * field], axis=-1), weight)
    assert both[..., 1] == pytest.approx(2 * both[..., 0], abs=1e-5)
    assert both[..., 0] == pytest.approx(pull_push(field, weight), abs=1e-5)
    assert not pull_push(field, np.zeros_like(weight)).any()
