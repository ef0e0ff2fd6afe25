"""Shaped meshes: closed where they are solids, facing outwards, textured to scale."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from ego_perception.simulation.assembly import mesh_part
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.roundbox import curtain, extruded, leaf, pillow, plain_box, rounded_box
from ego_perception.simulation.surface import Surface, grid_triangles, merged, rotation, smooth_normals

CUP = [(0, 0), (0.03, 0), (0.04, 0.01), (0.04, 0.1), (0.036, 0.1), (0.036, 0.01), (0, 0.01)]
SOLIDS = {
    "cylinder": lathe([(0, 0), (0.04, 0), (0.04, 0.1), (0, 0.1)], segments=64),
    "cup": lathe(CUP),
    "ball": lathe([(0.1 * math.sin(t), -0.1 * math.cos(t)) for t in np.linspace(0, math.pi, 24)], segments=48),
    "straight tube": tube([(0, 0, 0), (0, 0, 0.5)], 0.02, segments=48),
    "bent tube": tube([(0, 0, 0), (0, 0.1, 0), (0.1, 0.2, 0.1)], [0.01, 0.02, 0.01]),
    "box": plain_box((0.1, 0.2, 0.3)),
    "tapered": plain_box((0.1, 0.2, 0.3), taper=0.5),
    "rounded": rounded_box((0.1, 0.2, 0.3), 0.02),
    "cushion": rounded_box((0.3, 0.2, 0.1), 0.03, steps=2, bulge=0.02),
    "pillow": pillow((0.2, 0.06, 0.2)),
    "bar": extruded([(0, 0), (0.1, 0), (0.1, 0.1), (0, 0.1)], 0.5),
}
SHEETS = {"curtain": curtain(0.4, 1.5), "leaf": leaf(0.2, 0.04)}


def volume(surface: Surface) -> float:
    a, b, c = (surface.vertices[surface.triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def is_closed(surface: Surface) -> bool:
    """Every edge is passed as often in one direction as in the other, vertices at one place being one vertex."""
    _, same = np.unique(np.round(surface.vertices, 7), axis=0, return_inverse=True)
    t = same.ravel()[surface.triangles]
    edges = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
    count = Counter(map(tuple, edges[edges[:, 0] != edges[:, 1]].tolist()))
    return all(count[b, a] == k for (a, b), k in count.items())


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_enclose_space(name: str) -> None:
    assert is_closed(SOLIDS[name])
    assert volume(SOLIDS[name]) > 0


@pytest.mark.parametrize("name", [*SOLIDS, *SHEETS])
def test_normals_are_unit_and_on_the_side_that_triangles_face(name: str) -> None:
    surface = {**SOLIDS, **SHEETS}[name]
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1.0, atol=1e-6)
    a, b, c = (surface.vertices[surface.triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    assert (np.einsum("ij,ij->i", face, surface.normals[surface.triangles].mean(axis=1)) > -1e-9).all()


@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [
        ("cylinder", math.pi * 0.04**2 * 0.1, 0.01),
        ("ball", 4 / 3 * math.pi * 0.1**3, 0.02),
        ("straight tube", math.pi * 0.02**2 * 0.5, 0.01),
        ("box", 0.048, 1e-9),
        ("bar", 0.01, 1e-9),
        ("tapered", 0.048 * (1 + 0.5 + 0.25) / 3, 1e-6),
    ],
)
def test_volumes_are_those_of_the_solid(name: str, expected: float, tolerance: float) -> None:
    if name == "tapered":  # the two triangles of a trapezoid's side are flat, a truncated pyramid exactly
        expected = 0.6 * (0.2 * 0.4) * (1 + 0.5 + 0.25) / 3
    assert volume(SOLIDS[name]) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("half", [(0.1, 0.2, 0.3), (0.5, 0.4, 0.02), (0.004, 0.1, 0.07)])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("bulge", [0.0, 0.003])
def test_a_rounded_box_fills_its_bounds_and_no_more(half: tuple[float, float, float], steps: int, bulge: float) -> None:
    low, high = rounded_box(half, 0.02, steps=steps, bulge=bulge).bounds
    np.testing.assert_allclose(high, half, atol=1e-9)
    np.testing.assert_allclose(low, -np.array(half), atol=1e-9)


def test_a_smooth_profile_is_shaded_round_and_a_corner_sharp() -> None:
    cylinder = SOLIDS["cylinder"]
    rim = np.isclose(cylinder.vertices[:, 2], 0.1) & np.isclose(np.linalg.norm(cylinder.vertices[:, :2], axis=1), 0.04)
    assert set(np.round(cylinder.normals[rim][:, 2], 6)) == {0.0, 1.0}, "the rim has one normal for the top, one for the wall"
    ball = SOLIDS["ball"]
    np.testing.assert_allclose(ball.normals, ball.vertices / 0.1, atol=0.08)


def test_a_picture_goes_around_once_or_as_often_as_asked_upright() -> None:
    for wraps in (1, 2):
        band = lathe([(0.03, 0.0), (0.03, 0.1)], wraps=wraps)
        assert band.whole.min(axis=0) == pytest.approx([0, 0]) and band.whole.max(axis=0) == pytest.approx([wraps, 1])
        top = band.vertices[:, 2] > 0.05
        assert (band.whole[top, 1] == 0).all(), "the first row of a picture is its top"


def test_metric_coordinates_are_metres_with_the_grain_along_the_longer_side() -> None:
    board = plain_box((0.5, 0.1, 0.01))
    top = board.normals[:, 2] > 0.5
    assert np.ptp(board.metric[top], axis=0) == pytest.approx([0.2, 1.0])
    assert board.texcoords(2.0) == pytest.approx(2 * board.metric)
    assert board.texcoords(0.0) is board.whole


def test_whole_pictures_are_not_mirrored_seen_from_the_room() -> None:
    front = plain_box((0.4, 0.01, 0.3))
    seen = front.normals[:, 1] < -0.5
    x, z, uv = front.vertices[seen][:, 0], front.vertices[seen][:, 2], front.whole[seen]
    assert (uv[x < 0, 0] == 0).all() and (uv[z > 0, 1] == 0).all()


def test_a_texture_from_above_is_not_bent_around_the_axis() -> None:
    top = SOLIDS["cylinder"].from_above()
    np.testing.assert_allclose(top.metric, top.vertices[:, :2])


def test_a_window_of_a_picture() -> None:
    part = plain_box((0.4, 0.01, 0.3)).pictured(0.25, 0.5, 0.5, 1.0)
    assert part.whole.min(axis=0) == pytest.approx([0.25, 0.5]) and part.whole.max(axis=0) == pytest.approx([0.5, 1.0])


def test_moving_turning_and_merging() -> None:
    one = plain_box((0.1, 0.2, 0.3))
    moved = one.turned(rotation("z", math.pi / 2)).moved((1, 2, 3))
    low, high = moved.bounds
    np.testing.assert_allclose((low + high) / 2, [1, 2, 3])
    np.testing.assert_allclose((high - low) / 2, [0.2, 0.1, 0.3])
    both = merged([one, moved])
    assert volume(both) == pytest.approx(2 * volume(one)) and is_closed(both)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_rotations_turn_one_axis_into_the_next(axis: str) -> None:
    k = "xyz".index(axis)
    np.testing.assert_allclose(rotation(axis, math.pi / 2)[:, (k + 1) % 3], np.eye(3)[(k + 2) % 3], atol=1e-12)


def test_grid_triangles_run_counter_clockwise() -> None:
    triangles = grid_triangles(2, 2)
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], float)
    np.testing.assert_allclose(smooth_normals(corners, triangles), np.tile([0, 0, 1.0], (4, 1)))
    np.testing.assert_array_equal(grid_triangles(2, 2, flip=True), triangles[:, ::-1])


@pytest.mark.parametrize(("yaw", "tilt"), [(0.0, 0.0), (0.7, 0.0), (0.4, -0.5)])
def test_a_mesh_part_stands_where_its_origin_was_put(yaw: float, tilt: float) -> None:
    surface = plain_box((0.1, 0.2, 0.3)).moved((0.0, 0.1, 0.3))
    part = mesh_part(surface, 0, (1.0, 2.0, 0.5), yaw=yaw, tilt=tilt)
    assert part.surface is not None
    R = rotation("z", yaw) @ rotation("x", tilt)
    world = part.surface.vertices @ R.T + part.center
    np.testing.assert_allclose(world, surface.vertices @ R.T + [1.0, 2.0, 0.5], atol=1e-12)
    assert part.half == pytest.approx((0.1, 0.2, 0.3))


def test_a_curtain_hangs_down_from_its_origin_in_front_of_the_wall() -> None:
    low, high = curtain(0.4, 1.5).bounds
    assert high[2] == pytest.approx(0.0, abs=1e-3) and low[2] == pytest.approx(-1.5, abs=1e-3)
    assert low[1] > -0.12 and high[1] <= 1e-3
