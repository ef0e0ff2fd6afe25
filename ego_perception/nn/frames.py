"""Blocks of diffusion networks that look at several frames at once, with the frames folded into the batch.

Activations are (B*T, C, H, W), frames of one sample next to each other: every convolution is then a plain 2-D one, which
libraries run fastest, while normalisation and attention regroup the T frames and work across them. With T = 1 the same
blocks form the usual image network (Dhariwal and Nichol, "Diffusion models beat GANs", NeurIPS 2021, appendix A).
"""

from __future__ import annotations

import enum
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 32  # of every group normalisation


class Resample(enum.Enum):
    """What a residual block does to the image size."""

    NONE = "none"
    DOWN = "down"
    UP = "up"


class FrameGroupNorm(nn.GroupNorm):
    """Group normalisation with statistics over the pixels of all frames of a sample.

    Args:
        channels: multiple of 32.
        frames: T.
    """

    def __init__(self, channels: int, frames: int, eps: float = 1e-5) -> None:
        super().__init__(GROUPS, channels, eps)
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B*T, C, H, W); statistics are float32 whatever the type of `x`."""
        samples = x.unflatten(0, (-1, self.frames))
        groups = samples.unflatten(2, (GROUPS, -1)).float()
        over = (1, 3, 4, 5)
        mean = groups.mean(over, keepdim=True)
        variance = (groups - mean).square().mean(over)  # two passes: five times as fast as var_mean on a CPU
        inverse = torch.rsqrt(variance + self.eps)[..., None]
        scale = inverse * self.weight.view(GROUPS, -1)  # (B, groups, C / groups)
        shift = self.bias.view(GROUPS, -1) - mean.flatten(1)[..., None] * scale
        spread = (x.shape[0] // self.frames, 1, -1, 1, 1)
        normal = torch.addcmul(shift.reshape(spread), samples.float(), scale.reshape(spread))
        return normal.to(x.dtype).flatten(0, 1)


class FrameAttention(nn.Module):
    """Self-attention among the positions of all frames of a sample, with a shortcut; no positional embedding, no mask.

    The channels of the joint projection are ordered by head, then query, key, value, then width of a head.
    """

    def __init__(self, channels: int, heads: int, frames: int) -> None:
        super().__init__()
        self.heads, self.frames = heads, frames
        self.norm = FrameGroupNorm(channels, frames)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        _zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within (B*T, C, H, W)."""
        n, c, h, w = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(n // self.frames, self.frames * h * w, c)
        qkv = self.qkv(tokens).unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)  # (3, B, heads, T*H*W, width)
        attended = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        mixed = self.out(attended.transpose(1, 2).reshape(tokens.shape))
        return x + mixed.reshape(n, h, w, c).permute(0, 3, 1, 2)


class TimeResidual(nn.Module):
    """Residual block that is told the diffusion time and may halve or double the image size (space only).

    Resampling comes between the first activation and the first convolution, and on the shortcut: 2x2 means going down,
    nearest neighbours going up. The second convolution starts at zero.

    Args:
        time_width: size of the time embedding.
    """

    def __init__(self, num_in: int, num_out: int, time_width: int, frames: int, resample: Resample = Resample.NONE) -> None:
        super().__init__()
        self.frames, self.resample = frames, resample
        self.norm1 = FrameGroupNorm(num_in, frames)
        self.conv1 = nn.Conv2d(num_in, num_out, 3, padding=1)
        self.time = nn.Linear(time_width, num_out)
        self.norm2 = FrameGroupNorm(num_out, frames)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1)
        self.shortcut = nn.Identity() if num_in == num_out else nn.Conv2d(num_in, num_out, 1)
        _zero(self.conv2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (B*T, num_in, H, W) and activated time embeddings (B, time_width) to (B*T, num_out, H', W')."""
        h = self._resized(functional.silu(self.norm1(x)))
        shift = self.time(time).repeat_interleave(self.frames, 0)
        h = self.conv1(h) + shift[..., None, None]
        h = self.conv2(functional.silu(self.norm2(h)))
        result: Tensor = self.shortcut(self._resized(x)) + h
        return result

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample is Resample.DOWN:
            return functional.avg_pool2d(x, 2)
        if self.resample is Resample.UP:
            return functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return x


class FrameJoin(nn.Conv2d):
    """A convolution over time only, as long as there are frames: (B*T, C, H, W) becomes (B, C, H, W)."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__(frames * channels, channels, 1)
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """Mix each pixel's features of all frames; input channels of the kernel are ordered by frame, then channel."""
        return super().forward(x.unflatten(0, (-1, self.frames)).flatten(1, 2))

    def start_at_frame(self, index: int) -> None:
        """Make it copy one frame and disregard the others."""
        channels = self.out_channels
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, index * channels : (index + 1) * channels, 0, 0] = torch.eye(channels)
            if self.bias is not None:
                self.bias.zero_()


def sinusoids(times: Tensor, width: int) -> Tensor:
    """Embed times (B,) as cosines and then sines of `width` / 2 frequencies from 1 down to nearly 1/10000."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=times.device) * (-math.log(10000.0) / half))
    angles = times.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _zero(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
