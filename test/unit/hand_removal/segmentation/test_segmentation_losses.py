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


def random_case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = some_labels()
    labels[0, 2:12, 24:30] = HandClass.RIGHT_ARM
    return 2 * torch.randn(2, len(HandClass), 24, 32, generator=generator), labels


def test_only_differences_of_scores_count() -> None:
    scores, labels = random_case()
    shift = torch.randn(2, 1, 24, 32, generator=torch.Generator().manual_seed(1))
    plain, moved = segmentation_losses(scores, labels), segmentation_losses(scores + 5 * shift, labels)
    assert all(float(moved[name]) == pytest.approx(float(value), rel=1e-4) for name, value in plain.items())


@pytest.mark.parametrize("dims", [(1,), (2,), (1, 2)])
def test_mirrored_images_cost_the_same(dims: tuple[int, ...]) -> None:
    scores, labels = random_case()
    plain = segmentation_losses(scores, labels)
    mirrored = segmentation_losses(scores.flip([d + 1 for d in dims]), labels.flip(dims))
    assert all(float(mirrored[name]) == pytest.approx(float(value), rel=1e-4) for name, value in plain.items())


def test_sides_may_change_places_everywhere() -> None:
    scores, labels = random_case()
    swap = torch.tensor([0, 2, 1, 4, 3, 5])
    plain, swapped = segmentation_losses(scores, labels), segmentation_losses(scores[:, swap], swap[labels])
    assert all(float(swapped[name]) == pytest.approx(float(value), rel=1e-4) for name, value in plain.items())


def test_the_order_of_the_batch_does_not_matter_and_twice_the_same_costs_the_same() -> None:
    scores, labels = random_case()
    plain = segmentation_losses(scores, labels)
    turned = segmentation_losses(scores.flip(0), labels.flip(0))
    twice = segmentation_losses(torch.cat([scores, scores]), torch.cat([labels, labels]))
    for name in ("focal", "union"):
        assert float(turned[name]) == pytest.approx(float(plain[name]), rel=1e-5)
        assert float(twice[name]) == pytest.approx(float(plain[name]), rel=0.01)


def test_an_error_at_an_outline_costs_three_times_one_elsewhere() -> None:
    labels = torch.zeros(1, 40, 40, dtype=torch.long)
    labels[:, :, 20:] = HandClass.LEFT_ARM
    costs = []
    for column in (18, 3):
        scores = scores_for(labels, 30.0)
        scores[0, :, 10, column] = scores[0, [3, 1, 2, 0, 4, 5], 10, column]
        costs.append(float(segmentation_losses(scores, labels)["focal"]))
    assert costs[0] == pytest.approx(3 * costs[1], rel=1e-3)


def test_a_step_against_the_gradient_costs_less() -> None:
    scores, labels = random_case()
    scores.requires_grad_()
    loss = segmentation_losses(scores, labels)["total"]
    loss.backward()
    assert scores.grad is not None
    after = segmentation_losses(scores.detach() - 10 * scores.grad, labels)["total"]
    assert float(after) < float(loss.detach()) - 1e-3


@pytest.mark.parametrize("height", [50.0, 500.0])
def test_scores_far_out_stay_numbers(height: float) -> None:
    labels = some_labels()
    for guess in (labels, (labels + 1) % len(HandClass)):
        scores = scores_for(guess, height).requires_grad_()
        losses = segmentation_losses(scores, labels)
        losses["total"].backward()
        assert all(value.isfinite() for value in losses.values())
        assert scores.grad is not None and scores.grad.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1)])
def test_labels_of_one_row_or_pixel_have_losses(size: tuple[int, int]) -> None:
    labels = torch.full((1, *size), int(HandClass.RIGHT_HAND))
    losses = segmentation_losses(scores_for(labels, 30.0), labels)
    assert float(losses["focal"]) == pytest.approx(0, abs=1e-4) and not near_edges(labels, 5).any()


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_edges_are_where_another_label_is_not_farther_than_the_radius(radius: int) -> None:
    """Nearer than the radius by steps along rows and columns: always; farther than it along both axes: never."""
    labels = torch.randint(0, 40, (1, 12, 13), generator=torch.Generator().manual_seed(3)) // 36
    edge = near_edges(labels, radius)
    assert set(edge.unique().tolist()) <= {0.0, 1.0}
    rows, cols = torch.meshgrid(torch.arange(12), torch.arange(13), indexing="ij")
    for y, x in ((y, x) for y in range(12) for x in range(13)):
        other = labels[0] != labels[0, y, x]
        steps = ((rows - y).abs() + (cols - x).abs())[other]
        square = torch.maximum((rows - y).abs(), (cols - x).abs())[other]
        if len(steps) and int(steps.min()) <= radius:
            assert edge[0, y, x] == 1
        if not len(square) or int(square.min()) > radius:
            assert edge[0, y, x] == 0


def test_dice_is_that_of_sets_and_between_nothing_and_all() -> None:
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 6, (2, 9, 11), generator=generator)
    guess = torch.randint(0, 6, (2, 9, 11), generator=generator)
    dice = dice_scores(torch.nn.functional.one_hot(guess, 6).permute(0, 3, 1, 2).float(), labels)
    for number in range(6):
        a, b = guess == number, labels == number
        assert float(dice[number]) == pytest.approx((2 * int((a & b).sum()) + 1) / (int(a.sum()) + int(b.sum()) + 1))
