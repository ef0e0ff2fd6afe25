"""Images with exact masks for training the segmenter: clips of a data set in memory, and what is done to them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ego_perception.data import SceneLabel
from ego_perception.data.clips import Clip, ClipDataset
from ego_perception.errors import SourceError
from ego_perception.hand_removal.segmentation.sizes import MIRRORED, HandClass
from ego_perception.nn.look import change_look

_CLASS_OF: Final = {
    SceneLabel.LEFT_HAND: HandClass.LEFT_HAND,
    SceneLabel.RIGHT_HAND: HandClass.RIGHT_HAND,
    SceneLabel.LEFT_ARM: HandClass.LEFT_ARM,
    SceneLabel.RIGHT_ARM: HandClass.RIGHT_ARM,
    SceneLabel.HELD_OBJECT: HandClass.HELD_OBJECT,
}
_NO_MASK_SHARE = 0.4
_ROLL_RAD = math.radians(15)


class HandBatch(NamedTuple):
    """What one step learns from: images (B, 3, H, W), masks before (B, 1, H, W), labels (B, H, W) int64 `HandClass`."""

    images: Tensor
    before: Tensor
    labels: Tensor


def hand_classes(scene_labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn `SceneLabel` values into `HandClass` values. The wearer's trunk counts as none: it is not in the way."""
    table = np.zeros(256, np.uint8)
    for label, hand_class in _CLASS_OF.items():
        table[label] = hand_class
    return table[scene_labels]


class HandDataset:
    """All clips of a data set in memory at the size of the network's input; new clips are appended by `rescan`.

    Args:
        folder: as `ego dataset` writes it, with `classes`.
        size: width and height to keep.
        names: seeds of the clips to start with, in this order (a resumed run); None takes all there are.

    Raises:
        SourceError: no data set, a named clip is missing, or one is damaged or without classes.
    """

    def __init__(self, folder: Path, size: tuple[int, int], names: list[int] | None = None) -> None:
        self.folder, self.size = folder, size
        self.names: list[int] = []
        self._clips = ClipDataset(folder, parts=("classes",))
        self._images: list[NDArray[np.uint8]] = []
        self._labels: list[NDArray[np.uint8]] = []
        self._where: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self._append(self._found() if names is None else names)

    def __len__(self) -> int:
        return len(self._where)

    def rescan(self) -> None:
        """Append clips that were finished since."""
        self._clips.reload()
        self._append([seed for seed in self._found() if seed not in set(self.names)])

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Stack items: images (B, 3, H, W) float in 0..1 and labels (B, H, W) int64."""
        rows = self._where[indices.numpy()]
        images = np.stack([self._images[k][i] for k, i in rows])
        labels = np.stack([self._labels[k][i] for k, i in rows])
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels).long()

    def _found(self) -> list[int]:
        return [entry.seed for entry in self._clips.entries]

    def _append(self, names: list[int]) -> None:
        where = {seed: k for k, seed in enumerate(self._found())}
        for seed in names:
            if seed not in where:
                raise SourceError(f"{self.folder} has no clip {seed} any more, from which this run has learnt; bring it back")
            images, labels = self._shrunk(self._clips.clip(where[seed]))
            rows = np.stack([np.full(len(images), len(self._images)), np.arange(len(images))], axis=1)
            self._where = np.concatenate([self._where, rows])
            self._images.append(images)
            self._labels.append(labels)
            self.names.append(seed)
        self._clips.close()

    def _shrunk(self, clip: Clip) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = [], []
        for frame in clip:
            if frame.truth is None or frame.truth.classes is None:
                raise SourceError(f"clip {clip.seed} of {self.folder} holds no classes; render it with them")
            images.append(cv2.resize(frame.rgb, self.size, interpolation=cv2.INTER_AREA))
            labels.append(cv2.resize(hand_classes(frame.truth.classes), self.size, interpolation=cv2.INTER_NEAREST))
        return np.stack(images).astype(np.uint8), np.stack(labels).astype(np.uint8)


def vary(images: Tensor, labels: Tensor, generator: torch.Generator) -> HandBatch:
    """Move, mirror and repaint a batch, and make up the mask of the frame before."""
    images, labels = paste_hands(*move(images, labels, generator), generator)
    before = mask_before(labels, generator)
    return HandBatch(change_look(images, generator), before, labels)


def move(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Zoom, shift, roll and mirror; sides change places in a mirrored image."""
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    mirror = uniform(0, 1) < 0.5
    zoom, roll = torch.where(uniform(0, 1) < 0.6, uniform(0.55, 1.1), torch.ones(count)), uniform(-_ROLL_RAD, _ROLL_RAD)
    sign = torch.where(mirror, -1.0, 1.0)
    slack = (1 - zoom).clamp(min=0)
    aspect = images.shape[3] / images.shape[2]
    rows = [
        torch.stack([sign * zoom * roll.cos(), -sign * zoom * roll.sin() / aspect, slack * uniform(-1, 1)], 1),
        torch.stack([zoom * roll.sin() * aspect, zoom * roll.cos(), slack * uniform(-1, 1)], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False).to(images.device)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    picked = functional.grid_sample(
        labels[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )[:, 0].long()
    swapped = torch.tensor(MIRRORED, device=labels.device)[picked]
    return moved, torch.where(mirror[:, None, None].to(labels.device), swapped, picked)


def paste_hands(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Lay hands and what they hold over images of the batch that show none (Ghiasi et al., "copy-paste", CVPR 2021).

    Half of the images without hands stay as they are: there must be some from which to learn that there is nothing.
    """
    order = torch.randperm(len(images), generator=generator)
    lucky = torch.rand(len(images), generator=generator) < 0.5
    gain = 0.7 + 0.6 * torch.rand(len(images), 1, 1, 1, generator=generator)
    is_bare = (labels != HandClass.NONE).flatten(1).sum(1) == 0
    donor, donor_labels = images[order], labels[order]
    over = (donor_labels != HandClass.NONE) & (is_bare & lucky.to(labels.device))[:, None, None]
    lit = (donor * gain.to(images.device)).clamp(0, 1)
    return torch.where(over[:, None], lit, images), torch.where(over, donor_labels, labels)


def mask_before(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A mask as the frame before may have given it: shifted, thinned or fattened, holed, sometimes wrong, often missing."""
    count, height, width = labels.shape
    hand = ((labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)).float()[:, None]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = uniform(0.9, 1.1), uniform(0.9, 1.1)
    theta[:, :, 2] = 0.12 * torch.randn(count, 2, generator=generator)
    grid = functional.affine_grid(theta, [count, 1, height, width], align_corners=False).to(labels.device)
    shifted = functional.grid_sample(hand, grid, padding_mode="zeros", align_corners=False)
    size = int(torch.randint(1, 5, (1,), generator=generator)) * 2 + 1
    fat = functional.max_pool2d(shifted, size, 1, size // 2)
    thin = -functional.max_pool2d(-shifted, size, 1, size // 2)
    shifted = torch.where(uniform(0, 1, 1, 1, 1).to(labels.device) < 0.5, fat, thin)
    patches = functional.interpolate(uniform(0, 1, 1, 5, 7), (height, width), mode="nearest").to(labels.device)
    shifted = torch.where(patches < 0.06, 1 - shifted, shifted)
    return shifted * (uniform(0, 1, 1, 1, 1).to(labels.device) > _NO_MASK_SHARE)
