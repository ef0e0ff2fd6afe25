"""The layout grammar: nothing overlaps, nothing blocks a door, seeds decide everything."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.geometry import so3_exp
from ego_perception.simulation import EgoSimConfig
from ego_perception.simulation.assembly import Part, Rect, Support, rise
from ego_perception.simulation.layout import KINDS
from ego_perception.simulation.room import Room, build_room, worktops
from ego_perception.simulation.shell import OUTSIDE_M, WALL_M, Opening, walls_of

SEEDS = range(12)


def layout_hash(room: Room) -> str:
    """Digest of all shapes to a tenth of a millimetre."""
    rows = [(p.shape.value, *np.round([*p.center, *p.half, p.yaw_rad], 4).tolist()) for p, _ in room.parts]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def rooms(room_of: Callable[..., Room]) -> list[Room]:
    return [room_of(seed) for seed in SEEDS]


def test_equal_seeds_give_equal_rooms_and_others_do_not(rooms: list[Room]) -> None:
    first, again = (build_room(EgoSimConfig(seed=3)) for _ in range(2))
    assert layout_hash(again) == layout_hash(first) == layout_hash(rooms[3])
    for a, b in zip(first.book.materials, again.book.materials, strict=True):
        assert (a.rgb, a.repeat, a.specular) == (b.rgb, b.repeat, b.specular)
        np.testing.assert_array_equal(a.image, b.image)
    assert len({layout_hash(room) for room in rooms}) == len(rooms)


def test_camera_parameters_do_not_change_the_room(rooms: list[Room]) -> None:
    other = build_room(EgoSimConfig(seed=3, width=64, height=48, fps=1.0, duration_s=1.0))
    assert layout_hash(other) == layout_hash(rooms[3])


def test_furniture_does_not_overlap(rooms: list[Room]) -> None:
    for room in rooms:
        solid = [o for o in room.obstacles if not o.is_walkable and o.height > 0]
        for a, b in itertools.combinations(solid, 2):
            if {a.kind, b.kind} <= {"table", "chair"}:
                continue  # chairs are pushed under tables
            overlap = a.rect.grown(-0.01).overlaps(b.rect.grown(-0.01))
            assert not overlap, f"{a.kind} in {b.kind}"


def test_everything_is_inside_the_walls(rooms: list[Room]) -> None:
    for room in rooms:
        inside = Rect(-room.half[0], -room.half[1], room.half[0], room.half[1]).grown(0.02)
        for o in room.obstacles:
            if not o.is_walkable:
                assert inside.contains(o.rect.x0, o.rect.y0) and inside.contains(o.rect.x1, o.rect.y1), o.kind


def test_doors_stay_reachable(rooms: list[Room]) -> None:
    for room in rooms:
        doors = [o for o in room.obstacles if o.kind == "door"]
        assert len(doors) == 1
        assert not any(doors[0].rect.grown(-0.01).overlaps(o.rect) for o in room.obstacles if not o.is_walkable)


def test_a_default_room_has_worktops_seats_clutter_and_things_on_the_walls(rooms: list[Room]) -> None:
    everything = set().union(*(room.names for room in rooms))
    assert {"table", "chair", "shelf", "sofa", "counter", "lamp", "picture", "books", "mug", "ceiling lamp"} <= everything
    for room in rooms:
        assert len(list(worktops(room))) >= 1
        assert len(room.seats) >= 1
        assert len(room.movables) >= 3
        assert room.names.count("clock") <= 1


BELONGS = {
    "living": {"sofa"},
    "bedroom": {"bed"},
    "kitchen": {"counter", "fridge"},
    "office": {"desk"},
}


def test_rooms_are_of_all_kinds_and_hold_what_belongs_there(room_of: Callable[..., Room]) -> None:
    found = dict.fromkeys(KINDS, 0)
    whole = 0
    for seed in range(24):
        room = room_of(seed)
        found[room.kind] += 1
        whole += BELONGS.get(room.kind, set()) <= set(room.names)
    assert min(found.values()) >= 1
    assert whole >= 0.9 * 24


def test_a_sofa_faces_the_television_across_the_coffee_table(room_of: Callable[..., Room]) -> None:
    checked = 0
    for seed in range(24):
        room = room_of(seed)
        middles = {o.kind: ((o.rect.x0 + o.rect.x1) / 2, (o.rect.y0 + o.rect.y1) / 2) for o in room.obstacles}
        if room.kind != "living" or not {"sofa", "coffee table"} <= set(middles):
            continue
        seat = next(s for s in room.seats if s.kind == "sofa")
        ahead = np.array([math.cos(seat.facing_rad), math.sin(seat.facing_rad)])
        assert ahead @ (np.array(middles["coffee table"]) - middles["sofa"]) > 0.4
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_seats_are_at_sitting_height_over_their_furniture_and_know_the_floor_in_front(
    preset: str, room_of: Callable[..., Room]
) -> None:
    for seed in range(4):
        room = room_of(seed, preset)
        for seat in room.seats:
            assert 0.35 <= seat.height <= 0.57
            assert room.names[seat.instance] == seat.kind
            assert any(o.kind == seat.kind and o.rect.contains(*seat.center[:2]) for o in room.obstacles)
            assert 0.0 <= seat.free_m <= 1.5
            reach = seat.half[1] + 0.05 + 0.5 * seat.free_m
            x = seat.center[0] + reach * math.cos(seat.facing_rad)
            y = seat.center[1] + reach * math.sin(seat.facing_rad)
            if seat.free_m > 0.2:
                others = [
                    o
                    for o in room.obstacles
                    if not o.is_walkable and not (o.kind == seat.kind and o.rect.contains(*seat.center[:2]))
                ]
                assert not any(o.rect.grown(-0.05).contains(x, y) for o in others)


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_obstacles_cover_the_furniture(preset: str, room_of: Callable[..., Room]) -> None:
    for seed in range(4):
        room = room_of(seed, preset)
        for part, instance in room.parts:
            if part.label is SceneLabel.FURNITURE:
                points = _points(part)
                low, high = points.min(axis=0) + 2e-3, points.max(axis=0) - 2e-3
                assert any(
                    o.kind == room.names[instance]
                    and o.rect.contains(float(low[0]), float(low[1]))
                    and o.rect.contains(float(high[0]), float(high[1]))
                    and o.height >= high[2]
                    for o in room.obstacles
                ), room.names[instance]


def test_breasts_stubs_and_partitions_stand_in_some_rooms_as_obstacles(room_of: Callable[..., Room]) -> None:
    rooms = [room_of(seed) for seed in (*range(24), 25, 32)]
    walls = [(room, o) for room in rooms for o in room.obstacles if o.kind == "wall"]
    assert 5 <= len(walls) <= 20
    for room, o in walls:
        assert o.height == room.height or 0.9 < o.height < 1.3
        assert not o.is_walkable
    assert any(o.height < room.height for room, o in walls)


def test_movables_stand_on_a_support_and_are_as_large_as_their_parts(rooms: list[Room]) -> None:
    for room in rooms:
        assert len({movable.id for movable in room.movables}) == len(room.movables)
        for movable in room.movables:
            assert room.names[movable.instance] == movable.label
            foot = movable.T_world_object[:3, 3]
            assert any(
                abs(foot[2] - s.center[2]) < 1e-9 and _is_above(s, *foot[:2].tolist(), margin=0.0) for s in room.supports
            )
            points = np.concatenate([_points(part) for part, instance in room.parts if instance == movable.instance])
            local = (points - foot) @ movable.T_world_object[:3, :3]
            assert (np.ptp(local, axis=0) <= np.array(movable.size) + 0.002).all()
            assert local[:, 2].min() == pytest.approx(0.0, abs=0.004)
            assert local[:, 2].max() == pytest.approx(movable.size[2], abs=0.02)


def test_instances_are_named_and_labelled(rooms: list[Room]) -> None:
    room = rooms[0]
    assert room.names[0] == "room"
    assert {instance for _, instance in room.parts} == set(range(len(room.names)))
    assert all((part.label is SceneLabel.ROOM) == (instance == 0) for part, instance in room.parts)


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_presets_scale_the_number_of_things(preset: str, room_of: Callable[..., Room]) -> None:
    counts = [len(room_of(seed, preset).parts) for seed in range(4)]
    low, high = {"plain": (30, 250), "default": (80, 420), "hard": (60, 600)}[preset]
    assert low < min(counts) and max(counts) < high


def test_the_first_light_is_the_one_that_casts_shadows(rooms: list[Room]) -> None:
    for room in rooms:
        assert room.lights[0].is_spot
        assert all(0 < light.position[2] < room.height for light in room.lights)


def test_walls_face_inwards_and_meet_at_the_corners() -> None:
    ends = []
    for frame in walls_of((3.0, 2.0)):
        inner = np.array(frame.to_room(0.0, -0.5))
        assert np.linalg.norm(inner) < np.linalg.norm(frame.to_room(0.0))
        ends += [np.round(frame.to_room(t), 9) for t in (-frame.half, frame.half)]
    corners = {tuple(np.abs(e)) for e in ends}
    assert corners == {(3.0, 2.0)}


def test_an_opening_knows_what_would_hide_it() -> None:
    window = Opening(-0.5, 0.5, 1.0, 2.0, is_door=False)
    assert window.hides(-1, 0, 1.8) and not window.hides(-1, 0, 0.9) and not window.hides(0.7, 1, 1.8)


GOLDEN_LAYOUTS = {
    ("default", 0): "6c22152f04b2cec7",
    ("default", 1): "acf0e9182885ba3f",
    ("hard", 0): "3991389537f8acde",
    ("plain", 0): "b469c507c6a557ff",
}


@pytest.mark.parametrize(("preset", "seed"), GOLDEN_LAYOUTS)
def test_golden_layouts(preset: str, seed: int, room_of: Callable[..., Room]) -> None:
    """A change here changes every recording and every training set: it must be meant, and goes into the changelog."""
    assert layout_hash(room_of(seed, preset)) == GOLDEN_LAYOUTS[preset, seed]


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_clutter_rests_on_a_surface_or_hangs_on_a_wall(preset: str, room_of: Callable[..., Room]) -> None:
    """The lowest point of every loose thing is at the height of a surface below it; the rest hangs at a wall or the ceiling."""
    for seed in range(4):
        room = room_of(seed, preset)
        for instance, parts in _objects(room).items():
            low = min(float(_points(p)[:, 2].min()) for p in parts)
            x, y = parts[0].center[:2]
            rests = any(abs(low - s.center[2]) < 0.012 and _is_above(s, x, y, margin=0.08) for s in room.supports)
            to_wall = min(room.half[0] - abs(x), room.half[1] - abs(y))
            hangs = to_wall < 0.25 or max(p.center[2] + rise(p) for p in parts) > room.height - 0.02
            assert rests or hangs, f"{room.names[instance]} of {preset} {seed} at {x:.2f}, {y:.2f}, {low:.2f}"


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_surfaces_stand_on_their_furniture_below_the_ceiling(preset: str, room_of: Callable[..., Room]) -> None:
    for seed in range(4):
        room = room_of(seed, preset)
        for support in room.supports:
            x, y, z = support.center
            assert any(o.rect.grown(0.01).contains(x, y) and o.height >= z - 0.03 for o in room.obstacles)
            assert 0.0 < z < room.height and support.clearance > 0


@pytest.mark.parametrize("preset", ["plain", "default"])
def test_realistic_rooms_stay_mostly_walkable(preset: str, room_of: Callable[..., Room]) -> None:
    for seed in range(8):
        room = room_of(seed, preset)
        floor = 4 * room.half[0] * room.half[1]
        taken = sum((o.rect.x1 - o.rect.x0) * (o.rect.y1 - o.rect.y0) for o in room.obstacles if not o.is_walkable)
        assert taken < 0.6 * floor


@pytest.mark.parametrize("size", [2.5, 4.0, 8.0])
def test_the_size_of_a_room_can_be_asked_for(size: float) -> None:
    room = build_room(EgoSimConfig(seed=1, preset="plain", room_size_m=size))
    assert room.half == (size / 2, size / 2)
    floor = next(part for part, _ in room.parts if part.center[2] < 0)
    assert floor.half[:2] == pytest.approx((size / 2 + 0.1, size / 2 + 0.1))


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [("plain", (2.4, 2.0), (2.4, 2.0)), ("default", (2.2, 2.0), (3.1, 2.7)), ("hard", (1.5, 1.5), (3.6, 3.2))],
)
def test_rooms_have_the_sizes_of_their_preset(
    preset: str, low: tuple[float, float], high: tuple[float, float], room_of: Callable[..., Room]
) -> None:
    for seed in range(4):
        room = room_of(seed, preset)
        assert all(a <= h <= b for a, h, b in zip(low, room.half, high, strict=True))
        assert 2.35 <= room.height <= 2.9


@pytest.mark.parametrize("preset", ["plain", "default", "hard"])
def test_lights_and_materials_are_within_what_mujoco_draws(preset: str, room_of: Callable[..., Room]) -> None:
    for seed in range(4):
        room = room_of(seed, preset)
        assert 1 <= len(room.lights) <= 3
        assert all(0 <= v <= 1 for light in room.lights for v in light.rgb)
        assert 0 < room.ambient < 1 and 0 < room.headlight < 1
        assert {part.material for part, _ in room.parts} <= set(range(len(room.book.materials)))
        assert all(math.isfinite(v) for part, _ in room.parts for v in (*part.center, *part.half))
        assert all(h > 0 for part, _ in room.parts for h in part.half)


def test_a_window_picture_hangs_outside_and_everything_else_inside(rooms: list[Room]) -> None:
    for room in rooms:
        for part, instance in room.parts:
            reach = max(abs(part.center[0]) - room.half[0], abs(part.center[1]) - room.half[1])
            if instance:
                assert reach < 0.06
            elif part.half[0] > 10:
                assert reach == pytest.approx(OUTSIDE_M) or reach == pytest.approx((OUTSIDE_M + WALL_M) / 2)
            else:
                assert reach < 0.2


def _points(part: Part) -> np.ndarray:
    """(N, 3) points of a part's surface, or corners of the box around it, in the room."""
    if part.surface is not None:
        local = part.surface.vertices
    else:
        local = np.array(list(itertools.product((-1, 1), repeat=3))) * part.half
    return local @ (so3_exp(np.array([0.0, 0.0, part.yaw_rad])) @ so3_exp(np.array([part.tilt_rad, 0.0, 0.0]))).T + part.center


def _objects(room: Room) -> dict[int, list[Part]]:
    found: dict[int, list[Part]] = {}
    for part, instance in room.parts:
        if part.label is SceneLabel.OBJECT:
            found.setdefault(instance, []).append(part)
    return found


def _is_above(support: Support, x: float, y: float, margin: float) -> bool:
    c, s = math.cos(support.yaw_rad), math.sin(support.yaw_rad)
    dx, dy = x - support.center[0], y - support.center[1]
    along, across = c * dx + s * dy, -s * dx + c * dy
    return abs(along) <= support.half[0] + margin and abs(across) <= support.half[1] + margin
