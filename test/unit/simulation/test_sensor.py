"""The sensor's drifts, vignette, noise and JPEG."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.simulation import sensor
from ego_perception.simulation.shutter import to_linear


def test_drift_is_standard_over_seeds() -> None:
    values = np.array([sensor.Drift((seed, 1)).at(3.7) for seed in range(1500)])
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(1.0, abs=0.08)


def test_drift_forgets_like_an_ornstein_uhlenbeck_process() -> None:
    """Its autocorrelation is exp(-t / tau), a little above at short lags, where fast parts are cut."""
    pairs = np.array([[sensor.Drift((seed, 2)).at(t) for t in (0.0, 0.1, 2.0, 10.0)] for seed in range(3000)])
    correlation = np.corrcoef(pairs.T)[0]
    assert correlation[1] == pytest.approx(np.exp(-0.05), abs=0.05)
    assert correlation[2] == pytest.approx(np.exp(-1.0), abs=0.1)
    assert abs(correlation[3]) < 0.1


def test_drift_is_smooth_and_a_function_of_time_only() -> None:
    drift = sensor.Drift((5, 1))
    values = np.array([drift.at(t) for t in np.arange(0, 20, 1 / 30)])
    assert np.abs(np.diff(values)).max() < 0.25
    assert values.std() > 0.2
    assert drift.at(3.0) == sensor.Drift((5, 1)).at(3.0)
    assert drift.at(3.0) != sensor.Drift((6, 1)).at(3.0)


def test_vignette_darkens_the_corners_by_its_strength() -> None:
    factor = sensor.vignette_map(65, 49, 0.4)
    assert factor.shape == (49, 65, 1)
    assert factor[24, 32, 0] == pytest.approx(1.0)
    np.testing.assert_allclose([factor[0, 0], factor[-1, -1], factor[0, -1]], 0.6, atol=1e-6)
    assert factor[0, 32, 0] == pytest.approx(1 - 0.4 * 24**2 / (24**2 + 32**2))
    np.testing.assert_array_equal(factor, factor[::-1, ::-1])


def test_noise_has_the_declared_size_at_mid_grey() -> None:
    grey = np.full((200, 200, 3), sensor.MID_GREY, np.uint8)
    light = to_linear(grey)
    noisy = sensor.add_noise(light, sensor.noise_draw(light.shape, (1, 2)), 6.0)
    # In grey levels through the slope of the curve, 1.07526 at mid grey.
    assert float((noisy - light).std()) * 255 * 1.07526 == pytest.approx(6.0, rel=0.02)
    assert abs(float((noisy - light).mean())) < 1e-3


def test_noise_variance_is_affine_in_the_light() -> None:
    draw = sensor.noise_draw((100_000, 1, 1), (3, 4))
    levels = np.array([0.0, 0.2, 0.4, 0.8])
    variances = [float((sensor.add_noise(np.full_like(draw, x), draw, 5.0) - np.float32(x)).var()) for x in levels]
    slope, offset = np.polyfit(levels, variances, 1)
    np.testing.assert_allclose(variances, slope * levels + offset, rtol=1e-3)
    shot_at_mid = slope * 0.21586
    assert offset / (offset + shot_at_mid) == pytest.approx(sensor.READ_SHARE, rel=0.05)


def test_noise_depends_on_the_seed_only() -> None:
    a, b, c = (sensor.noise_draw((8, 8, 3), seed) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(a, b)
    assert np.abs(np.corrcoef(a.ravel(), c.ravel())[0, 1]) < 0.3


def test_jpeg_keeps_colours_in_place_and_loses_little() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = (220, 40, 30)
    image[:, 32:] = (20, 60, 200)
    good, bad = (sensor.jpeg_round_trip(image, q).astype(int) for q in (95, 10))
    assert np.abs(good[:, :24] - image[:, :24]).max() < 8
    assert np.abs(bad - image).mean() > np.abs(good - image).mean()
    assert good.shape == image.shape


@pytest.mark.parametrize("quality", [0, -3, 101])
def test_jpeg_refuses_other_qualities(quality: int) -> None:
    with pytest.raises(SimulationError, match=f"JPEG quality {quality} is outside"):
        sensor.jpeg_round_trip(np.zeros((8, 8, 3), np.uint8), quality)
