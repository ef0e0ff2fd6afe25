"""The body of the compact dense networks: a residual encoder with a light decoder (U-Net, Ronneberger et al., MICCAI 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from ego_perception.nn.blocks import ConvNorm, Residual, UpsampleMerge


class EncoderDecoder(nn.Module):
    """A network adds its heads; the names of its parts are those in weight files.

    Args:
        num_in: channels of the input.
        stem: channels at half resolution.
        widths, counts: channels and residual blocks of each encoder stage, strides 4, 8, 16, ...
        decoder: channels of the decoder from the coarsest stride to stride 2, one more than stages.
    """

    def __init__(self, num_in: int, stem: int, widths: Sequence[int], counts: Sequence[int], decoder: Sequence[int]) -> None:
        super().__init__()
        self.stem = ConvNorm(num_in, stem, 3, 2)
        self.stages = nn.ModuleList()
        skips, channels = [stem], stem
        for width, count in zip(widths, counts, strict=True):
            blocks = [Residual(channels, width, 2), *(Residual(width, width) for _ in range(count - 1))]
            self.stages.append(nn.Sequential(*blocks))
            channels = width
            skips.append(width)
        self.context = nn.Conv2d(channels, decoder[0], 1)
        self.top = nn.Conv2d(channels, decoder[0], 1)
        self.top_mix = ConvNorm(decoder[0], decoder[0])
        pairs = zip(decoder[:-1], skips[-2::-1], decoder[1:], strict=True)
        self.levels = nn.ModuleList(UpsampleMerge(coarse, skip, out) for coarse, skip, out in pairs)

    def encode_decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, num_in, H, W) to features (B, decoder[-1], H/2, W/2) and the coarsest ones' mean (B, widths[-1], 1, 1).

        The mean joins the decoder at its top: what is seen anywhere in the image counts everywhere.
        """
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        pooled = functional.adaptive_avg_pool2d(features[-1], 1)
        y = self.top_mix(self.top(features[-1]) + self.context(pooled))
        for level, skip in zip(self.levels, features[-2::-1], strict=True):
            y = level(y, skip)
        return y, pooled
