"""Templates: they stand on the floor, at their wall, and offer surfaces that are theirs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.geometry import so3_exp
from ego_perception.simulation import clutter, decor, furniture, kitchen, storage
from ego_perception.simulation.assembly import Assembly, Part, Rect, Shape, Support, placed_parts, placed_supports
from ego_perception.simulation.materials import MaterialBook, Role

AT_WALL = ("sofa", "bed", "shelf", "cabinet", "dresser", "nightstand", "desk", "tv_stand", "counter", "fridge")
FREE = ("table", "coffee_table", "chair", "office_chair", "stool", "floor_lamp", "plant", "carton", "carpet", "island")
SEATS = {"sofa": 2, "bed": 3, "chair": 1, "office_chair": 1}


def _template(name: str) -> Callable[..., Assembly]:
    return next(getattr(module, name) for module in (furniture, storage, kitchen) if hasattr(module, name))


def _make(name: str, seed: int) -> Assembly:
    rng = np.random.default_rng(seed)
    return _template(name)(rng, MaterialBook(rng, size=32))


def _lowest(parts: list[Part]) -> float:
    return min(float(_outline(p)[:, 2].min()) for p in parts)


@pytest.mark.parametrize("name", AT_WALL + FREE)
def test_furniture_stands_on_the_floor_and_has_a_sensible_size(name: str) -> None:
    for seed in range(8):
        a = _make(name, seed)
        assert -0.005 <= _lowest(a.parts) < 0.012, "it stands on the floor"
        assert 0.005 < a.height < 2.4
        assert all(h > 0 for p in a.parts for h in p.half)
        assert all((p.surface is None) == (p.shape is not Shape.MESH) for p in a.parts)
        assert all(0 <= p.material < len(a.book.materials) for p in a.parts)


@pytest.mark.parametrize("name", AT_WALL)
def test_wall_furniture_stays_on_its_side_of_the_wall(name: str) -> None:
    for seed in range(8):
        box = _make(name, seed).footprint()
        assert box.y1 < 0.02 and box.y0 < -0.2


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
            assert _lowest(item.parts) > -0.003


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


def _outline(part: Part) -> np.ndarray:
    """(N, 3) points of a part's surface, turned as the scene turns it."""
    R = so3_exp(np.array([0.0, 0.0, part.yaw_rad])) @ so3_exp(np.array([part.tilt_rad, 0.0, 0.0]))
    if part.surface is not None:
        return part.surface.vertices @ R.T + part.center
    if part.shape is Shape.BOX:
        local = np.array(list(itertools.product((-1, 1), repeat=3)), float)
    else:
        angle = np.linspace(0, 2 * math.pi, 16, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(16)], axis=1)
        ends = (
            [ring + np.array([0, 0, z]) for z in (-1, 1)] if part.shape is Shape.CYLINDER else [ring, [[0, 0, 1]], [[0, 0, -1]]]
        )
        local = np.concatenate(ends)
    return local * part.half @ R.T + part.center


@pytest.mark.parametrize("name", AT_WALL + FREE)
@pytest.mark.parametrize("yaw", [0.0, 0.4, -2.1])
def test_every_footprint_contains_its_geometry(name: str, yaw: float) -> None:
    for seed in range(4):
        a = _make(name, seed)
        box = a.footprint(0.7, -0.4, yaw).grown(1e-3)
        points = np.concatenate([_outline(p) for p in placed_parts(a.parts, 0.7, -0.4, yaw)])
        assert box.x0 <= points[:, 0].min() and points[:, 0].max() <= box.x1
        assert box.y0 <= points[:, 1].min() and points[:, 1].max() <= box.y1


@pytest.mark.parametrize("name", AT_WALL + FREE)
def test_equal_seeds_give_equal_pieces_and_others_differ(name: str) -> None:
    assert _make(name, 3).parts == _make(name, 3).parts
    assert _make(name, 3).parts != _make(name, 4).parts


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("table", 0.71, 0.77),
        ("coffee_table", 0.37, 0.47),
        ("desk", 0.71, 0.76),
        ("dresser", 0.73, 0.93),
        ("counter", 0.88, 0.92),
        ("island", 0.88, 0.92),
    ],
)
def test_worktops_are_at_the_usual_height(name: str, low: float, high: float) -> None:
    for seed in range(12):
        tops = [s for s in _make(name, seed).supports if s.is_worktop]
        assert len(tops) >= 1 and all(low < top.center[2] < high for top in tops)


@pytest.mark.parametrize("name", AT_WALL + FREE)
def test_every_surface_is_the_top_of_a_part(name: str) -> None:
    """Looked at 5 cm beside its middle, where two cushions may leave a gap."""
    for seed in range(8):
        a = _make(name, seed)
        for support in a.supports:
            tops = [
                p.center[2] + p.half[2]
                for p in a.parts
                if abs(support.center[0] + 0.05 - p.center[0]) <= p.half[0]
                and abs(support.center[1] - p.center[1]) <= p.half[1]
            ]
            assert min(abs(top - support.center[2]) for top in tops) < 0.02


@pytest.mark.parametrize("seats", [1, 2, 3])
def test_a_sofa_grows_with_its_seats(seats: int) -> None:
    rng = np.random.default_rng(0)
    a = furniture.sofa(rng, MaterialBook(rng, size=64), seats=seats)
    assert a.kind == ("sofa" if seats > 1 else "armchair")
    box = a.footprint()
    assert box.x1 - box.x0 == pytest.approx(0.66 * seats + 0.31, abs=0.02)


def test_sizes_that_are_asked_for_are_kept() -> None:
    rng = np.random.default_rng(0)
    a = furniture.table(rng, MaterialBook(rng, size=64), height=0.5, half=(0.4, 0.3))
    assert a.height == pytest.approx(0.5) and a.supports[0].half == pytest.approx((0.38, 0.285))
    for name in ("shelf", "cabinet", "dresser"):
        box = getattr(storage, name)(rng, MaterialBook(rng, size=64), 0.3).footprint()
        assert box.x1 - box.x0 == pytest.approx(0.6, abs=0.04)


@pytest.mark.parametrize("width", [0.2, 0.5, 1.3])
def test_doors_cover_their_front_up_to_the_gaps(width: float) -> None:
    a = Assembly("test", np.random.default_rng(0), MaterialBook(np.random.default_rng(0), size=16))
    storage.doors(a, width, 0.1, 0.9, -0.5, 0, 1)
    leaves, handles = a.parts
    assert leaves.center[0] == pytest.approx(0.0) and leaves.half[0] == pytest.approx(width - storage.GAP_M)
    assert leaves.center[2] == pytest.approx(0.5) and leaves.half[2] == pytest.approx(0.4 - storage.GAP_M)
    assert handles.center[1] < leaves.center[1] - leaves.half[1], "handles stand out"
    points = _outline(leaves)
    count = max(1, round(width / 0.3))
    for k in range(1, count):
        gap = -width + 2 * width * k / count
        assert np.abs(points[:, 0] - gap).min() == pytest.approx(storage.GAP_M)


@pytest.mark.parametrize("name", SEATS)
def test_seats_are_flat_tops_at_sitting_height(name: str) -> None:
    for seed in range(10):
        a = _make(name, seed)
        assert len(a.seats) >= SEATS[name]
        box = a.footprint()
        for seat in a.seats:
            assert 0.38 <= seat.height <= 0.57 and min(seat.half) > 0.12
            assert box.contains(seat.center[0], seat.center[1])
            under = [
                p
                for p in a.parts
                if all(abs(seat.center[k] - p.center[k]) <= p.half[k] + 0.01 for k in (0, 1)) and not p.tilt_rad
            ]
            assert min(abs(p.center[2] + p.half[2] - seat.height) for p in under) < 0.011


def test_one_looks_away_from_the_back() -> None:
    for name in ("sofa", "chair", "office_chair"):
        a = _make(name, 1)
        tall = max(a.parts, key=lambda p: p.center[2] + p.half[2] if p.half[0] > 0.1 else 0.0)
        for seat in a.seats:
            ahead = np.array([math.cos(seat.facing_rad), math.sin(seat.facing_rad)])
            assert ahead @ (np.array(tall.center[:2]) - seat.center[:2]) < -0.05


def test_the_sink_is_a_hole_in_the_worktop() -> None:
    rng = np.random.default_rng(0)
    a = kitchen.counter(rng, MaterialBook(rng, size=16), 1.2, has_sink=True)
    points = np.concatenate([_outline(p) for p in a.parts])
    x, y = -0.6, -kitchen.DEPTH_M - 0.01
    inside = (np.abs(points[:, :2] - [x, y]) < [0.15, 0.1]).all(axis=1) & (np.abs(points[:, 2] - kitchen.TOP_M) < 0.1)
    assert not inside.any(), "neither worktop nor cupboard"
    for s in a.supports:
        assert not (abs(s.center[0] - x) < s.half[0] and abs(s.center[2] - kitchen.TOP_M) < 0.1), "nothing is put into it"


REAL_SIZES = {
    "mug": ((0.07, 0.13), (0.08, 0.101)), "glass": ((0.05, 0.08), (0.09, 0.141)), "bottle": ((0.06, 0.09), (0.2, 0.33)),
    "can": ((0.06, 0.09), (0.07, 0.13)), "bowl": ((0.13, 0.24), (0.03, 0.12)), "plate": ((0.18, 0.27), (0.01, 0.03)),
    "apple": ((0.055, 0.09), (0.05, 0.11)), "book": ((0.12, 0.25), (0.01, 0.04)), "box": ((0.06, 0.25), (0.06, 0.32)),
    "phone": ((0.07, 0.16), (0.005, 0.012)), "remote": ((0.04, 0.18), (0.01, 0.025)), "spoon": ((0.02, 0.2), (0.003, 0.03)),
    "knife": ((0.02, 0.32), (0.008, 0.03)), "jar": ((0.06, 0.11), (0.08, 0.2)), "cup": ((0.07, 0.1), (0.1, 0.15)),
    "ball": ((0.055, 0.11), (0.055, 0.11)), "kettle": ((0.15, 0.26), (0.2, 0.27)),
}  # fmt: skip


@pytest.mark.parametrize("use", sorted(clutter._USES))
def test_things_have_their_real_sizes(use: str) -> None:
    seen = set()
    for seed in range(80):
        rng = np.random.default_rng(seed)
        item = clutter.thing(rng, MaterialBook(rng, size=16), 0.6, use)
        seen.add(item.kind)
        if item.kind in REAL_SIZES:
            (low, high), (flat, tall) = REAL_SIZES[item.kind]
            box = item.footprint()
            assert low <= max(box.x1 - box.x0, box.y1 - box.y0) <= high + 0.01, item.kind
            assert flat <= item.height <= tall, item.kind
    assert len(seen) >= 7


@pytest.mark.parametrize("kind", ["mug", "bottle", "glass", "can", "phone", "apple", "package", "jar"])
def test_small_things_can_be_grasped_and_stand_on_the_middle_of_their_foot(kind: str) -> None:
    maker = {"apple": "fruit"}.get(kind, kind)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        a = getattr(clutter, maker)(rng, MaterialBook(rng, size=16), 0.5)
        assert a.is_graspable
        points = np.concatenate([_outline(p) for p in a.parts])
        foot = points[points[:, 2] < points[:, 2].min() + 0.004]
        assert np.abs((foot.min(axis=0) + foot.max(axis=0))[:2]).max() < 0.004


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("is_worktop", [True, False])
def test_things_on_one_surface_keep_apart(seed: int, is_worktop: bool) -> None:
    """Centres are at least 0.8 of the two half diagonals apart; rows of books count with their width."""
    rng = np.random.default_rng(seed)
    support = Support((0, 0, 0.7), (0.6, 0.15), 0.3, is_worktop, use="table" if is_worktop else "shelf")
    placed = []
    for item, x, y, _ in clutter.scatter(rng, MaterialBook(rng, size=64), support, 14):
        box = item.footprint()
        placed.append((item.kind, x, y, 0.5 * math.hypot(box.x1 - box.x0, box.y1 - box.y0), box.x1 - box.x0))
    assert len(placed) >= 3
    loose = [p for p in placed if not (p[0] == "books" and p[2] == 0.0)]
    for (_, ax, ay, ar, _), (_, bx, by, br, _) in itertools.combinations(loose, 2):
        assert math.hypot(ax - bx, ay - by) > 0.8 * (ar + br)
    assert is_worktop is False or len(loose) == len(placed)


@pytest.mark.parametrize("room", [0.06, 0.15, 0.4])
def test_every_thing_stands_on_its_surface_and_fits_below_the_next(room: float) -> None:
    kinds = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        item = clutter.thing(rng, MaterialBook(rng, size=64), room)
        kinds.add(item.kind)
        assert _lowest(item.parts) == pytest.approx(0.0, abs=0.003)
        assert item.height <= 1.2 * room + 0.02, item.kind
        box = item.footprint()
        assert max(abs(v) for v in (box.x0, box.y0, box.x1, box.y1)) < 0.25
    assert len(kinds) >= 9


@pytest.mark.parametrize("name", ["picture", "clock", "wall_shelf", "calendar", "coat_hooks", "radiator"])
def test_hangings_touch_the_wall_and_do_not_stick_out_far(name: str) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        box = getattr(decor, name)(rng, MaterialBook(rng, size=64)).footprint()
        assert abs(box.y1) < 0.004 or name == "radiator"
        assert -0.25 < box.y0 < box.y1 <= 0.004


def test_a_ceiling_lamp_hangs_from_the_ceiling() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        lamp = decor.ceiling_lamp(rng, MaterialBook(rng, size=64))
        assert lamp.height == pytest.approx(0.0)
        assert -0.65 < _lowest(lamp.parts) < -0.2
