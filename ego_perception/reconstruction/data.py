"""Images with exact depth for training the network: rooms in memory, batches, and what is done to them against overfitting.

They come from a data set of clips (`data.clips`), rendered by `ego dataset`; images must have square pixels and no lens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ego_perception.data.clips import Clip, ClipDataset
from ego_perception.errors import SourceError

NEAR_M: Final = 0.1
FAR_M: Final = 10.0


class DepthBatch(NamedTuple):
    """What one step learns from.

    Attributes:
        images: (B, 3, H, W) RGB in about 0..1.
        log_depth: (B, H/2, W/2) canonical log depth (see `model`).
        log_focal: (B,) logarithm of the focal ratio.
    """

    images: Tensor
    log_depth: Tensor
    log_focal: Tensor


@dataclass(frozen=True)
class Block:
    """The frames of one clip, in memory: rgb (N, H, W, 3), depth (N, H, W) metres, 0 none, and fov_y (N,) radians."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float16]
    fov_y: NDArray[np.float32]


def block_of(clip: Clip) -> Block:
    """Decode one clip.

    Raises:
        SourceError: damaged, without depth, or taken through a lens.
    """
    frames = list(clip)
    depth = [frame.truth.depth for frame in frames if frame.truth is not None and frame.truth.depth is not None]
    cameras = [frame.camera for frame in frames if frame.camera is not None and not frame.camera.is_distorted]
    if len(depth) != len(frames) or len(cameras) != len(frames):
        raise SourceError(f"clip {clip.seed} has frames without depth or with a lens; render them with --photo off")
    fov_y = np.array([camera.fov_rad[1] for camera in cameras], np.float32)
    return Block(np.stack([frame.rgb for frame in frames]), np.stack(depth).astype(np.float16), fov_y)


class DepthDataset:
    """All clips of a data set in memory, in a fixed order; clips that are finished later are appended by `rescan`.

    Args:
        folder: as `ego dataset` writes it.
        names: clips to start with, in this order (a resumed run); None takes all there are.

    Raises:
        SourceError: no data set, a named clip is missing, or one is damaged.
    """

    def __init__(self, folder: Path, names: list[str] | None = None) -> None:
        self.folder = folder
        self.names: list[str] = []
        self._clips = ClipDataset(folder, parts=("depth",))
        self._blocks: list[Block] = []
        self._where: NDArray[np.int32] = np.zeros((0, 2), np.int32)
        self._append(self._found() if names is None else names)

    def __len__(self) -> int:
        return len(self._where)

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the stored images."""
        return self._blocks[0].rgb.shape[2], self._blocks[0].rgb.shape[1]

    def rescan(self) -> None:
        """Append clips that were finished since."""
        known = set(self.names)
        self._clips.reload()
        self._append([name for name in self._found() if name not in known])

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stack frames: images (B, 3, H, W) float in 0..1, depth (B, H, W) metres, focal length (B,) in stored pixels."""
        rows = [(self._blocks[b], i) for b, i in self._where[indices.numpy()]]
        images = torch.from_numpy(np.stack([block.rgb[i] for block, i in rows])).permute(0, 3, 1, 2).float() / 255
        depth = torch.from_numpy(np.stack([block.depth[i] for block, i in rows])).float()
        depth = torch.where(depth > 0, depth, FAR_M)  # no surface within sight
        fov_y = torch.tensor([float(block.fov_y[i]) for block, i in rows])
        return images, depth, 0.5 * self.image_size[1] / (0.5 * fov_y).tan()

    def _found(self) -> list[str]:
        return [f"{entry.seed:05d}" for entry in self._clips.entries]

    def _append(self, names: list[str]) -> None:
        places = {name: k for k, name in enumerate(self._found())}
        for name in names:
            if name not in places:
                raise SourceError(f"{self.folder} has no clip {name}, which the run started with; render it again")
            block = block_of(self._clips.clip(places[name]))
            rows = np.stack([np.full(len(block.rgb), len(self._blocks)), np.arange(len(block.rgb))], axis=1)
            self._where = np.concatenate([self._where, rows.astype(np.int32)])
            self._blocks.append(block)
            self.names.append(name)
        self._clips.close()


@dataclass(frozen=True)
class Crop:
    """One window per image, in pixels of the stored images: (B,) each.

    Attributes:
        x, y: centre relative to the image centre.
        half_width, half_height: half its size.
        roll: rotation about the optical axis, radians.
        mirror: +1, or -1 where left and right are swapped.
    """

    x: Tensor
    y: Tensor
    half_width: Tensor
    half_height: Tensor
    roll: Tensor
    mirror: Tensor


def whole_image(count: int, size: tuple[int, int]) -> Crop:
    """The crop that takes all of each image."""
    zero = torch.zeros(count)
    return Crop(zero, zero, zero + 0.5 * size[0], zero + 0.5 * size[1], zero, zero + 1.0)


def random_crop(count: int, size: tuple[int, int], aspect: float, generator: torch.Generator) -> Crop:
    """Draw windows of about the given aspect ratio: zoom up to 1.7, a little roll, mirrored half of the time."""
    width, height = size

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    roll = torch.randn(count, generator=generator) * math.radians(6.0) * (uniform(0, 1) < 0.4)
    aspects = aspect * uniform(0.94, 1.06)
    # Half sizes of the largest upright window, then shrunk so that the rotated one stays inside.
    half_h = torch.minimum(torch.full((count,), 0.5 * height), 0.5 * width / aspects)
    half_w = half_h * aspects
    cos, sin = roll.cos(), roll.sin().abs()
    extent_x, extent_y = half_w * cos + half_h * sin, half_w * sin + half_h * cos
    fit = torch.minimum(0.5 * width / extent_x, 0.5 * height / extent_y).clamp(max=1.0)
    zoom = torch.where(uniform(0, 1) < 0.6, uniform(0.6, 1.0), torch.ones(count)) * fit
    half_w, half_h, extent_x, extent_y = half_w * zoom, half_h * zoom, extent_x * zoom, extent_y * zoom
    x = uniform(-1, 1) * (0.5 * width - extent_x).clamp(min=0)
    y = uniform(-1, 1) * (0.5 * height - extent_y).clamp(min=0)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    return Crop(x, y, half_w, half_h, roll, mirror)


def cut(images: Tensor, depth: Tensor, focal: Tensor, crop: Crop, size: tuple[int, int]) -> DepthBatch:
    """Resample the windows to `size` (width, height) and express the truth for the camera of the window.

    Depth keeps its value under crop, zoom and roll; the focal length relative to the window grows as the window shrinks.
    It is sampled without mixing surfaces, at the centres of the output's half-resolution pixels.
    """
    half = torch.tensor([0.5 * images.shape[3], 0.5 * images.shape[2]])
    cos, sin = crop.roll.cos(), crop.roll.sin()
    rows = [
        [crop.mirror * crop.half_width * cos, -crop.half_height * sin, crop.x],
        [crop.mirror * crop.half_width * sin, crop.half_height * cos, crop.y],
    ]
    theta = torch.stack([torch.stack(row, dim=1) / half[axis] for axis, row in enumerate(rows)], dim=1).to(images.device)
    (width, height), count = size, len(images)
    grid = functional.affine_grid(theta, [count, 3, height, width], align_corners=False)
    resampled = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    coarse = functional.affine_grid(theta, [count, 1, height // 2, width // 2], align_corners=False)
    metres = functional.grid_sample(depth[:, None], coarse, mode="nearest", padding_mode="border", align_corners=False)[:, 0]
    log_focal = (focal / (2.0 * (crop.half_width * crop.half_height).sqrt())).log().to(images.device)
    return DepthBatch(resampled, metres.clamp(NEAR_M, FAR_M).log() - log_focal[:, None, None], log_focal)
