"""Lights of a room, and what they do to a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.lighting import HALF_CONE_RAD, clip_matrix, light_rig, linear
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.renderer import Renderer
from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.shaders import NUM_FILLS
from ego_perception.simulation.viewpoints import look_rotation

FLOOR = Part(Shape.BOX, (0.0, 0.0, -0.05), (3.0, 3.0, 0.05), 0)
LAMP = Light((0.0, 0.0, 2.4), (0.6, 0.55, 0.5), is_spot=True)
DOWN = make_transform(look_rotation(0.0, -math.pi / 2), (0.0, 0.0, 2.0))


def room_with(*parts: Part, lights: tuple[Light, ...] = (LAMP,), material: Material | None = None) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    book.materials = [material or Material(None, (0.7, 0.7, 0.7), specular=0.0)]
    numbered = [(part, i) for i, part in enumerate(parts)]
    return Room((3.0, 3.0), 2.5, book, parts=numbered, names=["a", "b", "c"], lights=list(lights), ambient=0.3)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer(64, 48, supersample=1) as made:
        yield made


def grey(renderer: Renderer, room: Room, T: np.ndarray = DOWN) -> np.ndarray:
    renderer.load(compile_scene(room))
    return renderer.render(T, math.radians(70)).rgb.astype(float).mean(axis=2)


def test_the_first_lamp_casts_shadows_and_the_next_ones_fill() -> None:
    fills = tuple(Light((i, 0.0, 2.0), (0.1 * (i + 1),) * 3) for i in range(5))
    rig = light_rig(room_with(FLOOR, lights=(LAMP, *fills)))
    assert rig.lamp_at.tolist() == [0.0, 0.0, 2.4] and rig.lamp_towards.tolist() == [0.0, 0.0, -1.0]
    assert rig.fill_at[:, 0].tolist() == list(range(NUM_FILLS))
    assert (np.diff(rig.fill_rgb[:, 0]) > 0).all()
    assert not light_rig(room_with(FLOOR, lights=())).lamp_rgb.any()


def test_the_middle_of_the_cone_is_the_middle_of_the_shadow_map() -> None:
    rig = light_rig(room_with(FLOOR, lights=(replace(LAMP, direction=(0.3, -0.2, -1.0)),)))
    at = rig.lamp_at + 1.7 * rig.lamp_towards
    clip = rig.clip_from_lamp @ [*at, 1.0]
    assert clip[:2] == pytest.approx([0, 0], abs=1e-9) and clip[3] == pytest.approx(1.7)
    aside = np.cross(rig.lamp_towards, (0.0, 1.0, 0.0))
    border = rig.lamp_at + rig.lamp_towards + math.tan(HALF_CONE_RAD) * aside / np.linalg.norm(aside)
    clip = rig.clip_from_lamp @ [*border, 1.0]
    assert np.abs(clip[:2] / clip[3]).max() == pytest.approx(1.0)


def test_clip_matrix_maps_the_clipping_planes_to_the_ends_of_the_range() -> None:
    M = clip_matrix(1.5, 2.0, 0.1, 20.0)
    for depth, expected in ((0.1, -1.0), (20.0, 1.0)):
        x, y, z, w = M @ [0.2, -0.3, depth, 1.0]
        assert (w, z / w) == pytest.approx((depth, expected))
        assert (x, y) == pytest.approx((0.3, -0.6))


def test_display_values_become_linear_light() -> None:
    assert linear((0.0, 0.5, 1.0)) == pytest.approx([0.0, 0.2176, 1.0], abs=1e-3)


def test_the_floor_is_brightest_under_the_lamp_and_evens_out(renderer: Renderer) -> None:
    image = grey(renderer, room_with(FLOOR))
    assert image[24, 32] == image.max()
    ring = [image[24, 32 + k] for k in range(0, 32, 4)]
    assert all(a >= b for a, b in itertools.pairwise(ring)), "no ring and no hard border of the cone"
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1.01)


def test_a_fill_lamp_brightens_its_side(renderer: Renderer) -> None:
    fill = Light((1.5, 0.0, 1.5), (0.5, 0.5, 0.5))
    gain = grey(renderer, room_with(FLOOR, lights=(LAMP, fill))) - grey(renderer, room_with(FLOOR))
    assert gain.min() >= 0 and gain[:12].mean() > 1.5 * gain[-12:].mean() + 1, "+x is at the top of the image"


def test_colour_of_the_lamp_is_seen(renderer: Renderer) -> None:
    room = room_with(FLOOR, lights=(replace(LAMP, rgb=(0.7, 0.4, 0.2)),))
    renderer.load(compile_scene(room))
    red, green, blue = renderer.render(DOWN, 1.0).rgb[24, 32].astype(int)
    assert red > green > blue


def test_a_glossy_floor_mirrors_the_lamp(renderer: Renderer) -> None:
    T = make_transform(look_rotation(0.0, -0.9), (-1.5, 0.0, 1.9))
    shiny = Material(None, (0.3, 0.3, 0.3), specular=1.0, shininess=0.4)
    gain = grey(renderer, room_with(FLOOR, material=shiny), T) - grey(
        renderer, room_with(FLOOR, material=replace(shiny, specular=0.0)), T
    )
    assert gain.max() > 15 and np.median(gain) < 0.3 * gain.max()


def test_what_glows_needs_no_lamp(renderer: Renderer) -> None:
    dark = grey(renderer, replace(room_with(FLOOR, lights=()), ambient=0.05))
    glowing = room_with(FLOOR, lights=(), material=Material(None, (0.7, 0.7, 0.7), emission=0.5))
    assert dark.mean() < 45 and grey(renderer, replace(glowing, ambient=0.05)).mean() > 120


def test_both_sides_of_a_thin_sheet_are_lit_as_they_are_turned(renderer: Renderer) -> None:
    """A face seen from behind has the light of that side: below the lamp the upper side is bright, the lower is not."""
    sheet = Part(Shape.BOX, (0.0, 0.0, 1.0), (1.0, 1.0, 0.002), 0)
    above = grey(renderer, room_with(FLOOR, sheet))
    T = make_transform(look_rotation(0.0, math.pi / 2), (0.0, 0.0, 0.3))
    below = grey(renderer, room_with(FLOOR, sheet), T)
    assert above[24, 32] > below[24, 32] + 40
