"""Walls, doors and windows: closed where they should be, open where they say so."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.simulation.assembly import Part, Rect, Shape
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.outdoors import HORIZON
from ego_perception.simulation.shell import GROUND_M, OUTSIDE_M, WALL_M, Opening, WallFrame, _Wall, build_shell, walls_of

HALF, HEIGHT = (2.6, 2.2), 2.5
SEEDS = range(10)


def shell(seed: int) -> tuple[list[Part], list[list[Opening]]]:
    rng = np.random.default_rng(seed)
    parts: list[tuple[Part, int]] = []
    book = MaterialBook(np.random.default_rng(0), size=16)
    openings = build_shell(rng, parts.append, book, HALF, HEIGHT)
    assert all(instance == 0 for _, instance in parts)
    return [part for part, _ in parts], openings


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_one_door_and_openings_fit_their_wall(seed: int) -> None:
    _, openings = shell(seed)
    assert sum(o.is_door for wall in openings for o in wall) == 1
    for frame, wall in zip(walls_of(HALF), openings, strict=True):
        for o in wall:
            assert -frame.half < o.t0 < o.t1 < frame.half and 0 <= o.z0 < o.z1 < HEIGHT
            assert (o.z0 == 0.0) == o.is_door
        for a, b in itertools.pairwise(wall):
            assert a.t1 + 0.2 < b.t0, "in order and apart"


@pytest.mark.parametrize(
    "openings",
    [[], [Opening(-0.4, 0.5, 0.0, 2.0, True)], [Opening(-1.5, -0.6, 0.0, 2.0, True), Opening(0.2, 1.4, 1.0, 2.1, False)]],
)
def test_wall_and_openings_together_are_the_whole_wall(openings: list[Opening]) -> None:
    parts: list[Part] = []
    frame = WallFrame(0, 0.0, 2.0, 1.5)
    _Wall(frame, lambda entry: parts.append(entry[0])).pieces(openings, HEIGHT, 0)
    solid = sum(4 * p.half[0] * p.half[2] for p in parts)
    holes = sum((o.t1 - o.t0) * (o.z1 - o.z0) for o in openings)
    assert solid + holes == pytest.approx(2 * (2.0 + WALL_M) * HEIGHT)
    for p in parts:
        assert p.center[1] - p.half[1] == pytest.approx(1.5), "the inner face is the wall's surface"
    for a, b in itertools.combinations(parts, 2):
        apart = [abs(a.center[k] - b.center[k]) >= a.half[k] + b.half[k] - 1e-9 for k in (0, 2)]
        assert any(apart), "pieces do not cover one another"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_ray_from_the_middle_leaves_the_room_but_through_a_window(seed: int) -> None:
    parts, openings = shell(seed)
    walls = [p for p in parts if p.half[1] == WALL_M / 2 and p.center[2] > 0]
    for frame, wall in zip(walls_of(HALF), openings, strict=True):
        c, s = math.cos(frame.yaw_rad), math.sin(frame.yaw_rad)
        mine = [p for p in walls if math.isclose(p.yaw_rad, frame.yaw_rad)]
        for t, z in itertools.product(np.linspace(-frame.half, frame.half, 23), np.linspace(0.03, HEIGHT - 0.03, 17)):
            is_solid = any(
                abs(t - (c * p.center[0] + s * p.center[1])) <= p.half[0] + 1e-9 and abs(z - p.center[2]) <= p.half[2] + 1e-9
                for p in mine
            )
            is_open = any(o.t0 < t < o.t1 and o.z0 < z < o.z1 for o in wall)
            assert is_solid != is_open


@pytest.mark.parametrize("seed", SEEDS)
def test_every_part_belongs_to_the_room_and_doors_are_closed(seed: int) -> None:
    parts, openings = shell(seed)
    assert all(p.label is SceneLabel.ROOM and min(p.half) > 0 for p in parts)
    floor, ceiling = parts[:2]
    assert floor.center[2] + floor.half[2] == pytest.approx(0.0)
    assert ceiling.center[2] - ceiling.half[2] == pytest.approx(HEIGHT)
    for frame, wall in zip(walls_of(HALF), openings, strict=True):
        for o in (o for o in wall if o.is_door):
            middle = frame.to_room((o.t0 + o.t1) / 2, 0.04)
            leaf = [p for p in parts if math.dist(p.center[:2], middle) < 1e-9]
            assert leaf[0].half == pytest.approx(((o.t1 - o.t0) / 2, 0.02, o.z1 / 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_each_window_has_its_own_picture_and_lawn_behind_it(seed: int) -> None:
    parts, openings = shell(seed)
    windows = [
        (frame, (o.t0 + o.t1) / 2) for frame, wall in zip(walls_of(HALF), openings, strict=True) for o in wall if not o.is_door
    ]
    wide = [p for p in parts if p.half[0] > 10]
    pictures, lawns = [p for p in wide if p.half[1] < 0.1], [p for p in wide if p.half[2] < 0.1]
    assert len(pictures) == len(lawns) == len(windows)
    for (frame, t), picture, lawn in zip(windows, pictures, lawns, strict=True):
        assert picture.center[:2] == pytest.approx(frame.to_room(t, OUTSIDE_M))
        assert picture.center[2] - picture.half[2] < GROUND_M == lawn.center[2]
        horizon = picture.center[2] + picture.half[2] - 2 * picture.half[2] * HORIZON
        assert 1.3 < horizon < 1.8, "the horizon is at eye level"


@pytest.mark.parametrize("seed", SEEDS)
def test_mouldings_and_curtains_stay_inside_at_their_wall(seed: int) -> None:
    parts, _ = shell(seed)
    for p in parts:
        if p.shape is Shape.MESH and p.half[0] < 10:
            assert p.center[2] - p.half[2] >= -1e-3 and p.center[2] + p.half[2] <= HEIGHT + 1e-3
            c, s = abs(math.cos(p.yaw_rad)), abs(math.sin(p.yaw_rad))
            reach = (abs(p.center[0]) - HALF[0]) * (s > c) + (abs(p.center[1]) - HALF[1]) * (c > s)
            assert -0.2 < reach < 0.1, "at a wall"


@pytest.mark.parametrize("index", range(4))
def test_the_floor_before_a_door_lies_inside_the_room(index: int) -> None:
    frame = walls_of(HALF)[index]
    rect = Opening(-0.4, 0.4, 0.0, 2.0, True).approach(frame, depth=0.9)
    area = (rect.x1 - rect.x0) * (rect.y1 - rect.y0)
    assert area == pytest.approx(0.8 * 0.9)
    inside = Rect(-HALF[0], -HALF[1], HALF[0], HALF[1]).grown(1e-9)
    assert inside.contains(rect.x0, rect.y0) and inside.contains(rect.x1, rect.y1)
    assert rect.grown(1e-9).contains(*frame.to_room(0.0))


@pytest.mark.parametrize(
    ("rectangle", "overlaps"),
    [((-1, 1, 0, 2.5), True), ((0.55, 1.0, 1.0, 2.0), True), ((0.65, 1.0, 1.0, 2.0), False), ((-1, 1, 0.0, 0.85), False),
     ((-1, 1, 2.15, 2.4), False)],
)  # fmt: skip
def test_an_opening_counts_its_frame(rectangle: tuple[float, float, float, float], overlaps: bool) -> None:
    assert Opening(-0.5, 0.5, 1.0, 2.0, False).overlaps(*rectangle) is overlaps
