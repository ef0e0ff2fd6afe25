"""The simulated camera: draws what shutter and lens need, and makes one image of it, its twins without people, and the truth.

Truth (depth, classes, instances, pose) belongs to the frame's own instant, which is the middle of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.lens import make_lens
from ego_perception.simulation.photo import Photo
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.shutter import Shutter
from ego_perception.simulation.stage import Stage

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

_LENS_STREAM = 5


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure.

    Attributes:
        view: image and truth with everything in it, through lens and sensor.
        clean, clean_shadowed, clean_depth: without the wearer, see `FrameTruth`; None where not asked for.
        background, background_depth: without anything that moves; None where not asked for.
    """

    view: Rendering
    clean: Image | None = None
    clean_shadowed: Image | None = None
    clean_depth: NDArray[np.float32] | None = None
    background: Image | None = None
    background_depth: NDArray[np.float32] | None = None


class SimCamera:
    """Lens, shutter and sensor of one clip."""

    def __init__(self, config: EgoSimConfig, renderer: Renderer) -> None:
        self._renderer = renderer
        self._keep_body = config.products.clean_of == "arms"
        rng = np.random.default_rng([config.seed, _LENS_STREAM])
        self.lens = make_lens(config.width, config.height, np.radians(config.fov_y_deg), config.photo.lens, rng)
        drawn = self.lens.render_camera
        self._size, self._fov = (drawn.width, drawn.height), drawn.fov_rad[1]
        self._shutter = Shutter(config.height, config.photo.rolling_shutter_s, config.photo.exposure_time_s)
        self.photo = Photo(config.photo, config.seed)

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics and distortion of every image."""
        return self.lens.camera

    def shoot(self, stage: Stage, t: float, index: int, *, clean: bool, background: bool) -> Shot:
        """Expose one frame.

        Args:
            t: its instant, seconds; index: its number, which seeds the noise.
        """
        drawings = [self._draw(stage, t + r.offset_s, clean=clean, background=background) for r in self._shutter.renders]
        middle = drawings[len(drawings) // 2]

        def developed(name: str) -> Image | None:
            if name not in middle:
                return None
            exposed = self._shutter.combine([self.lens.warp_colour(drawing[name]) for drawing in drawings])
            return self.photo.apply(exposed, t, index)

        rgb = developed("rgb")
        assert rgb is not None
        instances = self.lens.warp_nearest(middle["instances"])
        depth = self.lens.warp_depth(middle["depth"], middle["instances"])
        view = Rendering(rgb, depth, self.lens.warp_nearest(middle["classes"]), instances)
        clean_depth, background_depth = (
            None if (d := middle.get(name)) is None else self.lens.warp_depth(d) for name in ("clean_depth", "background_depth")
        )
        return Shot(
            view, developed("clean"), developed("clean_shadowed"), clean_depth, developed("background"), background_depth
        )

    def look(self, T_world_cam: Array) -> Rendering:
        """Draw the world as it is posed now from another place, through the same lens, without the sensor's effects."""
        view = self._renderer.render(T_world_cam, self._fov, size=self._size)
        warp = self.lens.warp_nearest
        depth = self.lens.warp_depth(view.depth, view.instances)
        return Rendering(self.lens.warp_colour(view.rgb), depth, warp(view.classes), warp(view.instances))

    def _draw(self, stage: Stage, t: float, *, clean: bool, background: bool) -> dict[str, NDArray[Any]]:
        """One instant as the renderer gives it, by name."""
        self._renderer.pose(stage.world_at(t))
        T_world_cam = stage.camera_pose(t)
        out: dict[str, NDArray[Any]] = {}
        if clean:
            plates = self._renderer.render_plates(
                T_world_cam, self._fov, keep_body=self._keep_body, background=background, size=self._size
            )
            view = plates.view
            out = {"clean": plates.clean, "clean_shadowed": plates.clean_shadowed, "clean_depth": plates.clean_depth}
            if plates.background is not None and plates.background_depth is not None:
                out |= {"background": plates.background, "background_depth": plates.background_depth}
        else:
            view = self._renderer.render(T_world_cam, self._fov, size=self._size)
            if background:
                bare = self._renderer.render(T_world_cam, self._fov, wearer=False, people=False, held=False, size=self._size)
                out = {"background": bare.rgb, "background_depth": bare.depth}
        out |= {"rgb": view.rgb, "depth": view.depth, "classes": view.classes, "instances": view.instances}
        return out
