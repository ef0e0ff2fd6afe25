"""Rolling shutter and motion blur: which renders an image needs and how their light adds up."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.simulation.shutter import NUM_RENDERS, NUM_RENDERS_BOTH, Shutter, to_linear, to_srgb

CASES = [
    Shutter(48, 0.03, 0.0),
    Shutter(48, 0.0, 0.02),
    Shutter(48, 0.03, 0.01),
    Shutter(48, 0.01, 0.03),
    Shutter(1, 0.02, 0.01),
]


def flat(level: int, height: int = 48) -> np.ndarray:
    return np.full((height, 8, 3), level, np.uint8)


def ramps(shutter: Shutter, rate: float = 20.0) -> list[np.ndarray]:
    """Renders of a scene whose linear light grows evenly: 0.4 + rate t."""
    return [to_srgb(np.full((shutter.height, 4, 3), 0.4 + rate * r.offset_s, np.float32)) for r in shutter.renders]


@pytest.mark.parametrize("shutter", CASES)
def test_every_row_gets_all_of_its_light(shutter: Shutter) -> None:
    total = np.sum([render.weights for render in shutter.renders], axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    assert all((render.weights >= -1e-7).all() for render in shutter.renders)


@pytest.mark.parametrize("shutter", CASES)
def test_bands_hold_all_weights_and_the_middle_is_the_frame(shutter: Shutter) -> None:
    renders = shutter.renders
    assert len(renders) == (NUM_RENDERS_BOTH if shutter.rolling_s > 0 and shutter.exposure_s > 0 else NUM_RENDERS)
    assert renders[len(renders) // 2].offset_s == 0.0
    offsets = [render.offset_s for render in renders]
    assert offsets == sorted(offsets)
    assert offsets[-1] == pytest.approx(0.5 * (shutter.rolling_s + shutter.exposure_s))
    for render in renders:
        outside = np.ones(shutter.height, bool)
        outside[render.rows] = False
        assert (render.weights[outside] < 1e-6).all()


@pytest.mark.parametrize("shutter", CASES)
def test_even_change_gives_each_row_its_own_time(shutter: Shutter) -> None:
    """The mean light over an exposure of an evenly brightening scene is that of the exposure's middle."""
    got = to_linear(shutter.combine(ramps(shutter)))[:, 0, 0]
    middle = np.linspace(-0.5, 0.5, shutter.height) * shutter.rolling_s if shutter.height > 1 else np.zeros(1)
    np.testing.assert_allclose(got, 0.4 + 20.0 * middle, atol=8e-3)


def test_blur_is_the_trapezoidal_rule() -> None:
    weights = [render.weights[0] for render in Shutter(48, 0.0, 0.02).renders]
    np.testing.assert_allclose(weights, [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], atol=1e-6)


def test_rolling_shutter_takes_the_top_row_first() -> None:
    renders = Shutter(101, 0.04).renders
    assert renders[0].weights[0] == pytest.approx(1.0)
    assert renders[0].rows.start == 0
    assert renders[-1].weights[-1] == pytest.approx(1.0)
    assert renders[0].rows.stop <= 26  # a quarter of the rows blends into the next render
    assert renders[1].weights[25] == pytest.approx(1.0)


def test_moving_edge_leans_under_a_rolling_shutter() -> None:
    """An edge at x = 20 + 400 t is seen at 20 + 400 (v / (H - 1) - 1/2) R."""
    shutter, x = Shutter(41, 0.05), np.arange(60)
    edges = [np.clip(20 + 400 * r.offset_s - x + 0.5, 0, 1) for r in shutter.renders]
    images = [to_srgb(np.broadcast_to(e[None, :, None], (41, 60, 3)).astype(np.float32)) for e in edges]
    lit = to_linear(shutter.combine(images))[..., 0].sum(axis=1)
    np.testing.assert_allclose(lit, 20.5 + 400 * np.linspace(-0.025, 0.025, 41), atol=0.1)


def test_light_adds_up_linearly() -> None:
    """Half the time white and half black is not grey 128: sRGB encodes half the light as 188."""
    shutter = Shutter(48, 0.0, 0.02)
    images = [flat(255), flat(255), flat(0), flat(0), flat(0)]
    images[2] = to_srgb(np.full((48, 8, 3), 0.5, np.float32))
    assert np.unique(shutter.combine(images)).tolist() == [188]


@pytest.mark.parametrize("shutter", CASES)
def test_still_scene_stays_as_it_is(shutter: Shutter) -> None:
    image = np.random.default_rng(0).integers(0, 256, (shutter.height, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shutter.combine([image] * len(shutter.renders)), image)


def test_instant_shutter_passes_the_image_through() -> None:
    shutter, image = Shutter(48), flat(7)
    assert shutter.is_instant
    assert shutter.renders[0].offset_s == 0.0
    assert shutter.combine([image]) is image


def test_all_levels_survive_the_curve_and_its_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(to_srgb(to_linear(levels)), levels)
    assert to_linear(levels)[0, 128, 0] == pytest.approx(0.21586, abs=1e-5)
    assert np.unique(to_srgb(np.array([-0.5, 0.0, 1.0, 7.0], np.float32))).tolist() == [0, 255]


def test_refuses_wrong_renders() -> None:
    with pytest.raises(SimulationError, match="48 rows needs 5 renders"):
        Shutter(48, 0.02).combine([flat(1)] * 4)
    with pytest.raises(SimulationError, match="48 rows"):
        Shutter(48, 0.02).combine([flat(1, height=47)] * 5)
