"""Nodes of a page: where they are put, what they show, and how visitors are aimed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import viser
from fixtures.result_folder import CAMERA, pose

from ego_perception.geometry import PinholeCamera, make_transform, so3_exp
from ego_perception.viz import nodes
from ego_perception.viz.server import start_server, stop_server

UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def server() -> Iterator[viser.ViserServer]:
    made = start_server("127.0.0.1", 0, "nodes")
    yield made
    stop_server(made)


class Client:
    """A visitor whose camera remembers where it was put."""

    def __init__(self) -> None:
        self.camera = SimpleNamespace(position=None, look_at=None)

    def atomic(self) -> object:
        return contextlib.nullcontext()


def visited(*clients: Client) -> object:
    """A server with these visitors."""
    return SimpleNamespace(get_clients=lambda: dict(enumerate(clients)), initial_camera=SimpleNamespace())


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_cloud_keeps_points_colours_and_size(server: viser.ViserServer, count: int) -> None:
    points = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    colours = np.full((count, 3), (10, 200, 30), np.uint8)
    cloud = nodes.add_cloud(server, f"/cloud{count}", 0.02, points, colours)
    np.testing.assert_array_equal(cloud.points, points)
    np.testing.assert_array_equal(cloud.colors, colours)
    assert cloud.point_size == pytest.approx(0.02)
    assert len(nodes.add_cloud(server, "/none", 0.02).points) == 0


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_path_is_the_pieces_between_neighbours(server: viser.ViserServer, count: int) -> None:
    positions = np.random.default_rng(0).normal(size=(count, 3))
    pieces = nodes.segments(positions)
    assert pieces.shape == (count - 1, 2, 3) and pieces.dtype == np.float32
    np.testing.assert_allclose(pieces[:, 0], positions[:-1], rtol=1e-6)
    np.testing.assert_allclose(pieces[:, 1], positions[1:], rtol=1e-6)
    np.testing.assert_array_equal(nodes.add_path(server, f"/path{count}", positions, nodes.PATH_RGB).points, pieces)


@pytest.mark.parametrize(
    "camera", [CAMERA, PinholeCamera(64, 48, 60.0, 40.0, 31.5, 23.5), PinholeCamera(30, 90, 50.0, 50.0, 15, 45)]
)
def test_a_frustum_has_the_cameras_field_of_view(server: viser.ViserServer, camera: PinholeCamera) -> None:
    frustum = nodes.add_frustum(server, "/frustum", camera, scale=0.1, rgb=nodes.CURRENT_RGB)
    assert frustum.fov == pytest.approx(camera.fov_rad[1])
    # Half the width of its picture plane, at unit depth, is that of the camera.
    assert frustum.aspect * np.tan(frustum.fov / 2) == pytest.approx(camera.width / (2 * camera.fx), rel=0.02)


@pytest.mark.parametrize("index", [0, 3, 11])
def test_a_placed_frustum_stands_at_its_pose_in_wxyz_order(server: viser.ViserServer, index: int) -> None:
    frustum = nodes.add_frustum(server, "/placed", CAMERA, scale=0.1, rgb=nodes.CURRENT_RGB)
    frustum.visible = False
    nodes.place(frustum, pose(index), np.zeros((48, 64, 3), np.uint8))
    assert frustum.visible
    np.testing.assert_allclose(frustum.position, pose(index)[:3, 3])
    w, x, y, z = frustum.wxyz
    R = so3_exp(2 * np.arccos(np.clip(w, -1, 1)) * np.array([x, y, z]) / max(np.sqrt(1 - w * w), 1e-12))
    np.testing.assert_allclose(R, pose(index)[:3, :3], atol=1e-6)
    assert frustum.image is not None and frustum.image.shape[1] == 240


@pytest.mark.parametrize("tilt", [-0.6, 0.0, 0.5])
def test_following_puts_every_visitor_behind_and_above(tilt: float) -> None:
    clients = (Client(), Client())
    forward = np.array([np.cos(tilt), 0.0, np.sin(tilt)])
    R = np.stack([[0.0, -1.0, 0.0], np.cross(forward, [0.0, -1.0, 0.0]), forward], axis=1)
    T = make_transform(R, [1.0, 2.0, 3.0])
    nodes.look_over_shoulder(visited(*clients), T, UP)  # type: ignore[arg-type]
    for client in clients:
        eye = np.asarray(client.camera.position) - T[:3, 3]
        assert eye[2] == pytest.approx(0.35), "above, whatever the tilt"
        assert eye[0] == pytest.approx(-0.9 * np.cos(tilt)), "behind, level"
        np.testing.assert_allclose(client.camera.look_at, T[:3, 3] + 1.2 * forward)


def test_new_visitors_start_behind_the_first_camera_with_its_up() -> None:
    server = visited()
    T, up = make_transform(np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]]), [1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    nodes.aim_visitors(server, T, up)  # type: ignore[arg-type]
    view = server.initial_camera  # type: ignore[attr-defined]
    np.testing.assert_allclose(view.position, [-0.1, 0.0, 0.6])
    np.testing.assert_allclose(view.look_at, [2.5, 0.0, 0.0])
    np.testing.assert_allclose(view.up, up)


@pytest.mark.parametrize(("shape", "expected"), [((48, 64), (270, 360)), ((100, 50), (720, 360)), (None, (270, 360))])
def test_panel_pictures_have_the_panels_width(shape: tuple[int, int] | None, expected: tuple[int, int]) -> None:
    picture = None if shape is None else np.zeros((*shape, 3), np.uint8)
    assert nodes.panel_picture(picture).shape == (*expected, 3)


def test_halves_of_different_height_share_a_top() -> None:
    tall, flat = np.full((40, 20, 3), 200, np.uint8), np.full((10, 20, 3), 100, np.uint8)
    both = nodes.side_by_side(tall, flat)
    assert both.shape[0] == 2 * ((nodes.PANEL_WIDTH_PX - 8) // 2)
    assert both[0, 0, 0] == 200 and both[0, -1, 0] == 100 and both[-1, -1, 0] == 30
    assert (both[:, (nodes.PANEL_WIDTH_PX - 8) // 2 + 4] == 30).all(), "the gap"
