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
    """Half focal cross entropy (Lin et al., ICCV 2017), half Dice (Milletari et al., 3DV 2016) of every class but none.

    Args:
        scores: (B, 6, H, W); labels: (B, H, W) int64. Pixels within 5 px of an outline count three times.
    """
    log_p = functional.log_softmax(scores, dim=1)
    true_log_p = log_p.gather(1, labels[:, None])[:, 0]
    weight = 1 + (_EDGE_WEIGHT - 1) * near_edges(labels, _EDGE_PX)
    focal = (-true_log_p * (1 - true_log_p.exp()).pow(_FOCUS) * weight).sum() / weight.sum()
    dice = 1 - dice_scores(log_p.exp(), labels)[1:].mean()
    hand = scores[:, 1:5].logsumexp(1) - torch.cat([scores[:, :1], scores[:, 5:]], dim=1).logsumexp(1)
    is_hand = ((labels >= HandClass.LEFT_HAND) & (labels <= HandClass.RIGHT_ARM)).float()
    union = functional.binary_cross_entropy_with_logits(hand, is_hand, weight=weight) / weight.mean()
    return {"focal": focal, "dice": dice, "union": union, "total": focal + 0.5 * dice + 0.5 * union}


def dice_scores(probability: Tensor, labels: Tensor) -> Tensor:
    """(6,) Dice coefficients over the batch; 1 for a class that neither has."""
    truth = functional.one_hot(labels, probability.shape[1]).permute(0, 3, 1, 2).to(probability.dtype)
    overlap = (probability * truth).sum((0, 2, 3))
    total = (probability + truth).sum((0, 2, 3))
    return (2 * overlap + 1) / (total + 1)


def near_edges(labels: Tensor, radius: int) -> Tensor:
    """(B, H, W) 1 where a different label lies within `radius` pixels, else 0."""
    values = labels[:, None].float()
    kernel = 2 * radius + 1
    high = functional.max_pool2d(values, kernel, 1, radius)
    low = -functional.max_pool2d(-values, kernel, 1, radius)
    return (high != low)[:, 0].float()
