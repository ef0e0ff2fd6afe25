"""EgoSim: the room, the people, the camera and the renderer of one configuration, as a sequence of frames with exact truth."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import load_body
from ego_perception.data import ExtraView, Frame, FrameTruth
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import SimulationError
from ego_perception.geometry import PinholeCamera
from ego_perception.simulation.activity import plan_activity
from ego_perception.simulation.actor import dress
from ego_perception.simulation.camera import Shot, SimCamera
from ego_perception.simulation.cloud import scene_cloud
from ego_perception.simulation.config import EgoSimConfig, ProductsConfig
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import build_room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.stage import WEARER, Stage
from ego_perception.simulation.truth import TruthMaker
from ego_perception.simulation.viewpoints import is_clear
from ego_perception.simulation.views import extra_poses, focus_distance

EPOCH_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame; not zero, because zero means "no stamp" in ROS."""

_LOOKS_STREAM, _VIEWS_STREAM, _CLOUD_STREAM = 6, 7, 8


class EgoSim:
    """A simulated clip. Use it as a context manager: it owns a GL context, which belongs to the thread that made it.

    Raises:
        SimulationError: on construction, for a room without free floor or without place for the people asked for, or no
            usable GL back-end.
    """

    def __init__(self, config: EgoSimConfig) -> None:
        self.config = config
        self.room = build_room(config)
        model = load_body()
        self.stage = Stage(self.room, plan_activity(self.room, config), model)
        shown = [player for name, player in self.stage.players.items() if name != WEARER or config.people.wearer]
        self.actors = [
            dress(self._rng(_LOOKS_STREAM, i), model, player.motion.betas, name=player.name, is_wearer=player.name == WEARER)
            for i, player in enumerate(shown)
        ]
        self.scene = compile_scene(self.room, self.actors)
        self._truth = TruthMaker(self.stage, self.scene, self.actors, model)
        self._renderer = Renderer(
            config.width,
            config.height,
            supersample=config.supersample,
            shadow_map_px=config.shadow_map_px,
            ambient_occlusion=config.ambient_occlusion,
        )
        try:
            self._camera = SimCamera(config, self._renderer)
            self._renderer.load(self.scene)
        except BaseException:
            self._renderer.close()
            raise

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics and distortion of every frame."""
        return self._camera.camera

    def __len__(self) -> int:
        return self.config.num_frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(len(self)))

    def frame(self, index: int, products: Collection[str] | None = None) -> Frame:
        """Render one frame of the clip; frames can be asked for in any order.

        Args:
            products: names in `ProductsConfig` to compute for this frame; None takes those of the configuration.

        Raises:
            SimulationError: the index is outside the clip.
        """
        if not 0 <= index < len(self):
            raise SimulationError(f"frame {index} is outside the clip of {len(self)} frames")
        wanted = self._wanted(products)
        t = index / self.config.fps
        shot = self._camera.shoot(self.stage, t, index, clean=wanted.clean, background=wanted.background)
        truth = self._frame_truth(shot, t, index, wanted)
        return Frame(self.stamp_ns(index), shot.view.rgb, camera=self.camera, index=index, truth=truth)

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
        self._renderer.pose(self.stage.world_at(t))
        return self._camera.look(T_world_cam)

    def scene_truth(self, spacing_m: float = 0.03) -> SceneTruth:
        """What does not change while the clip runs.

        Args:
            spacing_m: mean distance of the points on the surfaces.
        """
        cloud = scene_cloud(self.room, spacing_m, self._rng(_CLOUD_STREAM, 0))
        names = list(self.scene.instance_names)
        for movable in self.room.movables:
            names[self.scene.instance_of(movable.instance)] = movable.id
        return SceneTruth(cloud[:, :3], cloud[:, 3:], tuple(names))

    def close(self) -> None:
        """Free the GL context."""
        self._renderer.close()

    def __enter__(self) -> EgoSim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _wanted(self, names: Collection[str] | None) -> ProductsConfig:
        configured = self.config.products
        if names is None:
            return configured
        flags: dict[str, Any] = {f.name: f.name in names for f in fields(ProductsConfig) if isinstance(f.default, bool)}
        return replace(configured, **flags, extra_views=configured.extra_views if "extra_views" in names else 0)

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, stream, number])

    def _frame_truth(self, shot: Shot, t: float, index: int, wanted: ProductsConfig) -> FrameTruth:
        T_world_cam, view = self.stage.camera_pose(t), shot.view
        flow = scene_flow = None
        if wanted.flow:
            flow, scene_flow = self._truth.flow(view, self.camera, t, t + 1 / self.config.fps)
        views = self._extra_views(T_world_cam, view, t, index, wanted.extra_views) if wanted.extra_views else ()
        bodies = self._truth.bodies(view, self.camera, t, vertices=wanted.vertices) if wanted.bodies or wanted.vertices else ()
        return FrameTruth(
            depth=view.depth,
            T_world_cam=T_world_cam,
            classes=view.classes,
            instances=view.instances,
            clean=shot.clean,
            clean_depth=shot.clean_depth,
            clean_shadowed=shot.clean_shadowed,
            background=shot.background,
            background_depth=shot.background_depth,
            flow=flow,
            scene_flow=scene_flow,
            views=views,
            bodies=bodies,
            wearer=self.stage.wearer_truth(t),
            objects=self._truth.objects(t),
            photo=self._camera.photo.truth(t),
        )

    def _extra_views(
        self, T_world_cam: NDArray[np.float64], view: Rendering, t: float, index: int, count: int
    ) -> tuple[ExtraView, ...]:
        poses = extra_poses(
            T_world_cam,
            count,
            self._rng(_VIEWS_STREAM, index),
            focus_m=focus_distance(view.depth),
            is_clear=lambda position: is_clear(self.room, position),
        )
        self._renderer.pose(self.stage.world_at(t))
        drawn = [self._camera.look(pose) for pose in poses]
        return tuple(ExtraView(v.rgb, v.depth, pose) for v, pose in zip(drawn, poses, strict=True))
