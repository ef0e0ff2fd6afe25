"""The parameters of one simulated clip; together with the seed they determine every byte of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ego_perception.geometry import PinholeCamera
from ego_perception.parameters import param, specs

PRESETS = ("plain", "default", "hard")


@dataclass(frozen=True)
class EgoSimConfig:
    """Seed, camera and length of a clip.

    Raises:
        ConfigError: on construction, for a value outside its declared range.
    """

    seed: int = param(0, "Chooses room, furniture, looks and path.", ge=0, le=2**31 - 1)
    preset: str = param(
        "default", "plain (few things, for tests), default (muted and realistic) or hard (random looks).", choices=PRESETS
    )
    width: int = param(640, "Image width.", unit="px", ge=16, le=4096)
    height: int = param(480, "Image height.", unit="px", ge=16, le=4096)
    fov_y_deg: float = param(55.0, "Vertical field of view of the pinhole camera.", unit="deg", ge=20.0, le=120.0)
    fps: float = param(15.0, "Frames per second.", unit="Hz", ge=0.1, le=240.0)
    duration_s: float = param(10.0, "Length of the clip.", unit="s", ge=0.02, le=3600.0)
    room_size_m: float = param(0.0, "Length of both floor sides; 0 draws a room from the seed.", unit="m", ge=0.0, le=12.0)
    supersample: int = param(2, "Colour is rendered at this multiple of the image size and averaged.", ge=1, le=4)
    shadow_map_px: int = param(2048, "Side of the shadow map; 0 renders without shadows.", unit="px", ge=0, le=8192)

    def __post_init__(self) -> None:
        for spec in specs(type(self)):
            spec.check(getattr(self, spec.name))

    @property
    def num_frames(self) -> int:
        """Frames in the clip, at least one."""
        return max(1, math.floor(self.duration_s * self.fps + 1e-6))

    @property
    def camera(self) -> PinholeCamera:
        """The pinhole camera of every frame; integer pixel centres."""
        return PinholeCamera.from_fov(self.width, self.height, math.radians(self.fov_y_deg))
