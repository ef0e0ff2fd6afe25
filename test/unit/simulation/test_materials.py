"""Finishes: within what can be drawn, true to their role, repeatable, and limited in number."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.simulation import materials
from ego_perception.simulation.materials import MaterialBook, Role

FLAT = {Role.PLASTIC, Role.METAL, Role.WHITE, Role.GLOSS, Role.CERAMIC, Role.GLASS, Role.CLEAR, Role.FRUIT, Role.PETAL}
WHOLE_PICTURES = {
    Role.PAPER, Role.LABEL, Role.SPINES, Role.COVER, Role.ART, Role.RUG, Role.SCREEN, Role.CLOCK, Role.OUTSIDE,
}  # fmt: skip
GLOWING = {Role.CEILING, Role.SCREEN, Role.SHADE, Role.OUTSIDE, Role.LAWN}


def book(seed: int, randomness: float = 0.0) -> MaterialBook:
    return MaterialBook(np.random.default_rng(seed), randomness=randomness, size=64)


def grey(material: materials.Material) -> float:
    """Mean brightness, 0..1."""
    return float(np.mean(material.rgb)) if material.image is None else float(material.image.mean()) / 255


@pytest.mark.parametrize("role", list(Role))
def test_values_are_within_what_can_be_drawn(role: Role) -> None:
    for seed in range(4):
        b = book(seed)
        m = b.materials[b.pick(role)]
        assert all(0 <= v <= 1 for v in (*m.rgb, m.specular, m.shininess, m.emission))
        assert (m.repeat == 0) == (role in WHOLE_PICTURES) or m.image is None
        assert (m.emission > 0) == (role in GLOWING)
        assert (m.image is None) or (m.image.dtype == np.uint8 and m.image.shape[0] == m.image.shape[1] >= 16)
        assert m.image is None if role in FLAT else True
        assert m.is_grained == (role is Role.WOOD)


@pytest.mark.parametrize("role", list(Role))
def test_a_room_has_a_limited_choice_of_each_role(role: Role) -> None:
    b = book(0)
    picked = {b.pick(role) for _ in range(60)}
    assert len(picked) == materials._NUM_VARIANTS[role] == len(b.materials)


@pytest.mark.parametrize(
    ("dark", "bright"),
    [
        (Role.DARK, Role.METAL),
        (Role.DARK, Role.CEILING),
        (Role.LEAF, Role.PAPER),
        (Role.GLOSS, Role.WHITE),
        (Role.DARK, Role.TRIM),
    ],
)
def test_brightness_follows_the_role(dark: Role, bright: Role) -> None:
    for seed in range(4):
        b = book(seed)
        assert grey(b.materials[b.pick(dark)]) < grey(b.materials[b.pick(bright)])


def test_leaves_are_green_and_realistic_walls_are_muted() -> None:
    spread = []
    for seed in range(30):
        b = book(seed)
        leaf = b.materials[b.pick(Role.LEAF)].image
        assert leaf is not None and leaf[..., 1].mean() > max(leaf[..., 0].mean(), leaf[..., 2].mean())
        wall = b.materials[b.pick(Role.WALL)].image
        assert wall is not None
        spread.append(float(np.ptp(wall.mean(axis=(0, 1)))))
    assert np.median(spread) < 25
    assert np.mean(np.array(spread) > 60) < 0.15


def test_about_one_room_in_ten_is_loud() -> None:
    loud = [book(seed)._is_loud for seed in range(200)]
    assert 0.04 < np.mean(loud) < 0.17


def test_a_stronger_colour_keeps_its_brightness() -> None:
    image = np.full((4, 4, 3), (150, 120, 90), np.uint8)
    strong = materials._saturated(materials.Material(image), 2.0).image
    assert strong is not None
    np.testing.assert_array_equal(strong[0, 0], (180, 120, 60))
    flat = materials.Material(None)
    assert materials._saturated(flat) is flat


@pytest.mark.parametrize("randomness", [0.0, 0.6, 1.0])
def test_equal_seeds_give_equal_finishes(randomness: float) -> None:
    picks = []
    for seed in (5, 5, 6):
        b = book(seed, randomness)
        indices = [b.pick(role) for role in Role for _ in range(3)]
        digest = [None if m.image is None else m.image.tobytes() for m in b.materials]
        picks.append((indices, [(m.rgb, m.repeat, m.specular, m.shininess) for m in b.materials], digest))
    assert picks[0] == picks[1] != picks[2]


def test_full_randomness_shares_one_pool_but_not_with_the_shell() -> None:
    b = book(1, 1.0)
    loose = {b.pick(role) for role in (Role.WOOD, Role.FABRIC, Role.METAL) for _ in range(100)}
    shell = {role: {b.pick(role) for _ in range(5)} for role in (Role.WALL, Role.FLOOR, Role.CEILING)}
    assert len(loose) == materials._NUM_RANDOM
    assert all(len(picked) == 1 for picked in shell.values())
    assert len(set.union(*shell.values())) == 3 and not loose & set.union(*shell.values())
    for index in set.union(*shell.values()):
        image = b.materials[index].image
        assert image is not None and b.materials[index].repeat in (0.3, 0.7, 1.5)


@pytest.mark.parametrize(
    "palette", [materials.WALLS, materials.WOODS, materials.PAINTS, materials.STONES, materials.FABRICS, materials.PLASTICS]
)
def test_a_drawn_colour_stays_near_its_palette(palette: materials.Palette) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        colour = materials._choose(rng, palette)
        distance = np.abs(np.array(palette) - colour).max(axis=1).min()
        assert distance <= 0.12 * 255 + 6
