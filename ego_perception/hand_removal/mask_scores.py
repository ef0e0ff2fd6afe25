"""How well hands are found: on simulated clips with exact classes, and on real frames with masks somebody drew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.hand_removal.estimator import Segmenter
from ego_perception.hand_removal.masks import MaskConfig, hand_probability, labels_of
from ego_perception.hand_removal.segmentation.data import hand_classes
from ego_perception.hand_removal.segmentation.sizes import HandClass

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class MaskScores:
    """Overlap of found and true hands with their arms, pooled over pixels."""

    def __init__(self) -> None:
        self.both, self.either, self.truth, self.frames = 0, 0, 0, 0

    def add(self, found: Mask, truth: Mask) -> None:
        """Take one image."""
        self.both += int((found & truth).sum())
        self.either += int((found | truth).sum())
        self.truth += int(truth.sum())
        self.frames += 1

    def row(self) -> dict[str, float]:
        """Intersection over union, share of the true pixels that was found, and frames."""
        return {"iou": self.both / max(self.either, 1), "recall": self.both / max(self.truth, 1), "frames": self.frames}


def score_masks(frames: Iterable[Frame], segmenter: Segmenter, scores: MaskScores) -> None:
    """Segment consecutive frames as the estimator does, each with the mask of the one before, and compare with the truth.

    Raises:
        SourceError: a frame without classes.
    """
    before: NDArray[np.float32] | None = None
    for frame in frames:
        if frame.truth is None or frame.truth.classes is None:
            raise SourceError(f"frame {frame.index} has no classes to compare with; render clips with them")
        found, before = find(frame.rgb, segmenter, before)
        classes = hand_classes(frame.truth.classes)
        scores.add(found, (classes >= HandClass.LEFT_HAND) & (classes <= HandClass.RIGHT_ARM))


def find(rgb: Image, segmenter: Segmenter, before: NDArray[np.float32] | None) -> tuple[Mask, NDArray[np.float32]]:
    """Hands and arms at the image's size, without margin, and what to hand in with the next frame."""
    probability = segmenter.predict(rgb, before)
    labels = labels_of(probability, before, MaskConfig())
    is_hand = ((labels != HandLabel.NONE) & (labels != HandLabel.HELD_OBJECT)).astype(np.float32)
    full = cv2.resize(is_hand, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full > 0.5), hand_probability(probability)


def drawn_masks(folder: Path) -> Iterator[tuple[Image, Mask]]:
    """Images of `folder/raw` in the order of their names with the masks of the same name in `folder/masks`, white for hands.

    Raises:
        SourceError: there are none, or one cannot be read.
    """
    paths = sorted(path for path in (folder / "raw").glob("*") if path.suffix in (".jpg", ".png"))
    if not paths:
        raise SourceError(f"{folder} holds no images in raw/; put them there, and masks of the same names into masks/")
    for path in paths:
        image = cv2.imread(str(path))
        mask = cv2.imread(str(folder / "masks" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        if image is None or mask is None or mask.shape != image.shape[:2]:
            raise SourceError(f"{path} or its mask masks/{path.stem}.png is missing, unreadable or of another size")
        yield np.ascontiguousarray(image[..., ::-1], dtype=np.uint8), np.asarray(mask > 127)
