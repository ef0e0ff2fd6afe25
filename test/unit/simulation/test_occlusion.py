"""Distances to the nearest furniture, and how they dim light."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.lathe import lathe
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.occlusion import CELL_M, RANGE_M, distance_field
from ego_perception.simulation.renderer import Renderer
from ego_perception.simulation.room import Movable, Room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.viewpoints import look_rotation

FLOOR = Part(Shape.BOX, (0.0, 0.0, -0.05), (2.0, 2.0, 0.05), 0)
WALL = Part(Shape.BOX, (1.05, 0.0, 1.0), (0.05, 2.0, 1.0), 0)


def room_with(*parts: Part) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    book.materials = [Material(None, (0.7, 0.7, 0.7), specular=0.0)]
    return Room((2.0, 2.0), 2.0, book, parts=[(part, i) for i, part in enumerate(parts)], names=["a", "b", "c"], ambient=0.6)


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((0.0, 0.0, 0.2), 0.2),
        ((0.8, 0.0, 1.0), 0.2),
        ((0.9, 0.0, 0.3), 0.1),
        ((0.0, 0.0, 0.0), 0.0),
        ((0.0, 0.0, 1.2), RANGE_M),
        ((0.0, 0.0, -0.05), 0.0),
    ],
)
def test_distance_to_floor_and_wall(point: tuple[float, float, float], distance: float) -> None:
    field = distance_field(room_with(FLOOR, WALL))
    assert field.at(point) == pytest.approx(distance, abs=CELL_M)


@pytest.mark.parametrize("shape", [Shape.BOX, Shape.CYLINDER, Shape.ELLIPSOID])
def test_distance_to_a_turned_solid(shape: Shape) -> None:
    part = Part(shape, (0.2, 0.1, 1.0), (0.15, 0.15, 0.3), 0, yaw_rad=0.7, tilt_rad=math.pi / 2)
    field = distance_field(room_with(part))
    along = np.array([math.sin(0.7), -math.cos(0.7), 0.0])  # where the tilted axis points
    for reach, expected in ((0.3, 0.0), (0.5, 0.2), (0.6, 0.3)):
        assert field.at(tuple(np.array(part.center) + reach * along)) == pytest.approx(expected, abs=0.06)
    assert field.at((0.2, 0.1, 1.35)) == pytest.approx(0.2, abs=0.06)
    assert field.at(part.center) == 0.0


def test_what_can_be_taken_away_does_not_count() -> None:
    room = room_with(FLOOR, Part(Shape.BOX, (0.0, 0.0, 0.5), (0.1, 0.1, 0.1), 0))
    with_box = distance_field(room)
    room.movables.append(Movable("box", 1, np.eye(4), (0.2, 0.2, 0.2)))
    assert with_box.at((0.0, 0.0, 0.5)) == 0.0
    assert distance_field(room).at((0.0, 0.0, 0.5)) == pytest.approx(RANGE_M)


def test_a_hollow_mesh_leaves_its_inside_open() -> None:
    rim = lathe([(0.5, 0.0), (0.52, 0.0), (0.52, 0.6), (0.5, 0.6), (0.5, 0.0)])
    solid = lathe([(0.0, 0.0), (0.5, 0.0), (0.5, 0.6), (0.0, 0.6)])
    for surface, expected in ((rim, RANGE_M), (solid, 0.0)):
        part = Part(Shape.MESH, (0.0, 0.0, 0.9), (0.5, 0.5, 0.3), 0, surface=surface.moved((0.0, 0.0, -0.3)))
        assert distance_field(room_with(part)).at((0.0, 0.0, 0.9)) == pytest.approx(expected)


@pytest.fixture(scope="module", params=[True, False])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Renderer, bool]]:
    with Renderer(64, 48, supersample=1, shadow_map_px=0, ambient_occlusion=request.param) as renderer:
        yield renderer, request.param


def test_a_corner_is_darker_than_the_open_floor(pair: tuple[Renderer, bool]) -> None:
    renderer, occludes = pair
    renderer.load(compile_scene(room_with(FLOOR, WALL)))
    view = renderer.render(make_transform(look_rotation(0.0, -math.pi / 2), (0.6, 0.0, 1.2)), math.radians(50))
    grey = view.rgb.mean(axis=2)
    floor = view.instances == 1
    rows = np.flatnonzero(floor[:, 32])
    x = 0.6 + 1.2 * math.tan(math.radians(25)) * (23.5 - rows) / 24  # the wall is at the top of the image
    near, away = grey[rows[x > 0.93], 32].mean(), grey[rows[x < 0.5], 32].mean()
    assert np.ptp(grey[rows[x < 0.5], 32]) < 3, "the open floor is even"
    if occludes:
        assert near < 0.85 * away
    else:
        assert near == pytest.approx(away, abs=2)
