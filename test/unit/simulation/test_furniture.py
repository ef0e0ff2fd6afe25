"""Templates: they stand on the floor, at their wall, and offer surfaces that are theirs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.simulation import clutter, decor, furniture
from ego_perception.simulation.assembly import Assembly, Rect, Support, placed_parts, placed_supports
from ego_perception.simulation.materials import MaterialBook, Role

AT_WALL = ("sofa", "bed", "shelf", "cabinet", "dresser", "desk", "tv_stand", "counter")
FREE = ("table", "coffee_table", "chair", "stool", "floor_lamp", "plant", "carton", "carpet")


def _make(name: str, seed: int) -> Assembly:
    rng = np.random.default_rng(seed)
    return getattr(furniture, name)(rng, MaterialBook(rng, size=64))


@pytest.mark.parametrize("name", AT_WALL + FREE)
def test_furniture_stands_on_the_floor_and_has_a_sensible_size(name: str) -> None:
    for seed in range(8):
        a = _make(name, seed)
        lowest = min(
            p.center[2] - p.half[2] * max(math.cos(p.tilt_rad), 0) - p.half[1] * abs(math.sin(p.tilt_rad)) for p in a.parts
        )
        assert -0.03 <= lowest < 0.12
        assert 0.005 < a.height < 2.4
        assert all(h > 0 for p in a.parts for h in p.half)
        assert all(0 <= p.material < len(a.book.materials) for p in a.parts)


@pytest.mark.parametrize("name", AT_WALL)
def test_wall_furniture_stays_on_its_side_of_the_wall(name: str) -> None:
    for seed in range(8):
        box = _make(name, seed).footprint()
        assert box.y1 < 0.06 and box.y0 < -0.2


@pytest.mark.parametrize("name", AT_WALL + FREE)
def test_surfaces_lie_within_the_footprint(name: str) -> None:
    for seed in range(8):
        a = _make(name, seed)
        box = a.footprint().grown(0.02)
        for s in a.supports:
            assert box.x0 <= s.center[0] - s.half[0] and s.center[0] + s.half[0] <= box.x1
            assert box.y0 <= s.center[1] - s.half[1] and s.center[1] + s.half[1] <= box.y1
            assert 0 < s.center[2] <= a.height + 0.03 and s.clearance > 0


def test_a_placed_assembly_turns_about_its_origin() -> None:
    a = _make("shelf", 0)
    moved = list(placed_parts(a.parts, 2.0, 1.0, math.pi / 2))
    for before, after in zip(a.parts, moved, strict=True):
        assert after.center == pytest.approx((2.0 - before.center[1], 1.0 + before.center[0], before.center[2]))
        assert after.yaw_rad == pytest.approx(before.yaw_rad + math.pi / 2)
    turned = next(placed_supports(a.supports, 0.0, 0.0, math.pi))
    assert turned.center[:2] == pytest.approx((-a.supports[0].center[0], -a.supports[0].center[1]))


@pytest.mark.parametrize("yaw", [0.0, 0.4, math.pi / 2, 2.5])
def test_the_footprint_contains_every_corner(yaw: float) -> None:
    a = _make("chair", 1)
    box = a.footprint(0.3, -0.2, yaw).grown(1e-9)
    for part in placed_parts(a.parts, 0.3, -0.2, yaw):
        c, s = math.cos(part.yaw_rad), math.sin(part.yaw_rad)
        for sx in (-1, 1):
            for sy in (-1, 1):
                dx, dy = sx * part.half[0], sy * part.half[1]
                assert box.contains(part.center[0] + c * dx - s * dy, part.center[1] + s * dx + c * dy)


def test_rectangles() -> None:
    a = Rect(0, 0, 2, 1)
    assert a.overlaps(Rect(1, 0.5, 3, 3)) and not a.overlaps(Rect(2, 0, 3, 1)) and a.grown(0.1).overlaps(Rect(2, 0, 3, 1))
    assert a.contains(2, 1) and not a.contains(2.01, 1)


def test_clutter_stays_on_its_surface_below_the_next_board() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        support = Support((1.0, 2.0, 0.7), (0.5, 0.15), 0.25)
        for item, x, y, _ in clutter.scatter(rng, MaterialBook(rng, size=64), support, 12):
            assert abs(x) <= 0.5 and abs(y) <= 0.15
            assert 0 < item.height <= 0.25 * 1.15
            assert min(p.center[2] - p.half[2] for p in item.parts) > -0.01


def test_nothing_is_put_on_a_surface_when_none_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    assert list(clutter.scatter(rng, MaterialBook(rng, size=64), Support((0, 0, 0.7), (0.5, 0.5), 0.4, True), 0)) == []


def test_hangings_are_in_front_of_the_wall_and_inside_it() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for a, t, z in decor.hangings(rng, MaterialBook(rng, size=64), 2.0):
            assert abs(t) <= 2.0 and 0 <= z < 2 and a.footprint().y1 <= 0.001


def test_finishes_repeat_within_a_room_and_randomness_breaks_the_roles() -> None:
    tame = MaterialBook(np.random.default_rng(0), size=64)
    assert len({tame.pick(Role.WALL) for _ in range(20)}) == 1
    assert 2 <= len({tame.pick(Role.WOOD) for _ in range(40)}) <= 4
    wild = MaterialBook(np.random.default_rng(0), randomness=1.0, size=64)
    assert len({wild.pick(Role.WOOD) for _ in range(200)}) > 10


@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_a_finish(role: Role) -> None:
    book = MaterialBook(np.random.default_rng(1), size=64)
    material = book.materials[book.pick(role)]
    assert all(0 <= v <= 1 for v in material.rgb) and material.repeat >= 0
    assert material.image is None or material.image.dtype == np.uint8
