"""The parameters of one simulated clip; together with the seed they determine every byte of it."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

from ego_perception.geometry import PinholeCamera
from ego_perception.parameters import group, param, specs

PRESETS = ("plain", "default", "hard")


@dataclass(frozen=True)
class PeopleConfig:
    """Who is in the room."""

    wearer: bool = param(True, "Draw the wearer's body; off, a bare camera makes the same movements.")
    others: int = param(-1, "Other people; -1 draws none to two from the seed, and fewer where there is no room.", ge=-1, le=2)
    fingers: bool = param(True, "Hands close around what they hold; off, they stay flat.")


@dataclass(frozen=True)
class ProductsConfig:
    """What is computed beside image, depth, classes, instances and poses. Each costs time."""

    clean: bool = param(False, "The frame without the wearer, with and without the shadow.")
    clean_of: str = param("wearer", "What clean frames lack: the wearer, or hands and arms only.", choices=("wearer", "arms"))
    background: bool = param(False, "The frame without wearer, people and held objects.")
    flow: bool = param(False, "Optical flow and scene flow to the next frame.")
    bodies: bool = param(True, "Other people's parameters, joints and their visibility.")
    vertices: bool = param(False, "Their vertices and vertex visibility.")
    extra_views: int = param(0, "Extra cameras around the wearer's, drawn at the same instant.", ge=0, le=16)


@dataclass(frozen=True)
class PhotoConfig:
    """What lens and sensor do to the image; everything off gives the exact pinhole image."""

    lens: str = param(
        "pinhole",
        "pinhole, radtan (slight barrel) or fisheye (equidistant).",
        choices=("pinhole", "radtan", "fisheye"),
    )
    rolling_shutter_s: float = param(0.0, "Time from the first to the last row.", unit="s", ge=0.0, le=0.1)
    exposure_time_s: float = param(0.0, "Time over which motion blurs the image.", unit="s", ge=0.0, le=0.1)
    exposure_drift: float = param(0.0, "Standard deviation of slow exposure changes, as a share.", ge=0.0, le=1.0)
    white_balance_drift: float = param(0.0, "Standard deviation of slow colour changes, as a share.", ge=0.0, le=0.5)
    noise: float = param(0.0, "Standard deviation of the noise in mid grey, in grey levels.", ge=0.0, le=50.0)
    vignette: float = param(0.0, "Darkening in the corners, as a share.", ge=0.0, le=1.0)
    jpeg_quality: int = param(0, "Compress and decompress with this quality; 0 does not.", ge=0, le=100)


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
    fov_y_deg: float = param(55.0, "Vertical field of view of the pinhole camera.", unit="deg", ge=20.0, le=110.0)
    camera_tilt_deg: float = param(
        0.0,
        "How much further down the camera looks than the usual 8 to 25 degrees below the head.",
        unit="deg",
        ge=-30.0,
        le=60.0,
    )
    fps: float = param(15.0, "Frames per second.", unit="Hz", ge=0.1, le=240.0)
    duration_s: float = param(10.0, "Length of the clip.", unit="s", ge=0.02, le=3600.0)
    room_size_m: float = param(0.0, "Length of both floor sides; 0 draws a room from the seed.", unit="m", ge=0.0, le=12.0)
    supersample: int = param(2, "Colour is rendered at this multiple of the image size and averaged.", ge=1, le=4)
    shadow_map_px: int = param(1024, "Side of the shadow map; 0 renders without shadows.", unit="px", ge=0, le=8192)
    ambient_occlusion: bool = param(True, "Darken corners and the ground under things.")
    people: PeopleConfig = group(PeopleConfig)
    products: ProductsConfig = group(ProductsConfig)
    photo: PhotoConfig = group(PhotoConfig)

    def __post_init__(self) -> None:
        for spec in specs(type(self)):
            spec.check(operator.attrgetter(spec.name)(self))

    @property
    def num_frames(self) -> int:
        """Frames in the clip, at least one."""
        return max(1, math.floor(self.duration_s * self.fps + 1e-6))

    @property
    def camera(self) -> PinholeCamera:
        """The pinhole camera of every frame; integer pixel centres."""
        return PinholeCamera.from_fov(self.width, self.height, math.radians(self.fov_y_deg))
