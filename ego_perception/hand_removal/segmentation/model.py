"""The network: a residual encoder with a light decoder to half resolution (U-Net, Ronneberger et al., MICCAI 2015).

It sees the image and the mask of the frame before, carried along by the background's motion, or zeros where there is none:
hands move little between frames, and what is cut off by the border or blurred is easier to hold than to find.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ego_perception.hand_removal.segmentation.sizes import HandClass, SegmenterConfig
from ego_perception.nn import ConvNorm, Residual, UpsampleMerge


class HandSegmenter(nn.Module):
    """Images (B, 3, H, W) RGB in 0..1 and masks before (B, 1, H, W) in 0..1 to class scores (B, 6, H, W)."""

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        super().__init__()
        self.config = config or SegmenterConfig()
        c = self.config
        self.stem = ConvNorm(4, c.stem, 3, 2)
        self.stages = nn.ModuleList()
        skips, channels = [c.stem], c.stem
        for width, count in zip(c.widths, c.counts, strict=True):
            blocks = [Residual(channels, width, 2), *(Residual(width, width) for _ in range(count - 1))]
            self.stages.append(nn.Sequential(*blocks))
            channels = width
            skips.append(width)
        self.context = nn.Conv2d(channels, c.decoder[0], 1)
        self.top = nn.Conv2d(channels, c.decoder[0], 1)
        self.top_mix = ConvNorm(c.decoder[0], c.decoder[0])
        pairs = zip(c.decoder[:-1], skips[-2::-1], c.decoder[1:], strict=True)
        self.levels = nn.ModuleList(UpsampleMerge(coarse, skip, out) for coarse, skip, out in pairs)
        self.head = nn.Conv2d(c.decoder[-1], len(HandClass), 3, padding=1)

    def forward(self, images: Tensor, before: Tensor) -> Tensor:
        """Score every pixel."""
        x = torch.cat([images * 2 - 1, before], dim=1)
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        # The mean over the image tells the sides apart where only a piece of an arm is seen.
        y = self.top_mix(self.top(features[-1]) + self.context(features[-1].mean((2, 3), keepdim=True)))
        for level, skip in zip(self.levels, features[-2::-1], strict=True):
            y = level(y, skip)
        scores = functional.interpolate(self.head(y), size=images.shape[-2:], mode="bilinear", align_corners=False)
        return scores.float()
