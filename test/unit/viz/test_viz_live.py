"""The live viewer never blocks, works for nobody only when nobody looks, and keeps its memory bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fixtures.result_folder import WALL_RGB, estimate, pose

from ego_perception.data import TrackingState
from ego_perception.runtime.protocols import Sink
from ego_perception.viz.live import LiveViewer


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
