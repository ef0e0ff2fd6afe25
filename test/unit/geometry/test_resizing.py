"""Images made smaller: sizes, means, and what is kept of fine detail."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.geometry.resizing import resized

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "shape", [(480, 640, 3), (480, 640), (1080, 1920, 3), (333, 100, 3), (1, 1, 3), (2, 700, 3), (256, 320, 3)]
)
@pytest.mark.parametrize("size", [(320, 256), (160, 120), (32, 32)])
def test_any_image_gets_any_size(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    image = RNG.integers(0, 255, shape).astype(np.uint8)
    out = resized(image, size)
    assert out.shape == (size[1], size[0], *shape[2:]) and out.dtype == np.uint8


def test_an_image_of_the_size_is_not_copied() -> None:
    image = RNG.integers(0, 255, (24, 32, 3)).astype(np.uint8)
    assert resized(image, (32, 24)) is image


def test_halves_are_means_of_squares() -> None:
    image = RNG.integers(0, 255, (48, 64)).astype(np.uint8)
    squares = image.reshape(12, 4, 16, 4).mean((1, 3))
    assert np.abs(resized(image, (16, 12)).astype(float) - squares).max() <= 1.0  # rounded twice


@pytest.mark.parametrize(("shape", "size"), [((480, 640), (320, 256)), ((480, 640), (160, 120)), ((1080, 1920), (320, 192))])
def test_it_is_as_right_as_averaging_areas_at_once(shape: tuple[int, int], size: tuple[int, int]) -> None:
    smooth = cv2.GaussianBlur(RNG.integers(0, 255, shape).astype(np.float32), (0, 0), 3.0 * shape[1] / size[0])
    image = np.clip((smooth - smooth.mean()) * 25 + 128, 0, 255).astype(np.uint8)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    assert np.abs(resized(image, size).astype(int) - expected).mean() < 0.7


def test_nothing_aliases() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (480, 320))
    assert np.ptp(resized(stripes, (320, 256))) == 0 and np.ptp(resized(stripes, (160, 120))) == 0
