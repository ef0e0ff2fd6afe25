"""Shadows with known answers: where the umbra is, how wide its border, and that light does not leak or speckle."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.renderer import Renderer
from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.viewpoints import look_rotation

FLOOR = Part(Shape.BOX, (0.0, 0.0, -0.05), (4.0, 4.0, 0.05), 0)
HEIGHT = 3.0
WIDTH_PX, FOV_RAD, EYE_Z = 200, math.radians(100), 0.9
DOWN = make_transform(look_rotation(0.0, -math.pi / 2), (0.0, 0.0, EYE_Z))
M_PER_PX = 2 * EYE_Z * math.tan(FOV_RAD / 2) / WIDTH_PX


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Renderer, Renderer]]:
    with (
        Renderer(WIDTH_PX, WIDTH_PX, supersample=1) as shadowed,
        Renderer(WIDTH_PX, WIDTH_PX, supersample=1, shadow_map_px=0) as plain,
    ):
        yield shadowed, plain


def room_with(*parts: Part, lamp: Light | None = None) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    book.materials = [Material(None, (0.7, 0.7, 0.7), specular=0.0)]
    lamp = lamp or Light((0.0, 0.0, HEIGHT), (0.7, 0.7, 0.7), is_spot=True)
    return Room((4.0, 4.0), HEIGHT, book, parts=[(p, i) for i, p in enumerate(parts)], names=["a", "b", "c"], lights=[lamp])


def darkening(pair: tuple[Renderer, Renderer], room: Room, T: np.ndarray = DOWN) -> np.ndarray:
    """Grey levels that the shadow takes."""
    images = []
    for renderer in pair:
        renderer.load(compile_scene(room))
        images.append(renderer.render(T, FOV_RAD).rgb.astype(float).mean(axis=2))
    return images[1] - images[0]


def test_umbra_and_penumbra_of_a_plate(pair: tuple[Renderer, Renderer]) -> None:
    """A plate of 0.6 m at a third of the lamp's height throws a shadow of 0.9 m."""
    plate = Part(Shape.BOX, (0.0, 0.0, 1.0), (0.3, 0.3, 0.004), 0)
    lost = darkening(pair, room_with(FLOOR, plate))
    share = lost / lost.max()
    assert lost.max() > 40
    side = math.sqrt((share > 0.5).sum()) * M_PER_PX
    assert side == pytest.approx(0.9, abs=0.03)
    row = share[WIDTH_PX // 2]
    border = ((row > 0.1) & (row < 0.9)).sum() * M_PER_PX / 2
    assert 0.01 < border < 0.07, "soft, but no blur"
    assert (share[(share < 0.02)] == 0).mean() > 0.99 and (share >= 0).all()
    rows, columns = np.nonzero(share > 0.5)
    assert [rows.mean(), columns.mean()] == pytest.approx([(WIDTH_PX - 1) / 2] * 2, abs=1.0)


@pytest.mark.parametrize("direction", [(0.0, 0.0, -1.0), (0.4, 0.3, -1.0)])
@pytest.mark.parametrize("pitch", [-math.pi / 2, -0.5])
def test_nothing_shades_itself(pair: tuple[Renderer, Renderer], direction: tuple[float, float, float], pitch: float) -> None:
    """Floor, ball and turned box in full light: not one speckle where the lamp looks."""
    lamp = Light((-0.5, -0.3, HEIGHT), (0.7, 0.7, 0.7), is_spot=True, direction=direction)
    T = make_transform(look_rotation(0.3, pitch), (0.4, -0.2, 2.2) if pitch < -1 else (-0.9, -0.3, 1.2))
    lost = darkening(pair, room_with(FLOOR, lamp=lamp), T)
    assert np.abs(lost).max() < 1
    ball = Part(Shape.ELLIPSOID, (0.2, 0.1, 1.0), (0.2, 0.2, 0.2), 0)
    box = Part(Shape.BOX, (0.7, -0.5, 0.6), (0.2, 0.2, 0.2), 0, yaw_rad=0.4, tilt_rad=0.3)
    for solid in (ball, box):
        room = room_with(solid, lamp=lamp)
        lost = darkening(pair, room, T)
        pair[0].load(compile_scene(room))
        assert (lost[pair[0].render(T, FOV_RAD).instances == 1] > 6).mean() < 0.02


def test_a_shadow_begins_where_the_thing_stands(pair: tuple[Renderer, Renderer]) -> None:
    """No lit gap between a box and its shadow."""
    lamp = Light((-2.0, 0.0, 2.5), (0.7, 0.7, 0.7), is_spot=True, direction=(0.8, 0.0, -1.0))
    box = Part(Shape.BOX, (0.0, 0.0, 0.1), (0.1, 0.3, 0.1), 0)
    lost = darkening(pair, room_with(FLOOR, box, lamp=lamp), make_transform(look_rotation(0.0, -math.pi / 2), (0.3, 0, EYE_Z)))
    x = 0.3 + (WIDTH_PX / 2 - 0.5 - np.arange(WIDTH_PX)) * M_PER_PX  # +x is at the top
    column = lost[:, WIDTH_PX // 2]
    behind = column[(x > 0.115) & (x < 0.16)]
    assert (behind > 0.6 * column.max()).all() and column.max() > 30
    end = 0.1 + 0.2 * (2.0 + 0.1) / (2.5 - 0.2)
    assert (np.abs(column[(x > end + 0.05) & (x < 0.7)]) < 2).all()


def test_a_wall_between_keeps_the_light_out(pair: tuple[Renderer, Renderer]) -> None:
    lamp = Light((-1.5, 0.0, 1.5), (0.7, 0.7, 0.7), is_spot=True, direction=(0.8, 0.0, -0.6))
    wall = Part(Shape.BOX, (-0.4, 0.0, 1.5), (0.02, 4.0, 1.5), 0)
    room = room_with(FLOOR, wall, lamp=lamp)
    pair[0].load(compile_scene(room))
    T = make_transform(look_rotation(0.0, -math.pi / 2), (0.6, 0.0, 0.6))
    behind = pair[0].render(T, FOV_RAD).rgb.astype(int)
    room.lights = [Light((-1.5, 0.0, 1.5), (0.7, 0.7, 0.7), is_spot=True, direction=(-0.8, 0.0, 0.6))]
    pair[0].load(compile_scene(room))
    without = pair[0].render(T, FOV_RAD).rgb.astype(int)
    assert np.abs(behind - without).max() == 0, "as if the lamp looked away"


def test_a_moving_camera_sees_the_same_shadow(pair: tuple[Renderer, Renderer]) -> None:
    """Shadows lie in the world: between two frames a floor point keeps its brightness."""
    plate = Part(Shape.BOX, (0.0, 0.0, 1.0), (0.3, 0.3, 0.004), 0)
    pair[0].load(compile_scene(room_with(FLOOR, plate)))
    a = pair[0].render(DOWN, FOV_RAD).rgb.astype(float)
    step = 5
    b = pair[0].render(make_transform(look_rotation(0.0, -math.pi / 2), (step * M_PER_PX, 0.0, EYE_Z)), FOV_RAD).rgb
    assert np.abs(a[:-step] - b[step:]).max() <= 2
