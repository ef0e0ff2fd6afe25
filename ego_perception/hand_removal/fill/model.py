"""The network: gated convolutions (Yu et al., "Free-form image inpainting", ICCV 2019) around one global attention layer.

A gate per place lets the network ignore the hole; attention at stride 16 copies texture from afar. The output is a correction
of the background as remembered and smoothly continued, which makes the painted picture, and a second gate g:
fill = g * remembered + (1 - g) * painted, so that what was really seen passes unchanged where it fits. An untrained network
changes nothing.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ego_perception.hand_removal.fill.sizes import PLANES, FillConfig

_DILATIONS = (1, 2, 4, 8, 1, 2)
_HEADS = 4
_TRUSTING = 2.0  # the untrained gate is sigmoid(2) = 0.88 open


class FillOutput(NamedTuple):
    """The filled picture (B, 3, H, W) in -1..1, the painted part of it, and the gate (B, 1, H, W) in 0..1."""

    filled: Tensor
    painted: Tensor
    gate: Tensor


class FillNetwork(nn.Module):
    """Input planes (B, 14, H, W), see `sizes.PLANES`, to a `FillOutput`; sides are multiples of 32."""

    def __init__(self, config: FillConfig | None = None) -> None:
        super().__init__()
        self.config = config or FillConfig()
        w, n = self.config.widths, self.config.blocks
        self.stem = GatedConv(4 * PLANES, w[0])
        self.down = nn.ModuleList(GatedConv(a, b, stride=2) for a, b in itertools.pairwise(w))
        self.encode = nn.ModuleList(_chain(width, count) for width, count in zip(w[1:], n, strict=True))
        self.attention = GlobalAttention(w[3], _HEADS)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(w[-2::-1], w[:0:-1], strict=True))
        self.decode = nn.ModuleList(_chain(width, 1) for width in w[-2::-1])
        self.head = nn.Conv2d(w[0], 16, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, planes: Tensor) -> FillOutput:
        """Fill."""
        x = self.stem(functional.pixel_unshuffle(planes, 2))
        skips = [x]
        for down, encode in zip(self.down, self.encode, strict=True):
            x = encode(down(x))
            skips.append(x)
        x = self.attention(x)
        for up, decode, skip in zip(self.up, self.decode, skips[-2::-1], strict=True):
            x = decode(skip + functional.interpolate(up(x), scale_factor=2.0, mode="nearest"))
        out = functional.pixel_shuffle(self.head(x), 2).float()
        remembered, confidence = planes[:, 3:6], planes[:, 6:7]
        painted = remembered + out[:, :3]
        gate = torch.sigmoid(out[:, 3:] + _TRUSTING) * (confidence > 0)
        return FillOutput(gate * remembered + (1 - gate) * painted, painted, gate)


class GatedConv(nn.Module):
    """3x3 convolution whose result is multiplied by a learnt gate."""

    def __init__(self, num_in: int, num_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, 2 * num_out, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, num_in, H, W) to (B, num_out, H / stride, W / stride)."""
        value, gate = self.conv(x).chunk(2, dim=1)
        return functional.silu(value) * torch.sigmoid(gate)


class GatedResidual(nn.Module):
    """Depthwise 3x3 convolution with holes, and a gated mixing of channels, added to the input."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, groups=channels)
        self.gate = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        value, gate = self.gate(self.spread(x)).chunk(2, dim=1)
        mixed: Tensor = self.mix(functional.silu(value) * torch.sigmoid(gate))
        return x + mixed


class GlobalAttention(nn.Module):
    """Every place looks at every other one (Vaswani et al., NeurIPS 2017), added to the input."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, H, W)."""
        count, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(count, 3, self.heads, channels // self.heads, height * width)
        q, k, v = (part.transpose(-1, -2) for part in qkv.unbind(1))
        weights = torch.softmax(q @ k.transpose(-1, -2) * (channels // self.heads) ** -0.5, dim=-1)
        seen = (weights @ v).transpose(-1, -2).reshape(count, channels, height, width)
        mixed: Tensor = self.out(seen)
        return x + mixed


def _chain(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(GatedResidual(channels, _DILATIONS[i % len(_DILATIONS)]) for i in range(count)))
