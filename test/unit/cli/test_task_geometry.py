"""Reconstruction and hand removal on one frame: the mask goes there, depth and pose come back, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from fixtures.wall_scene import START_NS, STEP_NS, wall
from removal_fakes import FaultyEstimator

from ego_perception.cli.tasks import TaskEstimator
from ego_perception.data import Frame, SceneEstimate
from ego_perception.data.hand_removal import RemovalState
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.guard import RemovalGuard


def frames(count: int = 4) -> Iterator[Frame]:
    for i in range(count):
        frame = fakes.frame_with_hand(i, START_NS + i * STEP_NS)
        yield replace(frame, camera=PinholeCamera.from_fov(*frame.size, 1.0))


class Scene:
    """A reconstruction that answers at once, late, or with an error."""

    def __init__(self, *, late: bool = False, error: Exception | None = None, lost: bool = False) -> None:
        self.frames: list[Frame] = []
        self.late, self.error, self.lost = late, error, lost

    def reset(self) -> None:
        self.frames.clear()

    def push(self, frame: Frame) -> SceneEstimate | None:
        self.frames.append(frame)
        if self.error is not None:
            raise self.error
        if self.late:
            return None
        assert frame.camera is not None
        estimate = replace(wall(len(self.frames) - 1), frame=frame, camera=frame.camera, map_id=3)
        return replace(estimate, T_world_cam=None) if self.lost else estimate

    def flush(self) -> list[SceneEstimate]:
        return []


class Asking(FaultyEstimator):
    """Hand removal that keeps the geometry it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Any] = []

    def ask_geometry(self, frame: Frame) -> Any:
        self.given.append(super().ask_geometry(frame))
        return self.given[-1]


@pytest.mark.parametrize("guarded", [False, True])
def test_depth_and_pose_of_the_very_frame_come_back(guarded: bool) -> None:
    removal, scene = Asking(), Scene()
    estimator = TaskEstimator(scene, RemovalGuard(removal) if guarded else removal)
    for frame in frames():
        estimate = estimator.push(frame)
        geometry = removal.given[-1]
        assert estimate is not None and geometry.stamp_ns == frame.stamp_ns == estimate.frame.stamp_ns
        assert np.array_equal(geometry.T_world_cam, estimate.T_world_cam)
        assert geometry.depth is estimate.depth and geometry.world_id == 3
        assert estimate.hand_removal is not None and estimate.hand_removal.state is not RemovalState.WITHHELD
    assert len(scene.frames) == 4, "each frame is reconstructed once"
    for frame in scene.frames:
        assert np.array_equal(frame.ignore, (frame.rgb == np.array(fakes.HAND_RGB, np.uint8)).all(axis=2))


@pytest.mark.parametrize("scene", [Scene(late=True), Scene(lost=True)])
def test_without_an_answer_there_is_no_geometry_and_nothing_is_lost(scene: Scene) -> None:
    removal = Asking()
    estimator = TaskEstimator(scene, RemovalGuard(removal))
    for frame in frames():
        estimator.push(frame)
    assert removal.given == [None] * 4
    assert len(scene.frames) == 4


def test_on_request_none_is_shared_and_the_map_is_still_without_hands() -> None:
    removal, scene = Asking(), Scene()
    estimator = TaskEstimator(scene, RemovalGuard(removal), shares_geometry=False)
    for frame in frames():
        estimator.push(frame)
    assert removal.given == [None] * 4
    assert all(frame.ignore is not None and frame.ignore.any() for frame in scene.frames)


def test_a_failure_of_the_reconstruction_is_its_own() -> None:
    removal = Asking()
    estimator = TaskEstimator(Scene(error=RuntimeError("no depth")), RemovalGuard(removal))
    with pytest.raises(RuntimeError, match="no depth"):
        estimator.push(next(frames()))
    assert removal.given == [None] and removal.num_resets == 0, "hand removal did not fail"


def test_a_withheld_image_still_hides_its_hands_from_the_map() -> None:
    removal, scene = FaultyEstimator(), Scene()
    removal.backend.fault = fakes.PAINTER_FAULTS["painter raises an unexpected error"]
    estimate = TaskEstimator(scene, RemovalGuard(removal)).push(next(frames()))
    assert estimate is not None and estimate.hand_removal is not None
    assert estimate.hand_removal.state is RemovalState.WITHHELD
    assert len(scene.frames) == 1 and scene.frames[0].ignore is not None and scene.frames[0].ignore.any()
