"""What the segmenter is trained for: right classes, and right outlines."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.segmentation.sizes import HandClass

_FOCUS = 2.0  # exponent of the focal loss
_EDGE_PX = 5
_EDGE_WEIGHT = 3.0


def segmentation_losses(scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Sum what is asked of the classes and of hand and arm of both sides as one: that one is what gets removed.

    Classes: focal cross entropy (Lin et al., ICCV 2017) and Dice (Milletari et al., 3DV 2016) of every class but none.
    Hand and arm as one ("union"): binary cross entropy and Dice.

    Args:
        scores: (B, 6, H, W); labels: (B, H, W) int64. Pixels within 5 px of an outline count three times.
    """
    log_p = functional.log_softmax(scores, dim=1)
    true_log_p = log_p.gather(1, labels[:, None])[:, 0]
    weight = 1 + (_EDGE_WEIGHT - 1) * near_edges(labels, _EDGE_PX)
    focal = (-true_log_p * (1 - true_log_p.exp()).pow(_FOCUS) * weight).sum() / weight.sum()
    dice = 1 - dice_scores(log_p.exp(), labels)[1:].mean()
    hand = scores[:, 1:5].logsumexp(1) - torch.logaddexp(scores[:, HandClass.NONE], scores[:, HandClass.HELD_OBJECT])
    is_hand = ((labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)).float()
    entropy = functional.binary_cross_entropy_with_logits(hand, is_hand, weight=weight) / weight.mean()
    p = hand.sigmoid()
    union = entropy + 1 - _dice((p * is_hand).sum(), p.sum() + is_hand.sum())
    return {"focal": focal, "dice": dice, "union": union, "total": focal + 0.5 * dice + 0.5 * union}


def dice_scores(probability: Tensor, labels: Tensor) -> Tensor:
    """(6,) Dice coefficients over the batch; 1 for a class that neither has."""
    true_p = probability.gather(1, labels[:, None]).flatten()
    overlap = probability.new_zeros(probability.shape[1]).index_add(0, labels.flatten(), true_p)
    count = torch.bincount(labels.flatten(), minlength=probability.shape[1])
    return _dice(overlap, probability.sum((0, 2, 3)) + count)


def _dice(overlap: Tensor, total: Tensor) -> Tensor:
    return (2 * overlap + 1) / (total + 1)


def near_edges(labels: Tensor, radius: int) -> Tensor:
    """(B, H, W) 1 where a different label lies within `radius` pixels, else 0.

    Pixels with another neighbour are found and spread, along columns and then rows: several times as fast as pooling squares.
    """
    edge = torch.zeros_like(labels, dtype=torch.float32)
    down, right = (labels[:, 1:] != labels[:, :-1]).float(), (labels[:, :, 1:] != labels[:, :, :-1]).float()
    edge[:, 1:] += down
    edge[:, :-1] += down
    edge[:, :, 1:] += right
    edge[:, :, :-1] += right
    reach = radius - 1
    spread = functional.max_pool2d(edge[:, None], (2 * reach + 1, 1), 1, (reach, 0))
    return functional.max_pool2d(spread, (1, 2 * reach + 1), 1, (0, reach))[:, 0].clamp(max=1)
