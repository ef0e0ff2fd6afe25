"""Masks: sticky, without specks, wide enough, and right about sides."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.data.hand_removal import HandLabel
from ego_perception.hand_removal.masks import MaskConfig, doubt_of, hand_probability, hole_of, labels_of, without_specks
from ego_perception.hand_removal.segmentation.sizes import HandClass

H, W = 48, 64


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
    labels = labels_of(probability(hand_class, 0.9, BOX), None, MaskConfig())
    assert (labels[BOX] == label).all() and (labels != HandLabel.NONE).sum() == 400


def test_hand_and_arm_add_up_and_what_was_a_hand_stays_one_longer() -> None:
    both = probability(HandClass.LEFT_HAND, 0.25, BOX)
    both[(HandClass.LEFT_ARM, *BOX)], both[(HandClass.NONE, *BOX)] = 0.2, 0.55
    assert (labels_of(both, None, MaskConfig())[BOX] == HandLabel.LEFT).all()
    weak, before = probability(HandClass.RIGHT_HAND, 0.35, BOX), np.zeros((H, W), np.float32)
    before[:, :30] = 1
    assert not labels_of(weak, None, MaskConfig()).any()
    labels = labels_of(weak, before, MaskConfig())
    assert (labels[10:30, 20:30] == HandLabel.RIGHT).all() and not labels[:, 30:].any()


def test_doubt_is_handed_on_as_doubt() -> None:
    both = probability(HandClass.LEFT_HAND, 0.25, BOX)
    both[(HandClass.RIGHT_ARM, *BOX)] = 0.2
    handed_on = hand_probability(both)
    np.testing.assert_allclose(handed_on[BOX], 0.45)
    assert handed_on.dtype == np.float32 and handed_on.shape == (H, W) and handed_on[0, 0] < 0.1
    weak = probability(HandClass.LEFT_HAND, 0.35, BOX)
    assert not labels_of(weak, handed_on, MaskConfig()).any(), "what was doubtful is not held on to"


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
    miss, where = doubt_of(hand, hole, MaskConfig())
    assert miss == pytest.approx((100 * 0.3 + 32 * 0.1) / (H * W), rel=1e-4)
    assert where[:40, :40].all() and where.sum() == 1600, "neither what is removed nor what is next to nothing"
    nothing_left = doubt_of(hand, np.ones_like(hole), MaskConfig())
    assert nothing_left.miss == 0 and not nothing_left.where.any()
