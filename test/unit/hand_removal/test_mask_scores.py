"""Scores of masks: known overlaps, images that are called clean or doubted, drawn masks read or refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.truth_frames import EPOCH_NS

from ego_perception.data import Frame, FrameTruth, SceneLabel
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.finder import FoundHands, HandFinder
from ego_perception.hand_removal.mask_scores import MASK_HEADINGS, MaskScores, drawn_masks, outlined, score_masks
from ego_perception.hand_removal.masks import Doubt
from ego_perception.hand_removal.segmentation.sizes import HandClass

H, W = 48, 64
CAMERA = PinholeCamera.from_fov(W, H, 1.0)


class BrightIsHand:
    """Takes bright pixels for a left hand, at half size."""

    name = "bright"

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        small = cv2.resize(rgb[..., 0], (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
        p = np.zeros((len(HandClass), *small.shape), np.float32)
        p[HandClass.LEFT_HAND] = small > 127
        p[HandClass.NONE] = 1 - p[HandClass.LEFT_HAND]
        return p


def frame(index: int, true_columns: int, *, classes: bool = True) -> Frame:
    """Bright in columns 0 to 31; the true hand has some columns, half of them an arm."""
    rgb = np.zeros((H, W, 3), np.uint8)
    rgb[:, :32] = 255
    labels = np.zeros((H, W), np.uint8)
    labels[:, :true_columns] = SceneLabel.RIGHT_HAND
    labels[:, : true_columns // 2] = SceneLabel.LEFT_ARM
    labels[:, 60:] = SceneLabel.HELD_OBJECT
    truth = FrameTruth(np.ones((H, W), np.float32), np.eye(4), classes=labels if classes else None)
    return Frame(EPOCH_NS + index, rgb, camera=CAMERA, index=index, truth=truth)


def found_hands(hands: np.ndarray, miss: float = 0.0, hole: np.ndarray | None = None) -> FoundHands:
    labels = np.where(hands, HandLabel.LEFT, HandLabel.NONE).astype(np.uint8)
    return FoundHands(labels, hands if hole is None else hole, Doubt(miss, np.zeros_like(hands)))


def overlap(scores: MaskScores) -> dict[str, float]:
    return {key: scores.row()[key] for key in ("iou", "recall", "frames")}


def test_overlap_is_pooled_over_pixels() -> None:
    scores = MaskScores()
    found, truth = np.zeros((2, 10), bool), np.zeros((2, 10), bool)
    found[:, :4], truth[:, 2:8] = True, True
    scores.add(found_hands(found), truth)
    scores.add(found_hands(np.ones((4, 5), bool)), np.ones((4, 5), bool))
    assert overlap(scores) == pytest.approx({"iou": 24 / 36, "recall": 24 / 32, "frames": 2})


def test_nothing_to_find_and_nothing_found_divides_by_nothing() -> None:
    scores = MaskScores()
    assert not any(scores.row().values())
    scores.add(found_hands(np.zeros((4, 5), bool)), np.zeros((4, 5), bool))
    assert overlap(scores) == {"iou": 0, "recall": 0, "frames": 1} and scores.row()["good"] == 1
    assert set(MASK_HEADINGS) < set(scores.row())


def test_images_with_hands_left_in_are_told_from_those_without() -> None:
    scores, truth = MaskScores(), np.zeros((100, 100), bool)
    truth[:10, :10] = True  # 1 % of the image
    half, grown = np.zeros_like(truth), np.zeros_like(truth)
    half[:10, :3], grown[:12, :12] = True, True
    nearly = truth.copy()
    nearly[:10, 7:] = False  # 0.3 % left in: neither good nor bad
    for found, hole, miss in (
        (half, half, 0.0015),  # bad, called clean
        (half, half, 0.006),  # bad, told
        (half, half, 0.5),  # bad, told
        (half, grown, 0.0),  # good: the margin has the rest
        (truth, truth, 0.02),  # good, doubted for nothing
        (nearly, nearly, 0.0),
    ):
        scores.add(found_hands(found, miss, hole), truth)
    row = scores.row()
    assert (row["bad"], row["bad_clean"]) == pytest.approx((3 / 6, 1 / 3))
    assert (row["good"], row["good_doubted"]) == pytest.approx((2 / 6, 1 / 2))


def test_hands_and_arms_of_both_sides_count_and_held_objects_do_not() -> None:
    scores = MaskScores()
    score_masks([frame(0, 40)], HandFinder(BrightIsHand()), scores)
    assert overlap(scores) == pytest.approx({"iou": 32 / 40, "recall": 32 / 40, "frames": 1})


def test_frames_without_classes_are_refused() -> None:
    with pytest.raises(SourceError, match="frame 3 has no classes"):
        score_masks([frame(3, 8, classes=False)], HandFinder(BrightIsHand()), MaskScores())


def test_outlines_come_at_the_images_size_without_margin() -> None:
    found = HandFinder(BrightIsHand()).find(frame(0, 0).rgb, 0)
    hands = outlined(found.labels, (W, H))
    assert hands.shape == (H, W) and hands[:, :32].all() and not hands[:, 33:].any()


def test_drawn_masks_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    for folder in ("raw", "masks"):
        (tmp_path / folder).mkdir()
    for k, name in enumerate(("b", "a")):
        cv2.imwrite(str(tmp_path / "raw" / f"{name}.png"), np.full((6, 8, 3), (0, 0, 100 + k), np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), np.full((6, 8), 255 * k, np.uint8))
    pairs = list(drawn_masks(tmp_path))
    assert [(int(image[0, 0, 0]), bool(mask.all())) for image, mask in pairs] == [(101, True), (100, False)]


@pytest.mark.parametrize("mask", [None, (5, 8), b"no image"])
def test_missing_or_misshapen_masks_are_named(tmp_path: Path, mask: object) -> None:
    for folder in ("raw", "masks"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "raw" / "a.png"), np.zeros((6, 8, 3), np.uint8))
    if isinstance(mask, tuple):
        cv2.imwrite(str(tmp_path / "masks" / "a.png"), np.zeros(mask, np.uint8))
    elif isinstance(mask, bytes):
        (tmp_path / "masks" / "a.png").write_bytes(mask)
    with pytest.raises(SourceError, match=r"masks/a\.png is missing, unreadable or of another size"):
        list(drawn_masks(tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no images"):
        list(drawn_masks(tmp_path))
