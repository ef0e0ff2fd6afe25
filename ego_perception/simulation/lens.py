"""The simulated lens: the camera model of the final image, the larger pinhole render that covers it, and the way between both.

OpenGL draws straight lines straight, so a distorted image is remapped from an undistorted render. Truth is never resampled as a
picture: ids are taken from the nearest pixel, depth is interpolated only inside one surface, and flow is computed from points.
Formulas of both lens models: the OpenCV camera calibration pages; the equidistant one is Kannala and Brandt, PAMI 2006.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.simulation.textures import Rng

KINDS: Final = ("pinhole", "radtan", "fisheye")
MAX_ANGLE_RAD: Final = math.radians(70.0)
"""Radius of the image circle: what lies further off the axis stays black, because a pinhole render cannot reach 90 degrees."""
SAME_SURFACE: Final = 0.03
"""Depth is interpolated between four pixels that differ by less than this share."""

_FIXED_POINT_STEPS, _NEWTON_STEPS = 60, 12
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Lens:
    """Two cameras on one optical axis.

    Attributes:
        camera: the camera of the final image, with its distortion: what `CameraInfo` says.
        render_camera: the undistorted, centred camera to draw with; the same where the lens is a pinhole.
    """

    camera: PinholeCamera
    render_camera: PinholeCamera

    @property
    def is_pinhole(self) -> bool:
        """True where the render is the final image."""
        return self.camera == self.render_camera

    def warp_colour(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a rendered (h, w, 3) image into the final (H, W, 3) one; black outside the image circle."""
        if self.is_pinhole:
            return image
        wide = cv2.remap(image, *self._colour_maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        size = (self.camera.width, self.camera.height)
        return np.asarray(wide if wide.shape[1] == size[0] else cv2.resize(wide, size, interpolation=cv2.INTER_AREA), np.uint8)

    def warp_nearest(self, image: NDArray[Any]) -> NDArray[Any]:
        """Take each final pixel from the nearest one of a rendered (h, w) uint8, uint16 or float32 image; 0 outside."""
        if self.is_pinhole:
            return image
        x, y = self._maps
        return np.asarray(cv2.remap(image, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT))

    def warp_depth(self, depth: NDArray[np.float32], instances: NDArray[np.uint16] | None = None) -> NDArray[np.float32]:
        """Turn rendered depth (h, w) into that of the final image, still metres along the optical axis; 0 outside.

        Inverse depth of a plane is affine in the image, so it is interpolated there without error. Where the four pixels around
        belong to more than one instance, or differ by more than `SAME_SURFACE`, the nearest one is taken: a mean would be a
        point in mid-air.
        """
        if self.is_pinhole:
            return depth
        x, y = self._maps
        inverse = np.divide(np.float32(1), depth, out=np.zeros_like(depth), where=depth > 0)
        mixed = cv2.remap(inverse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        smooth = _block(inverse, cv2.MORPH_ERODE) > (1 - SAME_SURFACE) * _block(inverse, cv2.MORPH_DILATE)
        if instances is not None:
            smooth &= _block(instances, cv2.MORPH_ERODE) == _block(instances, cv2.MORPH_DILATE)
        corner = (np.floor(x), np.floor(y))
        use = cv2.remap(smooth.astype(np.uint8), *corner, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
        out = np.array(self.warp_nearest(depth))
        np.divide(np.float32(1), mixed, out=out, where=use)
        return out

    @cached_property
    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return _render_positions(self.camera, self.render_camera)

    @cached_property
    def _colour_maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        # Towards its rim a fisheye image shrinks the render up to eightfold; two samples per side keep that from aliasing.
        factor = 2 if _is_fisheye(self.camera) else 1
        fine = self.camera.resized(factor * self.camera.width, factor * self.camera.height)
        a, b = cv2.convertMaps(*_render_positions(fine, self.render_camera), cv2.CV_16SC2)
        return a, b


def make_lens(width: int, height: int, fov_y_rad: float, kind: str, rng: Rng) -> Lens:
    """Draw the lens of one camera.

    Args:
        width, height: size of the final image, pixels.
        fov_y_rad: angle between the middle of its upper and lower border, also with distortion, radians.
        kind: one of `KINDS`.

    Raises:
        SimulationError: an unknown kind.
    """
    if kind not in KINDS:
        raise SimulationError(f"lens kind '{kind}' is unknown; choose {', '.join(KINDS)}")
    pinhole = PinholeCamera.from_fov(width, height, fov_y_rad)
    if kind == "pinhole":
        return Lens(pinhole, pinhole)
    if kind == "fisheye":
        model = DistortionModel.EQUIDISTANT
        coefficients: tuple[float, ...] = (float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.008, 0.008)), 0.0, 0.0)
    else:
        model, coefficients = DistortionModel.PLUMB_BOB, _barrel(pinhole, rng)
    half = math.tan(fov_y_rad / 2)
    shape = PinholeCamera(width, height, 1.0, 1.0, 0.0, 0.0, model, coefficients)
    reach = float(_distort(shape, np.array([[half, 0.0]]), tangential=False)[0, 0])
    # The principal point of a real camera is off by a few pixels.
    cx, cy = (np.array([pinhole.cx, pinhole.cy]) + np.clip(rng.normal(0, 0.006, 2), -0.015, 0.015) * width).tolist()
    f = 0.5 * height / reach
    camera = PinholeCamera(width, height, f, f, cx, cy, model, coefficients)
    return Lens(camera, _covering(camera))


def project(camera: PinholeCamera, points: Floats) -> Floats:
    """Project points (..., 3) in optical axes to pixels (..., 2) of the distorted image.

    NaN where z <= 0 or where the lens model has left the range in which it grows: there it would fold back into the image.
    """
    z = np.where(points[..., 2] > 0, points[..., 2], np.nan).astype(points.dtype, copy=False)
    xy = points[..., :2] / z[..., None]
    if not _has_lens(camera):
        return camera.project(points)
    pixels = _distort(camera, xy)
    pixels[np.square(xy).sum(axis=-1) > valid_radius(camera) ** 2] = np.nan
    return pixels


@functools.lru_cache(maxsize=8)
def pixel_rays(camera: PinholeCamera) -> NDArray[np.float32]:
    """Directions of all pixels of the distorted image with z = 1, (H, W, 3) float32, read only; NaN beyond `MAX_ANGLE_RAD`."""
    if _has_lens(camera):
        rays = np.ones((camera.height, camera.width, 3), np.float32)
        rays[..., :2] = _undistorted_grid(camera)
    else:
        rays = camera.rays()
    rays.flags.writeable = False
    return rays


@functools.lru_cache(maxsize=32)
def valid_radius(camera: PinholeCamera) -> float:
    """Largest tan(angle to the axis) up to which the image radius grows with the angle."""
    angles = np.linspace(0.0, math.pi / 2 - 1e-3, 4000)
    radius = np.tan(angles)
    image = _distort(camera.with_focal(1.0), np.stack([radius, np.zeros_like(radius)], axis=-1), tangential=False)[:, 0]
    falls = np.flatnonzero(np.diff(image) <= 0)
    return float(radius[falls[0]]) if len(falls) else math.inf


def _barrel(pinhole: PinholeCamera, rng: Rng) -> tuple[float, ...]:
    """Plumb-bob coefficients (k1, k2, p1, p2, k3) that pull the corner in by 5 to 14 per cent."""
    corner = math.hypot(pinhole.width, pinhole.height) / (2 * pinhole.fx)
    k1, k2 = -rng.uniform(0.06, 0.15) / corner**2, rng.uniform(0.0, 0.03) / corner**4
    p1, p2 = rng.uniform(-1.5e-3, 1.5e-3, 2) / corner
    return float(k1), float(k2), float(p1), float(p2), 0.0


def _covering(camera: PinholeCamera) -> PinholeCamera:
    """The centred pinhole camera whose image holds all rays of a distorted one, as fine as that is in its middle."""
    rays = np.nan_to_num(np.abs(pixel_rays(camera)))
    width, height = (2 * math.ceil(camera.fx * float(rays[..., axis].max()) + 1.5) for axis in (0, 1))
    return PinholeCamera.from_fov(width, height, 2 * math.atan(0.5 * height / camera.fy))


def _distort(camera: PinholeCamera, xy: Floats, *, tangential: bool = True) -> Floats:
    """Map points (..., 2) of the plane z = 1 to distorted pixels (..., 2)."""
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    if _is_fisheye(camera):
        r = np.sqrt(r2)
        theta = np.arctan(r)
        grown = theta * _polynomial(theta * theta, camera.distortion)
        scale = np.divide(grown, r, out=np.ones_like(r), where=r > 1e-8)
        u, v = x * scale, y * scale
    else:
        k1, k2, p1, p2, k3 = (*camera.distortion, *(0.0,) * 5)[:5]
        scale = _polynomial(r2, (k1, k2, k3))
        u, v = x * scale, y * scale
        if tangential:
            u, v = u + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), v + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([camera.fx * u + camera.cx, camera.fy * v + camera.cy], axis=-1)


def _polynomial(t: Floats, coefficients: tuple[float, ...]) -> Floats:
    """1 + c0 t + c1 t^2 + ..."""
    out = np.zeros_like(t)
    for c in reversed(coefficients):
        out = (out + t.dtype.type(c)) * t
    return out + t.dtype.type(1)


def _undistorted_grid(camera: PinholeCamera) -> NDArray[np.float64]:
    """Points of all pixels on the plane z = 1, (H, W, 2); NaN beyond `MAX_ANGLE_RAD`."""
    u = (np.arange(camera.width) - camera.cx) / camera.fx
    v = (np.arange(camera.height) - camera.cy) / camera.fy
    target = np.stack(np.meshgrid(u, v), axis=-1)
    xy = _undistort_equidistant(camera, target) if _is_fisheye(camera) else _undistort_plumb_bob(camera, target)
    limit = min(math.tan(MAX_ANGLE_RAD), valid_radius(camera))
    xy[~(np.square(xy).sum(axis=-1) <= limit**2)] = np.nan
    return xy


def _is_fisheye(camera: PinholeCamera) -> bool:
    return camera.distortion_model is DistortionModel.EQUIDISTANT


def _has_lens(camera: PinholeCamera) -> bool:
    if camera.distortion_model is DistortionModel.RATIONAL:
        raise SimulationError("the simulator has no rational lens model; use plumb_bob or equidistant")
    return camera.is_distorted or _is_fisheye(camera)


def _undistort_equidistant(camera: PinholeCamera, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton's method on theta (1 + k1 theta^2 + ...) = image radius."""
    radius = np.hypot(target[..., 0], target[..., 1])
    theta = np.minimum(radius, math.pi / 2)
    slope = tuple((2 * i + 3) * k for i, k in enumerate(camera.distortion))
    for _ in range(_NEWTON_STEPS):
        t2 = theta * theta
        theta = np.clip(
            theta - (theta * _polynomial(t2, camera.distortion) - radius) / _polynomial(t2, slope), 0, math.pi / 2 - 1e-3
        )
    misses = np.abs(theta * _polynomial(theta * theta, camera.distortion) - radius) > 1e-9
    scale = np.divide(np.tan(theta), radius, out=np.ones_like(radius), where=radius > 1e-12)
    scale[misses] = np.nan
    return target * scale[..., None]


def _undistort_plumb_bob(camera: PinholeCamera, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fixed-point iteration: the residual is small against the distance itself for any lens worth the name."""
    unit = PinholeCamera(1, 1, 1.0, 1.0, 0.0, 0.0, camera.distortion_model, camera.distortion)
    xy = np.array(target)
    for _ in range(_FIXED_POINT_STEPS):
        missing = target - _distort(unit, xy)
        xy += missing
        if np.abs(missing).max() < 1e-10:
            break
    xy[np.abs(missing).max(axis=-1) > 1e-6] = np.nan
    return xy


def _render_positions(camera: PinholeCamera, render: PinholeCamera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rays = pixel_rays(camera)
    x, y = render.fx * rays[..., 0] + render.cx, render.fy * rays[..., 1] + render.cy
    outside = np.isnan(x)
    x[outside] = y[outside] = -16.0
    return x, y


def _block(image: NDArray[Any], operation: int) -> NDArray[Any]:
    """Smallest or largest of each pixel and its neighbours to the right, below, and below right."""
    kernel, anchor = np.ones((2, 2), np.uint8), (0, 0)
    return np.asarray(cv2.morphologyEx(image, operation, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE))
