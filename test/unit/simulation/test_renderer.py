"""Pictures of scenes whose every pixel can be worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp, transform_points
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.gl import GL
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.scene import FAR_M, NEAR_M, compile_scene
from ego_perception.simulation.viewpoints import look_rotation

WIDTH, HEIGHT, FOV_RAD = 96, 72, math.radians(60)
AHEAD = make_transform(look_rotation(0.0, 0.0), (0.0, 0.0, 1.0))
RED, BLUE = 0, 1
WALL = Part(Shape.BOX, (2.5, 0.0, 1.0), (0.5, 8.0, 8.0), BLUE, SceneLabel.ROOM)
BOX = Part(Shape.BOX, (2.0, 0.0, 1.0), (0.2, 0.31, 0.243), RED)


def camera(fov_y_rad: float = FOV_RAD) -> PinholeCamera:
    return PinholeCamera.from_fov(WIDTH, HEIGHT, fov_y_rad)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer(WIDTH, HEIGHT, supersample=1, shadow_map_px=0, ambient_occlusion=False) as made:
        yield made


def view(
    renderer: Renderer, *parts: Part, T: np.ndarray = AHEAD, fov_y_rad: float = FOV_RAD, lights: tuple[Light, ...] = ()
) -> Rendering:
    book = MaterialBook(np.random.default_rng(0), size=16)
    book.materials = [Material(None, (0.9, 0.1, 0.1), specular=0.0), Material(None, (0.1, 0.1, 0.9), specular=0.0)]
    room = Room(
        (2.0, 2.0),
        2.0,
        book,
        parts=[(part, i) for i, part in enumerate(parts)],
        names=[f"thing {i}" for i in range(len(parts))],
        lights=list(lights),
        ambient=0.6,
        headlight=0.3,
    )
    renderer.load(compile_scene(room))
    return renderer.render(T, fov_y_rad)


@pytest.mark.parametrize("distance", [0.05, 0.5, 2.0, 7.5, 25.0])
def test_a_wall_has_one_depth_all_over(renderer: Renderer, distance: float) -> None:
    """Depth runs along the optical axis, not along the ray; the buffer keeps it to better than 1 part in 2000."""
    wall = replace(WALL, center=(distance + 0.5, 0.0, 1.0), half=(0.5, 40.0, 40.0))
    depth = view(renderer, wall).depth
    assert depth.dtype == np.float32 and depth.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(depth, distance, rtol=5e-4)


@pytest.mark.parametrize("turn", [-0.5, 0.3])
def test_a_slanted_wall_has_the_depth_of_its_plane(renderer: Renderer, turn: float) -> None:
    T = make_transform(look_rotation(turn, 0.2), (0.0, 0.0, 1.0))
    rays = camera().rays().astype(np.float64) @ T[:3, :3].T
    np.testing.assert_allclose(view(renderer, WALL, T=T).depth, 2.0 / rays[..., 0], rtol=1e-3)


@pytest.mark.parametrize("fov_deg", [30.0, 60.0, 95.0])
def test_a_box_covers_exactly_the_pixels_whose_rays_meet_it(renderer: Renderer, fov_deg: float) -> None:
    found = view(renderer, BOX, fov_y_rad=math.radians(fov_deg))
    rays = camera(math.radians(fov_deg)).rays() * 1.8
    expected = (np.abs(rays[..., 0]) < 0.31) & (np.abs(rays[..., 1]) < 0.243)
    np.testing.assert_array_equal(found.instances == 1, expected)
    np.testing.assert_allclose(found.depth[expected], 1.8, rtol=5e-4)


@pytest.mark.parametrize(
    ("yaw", "tilt", "T"),
    [
        (0.0, 0.0, AHEAD),
        (0.6, 0.0, AHEAD),
        (-0.9, 0.5, AHEAD),
        (0.4, -0.3, make_transform(look_rotation(0.2, -0.25, 0.3), (0.1, -0.3, 1.4))),
        (1.2, 0.0, make_transform(look_rotation(-0.15, 0.1, -0.2), (-0.4, 0.2, 0.8))),
    ],
)
def test_box_corners_project_to_the_borders_of_its_picture(renderer: Renderer, yaw: float, tilt: float, T: np.ndarray) -> None:
    found = view(renderer, replace(BOX, yaw_rad=yaw, tilt_rad=tilt), T=T)
    R = so3_exp(np.array([0.0, 0.0, yaw])) @ so3_exp(np.array([tilt, 0.0, 0.0]))
    corners = np.array(list(itertools.product((-1, 1), repeat=3))) * BOX.half @ R.T + BOX.center
    in_camera = transform_points(invert(T), corners)
    pixels = camera().project(in_camera)
    rows, columns = np.nonzero(found.instances == 1)
    assert np.abs([columns.min(), rows.min()] - np.ceil(pixels.min(axis=0))).max() <= 1
    assert np.abs([columns.max(), rows.max()] - np.floor(pixels.max(axis=0))).max() <= 1
    assert found.depth[rows, columns].min() >= in_camera[:, 2].min() - 2e-3
    assert found.depth[rows, columns].max() <= in_camera[:, 2].max() + 2e-3


def test_a_ball_has_the_depth_of_its_surface(renderer: Renderer) -> None:
    found = view(renderer, Part(Shape.ELLIPSOID, (3.0, 0.0, 1.0), (0.5, 0.5, 0.5), RED))
    rays = camera().rays().astype(np.float64)
    length2 = (rays**2).sum(axis=-1)
    root = np.maximum(9.0 - length2 * (9.0 - 0.25), 0.0)
    depth = (3.0 - np.sqrt(root)) / length2
    inside = root > 0.04
    assert inside.sum() > 150
    # The ball is drawn with 28 slices, so its faces lie a little below the true surface.
    np.testing.assert_allclose(found.depth[inside], depth[inside], atol=0.03)


def test_a_cylinder_stands_upright_unless_tilted(renderer: Renderer) -> None:
    pole = Part(Shape.CYLINDER, (3.0, 0.0, 1.0), (0.1, 0.1, 0.8), RED)
    for part, ratio in ((pole, 8.0), (replace(pole, tilt_rad=math.pi / 2), 1 / 8)):
        rows, columns = np.nonzero(view(renderer, part).instances == 1)
        assert (np.ptp(rows) + 1) / (np.ptp(columns) + 1) == pytest.approx(ratio, rel=0.3)


def test_where_nothing_is_there_is_no_depth_and_no_geom(renderer: Renderer) -> None:
    away = view(renderer, BOX, T=make_transform(look_rotation(math.pi, 0.0), (0.0, 0.0, 1.0)))
    assert not away.depth.any() and (away.instances == 0).all()


@pytest.mark.parametrize(
    ("distance", "seen"), [(NEAR_M * 0.8, False), (NEAR_M * 1.2, True), (FAR_M * 0.98, True), (FAR_M * 1.1, False)]
)
def test_only_what_lies_between_the_clipping_planes_is_seen(renderer: Renderer, distance: float, seen: bool) -> None:
    thin = replace(WALL, center=(distance, 0.0, 1.0), half=(1e-3, 60.0, 60.0))
    assert (view(renderer, thin).instances[HEIGHT // 2, WIDTH // 2] == 1) is np.bool_(seen)


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_part_hides_the_other_whatever_the_order(renderer: Renderer, order: int) -> None:
    parts = [BOX, WALL][::order]
    found = view(renderer, *parts)
    box = 1 + parts.index(BOX)
    assert found.instances[36, 48] == box and found.instances[2, 2] == 3 - box
    np.testing.assert_allclose(found.depth[found.instances == box], 1.8, rtol=5e-4)
    np.testing.assert_allclose(found.depth[found.instances != box], 2.0, rtol=5e-4)


def test_colours_are_red_green_blue_and_rows_run_downwards(renderer: Renderer) -> None:
    above = replace(BOX, center=(2.0, 0.0, 1.6))
    left = replace(BOX, center=(2.0, 0.8, 1.0), material=BLUE)
    found = view(renderer, above, left)
    rows, columns = np.nonzero(found.instances == 1)
    assert rows.max() < HEIGHT / 2 and abs(columns.mean() - 47.5) < 1
    assert found.rgb[rows, columns].mean(axis=0).argmax() == 0
    rows, columns = np.nonzero(found.instances == 2)
    assert columns.max() < WIDTH / 2, "+y is to the left of one who looks along +x"
    assert found.rgb[rows, columns].mean(axis=0).argmax() == 2


def test_the_picture_grows_with_the_focal_length(renderer: Renderer) -> None:
    widths = []
    for fov_deg in (40.0, 60.0, 80.0):
        columns = np.nonzero(view(renderer, BOX, fov_y_rad=math.radians(fov_deg)).instances == 1)[1]
        widths.append((np.ptp(columns) + 1) * math.tan(math.radians(fov_deg / 2)))
    assert max(widths) / min(widths) == pytest.approx(1.0, abs=0.1)


def test_moving_closer_by_a_step_shortens_depth_by_it(renderer: Renderer) -> None:
    near = view(renderer, WALL, T=make_transform(look_rotation(0.0, 0.0), (0.4, 0.2, 0.9)))
    np.testing.assert_allclose(near.depth, 1.6, rtol=5e-4)


def test_a_light_makes_its_side_brighter(renderer: Renderer) -> None:
    lamp = Light((1.0, 1.5, 1.0), (0.3, 0.3, 0.3), is_spot=True, direction=(0.6, 0.8, 0.0), falloff=0.4)
    tiled = [replace(WALL, center=(2.5, y, 1.0), half=(0.5, 0.2, 4.0)) for y in np.arange(-4, 4.1, 0.4)]
    grey = view(renderer, *tiled, lights=(lamp,)).rgb[..., 2].astype(float)
    assert grey[:, :30].mean() > 1.04 * grey[:, -30:].mean()


@pytest.mark.parametrize("factor", [2, 3])
def test_supersampling_blends_colour_alone(renderer: Renderer, factor: int) -> None:
    plain = view(renderer, BOX, WALL)
    with Renderer(WIDTH, HEIGHT, supersample=factor, shadow_map_px=0, ambient_occlusion=False) as fine:
        blended = view(fine, BOX, WALL)
    np.testing.assert_array_equal(plain.depth, blended.depth)
    np.testing.assert_array_equal(plain.instances, blended.instances)
    assert blended.rgb.shape == plain.rgb.shape
    edge = (np.diff(plain.instances.astype(int), axis=0, prepend=0) != 0) | (
        np.diff(plain.instances.astype(int), axis=1, prepend=0) != 0
    )
    changed = np.abs(blended.rgb.astype(int) - plain.rgb).max(axis=2) > 12
    assert changed.any() and not changed[~(edge | np.roll(edge, -1, 0) | np.roll(edge, -1, 1))].any()


def test_another_scene_replaces_the_first(renderer: Renderer) -> None:
    assert (view(renderer, WALL).instances == 1).all()
    found = view(renderer, BOX)
    assert (found.instances == 0).any() and (found.instances == 1).any()


def test_the_same_view_is_the_same_every_time(renderer: Renderer) -> None:
    first, second = view(renderer, BOX, WALL), view(renderer, BOX, WALL)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.depth, second.depth)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fov_y_rad": 0.0}, "field of view of 0.0 deg"),
        ({"fov_y_rad": 3.0}, "field of view of 171.9 deg"),
        ({"T_world_cam": np.full((4, 4), np.nan)}, "finite"),
        ({"T_world_cam": np.eye(3)}, r"shape \(3, 3\)"),
        ({"size": (0, 10)}, "0x10 px"),
        ({"size": (10, 9000)}, "10x9000 px"),
    ],
)
def test_an_impossible_camera_is_one_clear_error(renderer: Renderer, options: dict, message: str) -> None:
    view(renderer, BOX)
    with pytest.raises(SimulationError, match=message):
        renderer.render(**({"T_world_cam": AHEAD, "fov_y_rad": FOV_RAD} | options))


def test_wide_views_are_exact_too(renderer: Renderer) -> None:
    fov = math.radians(130)
    found = view(renderer, WALL, fov_y_rad=fov)
    np.testing.assert_allclose(found.depth, 2.0, rtol=1e-4)
    np.testing.assert_array_equal(view(renderer, BOX, fov_y_rad=fov).instances[36, 48], 1)


def test_loading_and_drawing_leave_nothing_behind(renderer: Renderer) -> None:
    """Scenes and sizes come and go; the number of buffers and textures does not grow."""

    def alive() -> list[int]:
        checks = (GL.glIsTexture, GL.glIsBuffer, GL.glIsFramebuffer, GL.glIsRenderbuffer, GL.glIsVertexArray)
        return [sum(bool(check(name)) for name in range(1, 3000)) for check in checks]

    counts = []
    for step in range(24):
        view(renderer, BOX, WALL)
        renderer.render(AHEAD, FOV_RAD, size=(40 + step, 30))
        if step in (11, 23):
            counts.append(alive())
    assert counts[0] == counts[1] and max(counts[0]) < 60


def test_closing_frees_the_context_and_another_one_can_be_made() -> None:
    images = []
    for _ in range(3):
        with Renderer(32, 24) as made:
            images.append(view(made, BOX).rgb)
    np.testing.assert_array_equal(images[0], images[2])


def test_two_renderers_side_by_side_do_not_disturb_each_other(renderer: Renderer) -> None:
    first = view(renderer, BOX, WALL)
    with Renderer(50, 40) as other:
        view(other, WALL)
        again = renderer.render(AHEAD, FOV_RAD)
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(renderer.render(AHEAD, FOV_RAD).instances, first.instances)
