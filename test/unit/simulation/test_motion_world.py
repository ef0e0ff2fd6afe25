"""What a room offers, in rooms whose answers are known, and how deep points are in solids."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.body.model import load_body
from ego_perception.body.skinning import pose_vertices
from ego_perception.body.state import BodyState, forward_kinematics
from ego_perception.data import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.geometry import make_transform
from ego_perception.motion.rotations import upright
from ego_perception.simulation.assembly import Part, Rect, Seat, Shape, Support, mesh_part
from ego_perception.simulation.clearance import skin_of, solids_of
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.motion_world import MotionWorld, is_graspable, motion_world
from ego_perception.simulation.mount import CameraMount, draw_mount, head_camera
from ego_perception.simulation.room import Movable, Obstacle, Room
from ego_perception.simulation.roundbox import plain_box
from ego_perception.simulation.surface import merged


def furnished() -> Room:
    """A table in the middle of 4 x 4 m with a cup near its +x edge, and a stool against the -y wall."""
    room = Room((2.0, 2.0), 2.5, MaterialBook(np.random.default_rng(0), size=16))
    room.names += ["table", "cup", "stool"]
    room.parts += [
        (Part(Shape.BOX, (0.0, 0.0, 0.72), (0.5, 0.4, 0.02), 0), 1),
        (Part(Shape.CYLINDER, (0.35, 0.1, 0.79), (0.04, 0.04, 0.05), 0, SceneLabel.OBJECT), 2),
        (Part(Shape.CYLINDER, (0.0, -1.6, 0.44), (0.2, 0.2, 0.01), 0), 3),
    ]
    room.obstacles += [
        Obstacle("table", Rect(-0.5, -0.4, 0.5, 0.4), 0.74), Obstacle("stool", Rect(-0.2, -1.8, 0.2, -1.4), 0.45),
    ]  # fmt: skip
    room.supports.append(Support((0.0, 0.0, 0.74), (0.47, 0.37), is_worktop=True))
    room.seats.append(Seat((0.0, -1.6, 0.45), math.pi / 2, (0.15, 0.15), "stool", 3, free_m=0.9))
    room.movables.append(Movable("cup", 2, make_transform(np.eye(3), (0.35, 0.1, 0.74)), (0.08, 0.08, 0.1)))
    return room


@pytest.fixture(scope="module")
def world() -> MotionWorld:
    return motion_world(furnished())


def test_one_can_stand_at_every_side_of_a_table_and_face_it(world: MotionWorld) -> None:
    sides = {round(math.degrees(w.heading)) % 360 for w in world.works}
    assert sides == {0, 90, 180, 270}
    for w in world.works:
        assert world.is_clear(w.place) and world.is_reachable(w.place)
        ahead = w.place + 0.5 * np.array([math.cos(w.heading), math.sin(w.heading)])
        assert abs(ahead[0]) < 0.55 and abs(ahead[1]) < 0.45


def test_things_are_taken_from_the_side_they_are_near_to(world: MotionWorld) -> None:
    near = [w for w in world.works if world.things_at(w, {})]
    assert near and all(w.place @ (0.35, 0.1) > 0 for w in near)
    moved = {"cup_2": make_transform(np.eye(3), (-0.35, 0.1, 0.74))}
    assert all(w.place[0] < 0.3 for w in world.works if world.things_at(w, moved))
    assert not any(world.things_at(w, {"cup_2": np.eye(4)}) for w in world.works), "on the floor is not on the table"


def test_free_spots_are_on_the_table_in_reach_and_not_on_other_things(world: MotionWorld) -> None:
    cup = world.room.movables[0]
    book = Movable("book", 9, np.eye(4), (0.2, 0.15, 0.03))
    for work in world.works:
        for spot in world.spots_at(np.random.default_rng(0), work, book, {}):
            assert abs(spot[0]) < 0.47 and abs(spot[1]) < 0.37 and spot[2] == 0.74
            assert np.hypot(*(spot[:2] - cup.T_world_object[:2, 3])) > 0.18
            assert np.hypot(*(spot[:2] - work.place)) < 0.6


def test_a_seat_is_approached_from_the_front(world: MotionWorld) -> None:
    (seat,) = world.seats
    np.testing.assert_allclose(seat.edge, (0.0, -1.45), atol=1e-9)
    assert seat.place[1] > -1.45 and seat.heading == pytest.approx(math.pi / 2)
    room = furnished()
    room.seats[0] = Seat(room.seats[0].center, math.pi / 2, (0.15, 0.15), "stool", 3, free_m=0.1)
    assert not motion_world(room).seats, "a chair pushed under a table is none"


def test_ways_go_round_the_table_and_begin_and_end_as_asked(world: MotionWorld) -> None:
    start, goal = np.array([-1.2, 0.03]), np.array([1.2, -0.02])
    way = world.way(start, goal)
    np.testing.assert_allclose(way[[0, -1]], [start, goal], atol=1e-9)
    assert all(world.is_clear(p, 0.25) for p in way)
    bends = np.diff(np.unwrap(np.arctan2(*np.diff(way, axis=0).T[::-1])))
    assert np.abs(bends).max() < 0.35, "round corners"


def test_walls_and_furniture_are_in_the_way(world: MotionWorld) -> None:
    assert not world.is_clear(np.array([1.9, 1.0])) and not world.is_clear(np.array([0.6, 0.0]))
    assert world.is_clear(np.array([1.2, 1.2]))


@pytest.mark.parametrize(
    ("size", "expected"), [((0.08, 0.08, 0.1), True), ((0.6, 0.1, 0.1), False), ((0.1, 0.1, 0.004), False)]
)
def test_what_a_hand_can_take(size: tuple[float, float, float], expected: bool) -> None:
    assert is_graspable(Movable("x", 1, np.eye(4), size)) is expected


def test_a_room_without_floor_offers_nothing() -> None:
    with pytest.raises(SimulationError, match="no free floor"):
        motion_world(Room((0.5, 0.5), 2.5, MaterialBook(np.random.default_rng(0), size=16)))


def test_depths_in_boxes_cylinders_and_turned_boxes() -> None:
    room = furnished()
    room.parts.append((Part(Shape.BOX, (1.5, 1.5, 0.5), (0.3, 0.1, 0.5), 0, yaw_rad=math.pi / 2), 1))
    solids = solids_of(room)
    points = np.array(
        [[0.0, 0.0, 0.73], [0.35, 0.1, 0.80], [0.38, 0.13, 0.80], [0.0, 0.0, 1.0], [1.5, 1.75, 0.5], [1.7, 1.5, 0.5]]
    )
    depth, solid = solids.depth(points[None])
    np.testing.assert_allclose(depth, [[0.01, 0.04, 0.0, 0.0, 0.05, 0.0]], atol=1e-9)
    assert solids.instance[solid[0, 0]] == 1 and solids.is_small[solid[0, 1]] and solid[0, 3] == -1
    assert solids.without([2]).depth(points[None, 1:2])[0] == 0.0


@pytest.mark.parametrize("num_points", [1, 23, 24, 25, 100])
def test_groups_of_points_hide_none(num_points: int) -> None:
    """Points all over the room, alone and in company, at several times at once."""
    solids = solids_of(furnished())
    points = np.random.default_rng(num_points).uniform((-1.0, -1.0, 0.0), (1.0, 1.0, 1.0), (5, num_points, 3))
    depth, solid = solids.depth(points)
    for time in range(5):
        for k in range(num_points):
            alone = solids.depth(points[None, None, time, k])
            assert (depth[time, k], solid[time, k]) == (alone[0][0, 0], alone[1][0, 0])


def test_a_mesh_of_two_pieces_is_two_boxes() -> None:
    room = furnished()
    blocks = merged([plain_box((0.1, 0.1, 0.1)).moved((side, 0.0, 0.0)) for side in (-0.5, 0.5)])
    room.parts.append((mesh_part(blocks, 0, (1.0, 1.0, 0.5)), 1))
    solids = solids_of(room)
    assert len(solids.center) == len(room.parts) + 1
    np.testing.assert_allclose(np.sort(solids.center[-2:, 0]), (0.5, 1.5), atol=1e-6)
    np.testing.assert_allclose(solids.half[-2:], 0.1, atol=1e-6)
    assert solids.depth(np.array([[[1.0, 1.0, 0.5]]]))[0] == 0.0, "between them is air"


def test_every_solid_of_a_real_room_has_a_size(room_of: Callable[..., Room]) -> None:
    room = room_of(4)
    solids = solids_of(room)
    assert len(solids.center) >= len(room.parts)
    assert np.isfinite(solids.half).all() and (solids.half > 0).all()


def test_the_skin_follows_the_body() -> None:
    model, betas = load_body(), np.full(10, 0.4)
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[0] = upright(np.array(0.7))
    state = BodyState(rotations, np.array([0.3, -0.2, 0.9]), betas)
    whole = skin_of(model, betas, None).pose(rotations[None], state.transl[None])[0]
    by_part = np.argsort(model.weights.argmax(axis=1), kind="stable")
    np.testing.assert_allclose(whole, pose_vertices(model, state)[by_part], atol=1e-9)
    some = skin_of(model, betas)
    gap = np.linalg.norm(some.points[:, None] - some.points[None], axis=2) + 9 * np.eye(len(some.points))
    assert gap.min() > 0.003 and len(some.points) < 800, "spread out"


def test_the_camera_looks_ahead_and_down_from_before_the_forehead() -> None:
    model, betas = load_body(), np.zeros(10)
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[0] = upright(np.array(0.0))
    frames = forward_kinematics(model.rest_joints(betas), rotations, np.zeros(3))
    T = head_camera(frames, CameraMount(pitch_rad=-0.3))
    np.testing.assert_allclose(T[:3, 2], (math.cos(0.3), 0, -math.sin(0.3)), atol=1e-12)
    np.testing.assert_allclose(T[:3, 0], (0, -1, 0), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    offset = T[:3, 3] - frames.positions[15]
    np.testing.assert_allclose(offset, (0.115, 0.0, 0.085), atol=1e-12)
    for seed in range(5):
        mount = draw_mount(np.random.default_rng(seed), model, np.random.default_rng(seed).normal(0, 0.8, 10))
        assert math.radians(-25) <= mount.pitch_rad <= math.radians(-8) and 0.115 <= mount.forward_m < 0.17


@pytest.mark.parametrize("seed", range(3))
def test_no_part_of_the_face_is_before_the_camera(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, betas = load_body(), rng.normal(0, 0.8, 10)
    mount, rest = draw_mount(rng, model, betas), load_body().rest_joints(betas)
    head = model.shaped(betas)[model.weights.argmax(axis=1) == 15] - rest[15]
    local = (head - mount.T_head_cam[:3, 3]) @ mount.T_head_cam[:3, :3]
    ahead = local[local[:, 2] > 0.002]
    assert (np.abs(np.arctan2(ahead[:, 1], ahead[:, 2])) > math.radians(55)).all()
