"""Small recordings made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ego_perception.bag import BagWriter, FrameBagSink, QosProfile, RosbagsFactory
from ego_perception.data import Frame, FrameTruth, SceneEstimate, TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform

POSE = "geometry_msgs/msg/PoseStamped"


@pytest.fixture(scope="session")
def factory() -> RosbagsFactory:
    return RosbagsFactory()


@pytest.fixture
def make_frame():
    """Makes frame `index` with a camera and truth."""

    def make(index: int, **changes: Any) -> Frame:
        image = np.random.default_rng(index).integers(0, 255, (12, 16, 3), np.uint8)
        truth = FrameTruth(np.full((12, 16), 1.0 + index, np.float32), make_transform(R_FLU_OPTICAL, [0.1 * index, 0, 0]))
        fields: dict[str, Any] = {"camera": PinholeCamera.from_fov(16, 12, 1.0), "index": index, "truth": truth}
        return Frame(1_000_000_000 + index * 100_000_000, image, **(fields | changes))

    return make


@pytest.fixture
def make_estimate(make_frame):
    """Makes the estimate of frame `index`."""

    def make(index: int) -> SceneEstimate:
        frame = make_frame(index)
        assert frame.camera is not None
        return SceneEstimate(
            frame,
            TrackingState.TRACKING,
            frame.camera,
            T_world_cam=make_transform(R_FLU_OPTICAL, [0.1 * index, 0, 0]),
            covariance=np.eye(6) * 1e-4,
            depth=np.full((6, 8), 2.0, np.float32),
            confidence=np.full((6, 8), 0.5, np.float32),
            landmarks=np.full((4, 3), float(index), np.float32),
            is_keyframe=index % 3 == 0,
        )

    return make


@pytest.fixture
def frame_bag(tmp_path, make_frame):
    """Records ten frames; returns the folder."""

    def make(count: int = 10, name: str = "bag", **options: Any) -> Path:
        sink = FrameBagSink(tmp_path / name, **options)
        for i in range(count):
            sink.write(make_frame(i))
        sink.close()
        return tmp_path / name

    return make


@pytest.fixture
def pose_bag(tmp_path, factory):
    """Records poses 100 ms apart on two topics, by a writer that is left open."""

    def make(count: int = 50, name: str = "poses", **options: Any) -> tuple[BagWriter, Path]:
        writer = BagWriter(tmp_path / name, **options)
        writer.add_topic("/a", POSE, QosProfile.SENSOR)
        writer.add_topic("/b", POSE)
        for i in range(count):
            msg = factory.make(POSE)
            msg.pose.position.x = float(i)
            writer.write("/b" if i % 2 else "/a", msg, i * 100_000_000)
        return writer, tmp_path / name

    return make
