"""A textured room seen by a moving camera, with exact depth and poses, and depth priors of known quality."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ego_perception.data import Frame, SceneEstimate
from ego_perception.geometry import PinholeCamera, make_transform, so3_exp
from ego_perception.parameters import from_mapping
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.reconstruction.prior import PriorPrediction

Array = NDArray[np.float64]

CAMERA = PinholeCamera(320, 240, 270.0, 270.0, 159.5, 119.5)
FPS = 15.0


class Room:
    """The inside of a box, 4 x 3 x 5 m, every wall with its own noise texture; world axes are optical at the start."""

    LOW, HIGH = np.array([-2.0, -1.5, -1.5]), np.array([2.0, 1.5, 3.5])

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        layers = [cv2.resize(rng.random((n, n), np.float32), (512, 512), interpolation=cv2.INTER_CUBIC) for n in (16, 64, 200)]
        base = sum(layers) / 3.0
        self._walls = [np.clip(255 * (0.15 + 0.7 * np.roll(base, 97 * i, (0, 1))), 0, 255).astype(np.uint8) for i in range(6)]
        self._drawn = functools.lru_cache(maxsize=100)(self._draw)

    def render(self, T_world_cam: Array, camera: PinholeCamera = CAMERA) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """RGB image and depth along the optical axis; drawn once, for many tests walk the same way."""
        grey, depth = self._drawn(np.asarray(T_world_cam, np.float64).tobytes(), camera)
        return np.repeat(grey[..., None], 3, axis=2), depth.copy()

    def _draw(self, pose: bytes, camera: PinholeCamera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Grey image and depth from the bytes of a pose."""
        T_world_cam = np.frombuffer(pose).reshape(4, 4)
        directions = camera.rays().astype(np.float64).reshape(-1, 3) @ T_world_cam[:3, :3].T
        origin = T_world_cam[:3, 3]
        with np.errstate(divide="ignore"):
            distance = np.where(directions > 0, (self.HIGH - origin) / directions, (self.LOW - origin) / directions)
        axis = distance.argmin(axis=1)
        depth = distance[np.arange(len(axis)), axis]
        hit = origin + directions * depth[:, None]
        shape = (camera.height, camera.width)
        grey = np.zeros(shape, np.uint8)
        for a in range(3):
            uv = ((np.delete(hit, a, axis=1) + 2.0) * 90.0).astype(np.float32).reshape(*shape, 2)
            for side in range(2):
                mine = ((axis == a) & ((directions[:, a] > 0) == bool(side))).reshape(shape)
                if mine.any():
                    wall = self._walls[2 * a + side]
                    drawn = cv2.remap(wall, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
                    grey[mine] = drawn[mine]
        return grey, depth.reshape(shape).astype(np.float32)


@dataclass
class PriorDouble:
    """Depth from the truth with a smooth multiplicative error, or a constant.

    Attributes:
        depth: set before each frame; None gives 2 m everywhere.
        bend: amplitude of the error of log depth across the image.
        fov_y_rad: the guess of the field of view.
    """

    depth: NDArray[np.float32] | None = None
    bend: float = 0.0
    fov_y_rad: float = CAMERA.fov_rad[1]
    seen: list[PinholeCamera | None] = field(default_factory=list)

    def predict(self, rgb: NDArray[np.uint8], camera: PinholeCamera | None) -> PriorPrediction:
        """Answer at 64x48."""
        self.seen.append(camera)
        if self.depth is None:
            depth = np.full((48, 64), 2.0, np.float32)
        else:
            wave = np.sin(np.linspace(0.0, 4.0, 64)) * np.cos(np.linspace(0.5, 3.0, 48))[:, None]
            depth = cv2.resize(self.depth, (64, 48), interpolation=cv2.INTER_AREA) * np.exp(self.bend * wave).astype(np.float32)
        return PriorPrediction(depth, np.full_like(depth, 0.3), self.fov_y_rad, 0.2)


def walk(t: float) -> Array:
    """A gentle sideways walk with looking around; camera-to-world at time t in seconds, identity at zero."""
    position = np.array([0.45 * np.sin(0.9 * t), 0.08 * np.sin(1.7 * t), 0.25 * t - 0.1 * np.sin(t)]) * 0.8
    return make_transform(so3_exp([0.05 * np.sin(1.3 * t), 0.18 * np.sin(0.8 * t), 0.03 * np.sin(t)]), position)


@dataclass
class Run:
    """An estimator fed with rendered frames, the truth beside each estimate."""

    estimator: ReconstructionEstimator
    prior: PriorDouble
    room: Room
    estimates: list[SceneEstimate] = field(default_factory=list)
    poses: list[Array] = field(default_factory=list)
    depths: list[NDArray[np.float32]] = field(default_factory=list)

    def push(
        self,
        T_world_cam: Array,
        stamp_s: float,
        camera: PinholeCamera | None = CAMERA,
        change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
        size: PinholeCamera = CAMERA,
    ) -> SceneEstimate:
        """Render with `size`, optionally change the image, and push it with `camera` as its calibration."""
        image, depth = self.room.render(T_world_cam, camera or size)
        if self.prior.depth is not None:
            self.prior.depth = depth
        estimate = self.estimator.push(Frame(int(stamp_s * 1e9), image if change is None else change(image), camera=camera))
        self.estimates.append(estimate)
        self.poses.append(T_world_cam)
        self.depths.append(depth)
        return estimate

    def walk(self, start: int, stop: int, **kwargs: object) -> list[SceneEstimate]:
        """Push frames start..stop-1 of the walk at 15 Hz."""
        return [self.push(walk(i / FPS), i / FPS, **kwargs) for i in range(start, stop)]  # type: ignore[arg-type]


MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def room() -> Room:
    """The textured room."""
    return Room()


@pytest.fixture
def make_run(room: Room) -> MakeRun:
    """Build a run; `bend` None gives the constant prior; keywords with dots become parameters."""

    def build(bend: float | None = 0.2, **settings: object) -> Run:
        prior = PriorDouble() if bend is None else PriorDouble(np.ones((1, 1), np.float32), bend)
        config = from_mapping(ReconstructionConfig, {k.replace("__", "."): v for k, v in settings.items()})
        return Run(ReconstructionEstimator(config, prior), prior, room)

    return build
