"""Surface pictures: shape, determinism, tiling, contrast."""

from __future__ import annotations

from collections.abc import Callable

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
