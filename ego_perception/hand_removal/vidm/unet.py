"""VIDM's UNet: guided diffusion's UNet over four frames that meet in normalisation, attention and one last layer.

Frames are folded into the batch (`nn.frames`). What tells the frames apart is the last layer alone, which has one set of
weights per frame slot; everything before treats them alike, so the order of the context frames hardly matters.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ego_perception.hand_removal.vidm.sizes import VidmSizes
from ego_perception.nn.frames import FrameAttention, FrameGroupNorm, FrameJoin, Resample, TimeResidual, sinusoids

TIME_FACTOR: Final = 4  # width of the time embedding over the width of the UNet


class FrameUNet(nn.Module):
    """Predicts the noise in the target frame's latent from T frames.

    `input_blocks`, `middle_block` and `output_blocks` follow the numbering of the published checkpoint.
    """

    def __init__(self, sizes: VidmSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, self._time_width = sizes.width, TIME_FACTOR * sizes.width
        self.time_embed = nn.Sequential(
            nn.Linear(width, self._time_width), nn.SiLU(), nn.Linear(self._time_width, self._time_width)
        )
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(sizes.input_channels, width, 3, padding=1)])])
        channels, skips = self._add_encoder()
        self.middle_block = nn.ModuleList([self._residual(channels, channels), self._attention(channels)])
        self.middle_block.append(self._residual(channels, channels))
        self.output_blocks = nn.ModuleList()
        self._add_decoder(channels, skips)
        self.norm_out = FrameGroupNorm(width, sizes.frames)
        self.join = FrameJoin(width, sizes.frames) if sizes.frames > 1 else nn.Identity()
        self.conv_out = nn.Conv2d(width, sizes.code_width, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def _residual(self, num_in: int, num_out: int, resample: Resample = Resample.NONE) -> TimeResidual:
        return TimeResidual(num_in, num_out, self._time_width, self.sizes.frames, resample)

    def _attention(self, channels: int) -> FrameAttention:
        return FrameAttention(channels, self.sizes.heads, self.sizes.frames)

    def _add_encoder(self) -> tuple[int, list[int]]:
        """Add the way down; returns the channels it ends with and those of every block's output."""
        s = self.sizes
        channels, skips = s.width, [s.width]
        for level, multiplier in enumerate(s.multipliers):
            for _ in range(s.blocks):
                block = nn.ModuleList([self._residual(channels, multiplier * s.width)])
                channels = multiplier * s.width
                if 2**level in s.attention:
                    block.append(self._attention(channels))
                self.input_blocks.append(block)
                skips.append(channels)
            if level != len(s.multipliers) - 1:
                self.input_blocks.append(nn.ModuleList([self._residual(channels, channels, Resample.DOWN)]))
                skips.append(channels)
        return channels, skips

    def _add_decoder(self, channels: int, skips: list[int]) -> None:
        """Add the way up, each block taking the encoder's output of the same place."""
        s = self.sizes
        for level, multiplier in reversed(list(enumerate(s.multipliers))):
            for index in range(s.blocks + 1):
                block = nn.ModuleList([self._residual(channels + skips.pop(), multiplier * s.width)])
                channels = multiplier * s.width
                if 2**level in s.attention:
                    block.append(self._attention(channels))
                if level and index == s.blocks:
                    block.append(self._residual(channels, channels, Resample.UP))
                self.output_blocks.append(block)

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            x: (B, T, 2 C + 1, H, W): per frame the noisy latent of the target, the latent of the masked frame, and the mask
                (+1 in the hole, -1 elsewhere). H and W are multiples of 8.
            times: (B,) diffusion steps, 0 to 999.

        Returns:
            (B, C, H, W).
        """
        time = functional.silu(self.time_embed(sinusoids(times, self.sizes.width).to(x.dtype)))
        h = x.flatten(0, 1)
        if self.conv_out.weight.is_contiguous(memory_format=torch.channels_last):
            h = h.contiguous(memory_format=torch.channels_last)
        skips = []
        for block in self.input_blocks:
            h = _apply(block, h, time)
            skips.append(h)
        h = _apply(self.middle_block, h, time)
        for block in self.output_blocks:
            h = _apply(block, torch.cat([h, skips.pop()], dim=1), time)
        noise: Tensor = self.conv_out(self.join(functional.silu(self.norm_out(h))))
        return noise


def _apply(block: nn.Module, h: Tensor, time: Tensor) -> Tensor:
    assert isinstance(block, nn.ModuleList)
    for layer in block:
        h = layer(h, time) if isinstance(layer, TimeResidual) else layer(h)
    return h
