"""Images and masks on their way into the diffusion model: crop, margin, range, the mask at latent size, a first guess."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ego_perception.errors import FrameError
from ego_perception.hand_removal.background.pull_push import pull_push
from ego_perception.hand_removal.vidm.sizes import CELL, IMAGE_SIZE

MARGIN_PX: Final = 7  # side of the box that masks are dilated by at 256 pixels, in training and use
_MASK_LEVEL: Final = 10  # of 255: a resized mask counts where it is above
_WHITE: Final = 127.5


def centre_square(image: NDArray[np.uint8], size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """Cut the largest square out of the middle and resize it, by area, to `size`; the published input."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = int(height / 2 - side / 2), int(width / 2 - side / 2)
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def centre_square_mask(mask: NDArray[np.bool_], size: int = IMAGE_SIZE, margin_px: int = MARGIN_PX) -> NDArray[np.bool_]:
    """The same cut of a mask, with its margin: hand pixels that stay outside the mask are copied into the fill."""
    resized = centre_square((mask * np.uint8(255)).astype(np.uint8), size)
    return np.asarray(with_margin(resized, margin_px))


def with_margin(mask: NDArray[np.uint8], margin_px: int = MARGIN_PX) -> NDArray[np.bool_]:
    """Grow a mask of 0..255 by a square of `margin_px` and make it sharp."""
    grown = cv2.dilate(mask, np.ones((margin_px, margin_px), np.uint8)) if margin_px > 1 else mask
    return np.asarray(grown > _MASK_LEVEL)


def work_size(width: int, height: int, short: int, multiple: int) -> tuple[int, int]:
    """Width and height, multiples of `multiple`, the shorter about `short`, of nearly the image's shape."""
    scale = short / min(width, height)
    return (
        max(multiple, multiple * round(width * scale / multiple)),
        max(multiple, multiple * round(height * scale / multiple)),
    )


def to_tensor(rgb: NDArray[np.uint8], hole: NDArray[np.bool_], device: torch.device) -> tuple[Tensor, Tensor]:
    """Bring one image to the model's range, its hole black.

    Args:
        rgb: (H, W, 3).
        hole: (H, W), true where the image is to be replaced; the image's values there are not used.

    Returns:
        Image (1, 3, H, W) in -1..1, and mask (1, 1, H, W), +1 in the hole and -1 elsewhere.

    Raises:
        FrameError: shapes or types that do not fit.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise FrameError(f"image is {rgb.dtype} {rgb.shape}; it must be uint8 (H, W, 3)")
    if hole.dtype != np.bool_ or hole.shape != rgb.shape[:2]:
        raise FrameError(f"mask is {hole.dtype} {hole.shape} for an image of {rgb.shape[:2]}; it must be bool of that size")
    visible = np.where(hole[..., None], np.uint8(0), rgb)
    image = torch.from_numpy(visible).to(device).permute(2, 0, 1)[None].float() / _WHITE - 1.0
    mask = torch.from_numpy(hole).to(device)[None, None].float() * 2.0 - 1.0
    return image, mask


def completed(rgb: NDArray[np.uint8], unknown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Continue the surroundings smoothly into the unknown pixels of an (H, W, 3) image: a first guess."""
    if not unknown.any():
        return rgb
    smooth = pull_push(np.where(unknown[..., None], 0, rgb).astype(np.float32), (~unknown).astype(np.float32))
    return np.where(unknown[..., None], np.clip(smooth + 0.5, 0, 255).astype(np.uint8), rgb)


def latent_mask(mask: Tensor, *, is_published: bool) -> Tensor:
    """Reduce a mask (N, 1, H, W) of -1 and +1 to latent cells.

    The published reduction looks at one corner pixel per cell, so that a finger narrower than a cell may vanish; otherwise a
    cell is in the hole when any of its pixels is.
    """
    return mask[..., ::CELL, ::CELL] if is_published else functional.max_pool2d(mask, CELL)


def to_bytes(decoded: Tensor, *, is_published: bool) -> NDArray[np.uint8]:
    """Bring a decoded image (3, H, W) to (H, W, 3) bytes.

    The published code maps -1..1 by (x + 1) * 128 and cuts decimals off: dark areas come out half a grey level too dark,
    bright ones half a level too bright. Otherwise it is the inverse of what the input goes through, rounded.
    """
    values = decoded.float().permute(1, 2, 0)
    scaled = (values + 1.0) * 128.0 if is_published else ((values + 1.0) * _WHITE).round()
    return np.asarray(scaled.clamp(0, 255).to(torch.uint8).cpu().numpy())
