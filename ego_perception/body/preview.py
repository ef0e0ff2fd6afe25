"""Draws a mesh with numpy alone: an orthographic z-buffer with shaded triangles, to look at a body without a GL back-end."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

VIEWS: Final = {"front": 0.0, "side": -np.pi / 2, "back": np.pi}
"""Turn of the body about its vertical axis for each view, radians."""

_LIGHTS: Final = (
    (np.array([-0.45, 0.55, 0.70]), 0.75),
    (np.array([0.80, 0.10, 0.35]), 0.25),
    (np.array([0.0, 1.0, 0.0]), 0.12),
)
_SKIN: Final = np.array([0.86, 0.70, 0.60])
_BACKGROUND: Final = 245
_OVERSAMPLING: Final = 2


def vertex_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Unit normals (V, 3), area-weighted means of the faces around."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack([np.bincount(faces.ravel(), np.repeat(area[:, k], 3), len(vertices)) for k in range(3)], axis=1)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def draw_views(vertices: Array, faces: NDArray[np.int64], height: int = 900) -> Image:
    """Draw front, side and back next to one another, (height, W, 3) RGB.

    Args:
        vertices: (V, 3), y up, the person faces +z.
        faces: (F, 3).
        height: of the image, pixels.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    scale = 0.94 * height / max(float(high[1] - low[1]), 1e-6)
    centre = (low + high) / 2
    panels = []
    for turn in VIEWS.values():
        c, s = np.cos(turn), np.sin(turn)
        turned = (vertices - centre) @ np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]).T
        width = int(scale * np.ptp(turned[:, 0])) + height // 12
        panels.append(draw(turned, faces, (width, height), scale))
    return np.concatenate(panels, axis=1)


def draw(vertices: Array, faces: NDArray[np.int64], size: tuple[int, int], scale: float) -> Image:
    """Draw one view from +z, the origin in the middle.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3).
        size: width and height, pixels.
        scale: pixels per metre.
    """
    width, height = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    pixels = vertices[:, :2] * [scale * _OVERSAMPLING, -scale * _OVERSAMPLING] + [width / 2, height / 2]
    colour = _SKIN * _shade(vertex_normals(vertices, faces))[:, None]
    canvas = np.full((height * width, 3), _BACKGROUND / 255.0)
    where, depth, triangle, share = _fragments(pixels, vertices[:, 2], faces, width, height)
    order = np.argsort(depth, kind="stable")  # the nearest is written last
    where, triangle, share = where[order], triangle[order], share[order]
    canvas[where] = np.einsum("nk,nkc->nc", share, colour[faces[triangle]])
    small = canvas.reshape(size[1], _OVERSAMPLING, size[0], _OVERSAMPLING, 3).mean(axis=(1, 3))
    return np.round(255 * np.clip(small, 0, 1)).astype(np.uint8)


def _shade(normals: Array) -> Array:
    light = sum(power * np.maximum(normals @ (direction / np.linalg.norm(direction)), 0.0) for direction, power in _LIGHTS)
    return np.asarray(0.18 + light)


def _fragments(
    pixels: Array, depth: Array, faces: NDArray[np.int64], width: int, height: int
) -> tuple[NDArray[np.int64], Array, NDArray[np.int64], Array]:
    """Every pixel of every front-facing triangle: flat index, depth, triangle, barycentric shares (N, 3)."""
    a, b, c = (pixels[faces[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.clip(np.floor(np.minimum(np.minimum(a, b), c)), 0, [width, height]).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(np.maximum(a, b), c)) + 1, 0, [width, height]).astype(np.int64)
    span = np.maximum(high - low, 0)
    span[area >= 0] = 0  # image rows run down, so what faces the eye is clockwise here
    count = span[:, 0] * span[:, 1]
    triangle = np.repeat(np.arange(len(faces)), count)
    inner = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    x = low[triangle, 0] + inner % np.maximum(span[triangle, 0], 1)
    y = low[triangle, 1] + inner // np.maximum(span[triangle, 0], 1)
    p = np.stack([x, y], axis=1) + 0.5
    share = np.empty((len(triangle), 3))
    for k, (one, two) in enumerate(((b, c), (c, a), (a, b))):
        u, v = one[triangle], two[triangle]
        share[:, k] = (v[:, 0] - u[:, 0]) * (p[:, 1] - u[:, 1]) - (v[:, 1] - u[:, 1]) * (p[:, 0] - u[:, 0])
    share /= area[triangle][:, None]
    kept = (share >= 0).all(axis=1)
    share, triangle = share[kept], triangle[kept]
    return (y * width + x)[kept], (share * depth[faces[triangle]]).sum(axis=1), triangle, share
