"""Renderings of a whole result: the fused cloud with the camera path from a few telling viewpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, transform_points
from ego_perception.viz.content import ResultContent
from ego_perception.viz.pictures import Picture
from ego_perception.viz.splat import Cloud, look_at, render

_FOV_Y_RAD: Final = np.deg2rad(42.0)
_MAX_POINTS: Final = 400_000
_PATH_RGB: Final = (64, 196, 255)
_TRUTH_RGB: Final = (190, 195, 205)


@dataclass(frozen=True)
class Rendering:
    """A picture and the words under it."""

    caption: str
    picture: Picture


def thinned(points: NDArray[np.float32], colours: Picture, limit: int) -> tuple[NDArray[np.float32], Picture]:
    """At most `limit` points, an even choice that is the same every time; points that are not finite are left out."""
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(finite) > limit:
        finite = np.random.default_rng(0).choice(finite, limit, replace=False)
        finite.sort()
    return points[finite], colours[finite]


def render_views(content: ResultContent, *, width: int = 760) -> list[Rendering]:
    """Draw the fused cloud as seen from behind the wearer, from the side above, and from the top; empty without a cloud.

    Args:
        content: the result.
        width: of each picture, pixels.
    """
    if len(content.cloud[0]) == 0:
        return []
    points, colours = thinned(*content.cloud, _MAX_POINTS)
    up, size_m = content.up, point_size(points)
    start, ahead = _first_view(content, points)
    centre = np.median(points, axis=0).astype(np.float64)
    side = np.cross(up, ahead)
    extras = _path_clouds(content, size_m)
    path = extras[-1].points[::20] if extras else points[:0]
    ceiling_m = float(np.percentile(points @ up.astype(np.float32), 98))
    low = points @ up.astype(np.float32) < max(float(start @ up) + 0.3, ceiling_m - 1.0)
    directions = [
        ("from behind the wearer", -ahead + 0.45 * up, points, colours, up),
        ("from the left, above", 0.8 * side - 0.45 * ahead + 0.75 * up, points, colours, up),
        ("from the top, upper parts cut away", up, points[low], colours[low], ahead),
    ]
    views: list[Rendering] = []
    for caption, direction, shown, tint, upward in directions:
        # The first stands large beside the two others, one above the other.
        camera = PinholeCamera.from_fov(width, round(width * (0.62 if views else 0.665)), _FOV_Y_RAD)
        framed = np.concatenate([shown, np.repeat(path, max(1, len(shown) // (20 * max(len(path), 1))), axis=0)])
        T = _framed(framed, centre, direction / np.linalg.norm(direction), upward, camera)
        views.append(Rendering(caption, render([Cloud(shown, tint, size_m), *extras], camera, T)))
    return views


def point_size(points: NDArray[np.float32]) -> float:
    """A side in metres that makes neighbouring points touch: the usual spacing on the surfaces of the cloud."""
    extent = np.percentile(points, 95, axis=0) - np.percentile(points, 5, axis=0)
    # Points lie on surfaces; a room shows about twice the area of its two largest sides.
    sides = np.sort(extent)[::-1]
    area = 2.0 * float(sides[0] * sides[1]) + 1e-6
    return float(np.clip(1.8 * np.sqrt(area / max(len(points), 1)), 0.004, 0.08))


def _first_view(content: ResultContent, points: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the wearer stood first, and the level direction of the first view."""
    T = next((f.T_world_cam for f in content.frames if f.T_world_cam is not None), None)
    forward = np.array([1.0, 0.0, 0.0]) if T is None else T[:3, 2]
    level = forward - (forward @ content.up) * content.up
    length = float(np.linalg.norm(level))
    level = np.cross(content.up, [0.0, 1.0, 0.0]) if length < 1e-3 else level / length
    start = np.median(points, axis=0).astype(np.float64) if T is None else T[:3, 3]
    return start, level / np.linalg.norm(level)


def _framed(
    points: NDArray[np.float32],
    centre: NDArray[np.float64],
    direction: NDArray[np.float64],
    up: NDArray[np.float64],
    camera: PinholeCamera,
) -> NDArray[np.float64]:
    """The pose on the ray from `centre` along `direction` from which nearly all points fill the picture."""
    T = look_at(centre + direction, centre, up)
    seen = transform_points(invert(T), points[:: max(1, len(points) // 20_000)].astype(np.float64))
    low, high = np.percentile(seen[:, :2], [1, 99], axis=0)
    T = T.copy()
    T[:3, 3] += T[:3, :2] @ ((low + high) / 2)
    seen[:, :2] -= (low + high) / 2
    # With the camera moved back by b, a point at (x, z) stays inside while |x| <= (z + b) * half width / f.
    half = np.array([camera.width / (2 * camera.fx), camera.height / (2 * camera.fy)]) * 0.94
    back = float(np.percentile((np.abs(seen[:, :2]) / half).max(axis=1) - seen[:, 2], 99.3))
    T[:3, 3] -= T[:3, 2] * back
    return T


def _path_clouds(content: ResultContent, size_m: float) -> list[Cloud]:
    """The camera path, and the true one, as strings of points."""
    clouds = []
    truth = content.truth_in_world()
    if truth is not None:
        clouds.append(_string(truth, _TRUTH_RGB, size_m))
    estimate = content.reader.trajectory
    if estimate is not None and len(estimate):
        clouds.append(_string(estimate.positions, _PATH_RGB, 1.4 * size_m))
    return clouds


def _string(positions: NDArray[np.float64], rgb: tuple[int, int, int], size_m: float) -> Cloud:
    samples = np.linspace(0, len(positions) - 1, max(20 * len(positions), 2))
    dense = np.stack([np.interp(samples, np.arange(len(positions)), positions[:, k]) for k in range(3)], axis=1)
    return Cloud(dense.astype(np.float32), np.full((len(dense), 3), rgb, np.uint8), size_m)
