"""Training images in other colours: skin, sleeves, gloves and background each for itself, then the camera's faults.

The simulator's own materials are few. What must carry over to real video is shape, shading and where an arm comes from;
so every part is painted anew, keeping the light and shade that the renderer gave it.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ego_perception.hand_removal.segmentation.clutter import grain
from ego_perception.hand_removal.segmentation.sizes import HandClass

_SKIN: Final = (  # sRGB, light to dark, about the Fitzpatrick types
    (0.96, 0.83, 0.75),
    (0.90, 0.71, 0.60),
    (0.80, 0.59, 0.46),
    (0.66, 0.46, 0.34),
    (0.47, 0.31, 0.22),
    (0.28, 0.19, 0.14),
)
_GREY: Final = (0.299, 0.587, 0.114)
_KEPT_SHARE: Final = 0.4  # of the wearers keep the simulator's skin and clothes
_GLOVED_SHARE: Final = 0.1
_BARE_SHARE, _SLEEVED_SHARE = 0.3, 0.3  # of the arms; the others have a sleeve that ends somewhere on the arm
_CAMOUFLAGED_SHARE: Final = 0.25  # of the wearers have hands or sleeves in the colour of what is beside them
_BESIDE_PX: Final = 8, 5  # cells of the image, and how many of them beside a hand are looked at
_GREYISH_SHARE: Final = 0.5  # of the clothes: black, white, grey, faded
_TONED_SHARE: Final = 0.3  # of the backgrounds
_WOODEN_SHARE: Final = 0.5  # of those: in the colours of skin


def repaint(images: Tensor, labels: Tensor, prints: Tensor, generator: torch.Generator) -> Tensor:
    """Give hands, arms and background other colours, light and shade kept.

    Args:
        images: (B, 3, H, W) in 0..1.
        labels: (B, H, W) `HandClass`.
        prints: (B, 3, H, W) in 0..1, what some sleeves are printed with.
    """
    count, device = len(images), images.device
    grey = (images * images.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    skin = (skin_colours(count, generator) * grain(count, (images.shape[2], images.shape[3]), generator)).to(device)
    glove = torch.rand(count, 3, 1, 1, generator=generator).to(device)
    hand_colour = torch.where(_chance(_GLOVED_SHARE, count, generator).to(device), glove, skin)
    is_hand = (labels == HandClass.LEFT_HAND) | (labels == HandClass.RIGHT_HAND)
    is_arm = (labels == HandClass.LEFT_ARM) | (labels == HandClass.RIGHT_ARM)
    distance = hand_distance(labels)
    is_cloth = (is_arm & (distance > _hem(count, generator).to(device)))[:, None]
    cloth = cloth_colours(distance, prints, generator)
    light = _uniform(0.5, 1.3, count, generator).to(device)
    hand_colour, arm = hand_colour * light, torch.where(is_cloth, cloth, skin) * light
    alike = beside(images, is_hand | is_arm) * (1 + 0.12 * torch.randn(count, 3, 1, 1, generator=generator).to(device))
    hand_colour = torch.where(_chance(_CAMOUFLAGED_SHARE, count, generator).to(device), alike, hand_colour)
    arm = torch.where(_chance(_CAMOUFLAGED_SHARE, count, generator).to(device), alike, arm)
    lit = torch.where(is_hand[:, None], hand_colour * _shade(grey, is_hand, generator), arm * _shade(grey, is_arm, generator))
    is_changed = (is_hand | is_arm)[:, None] & ~_chance(_KEPT_SHARE, count, generator).to(device)
    behind = torch.where((labels == HandClass.NONE)[:, None], tone(images, grey, generator), images)
    return torch.lerp(behind, lit, functional.avg_pool2d(is_changed.float(), 3, 1, 1, count_include_pad=False)).clamp(0, 1)


def beside(images: Tensor, mask: Tensor) -> Tensor:
    """(B, 3, 1, 1) mean colour of the pixels beside a (B, H, W) mask; of the whole image where the mask is empty."""
    cell, reach = _BESIDE_PX
    free = functional.avg_pool2d((~mask[:, None]).float(), cell)
    colour = functional.avg_pool2d(images * ~mask[:, None], cell)
    near = functional.max_pool2d((free < 1).float(), 2 * reach + 1, 1, reach)
    near = torch.where(near.sum((2, 3), keepdim=True) > 0, near, 1.0)
    return (colour * near).sum((2, 3), keepdim=True) / (free * near).sum((2, 3), keepdim=True).clamp(min=1e-3)


def skin_colours(count: int, generator: torch.Generator) -> Tensor:
    """(count, 3, 1, 1) skin, light to dark, more or less red."""
    table = torch.tensor(_SKIN)
    place = torch.rand(count, generator=generator) * (len(_SKIN) - 1)
    low = place.long()
    colour = torch.lerp(table[low], table[low + 1], (place - low)[:, None])
    flush = torch.tensor([0.06, -0.03, -0.03]) * torch.randn(count, 1, generator=generator)
    return (colour + flush + 0.02 * torch.randn(count, 3, generator=generator)).clamp(0.02, 1)[:, :, None, None]


def cloth_colours(distance: Tensor, prints: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 3, H, W) cloth: plain, in rings around the arm, striped along the image, blotched, in two colours, or printed."""
    count, height, width = distance.shape
    first, second = torch.rand(2, count, 3, 1, 1, generator=generator).to(distance.device)
    fade = torch.rand(count, 1, 1, 1, generator=generator) * _chance(_GREYISH_SHARE, count, generator)
    first, second = (torch.lerp(colour, colour[:, :1], fade.to(distance.device)) for colour in (first, second))
    dark = _uniform(0.1, 1.0, count, generator).to(distance.device)  # dark clothes are frequent
    kind = torch.randint(0, 6, (count, 1, 1), generator=generator).to(distance.device)
    pitch = _uniform(10.0, 70.0, count, generator)[:, 0].to(distance.device)
    slope = torch.randn(count, 1, 1, generator=generator).to(distance.device)
    ys, xs = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    rows = (ys[None].to(slope) + slope * xs[None].to(slope)) * pitch
    blotches = functional.interpolate(torch.rand(count, 1, 9, 12, generator=generator), (height, width), mode="bilinear")
    wave = torch.where(kind == 2, (distance * pitch).sin(), torch.where(kind == 3, rows.sin(), torch.zeros_like(rows)))
    share = torch.where(kind == 4, blotches[:, 0].to(wave), (wave > 0.2).to(wave))
    woven = torch.lerp(first * dark, second, share[:, None] * (kind >= 2)[:, None])
    return torch.where(kind[:, None] == 5, prints.to(woven), woven)


def hand_distance(labels: Tensor) -> Tensor:
    """(B, H, W) distance to the middle of the nearer hand in image heights; 9 in an image that shows none."""
    height, width = labels.shape[1:]
    ys = torch.arange(height, device=labels.device).view(1, -1, 1) / height
    xs = torch.arange(width, device=labels.device).view(1, 1, -1) / height
    nearest = torch.full(labels.shape, 9.0, device=labels.device)
    for hand in (HandClass.LEFT_HAND, HandClass.RIGHT_HAND):
        mask = (labels == hand).float()
        number = mask.sum((1, 2), keepdim=True)
        y = (mask * ys).sum((1, 2), keepdim=True) / number.clamp(min=1)
        x = (mask * xs).sum((1, 2), keepdim=True) / number.clamp(min=1)
        nearest = torch.where(number > 0, torch.minimum(nearest, ((ys - y).square() + (xs - x).square()).sqrt()), nearest)
    return nearest


def _hem(count: int, generator: torch.Generator) -> Tensor:
    """(count, 1, 1) distance from the hand at which sleeves begin."""
    lot = torch.rand(count, 1, 1, generator=generator)
    hem = 0.1 + 0.6 * torch.rand(count, 1, 1, generator=generator)
    return torch.where(lot < _BARE_SHARE, 10.0, torch.where(lot < _BARE_SHARE + _SLEEVED_SHARE, 0.0, hem))


def _shade(grey: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Light and shade of a part, 1 on average, with more or less contrast and gloss."""
    part = mask[:, None].float()
    mean = (grey * part).sum((2, 3), keepdim=True) / part.sum((2, 3), keepdim=True).clamp(min=1)
    contrast = _uniform(0.5, 1.6, len(grey), generator).to(grey.device)
    shade = (grey / mean.clamp(min=0.03)).clamp(0.1, 2.5) ** contrast
    gloss = _uniform(-0.5, 1.0, len(grey), generator).clamp(min=0).to(grey.device)
    return shade + gloss * (shade - 1.15).clamp(min=0)


def tone(images: Tensor, grey: Tensor, generator: torch.Generator) -> Tensor:
    """Draw some images towards one colour, often that of skin: wood, carton, a wall in the evening."""
    count, device = len(images), images.device
    free = torch.rand(count, 3, 1, 1, generator=generator)
    colour = torch.where(_chance(_WOODEN_SHARE, count, generator), skin_colours(count, generator), free).to(device)
    colour = colour / (colour.mean(1, keepdim=True) + 0.05)
    amount = _uniform(0.1, 0.9, count, generator) * _chance(_TONED_SHARE, count, generator)
    return torch.lerp(images, (grey * colour).clamp(0, 1), amount.to(device))


def photograph(images: Tensor, generator: torch.Generator) -> Tensor:
    """Take the picture: motion blur, light and its colour, haze, defocus, too little light, overexposure, compression."""
    count, device = len(images), images.device

    def uniform(low: float, high: float) -> Tensor:
        return _uniform(low, high, count, generator).to(device)

    def chance(share: float) -> Tensor:
        return _chance(share, count, generator).to(device)

    images = torch.where(chance(0.15), _moved_while_open(images, generator), images)
    soft = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = torch.lerp(images, soft, uniform(-0.5, 1.0) * chance(0.4))  # below zero: sharpened, as phones do
    images = images.clamp(0.0, 1.0) ** uniform(0.7, 1.4)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.5, 1.3)
    warmth, tint = 0.13 * torch.randn(2, count, 1, 1, generator=generator).to(device)
    light = torch.stack([1 + warmth, 1 + 0.3 * tint, 1 - warmth], 1).clamp(0.55, 1.6)
    places = 0.75 + 0.5 * torch.rand(count, 1, 3, 4, generator=generator).to(device)
    images = images * light * functional.interpolate(places, images.shape[2:], mode="bilinear", align_corners=False)
    images = torch.lerp(images, uniform(0.3, 1.0), uniform(0.0, 0.4) * chance(0.15))
    dim = torch.where(chance(0.15), uniform(0.3, 0.8), uniform(0.8, 1.35))
    noise = torch.randn(images.shape, generator=generator).to(device) * uniform(0.0, 0.2).square()
    return _compressed((images * dim + noise).clamp(0, 1), generator)


def _moved_while_open(images: Tensor, generator: torch.Generator) -> Tensor:
    """The mean over a straight path of a random direction, up to 4 % of the width long."""
    angle, length = (2 * math.pi * torch.rand(2, generator=generator)).tolist()
    reach = 0.04 * images.shape[3] * length / (2 * math.pi)
    steps = [(round(k / 4 * reach * math.sin(angle)), round(k / 4 * reach * math.cos(angle))) for k in (-2, -1, 0, 1, 2)]
    pad, (height, width) = math.ceil(reach / 2) + 1, images.shape[2:]
    wide = functional.pad(images, (pad, pad, pad, pad), mode="replicate")
    views = [wide[:, :, pad + y : pad + y + height, pad + x : pad + x + width] for y, x in steps]
    return torch.stack(views).mean(0)


def _compressed(images: Tensor, generator: torch.Generator) -> Tensor:
    """JPEG of low to fair quality for one image in five; the others in 256 levels."""
    levels = (images * 255).round()
    chosen = torch.rand(len(images), generator=generator) < 0.2
    qualities = torch.randint(30, 90, (len(images),), generator=generator)
    for k in chosen.nonzero()[:, 0].tolist():
        plain = levels[k].permute(1, 2, 0).to("cpu", torch.uint8).numpy()
        data = cv2.imencode(".jpg", plain, [cv2.IMWRITE_JPEG_QUALITY, int(qualities[k])])[1]
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
        levels[k] = torch.from_numpy(decoded).permute(2, 0, 1).to(images.device)
    return levels / 255


def _uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def _chance(share: float, count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator) < share
