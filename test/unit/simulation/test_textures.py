"""Surface pictures: shape, determinism, tiling, contrast."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ego_perception.simulation import textures

BASE = (180.0, 150.0, 120.0)
MAKERS: dict[str, Callable[[np.random.Generator, int], textures.Image]] = {
    "wood": lambda rng, n: textures.wood(rng, n, BASE, planks=3),
    "plaster": lambda rng, n: textures.plaster(rng, n, BASE),
    "wallpaper": lambda rng, n: textures.wallpaper(rng, n, BASE),
    "fabric": lambda rng, n: textures.fabric(rng, n, BASE),
    "tiles": lambda rng, n: textures.tiles(rng, n, BASE),
    "bricks": lambda rng, n: textures.tiles(rng, n, BASE, brick=True),
    "marble": lambda rng, n: textures.marble(rng, n, BASE),
    "art": textures.art,
    "label": textures.label,
    "page": textures.page,
    "spines": textures.spines,
    "rug": textures.rug,
    "outside": textures.view_outside,
    "any": textures.any_kind,
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pictures_are_square_rgb_bytes_and_repeatable(name: str, seed: int) -> None:
    a, b = (MAKERS[name](np.random.default_rng(seed), 128) for _ in range(2))
    assert a.shape == (128, 128, 3) and a.dtype == np.uint8 and a.flags.c_contiguous
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"any"}))
def test_no_realistic_surface_is_flat(name: str) -> None:
    """Tracking needs features everywhere; a flat wall would have a standard deviation of zero."""
    for seed in range(5):
        grey = MAKERS[name](np.random.default_rng(seed), 128).mean(axis=2)
        assert grey.std() > 2.0


def test_different_seeds_differ() -> None:
    a, b = (textures.plaster(np.random.default_rng(seed), 64, BASE) for seed in (0, 1))
    assert (a != b).mean() > 0.5


@pytest.mark.parametrize("stretch", [(1, 1), (1, 8), (8, 1)])
def test_noise_tiles_without_a_seam(stretch: tuple[int, int]) -> None:
    field = textures.noise(np.random.default_rng(3), 128, low=2, octaves=3, stretch=stretch)
    assert field.min() == 0.0 and field.max() == 1.0
    for axis in (0, 1):
        inner = np.abs(np.diff(field, axis=axis)).max()
        seam = np.abs(field.take(0, axis) - field.take(-1, axis)).max()
        assert seam <= 1.5 * inner


@pytest.mark.parametrize("kind", sorted(set(textures.RANDOM_KINDS)))
def test_every_random_kind_can_be_made(kind: str) -> None:
    assert textures.any_kind(np.random.default_rng(0), 128, (kind,)).shape == (128, 128, 3)


def test_planks_cover_the_whole_width() -> None:
    """256 columns do not divide by six boards; none may stay black."""
    image = textures.wood(np.random.default_rng(0), 256, BASE, planks=6)
    assert image.mean(axis=(0, 2)).min() > 20


REPEATED = ("wood", "plaster", "fabric", "tiles", "bricks", "marble")


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_repeated_surface_shows_no_seam(name: str, seed: int) -> None:
    """The step from the last row or column to the first is no stronger than the strongest one inside."""
    image = MAKERS[name](np.random.default_rng(seed), 128).astype(float)
    for axis in (0, 1):
        inner = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
        seam = np.abs(image.take(0, axis) - image.take(-1, axis)).mean()
        assert seam <= 1.6 * inner.max()


@pytest.mark.parametrize("name", ["plaster", "wallpaper", "fabric", "tiles", "marble", "wood"])
def test_the_mean_colour_stays_near_the_one_asked_for(name: str) -> None:
    for seed in range(4):
        mean = MAKERS[name](np.random.default_rng(seed), 128).mean(axis=(0, 1))
        ratio = mean / np.array(BASE)
        assert (ratio > 0.55).all() and (ratio < 1.25).all()
        assert np.ptp(ratio) < 0.2, "and keeps its hue"


@pytest.mark.parametrize(("count", "n"), [(3, 96), (4, 128), (2, 64)])
def test_square_tiles_have_grout_at_every_pitch(count: int, n: int) -> None:
    image = textures.tiles(np.random.default_rng(0), n, BASE, count=count, grout=0.3)
    columns = image.mean(axis=(0, 2))
    darkest = np.sort(np.argsort(columns)[:count])
    np.testing.assert_array_equal(darkest, np.arange(count) * (n // count))


def test_bricks_are_laid_in_a_half_bond() -> None:
    image = textures.tiles(np.random.default_rng(0), 128, BASE, count=4, grout=0.2, brick=True).mean(axis=2)
    first, second = image[2:15].mean(axis=0), image[18:31].mean(axis=0)
    assert np.argsort(first)[:4].tolist() != np.argsort(second)[:4].tolist()
    np.testing.assert_array_equal(np.sort(np.argsort(first)[:4]), [0, 32, 64, 96])
    np.testing.assert_array_equal(np.sort(np.argsort(second)[:4]), [16, 48, 80, 112])


@pytest.mark.parametrize("contrast", [0.1, 0.4, 0.9])
def test_plaster_varies_as_much_as_asked(contrast: float) -> None:
    deviation = textures.plaster(np.random.default_rng(1), 128, BASE, contrast=contrast).mean(axis=2).std() / np.mean(BASE)
    assert 0.1 * contrast < deviation < 0.35 * contrast


def test_stretch_gives_grain_along_the_other_axis() -> None:
    field = textures.noise(np.random.default_rng(0), 128, stretch=(1, 8))
    assert np.abs(np.diff(field, axis=1)).mean() > 2 * np.abs(np.diff(field, axis=0)).mean()


def test_a_rug_is_mirrored_within_its_border() -> None:
    image = textures.rug(np.random.default_rng(0), 128).astype(float)
    np.testing.assert_allclose(cv2.blur(image, (9, 9))[64, 20:108], cv2.blur(image, (9, 9))[64, 20:108][::-1], atol=20)
    corner = image[:4].mean(axis=(0, 1))
    np.testing.assert_allclose(image[-4:].mean(axis=(0, 1)), corner, atol=4)


def test_outside_the_sky_is_above_the_trees() -> None:
    image = textures.view_outside(np.random.default_rng(0), 128).astype(float)
    sky, trees = image[:12].mean(axis=(0, 1)), image[-4:].mean(axis=(0, 1))
    assert sky[2] > sky[0] and sky.mean() > 150
    assert trees[1] == trees.max() and trees.mean() < 120


def test_a_page_is_pale_with_dark_lines() -> None:
    image = textures.page(np.random.default_rng(0), 128).mean(axis=2)
    assert np.median(image) > 190 and image.min() < 120 and 0.01 < (image < 130).mean() < 0.5
