"""Free floor and ways over it, in rooms whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ego_perception.errors import SimulationError
from ego_perception.simulation.assembly import Rect
from ego_perception.simulation.floorplan import CELL_M, FloorPlan
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.room import Obstacle, Room

RADIUS = 0.3


def bare(*obstacles: Obstacle, half: tuple[float, float] = (2.0, 1.5)) -> Room:
    return Room(half, 2.5, MaterialBook(np.random.default_rng(0), size=16), obstacles=list(obstacles))


def block(x0: float, y0: float, x1: float, y1: float, height: float = 0.8, *, is_walkable: bool = False) -> Obstacle:
    return Obstacle("block", Rect(x0, y0, x1, y1), height, is_walkable)


def nearest(plan: FloorPlan, x: float, y: float) -> int:
    return int(np.linalg.norm(plan.points - (x, y), axis=1).argmin())


def test_an_empty_room_is_free_up_to_a_body_from_its_walls() -> None:
    plan = FloorPlan(bare(), RADIUS)
    assert len(plan.points) * CELL_M**2 == pytest.approx(3.4 * 2.4)
    assert np.abs(plan.points).max(axis=0) == pytest.approx([1.65, 1.15])
    assert plan.is_free(plan.points).all()


@pytest.mark.parametrize(
    ("obstacle", "is_free"),
    [(block(-0.5, -0.5, 0.5, 0.5), False), (block(-0.5, -0.5, 0.5, 0.5, 0.01), True),
     (block(-0.5, -0.5, 0.5, 0.5, 2.0, is_walkable=True), True)],
)  # fmt: skip
def test_furniture_takes_floor_and_rugs_and_door_fronts_do_not(obstacle: Obstacle, is_free: bool) -> None:
    plan = FloorPlan(bare(obstacle), RADIUS)
    assert plan.is_free(np.array([[0.0, 0.0], [0.75, 0.0], [0.0, -0.75]])).tolist() == [is_free] * 3
    assert plan.is_free(np.array([[0.95, 0.05], [0.05, -0.95]])).all()


def test_points_outside_the_room_are_not_free() -> None:
    plan = FloorPlan(bare(), RADIUS)
    outside = np.array([[[2.1, 0.0], [0.0, 1.6]], [[-2.1, 0.0], [99.0, -99.0]]])
    assert plan.is_free(outside).shape == (2, 2) and not plan.is_free(outside).any()


def test_only_the_largest_piece_of_floor_counts() -> None:
    plan = FloorPlan(bare(block(-0.7, -1.5, -0.5, 1.5)), RADIUS)
    assert plan.points[:, 0].min() > -0.3 and plan.is_free(np.array([1.0, 0.05]))
    assert not plan.is_free(np.array([-1.35, 0.05]))


@pytest.mark.parametrize("room", [bare(half=(0.6, 0.6)), bare(block(-2, -1.5, 2, 1.5)), bare(half=(0.2, 3.0))])
def test_a_room_without_floor_is_refused_with_its_size(room: Room) -> None:
    with pytest.raises(SimulationError, match=rf"{2 * room.half[0]:.1f} x {2 * room.half[1]:.1f} m has no free floor"):
        FloorPlan(room, RADIUS)


def test_the_way_in_an_empty_room_is_straight() -> None:
    plan = FloorPlan(bare(), RADIUS)
    a, b = nearest(plan, -1.0, 0.05), nearest(plan, 1.0, 0.05)
    way = plan.path(a, b)
    assert len(way) == 21 and np.ptp(way[:, 1]) == 0.0
    np.testing.assert_allclose(plan.path(b, a), way[::-1])
    np.testing.assert_array_equal(plan.path(a, a), plan.points[[a]])


def test_the_way_leads_round_an_obstacle_and_through_the_wider_gap() -> None:
    plan = FloorPlan(bare(block(-0.2, -1.0, 0.2, 0.4)), RADIUS - 0.1)
    way = plan.path(nearest(plan, -1.2, -0.35), nearest(plan, 1.2, -0.35))
    assert plan.is_free(way).all()
    assert way[np.abs(way[:, 0]) < 0.2][:, 1].min() > 0.4, "the gap above is 1.1 m wide, the one below 0.5 m"


@pytest.mark.parametrize("seed", [4, 6])
@pytest.mark.parametrize("preset", ["default", "hard"])
def test_ways_stay_on_free_floor_and_join_their_ends(seed: int, preset: str, room_of: Callable[..., Room]) -> None:
    plan = FloorPlan(room_of(seed, preset))
    points = plan.points
    for a, b in ((0, len(points) - 1), (len(points) // 2, 3)):
        way = plan.path(a, b)
        np.testing.assert_allclose(way[[0, -1]], points[[a, b]])
        assert plan.is_free(way).all()
        assert np.linalg.norm(np.diff(way, axis=0), axis=1).max() < CELL_M * math.sqrt(2) + 1e-9
    assert not plan.is_free(np.array([[99.0, 0.0], [-99.0, 0.0]])).any()
