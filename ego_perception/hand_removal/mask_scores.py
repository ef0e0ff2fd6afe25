"""How well hands are found: on simulated clips with exact classes, and on real frames with masks somebody drew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.hand_removal.finder import FoundHands, HandFinder
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.hand_removal.segmentation.data import hand_classes
from ego_perception.hand_removal.segmentation.sizes import HandClass

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


MASK_HEADINGS: Final = {
    "iou": "IoU",
    "recall": "recall",
    "bad": "images with hands left in",
    "bad_clean": "of these, called clean",
    "good": "images without",
    "good_doubted": "of these, doubted",
}
"""Columns of the tables by the keys of `MaskScores.row`."""

_MISSED: Final = 0.005  # share of the image; an image with more of a hand left in is bad
_COMPLETE: Final = 0.001  # the same; one with less is good


class MaskScores:
    """Overlap of found and true hands with their arms, pooled over pixels, and whether images with missed hands are told."""

    def __init__(self) -> None:
        self.both, self.either, self.truth, self.frames = 0, 0, 0, 0
        self.bad, self.bad_clean, self.good, self.good_doubted = 0, 0, 0, 0

    def add(self, found: FoundHands, truth: Mask) -> None:
        """Take one image and its true hands and arms, (H, W)."""
        hands = outlined(found.labels, (truth.shape[1], truth.shape[0]))
        self.both += int((hands & truth).sum())
        self.either += int((hands | truth).sum())
        self.truth += int(truth.sum())
        self.frames += 1
        left_in, is_doubted = float((truth & ~found.hole).mean()), found.doubt.miss >= MaskConfig().doubtful_miss
        self.bad += left_in > _MISSED
        self.bad_clean += left_in > _MISSED and not is_doubted
        self.good += left_in < _COMPLETE
        self.good_doubted += left_in < _COMPLETE and is_doubted

    def row(self) -> dict[str, float]:
        """Scores.

        Returns:
            iou: intersection over union; recall: share of the true pixels that was found; frames: how many.
            bad: share of the frames in which more than 0.5 % of the image is of hands outside the mask and its margin;
                bad_clean: share of those that are not called doubtful.
            good: share of the frames in which less than 0.1 % is; good_doubted: share of those that are called doubtful.
        """
        return {
            "iou": self.both / max(self.either, 1),
            "recall": self.both / max(self.truth, 1),
            "frames": self.frames,
            "bad": self.bad / max(self.frames, 1),
            "bad_clean": self.bad_clean / max(self.bad, 1),
            "good": self.good / max(self.frames, 1),
            "good_doubted": self.good_doubted / max(self.good, 1),
        }


def outlined(labels: Image, size: tuple[int, int]) -> Mask:
    """(H, W) bool, hands with their arms of (h, w) `HandLabel` values in an image of `size` (width, height), without margin."""
    is_hand = ((labels != HandLabel.NONE) & (labels != HandLabel.HELD_OBJECT)).astype(np.float32)
    return np.asarray(cv2.resize(is_hand, size, interpolation=cv2.INTER_LINEAR) > 0.5)


def score_masks(frames: Iterable[Frame], finder: HandFinder, scores: MaskScores) -> None:
    """Look at consecutive frames as the estimator does and compare with the truth.

    Raises:
        SourceError: a frame without classes.
    """
    finder.reset()
    for frame in frames:
        if frame.truth is None or frame.truth.classes is None:
            raise SourceError(f"frame {frame.index} has no classes to compare with; render clips with them")
        classes = hand_classes(frame.truth.classes)
        truth = (classes >= HandClass.LEFT_HAND) & (classes <= HandClass.RIGHT_ARM)
        scores.add(finder.find(frame.rgb, frame.stamp_ns), truth)


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
