"""How good a hand-free image is, measured in the hole only: what lies outside is the camera's own image and always right."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, transform_points

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Depth = NDArray[np.float32]

_SIGMA = 1.5  # of the window of SSIM, pixels, as published


class PixelError:
    """Squared error pooled over pixels; `psnr` in dB."""

    def __init__(self) -> None:
        self.square, self.count = 0.0, 0

    def add(self, image: Image, truth: Image, where: Mask) -> None:
        """Take the pixels of (H, W, 3) images that (H, W) `where` marks."""
        difference = image[where].astype(np.float64) - truth[where]
        self.square += float((difference * difference).sum())
        self.count += difference.size

    @property
    def psnr(self) -> float:
        """Peak signal to noise, dB; NaN without a pixel, infinite without an error."""
        if not self.count:
            return math.nan
        return math.inf if self.square == 0 else 10 * math.log10(255**2 * self.count / self.square)


def ssim_map(a: Image, b: Image) -> NDArray[np.float32]:
    """Structural similarity of two (H, W, 3) images (Wang et al., IEEE TIP 2004), mean of the channels, (H, W)."""
    x, y = a.astype(np.float32), b.astype(np.float32)

    def mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(image, (11, 11), _SIGMA), np.float32)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return np.asarray(value.mean(axis=2), np.float32)


def intersection_over_union(a: Mask, b: Mask) -> float:
    """Overlap of two masks; 1 where both are empty."""
    either = int((a | b).sum())
    return 1.0 if not either else int((a & b).sum()) / either


def background_flow(
    depth: Depth, camera: PinholeCamera, T_world_cam: NDArray[np.float64], T_world_before: NDArray[np.float64]
) -> Depth:
    """Where the static background of a view was in the image before: (H, W, 2) float32 displacement, NaN without depth.

    Args:
        depth: (H, W) metres of the background, 0 where unknown.
        camera: without distortion, of both images.
    """
    points = camera.rays() * np.where(depth > 0, depth, np.nan)[..., None]
    there = transform_points(invert(T_world_before) @ T_world_cam, points)
    z = np.where(there[..., 2] > 0.01, there[..., 2], np.nan)
    u = camera.fx * there[..., 0] / z + camera.cx - np.arange(camera.width)
    v = camera.fy * there[..., 1] / z + camera.cy - np.arange(camera.height)[:, None]
    return np.stack([u, v], axis=-1).astype(np.float32)


def moved(image: Image, flow: Depth, interpolation: int = cv2.INTER_LINEAR) -> Image:
    """Fetch (H, W, ...) from the image before; 0 outside and where the flow is unknown."""
    x = np.nan_to_num(flow[..., 0] + np.arange(flow.shape[1], dtype=np.float32), nan=-1e6)
    y = np.nan_to_num(flow[..., 1] + np.arange(flow.shape[0], dtype=np.float32)[:, None], nan=-1e6)
    return np.asarray(cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_CONSTANT), np.uint8)


def flicker(now: Image, before: Image, flow: Depth, where: Mask, where_before: Mask) -> tuple[float, int]:
    """Absolute change of a fill from one image to the next beyond the background's motion: its sum and the number of values.

    Args:
        where, where_before: (H, W) holes of both images.
    """
    height, width = where.shape
    x, y = flow[..., 0] + np.arange(width), flow[..., 1] + np.arange(height)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)  # a place beyond the border is mixed with black
    both = where & inside & (moved(where_before.astype(np.uint8), flow, cv2.INTER_NEAREST) > 0)
    difference = np.abs(moved(before, flow)[both].astype(np.float64) - now[both])
    return float(difference.sum()), difference.size
