"""Draws a coloured point cloud from any viewpoint with numpy alone, for pictures where no GPU and no browser is at hand.

Each point covers a square whose side falls with distance; the nearest wins a pixel. Eye-dome lighting darkens depth steps, so
that shape shows without normals, and supersampling smooths the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, make_transform, transform_points
from ego_perception.viz.pictures import Picture

_UP: Final = np.array([0.0, 0.0, 1.0])
_NEAR_M: Final = 0.05
_MAX_SPLAT_PX: Final = 9


@dataclass(frozen=True)
class Cloud:
    """Points to draw.

    Attributes:
        points: (N, 3) float32, world, metres.
        colours: (N, 3) uint8 RGB.
        size_m: side of the square that a point stands for, metres.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    size_m: float = 0.02


@dataclass(frozen=True)
class Style:
    """How a rendering looks: pixels per output pixel and axis (`supersample`), strength of eye-dome lighting (`lighting`)."""

    background: tuple[int, int, int] = (24, 27, 33)
    supersample: int = 2
    lighting: float = 6.0


def look_at(eye: NDArray[np.float64], target: NDArray[np.float64], up: NDArray[np.float64] = _UP) -> NDArray[np.float64]:
    """The (4, 4) camera-to-world pose (optical axes) of a camera at `eye` that looks at `target`, metres.

    Raises:
        ValueError: eye and target coincide.
    """
    forward = np.asarray(target, np.float64) - eye
    length = float(np.linalg.norm(forward))
    if length < 1e-9:
        raise ValueError("a viewpoint needs a target away from its eye")
    forward = forward / length
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:
        right = np.cross(forward, np.array([1.0, 0.0, 0.0]))
        right = right if np.linalg.norm(right) > 1e-6 else np.array([0.0, -1.0, 0.0])
    right = right / np.linalg.norm(right)
    return make_transform(np.stack([right, np.cross(forward, right), forward], axis=1), eye)


def render(clouds: list[Cloud], camera: PinholeCamera, T_world_cam: NDArray[np.float64], style: Style | None = None) -> Picture:
    """Draw clouds as seen by a camera.

    Args:
        clouds: drawn with one depth buffer.
        camera: intrinsics of the picture, without distortion.
        T_world_cam: (4, 4) camera-to-world.
        style: background, supersampling and lighting.

    Returns:
        (height, width, 3) uint8.
    """
    style = style or Style()
    large = camera.resized(camera.width * style.supersample, camera.height * style.supersample)
    colour = np.empty((large.height * large.width, 3), np.uint8)
    colour[:] = style.background
    depth = np.full(large.height * large.width, np.inf, np.float32)
    for cloud in clouds:
        _draw(cloud, large, T_world_cam, colour, depth)
    lit = _eye_dome(colour.reshape(large.height, large.width, 3), depth.reshape(large.height, large.width), style)
    return np.asarray(cv2.resize(lit, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8)


def _draw(
    cloud: Cloud, camera: PinholeCamera, T_world_cam: NDArray[np.float64], colour: Picture, depth: NDArray[np.float32]
) -> None:
    points = transform_points(invert(T_world_cam), cloud.points.astype(np.float32))
    kept = points[:, 2] > _NEAR_M
    points, colours = points[kept], cloud.colours[kept]
    far_to_near = np.argsort(-points[:, 2], kind="stable")
    points, colours = points[far_to_near], colours[far_to_near]
    pixels = np.round(camera.project(points)).astype(np.int64)
    z = points[:, 2].astype(np.float32)
    side = np.clip(np.ceil(camera.fx * cloud.size_m / z), 1, _MAX_SPLAT_PX).astype(np.int64)
    reach = int(side.max(initial=1))
    for offset in ((dx, dy) for dy in range(reach) for dx in range(reach)):
        covers = side > max(offset)
        shift = np.array(offset) - side[covers, None] // 2
        _plot(pixels[covers] + shift, z[covers], colours[covers], camera, colour, depth)


def _plot(
    pixels: NDArray[np.int64],
    z: NDArray[np.float32],
    colours: Picture,
    camera: PinholeCamera,
    colour: Picture,
    depth: NDArray[np.float32],
) -> None:
    """Write one pixel per point where it is the nearest; the points come sorted from far to near."""
    x, y = pixels[:, 0], pixels[:, 1]
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    index, z, colours = (y * camera.width + x)[inside], z[inside], colours[inside]
    nearer = z < depth[index]
    # Of repeated indices numpy keeps the last assignment, here the nearest point.
    depth[index[nearer]] = z[nearer]
    colour[index[nearer]] = colours[nearer]


def _eye_dome(colour: Picture, depth: NDArray[np.float32], style: Style) -> Picture:
    """Shade by how far neighbours stand in front: Boucheny, "Visualisation scientifique de grands volumes de donnees", 2009."""
    if style.lighting <= 0:
        return colour
    log_depth = np.log2(np.where(np.isfinite(depth), depth, 1e3)).astype(np.float32)
    padded = cv2.copyMakeBorder(log_depth, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    height, width = depth.shape
    response = np.zeros_like(log_depth)
    for dy, dx in ((0, 2), (4, 2), (2, 0), (2, 4)):
        response += np.maximum(0.0, log_depth - padded[dy : dy + height, dx : dx + width])
    shade = np.exp(-style.lighting * np.minimum(response / 4, 0.25))
    shade[~np.isfinite(depth)] = 1.0
    return np.asarray(colour * shade[..., None], np.uint8)
