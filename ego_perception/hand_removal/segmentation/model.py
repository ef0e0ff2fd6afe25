"""The network: a residual encoder with a light decoder to half resolution."""

from __future__ import annotations

from torch import Tensor, nn

from ego_perception.hand_removal.segmentation.sizes import HandClass, SegmenterConfig
from ego_perception.nn import EncoderDecoder


class HandSegmenter(EncoderDecoder):
    """Images (B, 3, H, W) RGB in 0..1 to class scores (B, 6, H/2, W/2)."""

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        c = config or SegmenterConfig()
        super().__init__(3, c.stem, c.widths, c.counts, c.decoder)
        self.config = c
        self.head = nn.Conv2d(c.decoder[-1], len(HandClass), 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Score every second pixel of every second row: finer scores are interpolated where they are needed."""
        # The mean over the image tells the sides apart where only a piece of an arm is seen.
        y, _ = self.encode_decode(images * 2 - 1)
        scores: Tensor = self.head(y)
        return scores.float()
