"""The live viewer never blocks, works for nobody only when nobody looks, and keeps its memory bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fixtures.result_folder import WALL_RGB, estimate, pose

from ego_perception.data import TrackingState
from ego_perception.geometry import PinholeCamera
from ego_perception.runtime.protocols import Sink
from ego_perception.viz import nodes
from ego_perception.viz.live import LiveViewer
from ego_perception.viz.pictures import colour_confidence, colour_depth


@pytest.fixture
def live() -> Iterator[LiveViewer]:
    viewer = LiveViewer(port=0, max_keyframes=4, max_path=10)
    yield viewer
    viewer.close()


def test_it_is_a_sink(live: LiveViewer) -> None:
    assert isinstance(live, Sink)
    assert live.url.startswith("http://localhost:")
    assert not live.is_watched


def test_nothing_is_drawn_while_nobody_looks(live: LiveViewer) -> None:
    for index in range(4):
        live.write(estimate(index))
    live._stopped.wait(0.3)
    assert live._page._frustum is None
    assert live._page._clouds == {}
    assert live._newest is not None


def test_update_shows_the_newest_estimate(live: LiveViewer) -> None:
    for index in range(4):
        live.write(estimate(index))
    assert live.update()
    page = live._page
    np.testing.assert_allclose(page._frustum.position, pose(3)[:3, 3])
    assert "frame 3" in page._status.content
    assert len(page._clouds) == 2
    assert len(page._path.points) == 3
    assert not live.update()


def test_keyframe_points_lie_on_the_wall_in_its_colour(live: LiveViewer) -> None:
    live.write(estimate(0))
    live.update()
    cloud = live._page._clouds[0]
    red = cloud.colors[:, 0] == WALL_RGB[0]
    assert red.any()
    assert np.isfinite(cloud.points).all()
    depth = estimate(0).depth
    assert len(cloud.points) == np.isfinite(depth).sum()


def test_memory_is_bounded_on_an_endless_stream(live: LiveViewer) -> None:
    for index in range(300):
        live.write(estimate(index))
        if index % 10 == 0:
            live.update()
    keyframes, path = live.num_stored
    assert keyframes == 4
    assert 4 <= path <= 10
    assert len(live._page._clouds) == 4
    live.update()
    assert len(live._page._path.points) < 10


def test_the_path_keeps_its_ends_when_thinned(live: LiveViewer) -> None:
    for index in range(100):
        live.write(estimate(index))
    path = np.array(live._path)
    np.testing.assert_allclose(path[0], pose(0)[:3, 3])
    assert np.linalg.norm(path[-1] - pose(99)[:3, 3]) < 0.35 * np.linalg.norm(pose(99)[:3, 3])
    steps = np.linalg.norm(np.diff(path[:, 1:2], axis=0), axis=1)
    assert steps.max() < 2.5 * steps.min()


def test_a_new_map_forgets_the_old_one(live: LiveViewer) -> None:
    for index in range(6):
        live.write(estimate(index))
    live.update()
    live.write(replace(estimate(6), map_id=1))
    assert live.num_stored == (1, 1)
    live.update()
    assert len(live._page._clouds) == 1


def test_lost_frames_hide_the_camera_and_add_nothing(live: LiveViewer) -> None:
    live.write(estimate(0))
    live.update()
    before = live.num_stored
    live.write(estimate(1, TrackingState.LOST))
    live.update()
    assert live.num_stored == before
    assert not live._page._frustum.visible
    assert "lost" in live._page._status.content


def test_keyframes_without_depth_are_left_out(live: LiveViewer) -> None:
    live.write(replace(estimate(0), depth=None, confidence=None))
    assert live.num_stored == (0, 1)
    assert live.update()


def test_close_may_be_repeated(live: LiveViewer) -> None:
    live.close()
    live.close()


@pytest.mark.parametrize("count", [1, 10, 11, 25, 200])
def test_a_thinned_path_starts_at_the_start_and_ends_within_a_stride(live: LiveViewer, count: int) -> None:
    for index in range(count):
        live.write(estimate(index))
    path = np.array(live._path)
    np.testing.assert_allclose(path[0], pose(0)[:3, 3])
    kept = np.array([pose(i)[:3, 3] for i in range(0, count, live._path_stride)])
    np.testing.assert_allclose(path, kept)
    assert len(path) <= 10 and (count <= 10) == (live._path_stride == 1)


@pytest.mark.parametrize(("low", "kept"), [(0.1, 1536), (0.35, 3072)])
def test_only_confident_pixels_become_points(live: LiveViewer, low: float, kept: int) -> None:
    """The left half is sure, the right half has `low`; the threshold is 0.3."""
    item = estimate(0)
    confidence = np.full(item.depth.shape, 0.9, np.float32)
    confidence[:, 32:] = low
    live.write(replace(item, depth=np.full_like(item.depth, 2.0), confidence=confidence))
    live.update()
    assert len(live._page._clouds[0].points) == kept


@pytest.mark.parametrize("width", [40, 80, 160])
def test_keyframes_are_thinned_to_a_bounded_size_at_the_same_place(live: LiveViewer, width: int) -> None:
    camera = PinholeCamera.from_fov(width, width * 3 // 4, 0.8)
    depth = np.full((camera.height, camera.width), 2.0, np.float32)
    frame = replace(estimate(0).frame, image=np.full((*depth.shape, 3), 90, np.uint8), camera=camera, truth=None)
    live.write(replace(estimate(0), frame=frame, camera=camera, depth=depth, confidence=None))
    keyframe = live._keyframes[0][1]
    assert keyframe.depth.shape == (min(width, 80) * 3 // 4, min(width, 80)) == keyframe.image.shape[:2]
    points, colours = keyframe.cloud()
    assert (colours == 90).all() and len(points) == keyframe.depth.size
    in_camera = points @ pose(0)[:3, :3] - pose(0)[:3, 3] @ pose(0)[:3, :3]
    np.testing.assert_allclose(in_camera[:, 2], 2.0, atol=1e-5)
    assert np.abs(in_camera[:, 1]).max() == pytest.approx(2.0 * np.tan(0.4), rel=0.05)


def test_the_ring_replaces_the_oldest_cloud_in_its_slot(live: LiveViewer) -> None:
    first = [replace(estimate(2 * k), T_world_cam=pose(0)) for k in range(4)]
    for item in first:
        live.write(item)
    live.update()
    before = {slot: live._page._clouds[slot].points.copy() for slot in range(4)}
    live.write(replace(estimate(8), T_world_cam=pose(9)))
    live.update()
    assert not np.array_equal(live._page._clouds[0].points[0], before[0][0])
    for slot in (1, 2, 3):
        np.testing.assert_array_equal(live._page._clouds[slot].points, before[slot])


def test_an_update_that_nobody_waited_for_shows_the_newest_alone(live: LiveViewer) -> None:
    live.write(estimate(0))
    live.write(estimate(7, TrackingState.DEGRADED))
    live.update()
    assert "frame 7" in live._page._status.content and "degraded" in live._page._status.content


def test_the_first_depth_sets_the_scale_of_all_pictures(live: LiveViewer) -> None:
    live.write(estimate(0))
    live.update()
    limits = live._page._limits
    item = estimate(1)
    live.write(replace(item, depth=3 * item.depth))
    live.update()
    assert live._page._limits == limits
    far = nodes.side_by_side(colour_depth(3 * item.depth, *limits), colour_confidence(item.confidence, item.depth))
    np.testing.assert_array_equal(live._page._depth.image, far)


def test_a_frame_without_depth_shows_checkers(live: LiveViewer) -> None:
    live.write(replace(estimate(0), depth=None, confidence=None))
    live.update()
    np.testing.assert_array_equal(live._page._depth.image, nodes.side_by_side(None, None))
    assert live._page._limits is None and live._page._path is None, "one position is no line"


def test_hostile_reasons_stay_text(live: LiveViewer) -> None:
    live.write(replace(estimate(0, TrackingState.LOST), reason="<script>alert(1)</script>"))
    live.update()
    assert "<script" not in live._page._status.content and "&lt;script&gt;" in live._page._status.content


@pytest.mark.parametrize(("follow", "times"), [(True, 1), (False, 0)])
def test_follow_can_be_switched_off(live: LiveViewer, monkeypatch: pytest.MonkeyPatch, follow: bool, times: int) -> None:
    asked: list[np.ndarray] = []
    monkeypatch.setattr(nodes, "look_over_shoulder", lambda _server, T, _up: asked.append(T))
    live._page._follow.value = follow
    live.write(estimate(3))
    live.update()
    live.write(estimate(4, TrackingState.LOST))
    live.update()
    assert len(asked) == times


def test_the_thread_draws_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveViewer, "is_watched", property(lambda _: True))
    viewer = LiveViewer(port=0, max_rate_hz=100.0)
    try:
        viewer.write(estimate(0))
        end = time.monotonic() + 10
        while viewer._newest is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert viewer._newest is None
    finally:
        viewer.close()
    assert not viewer._thread.is_alive()


def test_a_new_map_starts_the_path_and_its_stride_anew(live: LiveViewer) -> None:
    for index in range(60):
        live.write(estimate(index))
    assert live._path_stride > 1
    for index in range(3):
        live.write(replace(estimate(index), map_id=7))
    assert live._path_stride == 1
    np.testing.assert_allclose(live._path, [pose(i)[:3, 3] for i in range(3)])
    live.update()
    assert set(live._page._clouds) == {number % 4 for number, _ in live._keyframes}
