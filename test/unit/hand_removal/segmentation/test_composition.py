"""Hands moved and pasted: labels go along, sides swap in mirrored images, arms keep coming from the border."""

from __future__ import annotations

import pytest
import torch

from ego_perception.hand_removal.segmentation.composition import (
    border_crossing,
    compose,
    crops,
    donors_of,
    draw_layout,
    hand_middle,
    hand_moves,
    warp,
    whole_moves,
)
from ego_perception.hand_removal.segmentation.sizes import HandClass

H, W = 48, 64
ASPECT = W / H


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def arm_from_below(count: int) -> torch.Tensor:
    """A right arm from the bottom, columns 36 to 45, with its hand on top."""
    labels = torch.zeros(count, H, W, dtype=torch.long)
    labels[:, 30:, 36:46] = HandClass.RIGHT_ARM
    labels[:, 18:30, 34:48] = HandClass.RIGHT_HAND
    return labels


def as_images(labels: torch.Tensor) -> torch.Tensor:
    return (labels != 0).float()[:, None].expand(-1, 3, -1, -1).contiguous()


def test_no_move_moves_nothing() -> None:
    labels = arm_from_below(2)
    matrix = torch.eye(2, 3).expand(2, -1, -1)
    moved, picked = warp(as_images(labels), labels, matrix, torch.zeros(2, dtype=torch.bool))
    assert torch.equal(picked, labels) and torch.allclose(moved, as_images(labels), atol=1e-5)


def test_labels_move_with_the_image_and_sides_swap_when_mirrored() -> None:
    labels = torch.zeros(64, H, W, dtype=torch.long)
    labels[:, 10:40, 8:24] = HandClass.LEFT_HAND
    labels[:, 10:40, 44:56] = HandClass.RIGHT_ARM
    moves = whole_moves(labels, ASPECT, generator(0))
    moved, picked = warp(as_images(labels), labels, moves.matrix, moves.mirrored)
    assert float(((moved[:, 0] > 0.5) != (picked != 0)).float().mean()) < 0.03
    straight, mirrored = {HandClass.LEFT_HAND, HandClass.RIGHT_ARM}, {HandClass.RIGHT_HAND, HandClass.LEFT_ARM}
    for row, is_mirrored in zip(picked, moves.mirrored.tolist(), strict=True):
        assert set(row.unique().tolist()) - {0} <= (mirrored if is_mirrored else straight)
    assert 16 < int(moves.mirrored.sum()) < 48


def test_the_crossing_is_where_the_chosen_side_meets_the_border() -> None:
    labels = torch.zeros(3, H, W, dtype=torch.long)
    labels[0, 40:, 0:8] = HandClass.LEFT_ARM  # bottom and left: the bottom wins
    labels[0, 10:14, 60:] = HandClass.RIGHT_HAND
    labels[1] = labels[0]
    right = torch.tensor([HandClass.LEFT_HAND, HandClass.RIGHT_HAND, HandClass.RIGHT_HAND])
    x, y = border_crossing(labels, right).T
    assert x.tolist() == pytest.approx([-1 + 7 / 63, 1, 0], abs=1e-5)
    assert y.tolist() == pytest.approx([1, -1 + 2 * 11.5 / 47, 1], abs=1e-5)


def test_pasted_arms_still_come_from_the_border_they_came_from() -> None:
    labels = arm_from_below(60)
    upside_down = torch.arange(60) >= 40
    moves = hand_moves(labels, ASPECT, upside_down, generator(3))
    _, picked = warp(as_images(labels), labels, moves.matrix, moves.mirrored)
    assert (picked[:40, -1] != 0).any(1).all() and (picked[40:, 0] != 0).any(1).all()
    covered = (picked != 0).float().mean((1, 2))
    assert float(covered.max()) > 0.2 and float(covered.min()) < 0.08  # from small to large


def test_pasted_hands_are_turned_and_stretched_far_and_pictures_little() -> None:
    labels = arm_from_below(400)
    to_image = torch.tensor([[ASPECT, 0.0], [0.0, 1.0]])  # from -1..1 across and down to equal units

    def turns_and_stretches(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        linear = to_image @ matrix[:, :, :2] @ to_image.inverse()
        return (linear[:, 1, 1].atan2(linear[:, 0, 1]).rad2deg() - 90).abs(), linear[:, :, 0].norm(dim=1) / linear[
            :, :, 1
        ].norm(dim=1)

    turned, stretched = turns_and_stretches(hand_moves(labels, ASPECT, torch.zeros(400, dtype=torch.bool), generator(0)).matrix)
    assert 45 < float(turned.max()) <= 50.01 and 1.7 < float(stretched.max()) <= 1.83 and 0.54 < float(stretched.min()) < 0.6
    turned, stretched = turns_and_stretches(whole_moves(labels, ASPECT, generator(0)).matrix)
    assert 18 < float(turned.max()) <= 20.01 and torch.allclose(stretched, torch.ones(400), atol=1e-4)


def test_layouts_have_their_shares_and_exclude_each_other() -> None:
    own, bare, foreign = draw_layout(20000, generator(0))
    assert own.float().mean().item() == pytest.approx(0.55, abs=0.02)
    assert bare.float().mean().item() == pytest.approx(0.12, abs=0.01)
    assert foreign.float().mean().item() == pytest.approx(0.04, abs=0.01)
    assert not (own & bare).any() and not (foreign & ~bare).any()


def test_images_with_too_little_hand_borrow_one_for_pasting() -> None:
    labels = arm_from_below(6)
    labels[2:4] = 0
    own = torch.tensor([False, False, False, True, False, True])
    donors = donors_of(labels, own, generator(0))
    assert donors.tolist()[:2] == [0, 1] and donors.tolist()[3:] == [3, 4, 5] and donors[2] in (0, 1, 4, 5)
    assert donors_of(torch.zeros_like(labels), own, generator(0)).tolist() == list(range(6))


def test_composed_pictures_show_hands_where_the_labels_say_and_backgrounds_elsewhere() -> None:
    labels = arm_from_below(200)
    images = torch.where((labels != 0)[:, None], 1.0, 0.2).expand(-1, 3, -1, -1).contiguous()
    composed = compose(images, labels, torch.full_like(images, 0.6), generator(0))
    layout = draw_layout(200, generator(0))
    assert torch.equal(composed.is_bare, layout.is_bare)
    plain = layout.is_bare & ~layout.is_foreign
    assert torch.allclose(composed.images[plain], torch.tensor(0.6)) and not composed.labels[plain].any()
    assert composed.labels[layout.is_foreign].flatten(1).any(1).all()
    pasted = ~layout.is_own & ~layout.is_bare
    assert composed.labels[pasted].flatten(1).any(1).all()
    behind = composed.images[pasted][:, 0][composed.labels[pasted] == 0]
    assert float((behind - 0.6).abs().median()) == pytest.approx(0, abs=1e-6)
    inside = composed.images[pasted][:, 0][composed.labels[pasted] != 0]
    assert float(inside.median()) == pytest.approx(1.0)
    own = composed.images[layout.is_own][:, 0]
    assert not (own == 0.6).flatten(1).all(1).any() and float(own.median()) == pytest.approx(0.2)


def test_hands_have_a_middle() -> None:
    labels = torch.zeros(2, H, W, dtype=torch.long)
    labels[0, 0:2, 62:64] = HandClass.LEFT_HAND
    x, y = hand_middle(labels).T
    assert x.tolist() == pytest.approx([1 - 1 / 63, 0], abs=1e-5) and y.tolist() == pytest.approx([-1 + 1 / 47, 0], abs=1e-5)


def test_crops_show_most_of_a_picture_and_change_nothing_else() -> None:
    columns = torch.linspace(0, 1, W).expand(64, 3, H, W).clone()
    labels = torch.where(torch.arange(W) < W // 2, HandClass.LEFT_ARM, HandClass.NONE).expand(64, H, W).clone()
    images, moved = crops(columns, labels, generator(0))
    assert images.shape == (64, 3, H, W) and moved.shape == (64, H, W)
    shown = images[:, 0, 0].amax(1) - images[:, 0, 0].amin(1)
    assert 0.7 < float(shown.min()) < 0.85 and 0.95 < float(shown.max()) <= 1
    assert torch.allclose(images, images[:, :, :1].expand_as(images), atol=1e-5), "not turned"
    is_mirrored = images[:, 0, 0, 0] > images[:, 0, 0, -1]
    assert 0.3 < float(is_mirrored.float().mean()) < 0.7
    sides = [HandClass.LEFT_ARM, HandClass.RIGHT_ARM]
    assert all(set(one.unique().tolist()) <= {0, int(sides[int(m)])} for one, m in zip(moved, is_mirrored, strict=True))
    edges = (moved != HandClass.NONE) == (images[:, 0] < 0.5)
    assert float(edges.float().mean()) > 0.97, "labels go with their pixels"


def in_pixels(matrix: torch.Tensor) -> torch.Tensor:
    """(B, 2, 2) linear maps between pixels, of maps between places in -1..1."""
    to_pixels = torch.tensor([[W / 2, 0.0], [0.0, H / 2]])
    return to_pixels @ matrix[:, :, :2] @ to_pixels.inverse()


def test_whole_pictures_are_turned_mirrored_and_zoomed_and_never_bent() -> None:
    moves = whole_moves(torch.zeros(200, H, W, dtype=torch.long), ASPECT, generator(1))
    linear = in_pixels(moves.matrix)
    squares = linear.transpose(1, 2) @ linear
    zoom = squares[:, 0, 0].sqrt()
    assert torch.allclose(squares, torch.eye(2) * zoom[:, None, None] ** 2, atol=1e-4)
    assert torch.equal(linear.det() < 0, moves.mirrored)
    assert float(zoom.min()) >= 0.28 - 1e-4 and float(zoom.max()) <= 1.05 + 1e-4


def test_the_middle_that_is_shown_lies_in_the_picture() -> None:
    labels = arm_from_below(200)
    for moves in (whole_moves(labels, ASPECT, generator(2)), whole_moves(torch.zeros_like(labels), ASPECT, generator(2))):
        assert float(moves.matrix[:, :, 2].abs().max()) <= 0.72 + 1e-4


def test_the_place_where_the_arm_enters_goes_to_the_same_border() -> None:
    labels = arm_from_below(80)
    upside_down = torch.arange(80) % 2 == 0
    moves = hand_moves(labels, ASPECT, upside_down, generator(4))
    anchor = border_crossing(labels, torch.full((80,), int(HandClass.RIGHT_HAND)))
    target = torch.linalg.solve(moves.matrix[:, :, :2], (anchor - moves.matrix[:, :, 2])[:, :, None])[:, :, 0]
    assert torch.allclose(target[:, 1], torch.where(upside_down, -1.0, 1.0), atol=1e-4)
    slid = target[:, 0] - anchor[:, 0] * torch.where(moves.mirrored, -1.0, 1.0)
    assert float(slid.abs().max()) <= 0.5 + 1e-4 and float(slid.std()) > 0.15
    flipped = in_pixels(moves.matrix).det() < 0
    assert torch.equal(flipped, moves.mirrored ^ upside_down)


def test_crossings_and_middles_mirror_with_the_picture() -> None:
    labels = torch.zeros(3, H, W, dtype=torch.long)
    labels[0, 10:20, :6] = HandClass.LEFT_ARM
    labels[1, 40:, 50:60] = HandClass.LEFT_HAND
    labels[2, 5:9, 20:30] = HandClass.RIGHT_HAND  # meets no border
    mirrored = torch.tensor([0, 2, 1, 4, 3, 5])[labels.flip(2)]
    left, right = (torch.full((3,), int(side)) for side in (HandClass.LEFT_HAND, HandClass.RIGHT_HAND))
    flip = torch.tensor([-1.0, 1.0])
    assert torch.allclose(border_crossing(mirrored, right), border_crossing(labels, left) * flip, atol=1e-6)
    assert torch.allclose(hand_middle(mirrored), hand_middle(labels) * flip, atol=1e-6)
    assert border_crossing(labels, left)[2].tolist() == [0, 1]


def test_held_objects_are_no_hands_to_paste() -> None:
    labels = torch.zeros(2, H, W, dtype=torch.long)
    labels[:, 10:40, 10:40] = HandClass.HELD_OBJECT
    assert not hand_middle(labels).any()
    assert donors_of(labels, torch.zeros(2, dtype=torch.bool), generator(0)).tolist() == [0, 1]
    assert border_crossing(labels, torch.full((2,), 1)).tolist() == [[0, 1], [0, 1]]


def test_a_picture_without_labels_is_moved_alone() -> None:
    images = torch.rand(2, 3, H, W, generator=generator(5))
    moves = whole_moves(torch.zeros(2, H, W, dtype=torch.long), ASPECT, generator(6))
    alone, nothing = warp(images, None, moves.matrix, moves.mirrored)
    with_labels, _ = warp(images, arm_from_below(2), moves.matrix, moves.mirrored)
    assert torch.equal(alone, with_labels) and len(nothing) == 0


def test_mirrored_twice_is_the_picture_itself() -> None:
    labels = arm_from_below(1)
    images = torch.rand(1, 3, H, W, generator=generator(7))
    mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    is_mirrored = torch.ones(1, dtype=torch.bool)
    once = warp(images, labels, mirror, is_mirrored)
    assert set(once[1].unique().tolist()) == {0, int(HandClass.LEFT_HAND), int(HandClass.LEFT_ARM)}
    assert torch.allclose(once[0], images.flip(3), atol=1e-5)
    twice = warp(*once, mirror, is_mirrored)
    assert torch.allclose(twice[0], images, atol=1e-5) and torch.equal(twice[1], labels)


def test_composing_is_repeatable_and_leaves_what_it_was_given() -> None:
    labels = arm_from_below(24)
    images = torch.rand(24, 3, H, W, generator=generator(8))
    backgrounds = torch.rand(24, 3, H, W, generator=generator(9))
    kept = [t.clone() for t in (images, labels, backgrounds)]
    first, second = (compose(images, labels, backgrounds, generator(10)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(kept, (images, labels, backgrounds), strict=True))
    assert first.labels.dtype == torch.int64 and int(first.labels.max()) < len(HandClass)
    assert float(first.images.min()) >= 0 and float(first.images.max()) <= 1


def test_without_any_hands_all_pictures_are_composed_and_show_none() -> None:
    images = torch.rand(20, 3, H, W, generator=generator(11))
    composed = compose(images, torch.zeros(20, H, W, dtype=torch.long), torch.full_like(images, 0.5), generator(12))
    assert not composed.labels.any() and composed.images.isfinite().all()
    own = draw_layout(20, generator(12)).is_own
    assert torch.allclose(composed.images[~own], torch.tensor(0.5)) and (composed.images[own] != 0.5).any()
