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


def mirrored_error(width: int, height: int) -> float:
    """How far the way from 0 on the left to 1 on the right is from its own mirror image."""
    known = np.abs(np.arange(width) - (width - 1) / 2) > width // 5
    weight = np.broadcast_to(known, (height, width)).astype(np.float32)
    field = weight * (np.arange(width) > width / 2).astype(np.float32)
    filled = pull_push(field, weight)
    return float(np.abs(filled + filled[:, ::-1] - 1).max())


@pytest.mark.parametrize("side", [33, 65, 129])
def test_half_way_between_two_sides_is_their_mean(side: int) -> None:
    assert mirrored_error(side, side) < 1e-5


@pytest.mark.parametrize(("width", "height"), [(64, 64), (80, 60), (160, 120), (320, 240)])
def test_half_way_between_two_sides_is_their_mean_in_images_of_usual_sizes(width: int, height: int) -> None:
    assert mirrored_error(width, height) < 0.02


def test_turned_fields_are_filled_turned() -> None:
    rng = np.random.default_rng(2)
    field, weight = rng.normal(size=(65, 65)).astype(np.float32), (rng.random((65, 65)) < 0.3).astype(np.float32)
    plain = pull_push(field, weight)
    assert np.allclose(pull_push(field.T.copy(), weight.T.copy()), plain.T, atol=1e-5)
    assert np.allclose(pull_push(field[::-1].copy(), weight[::-1].copy()), plain[::-1], atol=1e-5)


def test_fields_add_up() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, H, W)).astype(np.float32)
    weight = holed()
    assert np.allclose(pull_push(2 * a - 3 * b, weight), 2 * pull_push(a, weight) - 3 * pull_push(b, weight), atol=1e-4)


def test_nothing_is_made_up_beyond_what_is_known() -> None:
    field, weight = np.random.default_rng(4).uniform(5, 9, (H, W)).astype(np.float32), holed()
    filled = pull_push(field * weight, weight)
    assert filled.min() >= 5 - 1e-3 and filled.max() <= 9 + 1e-3


def test_what_is_written_where_nothing_is_known_is_not_read() -> None:
    weight = holed()
    results = [pull_push(np.where(weight > 0, 1.0, junk).astype(np.float32), weight) for junk in (0, 1e6)]
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("shape", [(240, 320), (96, 128), (17, 200)])
def test_a_small_known_corner_goes_on_to_the_opposite_one(shape: tuple[int, int]) -> None:
    weight = np.zeros(shape, np.float32)
    weight[:8, :8] = 1
    assert pull_push(100 * weight, weight)[-1, -1] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("shape", [(1, 40), (4, 40), (40, 3)])
def test_thin_fields_are_continued_too(shape: tuple[int, int]) -> None:
    weight = np.ones(shape, np.float32)
    weight[shape[0] // 2 :, shape[1] // 2 :] = 0
    assert pull_push(7 * weight, weight) == pytest.approx(np.full(shape, 7.0), rel=0.01)
