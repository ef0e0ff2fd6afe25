"""Variation of training windows, and the network's own last output as its input."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ego_perception.hand_removal.fill.data import Batch
from ego_perception.hand_removal.fill.sizes import LAST_PLANES

_SIDES: Final = (96, 128, 160)  # to which windows are shrunk, all of a batch alike; multiples of the network's stride
_SIDES_SHARE: Final = (0.2, 0.5, 0.3)
_MIXED_CHANNELS: Final = 0.25  # share of batches whose colour channels are exchanged


def vary(batch: Batch, generator: torch.Generator) -> Batch:
    """Shrink, mirror, and repaint image, memory and truth alike."""
    side = _SIDES[int(torch.multinomial(torch.tensor(_SIDES_SHARE), 1, generator=generator))]
    batch = shrunk(batch, side)
    scene, before, flow, target = batch
    if float(torch.rand(1, generator=generator)) < 0.5:
        scene, before, target = scene.flip(3), before.flip(3), target.flip(3)
        flow = flow.flip(3) * torch.tensor([-1.0, 1.0])[:, None, None]
    pictures = (scene[:, :3], scene[:, 3:6], before[:, :3], before[:, 3:6], target)
    visible, remembered, visible_before, remembered_before, target = recolour(pictures, generator)
    scene = torch.cat([visible * (scene[:, 7:8] < 0.5), remembered, scene[:, 6:]], dim=1)
    before = torch.cat([visible_before * (before[:, 7:8] < 0.5), remembered_before, before[:, 6:]], dim=1)
    return Batch(scene, before, flow, target.contiguous())


def shrunk(batch: Batch, side: int) -> Batch:
    """Bring windows to a smaller side by averaging, visible colours over visible pixels only, as `scene_planes` does."""
    size = batch.target.shape[-1]
    if side == size:
        return batch

    def smaller(planes: Tensor) -> Tensor:
        return functional.interpolate(planes, (side, side), mode="area")

    def scene(planes: Tensor) -> Tensor:
        is_visible = (planes[:, 7:8] < 0.5).float()
        share = smaller(is_visible)
        visible = smaller(planes[:, :3] * is_visible) / share.clamp(min=1e-3) * (share > 0.5)
        rest = smaller(planes[:, 3:])
        known = 1 - rest[:, 5:6] > 0.5
        return torch.cat([visible, rest[:, :3], rest[:, 3:4] * known, rest[:, 4:]], dim=1)

    return Batch(scene(batch.scene), scene(batch.before), smaller(batch.flow) * (side / size), smaller(batch.target))


@torch.no_grad()
def last_output(model: nn.Module, batch: Batch) -> Tensor:
    """Fill the frames before and carry the pictures to the frames: the planes of the last output, (B, 4, H, W)."""
    nothing = torch.zeros_like(batch.before[:, :LAST_PLANES])
    filled = model(torch.cat([batch.before, nothing], dim=1)).filled
    picture = torch.lerp(batch.before[:, :3], filled, (batch.before[:, 7:8] > 0).to(filled.dtype)).clamp(-1, 1)
    side = picture.shape[-1]
    centres = torch.arange(side, device=picture.device, dtype=torch.float32)
    place = torch.stack([centres + batch.flow[:, 0], centres[:, None] + batch.flow[:, 1]], dim=-1)
    valid = ((place >= 0) & (place <= side - 1)).all(dim=-1).unsqueeze(1).to(picture.dtype)
    moved = functional.grid_sample(picture, (2 * place + 1) / side - 1, padding_mode="border", align_corners=False)
    return torch.cat([moved * valid, valid], dim=1)


def recolour(pictures: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Change colours, contrast and brightness of several pictures (B, 3, H, W) in -1..1 in the same way."""
    count = len(pictures[0])

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *(shape or (1, 1, 1)), generator=generator)

    is_mixed = float(torch.rand(1, generator=generator)) < _MIXED_CHANNELS
    order = torch.randperm(3, generator=generator) if is_mixed else torch.arange(3)
    gamma, colourfulness, gain = uniform(0.6, 1.6), uniform(0.2, 1.4), uniform(0.75, 1.3, 3, 1, 1)
    changed = []
    for picture in pictures:
        light = ((picture[:, order] + 1) / 2).clamp(0, 1) ** gamma
        grey = light.mean(1, keepdim=True)
        changed.append(((grey + (light - grey) * colourfulness) * gain).clamp(0, 1) * 2 - 1)
    return tuple(changed)
