"""Images with exact masks for training the segmenter: clips of a data set in memory, and what is done to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.data import SceneLabel
from ego_perception.data.clips import Clip, ClipDataset
from ego_perception.errors import SourceError
from ego_perception.hand_removal.segmentation.appearance import photograph, repaint
from ego_perception.hand_removal.segmentation.clutter import scatter, zoomed
from ego_perception.hand_removal.segmentation.composition import compose, crops
from ego_perception.hand_removal.segmentation.sizes import HandClass

_CLASS_OF: Final = {
    SceneLabel.LEFT_HAND: HandClass.LEFT_HAND,
    SceneLabel.RIGHT_HAND: HandClass.RIGHT_HAND,
    SceneLabel.LEFT_ARM: HandClass.LEFT_ARM,
    SceneLabel.RIGHT_ARM: HandClass.RIGHT_ARM,
    SceneLabel.HELD_OBJECT: HandClass.HELD_OBJECT,
}
_BACKGROUND_STRIDE: Final = 3  # frames from one background that is kept to the next
_PLAIN_SHARE: Final = 0.4375  # of the images stay as rendered: with none, fewer of the simulator's own hands are found
_EMPTY_SHARE: Final = 0.2  # of those are shown without hands: what lies at the lower border is seldom an arm


class HandBatch(NamedTuple):
    """What one step learns from: images (B, 3, H, W) and labels (B, H, W) int64 `HandClass`."""

    images: Tensor
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
        folder: as `ego dataset` writes it, with `classes` and `clean`.
        size: width and height to keep.
        names: seeds of the clips to start with, in this order (a resumed run); None takes all there are.

    Raises:
        SourceError: no data set, a named clip is missing, or one is damaged or without classes or clean frames.
    """

    def __init__(self, folder: Path, size: tuple[int, int], names: list[int] | None = None) -> None:
        self.folder, self.size = folder, size
        self.names: list[int] = []
        self._clips = ClipDataset(folder, parts=("classes", "clean"))
        self._images: list[NDArray[np.uint8]] = []
        self._labels: list[NDArray[np.uint8]] = []
        self._backgrounds: list[NDArray[np.uint8]] = []
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

    def backgrounds(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw (count, 3, H, W) pictures without the wearer's hands, float in 0..1."""
        clips = torch.randint(len(self._backgrounds), (count,), generator=generator).tolist()
        places = torch.rand(count, generator=generator).tolist()
        drawn = [self._backgrounds[k][int(place * len(self._backgrounds[k]))] for k, place in zip(clips, places, strict=True)]
        return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255

    def _found(self) -> list[int]:
        return [entry.seed for entry in self._clips.entries]

    def _append(self, names: list[int]) -> None:
        where = {seed: k for k, seed in enumerate(self._found())}
        for seed in names:
            if seed not in where:
                raise SourceError(f"{self.folder} has no clip {seed} any more, from which this run has learnt; bring it back")
            images, labels, backgrounds = self._shrunk(self._clips.clip(where[seed]))
            rows = np.stack([np.full(len(images), len(self._images)), np.arange(len(images))], axis=1)
            self._where = np.concatenate([self._where, rows])
            self._images.append(images)
            self._labels.append(labels)
            self._backgrounds.append(backgrounds)
            self.names.append(seed)
        self._clips.close()

    def _shrunk(self, clip: Clip) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels, backgrounds = [], [], []
        for k, frame in enumerate(clip):
            if frame.truth is None or frame.truth.classes is None or frame.truth.clean is None:
                raise SourceError(f"clip {clip.seed} of {self.folder} lacks classes or clean; render it with --products clean")
            images.append(cv2.resize(frame.rgb, self.size, interpolation=cv2.INTER_AREA))
            labels.append(cv2.resize(hand_classes(frame.truth.classes), self.size, interpolation=cv2.INTER_NEAREST))
            if k % _BACKGROUND_STRIDE == 0:
                backgrounds.append(cv2.resize(frame.truth.clean, self.size, interpolation=cv2.INTER_AREA))
        return np.stack(images).astype(np.uint8), np.stack(labels).astype(np.uint8), np.stack(backgrounds).astype(np.uint8)


def vary(images: Tensor, labels: Tensor, backgrounds: Tensor, generator: torch.Generator) -> HandBatch:
    """Crop some pictures; put the others together anew, clutter, repaint and photograph them.

    Args:
        images: (B, 3, H, W) in 0..1.
        labels: (B, H, W) int64 `HandClass`.
        backgrounds: (B, 3, H, W) pictures without the wearer's hands.
        generator: on the CPU, wherever the images are.
    """
    count = int(_PLAIN_SHARE * len(images) + float(torch.rand(1, generator=generator)))
    parts = []
    if count > 0:
        is_empty = torch.rand(count, generator=generator).to(images.device) < _EMPTY_SHARE
        shown = torch.where(is_empty[:, None, None, None], backgrounds[:count], images[:count])
        parts.append(HandBatch(*crops(shown, labels[:count] * ~is_empty[:, None, None], generator)))
    if count < len(images):
        parts.append(_changed(images[count:], labels[count:], backgrounds[count:], generator))
    return HandBatch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _changed(images: Tensor, labels: Tensor, backgrounds: Tensor, generator: torch.Generator) -> HandBatch:
    composed = compose(images, labels, backgrounds, generator)
    cluttered = scatter(composed.images, composed.labels, backgrounds.roll(1, 0), generator)
    painted = repaint(cluttered, composed.labels, zoomed(backgrounds.roll(2, 0), generator), generator)
    return HandBatch(photograph(painted, generator), composed.labels * ~composed.is_bare[:, None, None])
