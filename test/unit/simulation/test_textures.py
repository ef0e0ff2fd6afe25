"""Surface pictures: shape, determinism, tiling, contrast."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ego_perception.simulation import pictures, textures
from ego_perception.simulation.outdoors import HORIZON, view_outside

BASE = (180.0, 150.0, 120.0)
MAKERS: dict[str, Callable[[np.random.Generator, int], textures.Image]] = {
    "wood": lambda rng, n: textures.wood(rng, n, BASE, planks=3),
    "plaster": lambda rng, n: textures.plaster(rng, n, BASE),
    "wallpaper": lambda rng, n: textures.wallpaper(rng, n, BASE),
    "fabric": lambda rng, n: textures.fabric(rng, n, BASE),
    "tiles": lambda rng, n: textures.tiles(rng, n, BASE),
    "bricks": lambda rng, n: textures.tiles(rng, n, BASE, brick=True),
    "marble": lambda rng, n: textures.marble(rng, n, BASE),
    "brushed": lambda rng, n: textures.brushed(rng, n, BASE),
    "art": pictures.art,
    "label": pictures.label,
    "page": pictures.page,
    "spines": pictures.spines,
    "cover": pictures.cover,
    "rug": pictures.rug,
    "screen": pictures.screen,
    "clock": pictures.clock_face,
    "outside": view_outside,
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


REPEATED = ("wood", "plaster", "wallpaper", "fabric", "tiles", "bricks", "marble", "brushed")


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


@pytest.mark.parametrize("name", ["plaster", "fabric", "wood", "brushed"])
def test_surfaces_are_even_from_afar(name: str) -> None:
    """Averaged over a quarter of the picture hardly any contrast is left: real paint and cloth have no clouds."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        image = textures.wood(rng, 128, BASE, planks=1) if name == "wood" else MAKERS[name](rng, 128)
        coarse = cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA).mean(axis=2)
        assert coarse.std() < 0.035 * np.mean(BASE)


def test_a_motif_continues_over_the_border() -> None:
    """The print has a period of two cells; where a motif was cut at the border, the difference to its neighbours would show."""
    for seed in range(12):
        image = textures.wallpaper(np.random.default_rng(seed), 128, BASE).mean(axis=2)
        smooth = cv2.blur(np.tile(image, (2, 2)), (3, 3))[32:160, 32:160]
        for axis in (0, 1):
            change = np.abs(smooth - np.roll(smooth, 32, axis=axis))
            border = change.take(range(90, 102), axis=axis)  # the seam of the doubled picture lies in the middle of these
            assert border.mean() < 1.5 * change.mean() + 0.5


def test_stretch_gives_grain_along_the_other_axis() -> None:
    field = textures.noise(np.random.default_rng(0), 128, stretch=(1, 8))
    assert np.abs(np.diff(field, axis=1)).mean() > 2 * np.abs(np.diff(field, axis=0)).mean()


def test_a_rug_has_pale_fringes_at_two_ends_only() -> None:
    for seed in range(4):
        image = pictures.rug(np.random.default_rng(seed), 128).astype(float)
        for end in (image[:, :3], image[:, -3:]):
            assert end.mean() > 170


def test_outside_the_sky_is_above_the_green_and_the_horizon_where_it_says() -> None:
    for seed in range(4):
        image = view_outside(np.random.default_rng(seed), 128).astype(float)
        sky, garden = image[:12].mean(axis=(0, 1)), image[-4:].mean(axis=(0, 1))
        assert sky[2] > sky[0] and sky.mean() > 140
        assert garden[1] == garden.max() and garden.mean() < 130
        row = int(HORIZON * 128)
        assert image[row - 20].mean(axis=0)[2] > image[row - 20].mean(axis=0)[0], "haze and sky above"


@pytest.mark.parametrize("seed", range(3))
def test_the_view_outside_repeats_sideways(seed: int) -> None:
    image = view_outside(np.random.default_rng(seed), 256).astype(float)
    inner = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    assert np.abs(image[:, 0] - image[:, -1]).mean() <= 1.6 * inner.max()


def test_book_backs_are_coloured_and_paper_is_below() -> None:
    image = pictures.spines(np.random.default_rng(0), 128).astype(float)
    rows = int(pictures.SPINE_ROWS * 128)
    assert image[rows + 4 :].mean() > 180
    width = 128 // pictures.NUM_SPINES
    backs = [image[4, k * width + width // 2] for k in range(pictures.NUM_SPINES)]
    assert len({tuple(b) for b in backs}) >= pictures.NUM_SPINES - 1


def test_a_clock_face_is_round_and_its_hands_differ_between_seeds() -> None:
    a, b = (pictures.clock_face(np.random.default_rng(seed), 128).mean(axis=2) for seed in (0, 1))
    assert a[64, 64] < 80 and a[2, 2] > 200
    assert (np.abs(a - b) > 60).sum() > 30


def test_a_page_is_pale_with_dark_lines() -> None:
    image = pictures.page(np.random.default_rng(0), 128).mean(axis=2)
    assert np.median(image) > 190 and image.min() < 120 and 0.01 < (image < 130).mean() < 0.5
