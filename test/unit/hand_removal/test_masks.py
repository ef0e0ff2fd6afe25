"""Masks: sticky, without specks, wide enough, and right about sides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.data.hand_removal import HandLabel
from ego_perception.hand_removal.masks import MaskConfig, doubt_of, hand_probability, hole_of, labels_of, without_specks
from ego_perception.hand_removal.segmentation.sizes import HandClass

H, W = 48, 64


def decided(p: np.ndarray, followed: np.ndarray | None = None) -> np.ndarray:
    """Labels of an image that is looked at alone."""
    return labels_of(p, hand_probability(p), followed, MaskConfig())


def probability(hand_class: HandClass, value: float, box: tuple[slice, slice]) -> np.ndarray:
    p = np.zeros((len(HandClass), H, W), np.float32)
    p[HandClass.NONE] = 1.0
    p[(HandClass.NONE, *box)] = 1 - value
    p[(hand_class, *box)] = value
    return p


BOX = (slice(10, 30), slice(20, 40))


@pytest.mark.parametrize(
    ("hand_class", "label"),
    [
        (HandClass.LEFT_HAND, HandLabel.LEFT),
        (HandClass.LEFT_ARM, HandLabel.LEFT),
        (HandClass.RIGHT_HAND, HandLabel.RIGHT),
        (HandClass.RIGHT_ARM, HandLabel.RIGHT),
        (HandClass.HELD_OBJECT, HandLabel.HELD_OBJECT),
    ],
)
def test_classes_become_labels(hand_class: HandClass, label: HandLabel) -> None:
    labels = decided(probability(hand_class, 0.9, BOX))
    assert (labels[BOX] == label).all() and (labels != HandLabel.NONE).sum() == 400


def test_hand_and_arm_add_up_and_a_followed_hand_stays_one_longer() -> None:
    both = probability(HandClass.LEFT_HAND, 0.25, BOX)
    both[(HandClass.LEFT_ARM, *BOX)], both[(HandClass.NONE, *BOX)] = 0.2, 0.55
    assert (decided(both)[BOX] == HandLabel.LEFT).all()
    weak, followed = probability(HandClass.RIGHT_HAND, 0.35, BOX), np.zeros((H // 2, W // 2), np.float32)
    followed[:, :15] = 1
    assert not decided(weak).any()
    labels = decided(weak, followed)
    assert (labels[10:30, 20:30] == HandLabel.RIGHT).all() and not labels[:, 30:].any()


def test_hands_and_arms_of_both_sides_add_up() -> None:
    both = probability(HandClass.LEFT_HAND, 0.25, BOX)
    both[(HandClass.RIGHT_ARM, *BOX)] = 0.2
    hand = hand_probability(both)
    np.testing.assert_allclose(hand[BOX], 0.45)
    assert hand.dtype == np.float32 and hand.shape == (H, W) and hand[0, 0] < 0.1


def test_specks_go_and_pieces_stay() -> None:
    mask = np.zeros((100, 100), bool)
    mask[5:7, 5:7] = True
    mask[50:60, 50:60] = True
    kept = without_specks(mask, 0.001)
    assert kept.sum() == 100 and kept[50:60, 50:60].all()
    assert not without_specks(np.zeros((9, 9), bool), 0.001).any()


def test_the_hole_has_a_margin_at_every_size_and_holds_no_object() -> None:
    labels = np.zeros((H, W), np.uint8)
    labels[10:20, 10:20] = HandLabel.LEFT
    labels[30:40, 40:60] = HandLabel.HELD_OBJECT
    hole = hole_of(labels, (640, 480), MaskConfig(margin=0.02))
    rows, cols = np.nonzero(hole)
    assert hole.shape == (480, 640)
    assert cols.min() <= 100 - 12 and cols.max() >= 199 + 12 and rows.min() <= 100 - 12 and cols.max() < 230
    assert hole_of(labels, (640, 480), MaskConfig(remove_held_object=True))[350, 500]
    assert hole_of(np.full((H, W), HandLabel.ANY, np.uint8), (64, 48), MaskConfig()).all()
    assert not hole_of(np.zeros((H, W), np.uint8), (64, 48), MaskConfig()).any()


def test_doubt_is_the_hand_that_is_to_be_expected_outside_the_mask() -> None:
    hand = np.zeros((H, W), np.float32)
    hand[10:30, 20:40], hand[:10, :10], hand[40:, 60:] = 0.9, 0.3, 0.1
    hole = np.zeros((4 * H, 4 * W), bool)
    hole[40:120, 80:160] = True
    miss, where = doubt_of(hand, None, hole, MaskConfig())
    assert miss == pytest.approx((100 * 0.3 + 32 * 0.1) / (H * W), rel=1e-4)
    assert where[:40, :40].all() and where.sum() == 1600, "neither what is removed nor what is next to nothing"
    nothing_left = doubt_of(hand, None, np.ones_like(hole), MaskConfig())
    assert nothing_left.miss == 0 and not nothing_left.where.any()


def test_followed_hands_that_are_not_found_are_doubted_if_they_are_more() -> None:
    hand, followed = np.zeros((H, W), np.float32), np.zeros((H // 2, W // 2), np.float32)
    hand[:10, :10], followed[:20, 10:] = 0.3, 0.6
    hole = np.zeros((4 * H, 4 * W), bool)
    hole[:, 160:] = True
    miss, where = doubt_of(hand, followed, hole, MaskConfig())
    # half a pixel of what is followed is lost or won where it is brought to size
    assert miss == pytest.approx(40 * 20 * 0.6 / (H * W), rel=0.05)
    assert where[:156, 84:160].all() and where[:40, :40].all() and not where[:, 160:].any() and not where[168:].any()
    faint = doubt_of(hand, followed * 0.8, hole, MaskConfig())
    assert not faint.where[60:, :160].any() and faint.miss > 0.8 * miss - 1e-4, (
        "too old to be kept from the memory, not from doubt"
    )
    assert doubt_of(hand, followed * 0, hole, MaskConfig())[0] == pytest.approx(100 * 0.3 / (H * W))


@pytest.mark.parametrize("box", [(slice(10, 30), slice(20, 40)), (slice(0, 5), slice(0, 64)), (slice(47, 48), slice(63, 64))])
def test_the_margin_is_as_wide_at_the_border_of_the_image(box: tuple[slice, slice]) -> None:
    labels = np.zeros((H, W), np.uint8)
    labels[box] = HandLabel.LEFT
    hole = hole_of(labels, (4 * W, 4 * H), MaskConfig(margin=0.04))
    radius = round(0.04 * 4 * W)
    full = cv2.resize((labels > 0).astype(np.uint8) * 255, (4 * W, 4 * H), interpolation=cv2.INTER_LINEAR)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    assert np.array_equal(hole, cv2.dilate(full, kernel) > 0)


def test_sides_and_what_is_held_are_decided_at_another_size_too() -> None:
    p = probability(HandClass.RIGHT_HAND, 0.9, BOX)
    held = (slice(34, 44), slice(20, 40))
    p[(HandClass.HELD_OBJECT, *held)], p[(HandClass.NONE, *held)] = 0.9, 0.1
    hand = np.asarray(cv2.resize(hand_probability(p), (2 * W, 2 * H), interpolation=cv2.INTER_LINEAR), np.float32)
    labels = labels_of(p, hand, None, MaskConfig())
    expected = cv2.resize(decided(p), (2 * W, 2 * H), interpolation=cv2.INTER_NEAREST)
    assert labels.shape == (2 * H, 2 * W)
    assert (labels != expected).sum() <= 2 * (4 * 20 + 4 * 10) and set(np.unique(labels)) == {0, 2, 3}
    assert (labels[22:58, 42:78] == HandLabel.RIGHT).all() and (labels[70:86, 42:78] == HandLabel.HELD_OBJECT).all()
