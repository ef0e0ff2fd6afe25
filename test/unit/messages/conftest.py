"""A factory and plain stand-ins for messages: the code under test knows fields, not classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ego_perception.bag import RosbagsFactory
from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform, so3_exp


@pytest.fixture(scope="session")
def factory() -> RosbagsFactory:
    return RosbagsFactory()


@pytest.fixture
def raw_image():
    """Makes an Image of bytes; everything can be set wrong."""

    def make(data: Any, encoding: str, width: int, height: int, step: int, is_bigendian: int = 0) -> SimpleNamespace:
        header = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=5), frame_id="cam")
        return SimpleNamespace(
            header=header, data=data, encoding=encoding, width=width, height=height, step=step, is_bigendian=is_bigendian
        )

    return make


@pytest.fixture
def compressed_image():
    """Makes a CompressedImage of bytes."""

    def make(data: bytes, form: str = "jpeg") -> SimpleNamespace:
        header = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=5), frame_id="cam")
        return SimpleNamespace(header=header, format=form, data=np.frombuffer(data, np.uint8))

    return make


@pytest.fixture
def make_estimate():
    """Makes the estimate of frame `index` of a camera that walks along x and turns left."""

    def make(index: int = 0, state: TrackingState = TrackingState.TRACKING, **changes: Any) -> SceneEstimate:
        rng = np.random.default_rng(index)
        camera = PinholeCamera.from_fov(16, 12, 1.0)
        frame = Frame(
            1_000_000_000 + index * 100_000_000, rng.integers(0, 255, (12, 16, 3), np.uint8), camera=camera, index=index
        )
        T = make_transform(so3_exp([0, 0, 0.05 * index]) @ R_FLU_OPTICAL, [0.1 * index, 0.0, 0.0])
        depth = rng.uniform(1, 3, (6, 8)).astype(np.float32)
        depth[0, 0] = np.nan
        lost = state is TrackingState.LOST
        fields: dict[str, Any] = {
            "frame": frame,
            "state": state,
            "camera": camera,
            "reason": "" if state is TrackingState.TRACKING else "fast motion",
            "T_world_cam": None if lost else T,
            "covariance": None if lost else np.diag([1e-4] * 3 + [1e-6] * 3),
            "depth": depth,
            "confidence": np.full((6, 8), 0.75, np.float32),
            "landmarks": rng.normal(size=(5, 3)).astype(np.float32),
            "is_keyframe": index % 2 == 0,
        }
        return SceneEstimate(**(fields | changes))

    return make
