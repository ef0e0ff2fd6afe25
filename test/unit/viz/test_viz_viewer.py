"""The viewer serves on a free port, and each control changes the scene."""

from __future__ import annotations

import logging
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures.result_folder import CAMERA, pose, write_result

from ego_perception.errors import OutputError, SourceError
from ego_perception.viz import nodes
from ego_perception.viz.content import ResultContent
from ego_perception.viz.result_scene import frame_points
from ego_perception.viz.server import free_port
from ego_perception.viz.viewer import ViewerHandle, serve


@pytest.fixture(scope="module")
def viewer(result_folder: Path) -> Iterator[ViewerHandle]:
    with serve(result_folder, port=0, block=False, max_points=500) as handle:
        yield handle


@pytest.fixture
def fresh(viewer: ViewerHandle) -> ViewerHandle:
    """The viewer at its first frame."""
    viewer.view.show(0)
    return viewer


def wait_for(condition: object, timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_it_answers_http_with_the_page(viewer: ViewerHandle) -> None:
    assert viewer.url == f"http://localhost:{viewer.port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{viewer.port}/", timeout=20) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read(2000).lower()


def test_starting_says_nothing_on_standard_output(result_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(result_folder, port=0, block=False):
        pass
    assert capfd.readouterr().out == ""


def test_scene_has_its_layers_within_limits(viewer: ViewerHandle) -> None:
    layers = viewer.view._scene.layers
    assert list(layers) == ["Fused cloud", "Frame cloud", "Cameras", "Camera path", "True path"]
    assert len(layers["Fused cloud"][0].points) == 500
    assert len(layers["Cameras"]) == 10


def test_show_moves_camera_cloud_pictures_and_status(fresh: ViewerHandle) -> None:
    view = fresh.view
    image = view._image.image.copy()
    view.show(3)
    np.testing.assert_allclose(view._scene._current.position, pose(3)[:3, 3], atol=1e-6)
    assert view._slider.value == 3
    assert "tracking" in view._status.content
    assert "0.30 s, frame 3" in view._status.content
    assert image.shape == view._image.image.shape
    points = view._scene._frame_cloud.points
    assert len(points) > 1000
    assert len(points) == len(view._scene._frame_cloud.colors)


def test_a_lost_frame_has_neither_camera_nor_points_and_gives_its_reason(fresh: ViewerHandle) -> None:
    view = fresh.view
    view.show(5)
    assert not view._scene._current.visible
    assert len(view._scene._frame_cloud.points) == 0
    assert "no known place in &lt;view&gt; &amp; sight" in view._status.content
    view.show(7)
    assert view._scene._current.visible
    assert "degraded" in view._status.content


@pytest.mark.parametrize(("asked", "shown"), [(-4, 0), (999, 11)])
def test_show_outside_the_recording_is_clamped(fresh: ViewerHandle, asked: int, shown: int) -> None:
    fresh.view.show(asked)
    assert fresh.view.index == shown


def test_slider_moves_the_timeline(fresh: ViewerHandle) -> None:
    fresh.view._slider.value = 9
    assert wait_for(lambda: fresh.view.index == 9)


@pytest.mark.parametrize(("speed", "index"), [("1x", 2), ("4x", 8), ("0.25x", 0)])
def test_playing_follows_the_recordings_clock(fresh: ViewerHandle, speed: str, index: int) -> None:
    view = fresh.view
    view._clock_s = 0.0
    view._speed.value = speed
    view.advance(0.21)
    assert view.index == index
    view._speed.value = "1x"


def test_playing_starts_over_at_the_end(fresh: ViewerHandle) -> None:
    fresh.view._clock_s = 1.0
    fresh.view.show(10)
    fresh.view.advance(0.2)
    assert fresh.view.index == 0


def test_the_clock_thread_plays(fresh: ViewerHandle) -> None:
    fresh.view._clock_s = 0.0
    assert not fresh.view.is_playing
    fresh.view._play.value = True
    assert fresh.view.is_playing
    assert wait_for(lambda: fresh.view.index > 1)
    fresh.view._play.value = False


def test_confidence_threshold_thins_the_frames_points(fresh: ViewerHandle) -> None:
    view = fresh.view
    every = len(view._scene._frame_cloud.points)
    view._confidence.value = 0.8
    assert wait_for(lambda: len(view._scene._frame_cloud.points) < 0.6 * every)
    view._confidence.value = 0.3
    assert wait_for(lambda: len(view._scene._frame_cloud.points) == every)


def test_point_size_and_layers(fresh: ViewerHandle) -> None:
    scene = fresh.view._scene
    fresh.view._size.value = 25.0
    assert wait_for(lambda: scene.layers["Fused cloud"][0].point_size == pytest.approx(0.025))
    scene.set_layer("Cameras", False)
    assert not any(node.visible for node in scene.layers["Cameras"])
    scene.set_layer("Cameras", True)
    assert all(node.visible for node in scene.layers["Cameras"])


def test_frame_points_are_where_the_room_is(content: ResultContent) -> None:
    points, colours = frame_points(content, content.frames[0], 0.0)
    assert points.shape == colours.shape
    assert len(points) == CAMERA.width * CAMERA.height - 36
    red = colours[:, 0] > 150
    level = points @ np.stack([content.up]).T
    assert np.median(level[~red]) == pytest.approx(-1.2, abs=0.02)
    none, _ = frame_points(content, content.frames[5], 0.0)
    assert len(none) == 0


def test_result_without_frames_or_truth_can_be_viewed(tmp_path: Path) -> None:
    with serve(write_result(tmp_path / "none", num_frames=0), port=0, block=False) as handle:
        assert "no frame was kept" in handle.view._status.content
        handle.view.show(0)
        handle.view.advance(1.0)
    with serve(write_result(tmp_path / "bare", num_frames=2, with_truth=False), port=0, block=False) as handle:
        assert "True path" not in handle.view._scene.layers


def test_damaged_picture_shows_the_checker(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    (out / "frames" / "000000.jpg").write_bytes(b"no picture")
    with serve(out, port=0, block=False) as handle:
        np.testing.assert_array_equal(handle.view._image.image, nodes.panel_picture(None))


def test_a_port_in_use_is_replaced_and_said(result_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with caplog.at_level(logging.WARNING), serve(result_folder, port=port, block=False) as handle:
            assert handle.port > port
        assert f"port {port} is in use; the viewer is on port {handle.port}" in caplog.text


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot listen on"):
        free_port("192.0.2.1", 8080)
    with pytest.raises(OutputError, match="cannot listen on"):
        free_port("no such host", 8080)


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("ego_perception.viz.server._PORTS_TRIED", 1)
        with pytest.raises(OutputError, match="no free port from"):
            free_port("127.0.0.1", taken.getsockname()[1])


def test_no_result_is_an_error_and_leaves_no_server(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no result folder"):
        serve(tmp_path, port=0)


def test_stop_frees_the_port_and_may_be_repeated(result_folder: Path) -> None:
    handle = serve(result_folder, port=0, block=False)
    port = handle.port
    handle.stop()
    handle.stop()
    handle.wait()
    assert free_port("127.0.0.1", port) == port


def test_side_by_side_pictures_keep_their_halves() -> None:
    red, blue = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    both = nodes.side_by_side(red, blue)
    assert both.shape[1] == nodes.PANEL_WIDTH_PX
    assert both[10, 10].tolist() == [255, 0, 0]
    assert both[10, -10].tolist() == [0, 0, 255]
    assert nodes.side_by_side(None, blue).shape == both.shape
