"""What each control of a result's page does, driven as a user does: values are set, and the scene is looked at."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures.result_folder import CAMERA, NUM_FRAMES, estimate, pose, write_result

from ego_perception.data import TrackingState
from ego_perception.viz import nodes
from ego_perception.viz.content import ResultContent
from ego_perception.viz.pictures import colour_confidence, colour_depth
from ego_perception.viz.plots import STATE_COLOURS
from ego_perception.viz.result_scene import frame_points
from ego_perception.viz.result_view import SPEEDS, ResultView, status_line
from ego_perception.viz.server import start_server, stop_server
from ego_perception.viz.viewer import ViewerHandle, serve


@pytest.fixture(scope="module")
def page(content: ResultContent) -> Iterator[ResultView]:
    """A page without the clock of a running viewer, so that time passes only when a test says so."""
    server = start_server("127.0.0.1", 0, "controls")
    yield ResultView(server, content, max_points=300)
    stop_server(server)


@pytest.fixture
def view(page: ResultView) -> ResultView:
    page._speed.value = "1x"
    page._follow.value = False
    page._clock_s = 0.0
    page.show(0)
    return page


def wait_for(condition: object, timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.65, 0.9, 0.95, 1.0])
def test_the_threshold_keeps_exactly_the_points_from_it_up(content: ResultContent, threshold: float) -> None:
    """Left half 0.9, right half 0.6 (stored in 255 steps), a hole of 6x6 in the left half."""
    item = estimate(0)
    assert item.depth is not None
    stored = content.confidence(content.frames[0])
    assert stored is not None
    expected = np.isfinite(item.depth) & (stored >= threshold)
    points, colours = frame_points(content, content.frames[0], threshold)
    assert len(points) == len(colours) == expected.sum()
    assert expected.sum() == {0.0: 3036, 0.3: 3036, 0.6: 3036, 0.65: 1500, 0.9: 1500, 0.95: 0, 1.0: 0}[threshold]
    depth = content.depth(content.frames[0])
    assert depth is not None
    rays = CAMERA.rays() * depth[..., None]
    np.testing.assert_allclose(points, rays[expected] @ pose(0)[:3, :3].T + pose(0)[:3, 3], atol=1e-4)


@pytest.mark.parametrize("missing", ["depth", "image", "pose"])
def test_a_frame_that_lacks_a_part_has_no_points(content: ResultContent, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = content.frames[5] if missing == "pose" else content.frames[0]
    if missing != "pose":
        monkeypatch.setattr(ResultContent, missing, lambda _self, _frame: None)
    points, colours = frame_points(content, frame, 0.0)
    assert points.shape == colours.shape == (0, 3)


def test_without_confidence_every_valid_point_is_kept(content: ResultContent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResultContent, "confidence", lambda _self, _frame: None)
    assert len(frame_points(content, content.frames[0], 1.0)[0]) == CAMERA.width * CAMERA.height - 36


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("elapsed_s", [0.0, 0.05, 0.1001, 0.26])
def test_frames_advance_by_wall_time_times_speed(view: ResultView, speed: str, elapsed_s: float) -> None:
    view._speed.value = speed
    view.advance(elapsed_s)
    passed = elapsed_s * float(speed[:-1])
    assert view.index == (0 if passed > 1.1 else int(passed / 0.1 + 1e-6))


@pytest.mark.parametrize("ticks", [3, 10])
def test_small_ticks_add_up_to_the_same_place(view: ResultView, ticks: int) -> None:
    for _ in range(ticks):
        view.advance(0.4501 / ticks)
    assert view.index == 4


def test_moving_the_slider_moves_the_clock(view: ResultView) -> None:
    view._slider.value = 6
    assert wait_for(lambda: view.index == 6)
    view.advance(0.1001)
    assert view.index == 7


def test_showing_a_frame_moves_the_slider_without_moving_the_clock_twice(view: ResultView) -> None:
    view.advance(0.5001)
    assert view._slider.value == 5
    assert view._clock_s == pytest.approx(0.5001)


@pytest.mark.parametrize("index", [0, 4, 9])
def test_panel_pictures_are_those_of_the_frame(view: ResultView, content: ResultContent, index: int) -> None:
    view.show(index)
    frame = content.frames[index]
    depth, confidence = content.depth(frame), content.confidence(frame)
    assert depth is not None and confidence is not None
    np.testing.assert_array_equal(view._image.image, nodes.panel_picture(content.image(frame)))
    coloured = nodes.side_by_side(colour_depth(depth, *content.depth_limits), colour_confidence(confidence, depth))
    np.testing.assert_array_equal(view._depth.image, coloured)


def test_a_lost_frame_shows_checkers_for_depth(view: ResultView, content: ResultContent) -> None:
    view.show(5)
    np.testing.assert_array_equal(view._depth.image, nodes.side_by_side(None, None))
    np.testing.assert_array_equal(view._image.image, nodes.panel_picture(content.image(content.frames[5])))


@pytest.mark.parametrize("layer", ["Fused cloud", "Frame cloud", "Cameras", "Camera path", "True path"])
def test_each_layer_can_be_switched_alone(view: ResultView, layer: str) -> None:
    layers = view._scene.layers
    view._scene.set_layer(layer, False)
    assert {name for name, shown in layers.items() if not any(n.visible for n in shown)} == {layer}
    view._scene.set_layer(layer, True)
    assert all(n.visible for shown in layers.values() for n in shown)


@pytest.mark.parametrize("size_m", [0.002, 0.03])
def test_the_frames_points_are_a_little_larger_than_the_clouds(view: ResultView, size_m: float) -> None:
    view._scene.set_point_size(size_m)
    assert view._scene.layers["Fused cloud"][0].point_size == pytest.approx(size_m)
    assert view._scene._frame_cloud.point_size == pytest.approx(1.3 * size_m)
    assert view._scene.point_size_m == size_m


def test_follow_is_asked_for_each_frame_with_its_pose_alone(view: ResultView, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []
    monkeypatch.setattr(nodes, "look_over_shoulder", lambda _server, T, _up: asked.append(T))
    view.show(3)
    assert asked == []
    view._follow.value = True
    assert wait_for(lambda: len(asked) == 1), "switching it on follows at once"
    view.show(4)
    view.show(5)
    np.testing.assert_allclose(asked, [pose(3), pose(4)], atol=1e-6)


def test_frusta_and_paths_stand_where_the_poses_are(view: ResultView) -> None:
    layers = view._scene.layers
    kept = [i for i in range(NUM_FRAMES) if i not in (5, 6)]
    np.testing.assert_allclose([f.position for f in layers["Cameras"]], [pose(i)[:3, 3] for i in kept], atol=1e-5)
    drawn = layers["Camera path"][0].points
    np.testing.assert_allclose(drawn[0, 0], pose(0)[:3, 3], atol=1e-5)
    np.testing.assert_allclose(drawn[-1, 1], pose(11)[:3, 3], atol=1e-5)
    np.testing.assert_allclose(layers["True path"][0].points[3, 0], pose(3)[:3, 3], atol=2e-3)


@pytest.mark.parametrize("state", list(TrackingState))
def test_the_status_line_has_the_states_colour_and_escapes_its_reason(state: TrackingState) -> None:
    line = status_line(state, "<b>&</b>", "<i>")
    assert STATE_COLOURS[state] in line and state.name.lower() in line
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in line and "&lt;i&gt;" in line and "<i>" not in line
    assert status_line(state, "").count("<div") == 1


@pytest.mark.parametrize("missing", [["cloud.ply"], ["trajectory.tum"], ["truth.tum"], ["metrics.json", "timing.json"]])
def test_a_result_without_a_part_can_be_viewed_without_its_layer(
    result_folder: Path, tmp_path: Path, missing: list[str]
) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    for name in missing:
        (out / name).unlink()
    gone = {"cloud.ply": {"Fused cloud"}, "trajectory.tum": {"Camera path", "True path"}, "truth.tum": {"True path"}}
    with serve(out, port=0, block=False) as handle:
        handle.view.show(2)
        layers = set(handle.view._scene.layers)
    every = {"Fused cloud", "Frame cloud", "Cameras", "Camera path", "True path"}
    assert layers == every - gone.get(missing[0], set())


def test_a_result_of_several_maps_shows_all_its_frames(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    log = out / "frames" / "frames.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line | {"map_id": k // 6}) + "\n" for k, line in enumerate(lines)))
    assert ResultContent(out).num_maps == 2
    with serve(out, port=0, block=False) as handle:
        for index in range(NUM_FRAMES):
            handle.view.show(index)
            assert handle.view.index == index


def test_one_frame_cannot_be_played(tmp_path: Path) -> None:
    with serve(write_result(tmp_path / "one", num_frames=1), port=0, block=False) as handle:
        handle.view.advance(5.0)
        assert handle.view.index == 0
        assert handle.view._play.disabled and handle.view._slider.disabled


def test_waiting_ends_with_stop_and_ctrl_c_stops(result_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(result_folder, port=0, block=False) as handle:
        waiter = threading.Thread(target=handle.wait)
        waiter.start()
        assert waiter.is_alive()
        handle.stop()
        waiter.join(5.0)
        assert not waiter.is_alive()
    with serve(result_folder, port=0, block=False) as handle:

        def interrupted(_seconds: float) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(handle._stopped, "wait", interrupted)
            handle.wait()
        assert handle._stopped.is_set()


def test_serving_blocks_until_the_viewer_is_stopped(result_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[ViewerHandle] = []

    def wait(handle: ViewerHandle) -> None:
        waited.append(handle)

    monkeypatch.setattr(ViewerHandle, "wait", wait)
    with serve(result_folder, port=0) as handle:
        assert waited == [handle]
