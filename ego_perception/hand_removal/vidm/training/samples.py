"""From a background and somebody else's hands to one training sample; no paired data are needed.

Holes have the shape of foreign hands. What the background's own hands hide is not known: they are part of the hole, and
neither they nor cells they touch count in the loss. (The published code flags the target's own hands in every frame's mask and
leaves those of the context frames unflagged, black as they are; here each frame's mask says what was painted in that frame.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.hand_removal.vidm.free_form import free_form_mask
from ego_perception.hand_removal.vidm.images import MARGIN_PX, centre_square, to_tensor
from ego_perception.hand_removal.vidm.sizes import CELL, IMAGE_SIZE
from ego_perception.hand_removal.vidm.training.sources import Scene

Mask = NDArray[np.bool_]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class HoleConfig:
    """How holes are made.

    Attributes:
        size: side of the sample, pixels.
        free_form: share of samples that get free-form holes beside the hands.
        same_free_form: share of those in which all frames get the same.
        mirrored: share that is mirrored.
    """

    size: int = IMAGE_SIZE
    free_form: float = 0.5
    same_free_form: float = 0.25
    mirrored: float = 0.5


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample, S pixels square.

    Attributes:
        frames: (T, S, S, 3) uint8 RGB, black in the holes; the target is the last.
        holes: (T, S, S) bool.
        target: (S, S, 3) uint8, the last frame without the foreign holes.
        counts: (S / 4, S / 4) bool, latent cells of which the truth is known.
    """

    frames: NDArray[np.uint8]
    holes: Mask
    target: NDArray[np.uint8]
    counts: Mask


class Batch(NamedTuple):
    """B samples in the model's range.

    Attributes:
        frames: (B, T, 3, S, S), -1 to 1, -1 in the holes.
        holes: (B, T, 1, S, S), +1 in the hole and -1 elsewhere.
        target: (B, 3, S, S), -1 to 1.
        counts: (B, 1, S / 4, S / 4), 1 where the loss counts, else 0.
    """

    frames: Tensor
    holes: Tensor
    target: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move it."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


def make_sample(scene: Scene, hands: Mask, config: HoleConfig, rng: np.random.Generator) -> Sample:
    """Cut holes into a background.

    Args:
        hands: (T, h, w), of any size: those of another video.
    """
    own = np.stack([_grown(mask, margin_at(min(mask.shape))) for mask in scene.own])
    frames = np.stack([centre_square(f, config.size) for f in np.where(own[..., None], np.uint8(0), scene.frames)])
    own = np.stack([_square(mask, config.size) for mask in own])
    holes = own | np.stack([_grown(_square(mask, config.size), margin_at(config.size)) for mask in hands])
    if rng.random() < config.free_form:
        holes |= _free_form(len(frames), config, rng)
    target, unknown = frames[-1].copy(), own[-1]
    frames[holes] = 0
    sample = Sample(frames, holes, target, ~unknown.reshape(config.size // CELL, CELL, -1, CELL).any(axis=(1, 3)))
    return mirrored(sample) if rng.random() < config.mirrored else sample


def mirrored(sample: Sample) -> Sample:
    """Exchange left and right."""
    return Sample(
        np.ascontiguousarray(sample.frames[:, :, ::-1]),
        np.ascontiguousarray(sample.holes[:, :, ::-1]),
        np.ascontiguousarray(sample.target[:, ::-1]),
        np.ascontiguousarray(sample.counts[:, ::-1]),
    )


def stack(samples: list[Sample]) -> Batch:
    """Bring samples to the model's range and stack them."""
    frames, holes, targets = [], [], []
    for sample in samples:
        pairs = [to_tensor(f, h, _CPU) for f, h in zip(sample.frames, sample.holes, strict=True)]
        frames.append(torch.cat([image for image, _ in pairs]))
        holes.append(torch.cat([mask for _, mask in pairs]))
        targets.append(to_tensor(sample.target, np.zeros(sample.target.shape[:2], np.bool_), _CPU)[0])
    counts = torch.from_numpy(np.stack([s.counts for s in samples])[:, None].astype(np.float32))
    return Batch(torch.stack(frames), torch.stack(holes), torch.cat(targets), counts)


def margin_at(side: int) -> int:
    """Side of the square that masks grow by on an image of this side: 7 at 256, always odd."""
    return 2 * max(1, round(side / IMAGE_SIZE * (MARGIN_PX // 2))) + 1


def _grown(mask: Mask, margin: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((margin, margin), np.uint8)) > 0)


def _square(mask: Mask, size: int) -> Mask:
    """The centre square of a mask; a pixel counts where any part of it does."""
    return np.asarray(centre_square((mask * np.uint8(255)).astype(np.uint8), size) > 0)


def _free_form(count: int, config: HoleConfig, rng: np.random.Generator) -> Mask:
    if rng.random() < config.same_free_form:
        return np.repeat(_drawn(config.size, rng)[None], count, axis=0)
    return np.stack([_drawn(config.size, rng) for _ in range(count)])


def _drawn(size: int, rng: np.random.Generator) -> Mask:
    """Drawn at the size that the amounts belong to."""
    mask = free_form_mask(rng, IMAGE_SIZE, IMAGE_SIZE).astype(np.uint8)
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST) > 0)
