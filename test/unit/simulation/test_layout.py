"""The rules of furnishing: nothing in front of windows and doors, walkways stay free, groups stay together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.simulation import furniture, kitchen, storage
from ego_perception.simulation.assembly import Assembly, Rect
from ego_perception.simulation.interior import Obstacle, Room
from ego_perception.simulation.layout import KINDS, MAX_TAKEN, WALKWAY_M, Furnisher, chairs_around
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.shell import Opening, walls_of

HALF = (2.8, 2.4)


def furnisher(seed: int = 0, openings: dict[int, list[Opening]] | None = None, half: tuple[float, float] = HALF) -> Furnisher:
    rng = np.random.default_rng(seed)
    room = Room(half, 2.5, MaterialBook(np.random.default_rng(seed), size=16))
    return Furnisher(rng, room, walls_of(half), [(openings or {}).get(k, []) for k in range(4)])


def block(f: Furnisher, half: tuple[float, float, float], kind: str = "block") -> Assembly:
    """A plain box with its back at the wall."""
    a = Assembly(kind, f.rng, f.room.book)
    a.box((0, -half[1], half[2]), half, f.room.book.pick(Role.WOOD))
    return a


@pytest.mark.parametrize("index", range(4))
def test_what_stands_at_a_wall_touches_it_and_faces_the_room(index: int) -> None:
    f = furnisher()
    frame = f.walls[index]
    assert f.at_wall(block(f, (0.4, 0.2, 0.5)), frame, 0.3)
    rect = f.room.obstacles[-1].rect
    gaps = [HALF[0] - rect.x1, HALF[0] + rect.x0, HALF[1] - rect.y1, HALF[1] + rect.y0]
    assert min(abs(g) for g in gaps) < 1e-9
    middle = np.array([(rect.x0 + rect.x1) / 2, (rect.y0 + rect.y1) / 2])
    assert np.linalg.norm(middle) < np.linalg.norm(frame.to_room(0.3))


@pytest.mark.parametrize(("height", "fits"), [(0.6, True), (1.4, False)])
def test_only_low_things_stand_in_front_of_a_window(height: float, fits: bool) -> None:
    f = furnisher(openings={0: [Opening(-0.5, 0.5, 1.0, 2.0, is_door=False)]})
    assert f.at_wall(block(f, (0.3, 0.2, height / 2)), f.walls[0], 0.0) is fits
    assert f.at_wall(block(f, (0.3, 0.2, 0.7)), f.walls[0], 1.2), "beside it there is room"


def test_nothing_stands_in_front_of_a_door() -> None:
    f = furnisher(openings={2: [Opening(-0.4, 0.4, 0.0, 2.0, is_door=True)]})
    assert not f.at_wall(block(f, (0.3, 0.2, 0.1)), f.walls[2], 0.5)


def test_the_walkway_in_front_stays_free_and_needs_to_be_free() -> None:
    f = furnisher()
    assert f.at_wall(block(f, (0.4, 0.2, 0.5)), f.walls[0], 0.0)
    y = HALF[1] - 0.4 - 0.5 * WALKWAY_M
    in_the_way = block(f, (0.1, 0.1, 0.3))
    assert not f.fits(in_the_way, 0.0, y, 0.0)
    assert f.fits(in_the_way, 0.0, y - WALKWAY_M, 0.0)
    g = furnisher()
    g.room.obstacles.append(Obstacle("thing", Rect(-0.2, y - 0.1, 0.2, y + 0.1), 0.5))
    assert not g.at_wall(block(g, (0.4, 0.2, 0.5)), g.walls[0], 0.0)


@pytest.mark.parametrize("t", [-2.5, 2.5])
def test_nothing_reaches_around_a_corner(t: float) -> None:
    f = furnisher()
    assert not f.at_wall(block(f, (0.4, 0.2, 0.5)), f.walls[0], t)


def test_neighbours_stand_side_by_side() -> None:
    f = furnisher()
    first, second = block(f, (0.4, 0.2, 0.5)), block(f, (0.2, 0.2, 0.5))
    assert f.at_wall(first, f.walls[0], 0.0)
    assert f.beside(second, (f.walls[0], 0.0), first, gap=0.05)
    a, b = (o.rect for o in f.room.obstacles)
    gap = max(a.x0 - b.x1, b.x0 - a.x1)
    assert gap == pytest.approx(0.05) and a.y1 == pytest.approx(b.y1)


def test_there_is_none_beside_where_both_sides_are_taken() -> None:
    f = furnisher(half=(1.0, 2.0))
    first = block(f, (0.9, 0.2, 0.5))
    assert f.at_wall(first, f.walls[0], 0.0)
    assert not f.beside(block(f, (0.2, 0.2, 0.5)), (f.walls[0], 0.0), first)


def test_furniture_leaves_floor_to_walk_on() -> None:
    f = furnisher(half=(1.5, 1.5))
    for _ in range(60):
        f.anywhere(block(f, (0.3, 0.3, 0.3)), gap=0.0)
    taken = sum((o.rect.x1 - o.rect.x0) * (o.rect.y1 - o.rect.y0) for o in f.room.obstacles)
    assert taken < MAX_TAKEN * 9.0
    assert taken > 0.2 * 9.0


def test_somewhere_and_anywhere_say_when_there_is_no_room() -> None:
    f = furnisher(half=(0.8, 0.8))
    assert f.somewhere(furniture.bed(f.rng, f.room.book)) is None
    assert f.anywhere(furniture.bed(f.rng, f.room.book), gap=0.0) is None
    assert f.room.obstacles == []


def test_the_gap_around_free_furniture_is_kept() -> None:
    f = furnisher()
    f.room.obstacles.append(Obstacle("thing", Rect(-0.2, -0.2, 0.2, 0.2), 0.5))
    at = f.anywhere(block(f, (0.2, 0.1, 0.3)), gap=0.7)
    assert at is not None
    assert not f.room.obstacles[-1].rect.grown(0.69).overlaps(f.room.obstacles[0].rect)


def test_small_things_that_stand_around_stay_near_the_walls() -> None:
    f = furnisher()
    for _ in range(6):
        at = f.anywhere(block(f, (0.1, 0.1, 0.3)), gap=0.0, near_wall=True)
        assert at is not None
        assert min(HALF[0] - abs(at[0]), HALF[1] - abs(at[1])) < 0.56


@pytest.mark.parametrize("seed", range(6))
def test_chairs_face_their_table(seed: int) -> None:
    f = furnisher(seed)
    table = furniture.table(f.rng, f.room.book)
    f.room.place(table, 0.2, -0.1, 0.0)
    chairs_around(f.rng, f.room, table, (0.2, -0.1, 0.0), count=4)
    assert len(f.room.seats) >= 2
    for seat in f.room.seats:
        to_table = np.array([0.2, -0.1]) - seat.center[:2]
        ahead = np.array([math.cos(seat.facing_rad), math.sin(seat.facing_rad)])
        assert ahead @ to_table > 0.8 * np.linalg.norm(to_table)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_room_can_be_furnished_without_overlaps(kind: str) -> None:
    for seed in range(3):
        f = furnisher(seed)
        f.room.kind = kind
        f.furnish()
        solid = [o for o in f.room.obstacles if not o.is_walkable]
        assert len(solid) >= 3
        for i, a in enumerate(solid):
            for b in solid[i + 1 :]:
                assert {a.kind, b.kind} <= {"table", "chair"} or not a.rect.grown(-0.01).overlaps(b.rect.grown(-0.01))


def test_an_office_chair_faces_its_desk() -> None:
    found = 0
    for seed in range(6):
        f = furnisher(seed)
        f._workplace()
        if f.room.seats:
            desk = next(o.rect for o in f.room.obstacles if o.kind == "desk")
            to_desk = np.array([(desk.x0 + desk.x1) / 2, (desk.y0 + desk.y1) / 2]) - f.room.seats[0].center[:2]
            ahead = np.array([math.cos(f.room.seats[0].facing_rad), math.sin(f.room.seats[0].facing_rad)])
            assert ahead @ to_desk > 0.4
            found += 1
    assert found >= 4


def test_a_counter_has_a_fridge_in_the_room() -> None:
    for seed in range(4):
        f = furnisher(seed)
        f._counter_run()
        assert {"counter", "fridge"} <= set(f.room.names)


def test_templates_of_one_room_share_their_finishes() -> None:
    f = furnisher(1)
    fronts = {
        part.material
        for template in (kitchen.counter, kitchen.counter, storage.cabinet)
        for part in template(f.rng, f.room.book).parts
        if part.material in f.room.book._pools[Role.FRONT]
    }
    assert 1 <= len(fronts) <= 2
