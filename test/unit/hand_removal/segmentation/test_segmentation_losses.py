"""What the segmenter is trained for: known answers of the losses."""

from __future__ import annotations

import math

import pytest
import torch

from ego_perception.hand_removal.segmentation.losses import dice_scores, near_edges, segmentation_losses
from ego_perception.hand_removal.segmentation.sizes import HandClass

SHAPE = (2, 24, 32)


def scores_for(labels: torch.Tensor, height: float) -> torch.Tensor:
    return height * torch.nn.functional.one_hot(labels, len(HandClass)).permute(0, 3, 1, 2).float()


def some_labels() -> torch.Tensor:
    labels = torch.zeros(SHAPE, dtype=torch.long)
    labels[:, 8:16, 8:24] = HandClass.LEFT_HAND
    labels[:, 16:, 12:20] = HandClass.LEFT_ARM
    labels[:, :6, :6] = HandClass.HELD_OBJECT
    return labels


def test_right_and_certain_costs_nothing_and_wrong_costs_more_the_more_certain() -> None:
    labels = some_labels()
    right = segmentation_losses(scores_for(labels, 30.0), labels)
    assert all(float(value) == pytest.approx(0, abs=1e-4) for value in right.values())
    wrong = (labels + 1) % len(HandClass)
    totals = [float(segmentation_losses(scores_for(wrong, h), labels)["total"]) for h in (1.0, 4.0, 8.0)]
    assert totals == sorted(totals) and totals[0] > 1


def test_undecided_costs_what_the_formulas_say() -> None:
    labels = torch.zeros(SHAPE, dtype=torch.long)
    losses = segmentation_losses(torch.zeros(2, len(HandClass), 24, 32), labels)
    assert float(losses["focal"]) == pytest.approx(math.log(6) * (5 / 6) ** 2, rel=1e-5)
    total = 2 * 24 * 32  # probability of a hand or arm is 4 of 6 everywhere, and there is none
    assert float(losses["union"]) == pytest.approx(math.log(3) + 1 - 1 / (total * 4 / 6 + 1), rel=1e-5)
    assert float(losses["dice"]) == pytest.approx(1 - 1 / (total / 6 + 1), rel=1e-5)
    assert float(losses["total"]) == pytest.approx(float(losses["focal"] + 0.5 * losses["dice"] + 0.5 * losses["union"]))


def test_a_confused_side_or_part_costs_nothing_in_the_union() -> None:
    labels = some_labels()
    confused = torch.where(labels == HandClass.LEFT_HAND, HandClass.RIGHT_ARM, labels)
    losses = segmentation_losses(scores_for(confused, 30.0), labels)
    assert float(losses["union"]) == pytest.approx(0, abs=1e-4) and float(losses["dice"]) > 0.2


def test_a_held_object_taken_for_a_hand_costs_in_the_union() -> None:
    labels = some_labels()
    greedy = torch.where(labels == HandClass.HELD_OBJECT, HandClass.LEFT_HAND, labels)
    assert float(segmentation_losses(scores_for(greedy, 30.0), labels)["union"]) > 0.3


def test_dice_scores_count_overlap_per_class() -> None:
    labels = torch.zeros(1, 10, 10, dtype=torch.long)
    labels[0, :4] = HandClass.RIGHT_HAND
    guess = torch.zeros(1, 10, 10, dtype=torch.long)
    guess[0, 2:6] = HandClass.RIGHT_HAND
    dice = dice_scores(torch.nn.functional.one_hot(guess, 6).permute(0, 3, 1, 2).float(), labels)
    assert float(dice[HandClass.RIGHT_HAND]) == pytest.approx((2 * 20 + 1) / (80 + 1))
    assert float(dice[HandClass.LEFT_ARM]) == 1.0


def test_outlines_are_near_edges_and_the_inside_is_not() -> None:
    labels = torch.zeros(1, 30, 40, dtype=torch.long)
    labels[:, :, 20:] = HandClass.LEFT_ARM
    edge = near_edges(labels, 3)
    assert edge[0, 5].nonzero()[:, 0].tolist() == list(range(17, 23))


def test_losses_have_gradients_even_without_hands() -> None:
    scores = torch.zeros(1, len(HandClass), 8, 8, requires_grad=True)
    segmentation_losses(scores, torch.zeros(1, 8, 8, dtype=torch.long))["total"].backward()
    assert scores.grad is not None and scores.grad.isfinite().all()
    assert (scores.grad[:, HandClass.NONE] < 0).all() and (scores.grad[:, 1:5] > 0).all()
