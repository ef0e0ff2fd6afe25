"""The point renderer against projections worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera
from ego_perception.viz.splat import Cloud, Style, look_at, render

CAMERA = PinholeCamera(41, 31, 40.0, 40.0, 20.0, 15.0)
PLAIN = Style(background=(0, 0, 0), supersample=1, lighting=0.0)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def cloud(points: list[tuple[float, float, float]], colours: list[tuple[int, int, int]], size_m: float = 0.001) -> Cloud:
    return Cloud(np.array(points, np.float32), np.array(colours, np.uint8), size_m)


def test_a_point_lands_on_its_pixel() -> None:
    picture = render([cloud([(0.5, -0.25, 2.0)], [RED])], CAMERA, np.eye(4), PLAIN)
    assert np.argwhere(picture[..., 0] == 255).tolist() == [[10, 30]]


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_point_wins_whatever_the_order(order: int) -> None:
    both = cloud([(0, 0, 2.0), (0, 0, 1.0)][::order], [RED, GREEN][::order])
    assert render([both], CAMERA, np.eye(4), PLAIN)[15, 20].tolist() == list(GREEN)


@pytest.mark.parametrize("order", [1, -1])
def test_several_clouds_share_one_depth_buffer(order: int) -> None:
    clouds = [cloud([(0, 0, 2.0)], [RED]), cloud([(0, 0, 1.0)], [GREEN])][::order]
    assert render(clouds, CAMERA, np.eye(4), PLAIN)[15, 20].tolist() == list(GREEN)


def test_points_behind_the_camera_and_outside_are_not_drawn() -> None:
    picture = render([cloud([(0, 0, -1.0), (5.0, 0, 1.0), (0, 0, 0.01)], [RED] * 3)], CAMERA, np.eye(4), PLAIN)
    assert not picture.any()


def test_a_square_of_known_size_covers_known_pixels() -> None:
    picture = render([cloud([(0, 0, 2.0)], [RED], size_m=0.15)], CAMERA, np.eye(4), PLAIN)
    rows, columns = np.nonzero(picture[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 16, 19, 21)
    assert len(rows) == 9


def test_an_empty_cloud_gives_the_background() -> None:
    picture = render([Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))], CAMERA, np.eye(4))
    assert np.unique(picture.reshape(-1, 3), axis=0).tolist() == [list(Style().background)]


def test_lighting_darkens_the_far_side_of_a_depth_step_alone() -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 200), np.linspace(-1, 1, 200))
    z = np.where(x < 0, 1.0, 3.0)
    points = np.stack([x * z, y * z, z], axis=-1).reshape(-1, 3).astype(np.float32)
    white = np.full((len(points), 3), 255, np.uint8)
    lit = render([Cloud(points, white, 0.05)], CAMERA, np.eye(4), Style((0, 0, 0), 1, 6.0))[15, :, 0].astype(int)
    assert lit[5] == 255
    assert lit[35] == 255
    assert lit[18:24].min() < 180


def test_look_at_puts_the_target_in_the_middle_and_up_on_top() -> None:
    T = look_at(np.array([3.0, -2.0, 1.5]), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    seen = np.linalg.inv(T) @ np.array([0.5, 0.5, 0.0, 1.0])
    np.testing.assert_allclose(seen[:2], 0.0, atol=1e-12)
    assert seen[2] > 0
    above = np.linalg.inv(T) @ np.array([0.5, 0.5, 0.3, 1.0])
    assert above[1] < 0


def test_look_at_straight_down_still_has_axes() -> None:
    for up in ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0]):
        T = look_at(np.array([0.0, 0.0, 4.0]), np.zeros(3), np.array(up))
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(T[:3, 2], [0, 0, -1], atol=1e-12)
    with pytest.raises(ValueError, match="away from its eye"):
        look_at(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize(("x", "y", "z"), [(0.0, 0.0, 1.0), (0.4, 0.3, 1.0), (-0.9, 0.6, 2.0), (1.0, -0.7, 4.0)])
@pytest.mark.parametrize("moved", [(0.0, 0.0, 0.0), (0.2, -0.1, -0.5)])
def test_points_land_where_the_camera_projects_them(x: float, y: float, z: float, moved: tuple[float, float, float]) -> None:
    T = np.eye(4)
    T[:3, 3] = moved
    picture = render([cloud([(x + moved[0], y + moved[1], z + moved[2])], [RED])], CAMERA, T, PLAIN)
    u, v = np.round(CAMERA.project(np.array([x, y, z]))).astype(int)
    assert np.argwhere(picture.any(axis=2)).tolist() == [[v, u]]


@pytest.mark.parametrize(("size_m", "z", "side"), [(0.05, 2.0, 1), (0.1, 2.0, 2), (0.15, 2.0, 3), (0.1, 1.0, 4), (5.0, 1.0, 9)])
def test_a_splats_side_falls_with_distance_and_is_bounded(size_m: float, z: float, side: int) -> None:
    picture = render([cloud([(0, 0, z)], [RED], size_m)], CAMERA, np.eye(4), PLAIN)
    assert (picture[..., 0] == 255).sum() == side**2


def test_a_near_surface_hides_all_of_a_far_one() -> None:
    u, v = np.meshgrid(np.arange(41), np.arange(31))
    rays = np.stack([(u - 20) / 40, (v - 15) / 40, np.ones_like(u)], axis=-1).reshape(-1, 3).astype(np.float32)
    near, far = (Cloud(z * rays, np.full((len(rays), 3), c, np.uint8), 0.03) for z, c in ((1.0, GREEN), (3.0, RED)))
    for order in ([near, far], [far, near]):
        picture = render(order, CAMERA, np.eye(4), PLAIN)
        assert (picture == GREEN).all()


@pytest.mark.parametrize("factor", [2, 3])
def test_supersampling_blends_the_edge_of_a_point(factor: int) -> None:
    picture = render([cloud([(0.0, 0.0, 1.0)], [RED])], CAMERA, np.eye(4), Style((0, 0, 0), factor, 0.0))
    assert picture.shape == (31, 41, 3)
    assert picture[..., 0].astype(int).sum() == pytest.approx(255 / factor**2, abs=1.5)


@pytest.mark.parametrize("lighting", [0.0, 6.0])
def test_a_flat_wall_keeps_its_colour_under_any_light(lighting: float) -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 150), np.linspace(-1, 1, 150))
    points = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)
    wall = Cloud(points, np.full((len(points), 3), 180, np.uint8), 0.05)
    assert np.abs(render([wall], CAMERA, np.eye(4), Style((0, 0, 0), 1, lighting)).astype(int) - 180).max() <= 1
