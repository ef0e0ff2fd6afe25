"""The compact single-image network: canonical log depth, its uncertainty, and the focal length.

Depth is learnt for a *canonical camera*, as in Metric3D (Yin et al., ICCV 2023, section 3.2): the network sees pixels only,
and an object of given size in pixels is the farther the longer the lens. With the focal ratio r = sqrt(fx fy / (W H)), which
no resizing changes, the network predicts log(depth / r); whoever knows the camera multiplies by its r, and the same weights
serve any lens. A crop or zoom leaves the law intact, which makes zooming an exact augmentation.

Uncertainty is the scale of a Laplace distribution of log depth (Kendall and Gal, NeurIPS 2017, section 3), multiplied by one
gain per quantity that is fitted on held-out rooms after training, so that it is calibrated there.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from ego_perception.nn import EncoderDecoder
from ego_perception.reconstruction.sizes import NetworkConfig

LOG_DEPTH_RANGE: Final = (math.log(0.05), math.log(60.0))  # canonical log depth that the head may give
LOG_SCALE_RANGE: Final = (-5.0, 1.5)  # of log Laplace scales: 0.7 % to 450 %
STANDARDISE_FLOOR: Final = 0.02  # keeps a black image from being divided by zero


class DepthOutput(NamedTuple):
    """What the network says of B images of H x W pixels.

    Attributes:
        log_depth: (B, ceil(H/2), ceil(W/2)) natural logarithm of depth (metres) divided by the focal ratio.
        log_depth_scale: like `log_depth`, logarithm of the Laplace scale of the error of `log_depth`.
        log_focal: (B,) logarithm of the focal ratio.
        log_focal_scale: (B,) logarithm of the Laplace scale of its error.
    """

    log_depth: Tensor
    log_depth_scale: Tensor
    log_focal: Tensor
    log_focal_scale: Tensor


class DepthNetwork(EncoderDecoder):
    """A residual encoder, a light decoder to half resolution, and a head on the pooled features for the focal length."""

    depth_gain: Tensor
    focal_gain: Tensor

    def __init__(self, config: NetworkConfig | None = None) -> None:
        c = config or NetworkConfig()
        super().__init__(3, c.stem, c.widths, c.counts, c.decoder)
        self.config = c
        self.depth_head = nn.Conv2d(c.decoder[-1], 2, 3, padding=1)
        self.focal_head = nn.Sequential(nn.Linear(c.widths[-1], 64), nn.ReLU(inplace=True), nn.Linear(64, 2))
        self.register_buffer("depth_gain", torch.ones(()))
        self.register_buffer("focal_gain", torch.ones(()))
        self._start_at_typical_values()

    def _start_at_typical_values(self) -> None:
        """Start at a depth of 1.6 m, a focal ratio of one and errors of a third."""
        last = self.focal_head[-1]
        assert isinstance(last, nn.Linear) and self.depth_head.bias is not None
        with torch.no_grad():
            last.weight.mul_(0.1)
            self.depth_head.bias.copy_(torch.tensor([0.5, -1.0]))
            last.bias.copy_(torch.tensor([0.0, -1.0]))

    def forward(self, images: Tensor) -> DepthOutput:
        """Look at (B, 3, H, W) RGB images in 0..1."""
        y, pooled = self.encode_decode(standardise(images))
        dense = self.depth_head(y).float()
        focal = self.focal_head(pooled.flatten(1)).float()
        return DepthOutput(
            dense[:, 0].clamp(*LOG_DEPTH_RANGE),
            dense[:, 1].clamp(*LOG_SCALE_RANGE) + self.depth_gain.log(),
            focal[:, 0].clamp(-2.0, 2.0),
            focal[:, 1].clamp(*LOG_SCALE_RANGE) + self.focal_gain.log(),
        )


def standardise(images: Tensor) -> Tensor:
    """Take mean and contrast out of each image of (B, 3, H, W): exposure says nothing about depth."""
    mean = images.mean((1, 2, 3), keepdim=True)
    deviation = (images - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
    return (images - mean) / (deviation + STANDARDISE_FLOOR)
