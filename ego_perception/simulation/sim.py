"""EgoSim: the room, the walk and the renderer of one configuration, as a sequence of frames with exact truth."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, FrameTruth
from ego_perception.errors import SimulationError
from ego_perception.geometry import PinholeCamera
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import build_room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.trajectory import HeadTrajectory

EPOCH_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame; not zero, because zero means "no stamp" in ROS."""


class EgoSim:
    """A simulated clip. Use it as a context manager: it owns a GL context, which belongs to the thread that made it.

    Raises:
        SimulationError: on construction, for a room without free floor, or no usable GL back-end.
    """

    def __init__(self, config: EgoSimConfig) -> None:
        self.config = config
        room = build_room(config)
        self.trajectory = HeadTrajectory(room, config)
        self._renderer = Renderer(config.width, config.height, supersample=config.supersample)
        try:
            self.scene = compile_scene(room, offscreen=self._renderer.offscreen, shadow_map_px=config.shadow_map_px)
            self._renderer.load(self.scene)
        except BaseException:
            self._renderer.close()
            raise

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics of every frame."""
        return self.config.camera

    def __len__(self) -> int:
        return self.config.num_frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(len(self)))

    def frame(self, index: int) -> Frame:
        """Render one frame of the clip; frames can be asked for in any order.

        Raises:
            SimulationError: the index is outside the clip.
        """
        if not 0 <= index < len(self):
            raise SimulationError(f"frame {index} is outside the clip of {len(self)} frames")
        T_world_cam = self.trajectory.pose(index / self.config.fps)
        view = self._renderer.render(T_world_cam, self.camera.fov_rad[1])
        truth = FrameTruth(depth=view.depth, T_world_cam=T_world_cam)
        return Frame(self.stamp_ns(index), view.rgb, camera=self.camera, index=index, truth=truth)

    def stamp_ns(self, index: int) -> int:
        """Acquisition time of a frame, nanoseconds."""
        return EPOCH_NS + round(index * 1_000_000_000 / self.config.fps)

    def render_view(self, T_world_cam: NDArray[np.float64], t: float = 0.0) -> Rendering:
        """Draw the world at `t` seconds from any (4, 4) camera-to-world pose, with the clip's camera.

        Raises:
            SimulationError: a time outside the clip, or a pose that is not finite.
        """
        if not 0.0 <= t <= self.config.duration_s:
            raise SimulationError(f"time {t} s is outside the clip of {self.config.duration_s} s")
        if T_world_cam.shape != (4, 4) or not np.isfinite(T_world_cam).all():
            raise SimulationError(f"the camera pose must be a finite (4, 4) matrix, got shape {T_world_cam.shape}")
        return self._renderer.render(T_world_cam, self.camera.fov_rad[1])

    def class_image(self, view: Rendering) -> NDArray[np.uint8]:
        """The (H, W) `Label` of each pixel of a view, 0 where there is nothing."""
        return np.append(self.scene.class_of_geom, np.uint8(0))[view.geom]

    def close(self) -> None:
        """Free the GL context."""
        self._renderer.close()

    def __enter__(self) -> EgoSim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
