"""How long the diffusion model takes for one image: the published schedule and ours, same model, images and run.

The published way encodes four frames and takes 200 steps over the whole image. Ours encodes one frame, the others being in
the cache, and takes ten steps over a window around the hole. Without an imported checkpoint a narrow network with random
weights stands in, and the figures say so: their ratio holds, their images mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.cli.benchmarks.row import BenchmarkRow, timed
from ego_perception.data import Frame
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion

if TYPE_CHECKING:
    from ego_perception.hand_removal.vidm.model import Vidm
    from ego_perception.hand_removal.vidm.remover import HandFreeImage, MaskedImage

TARGET_RATIO: Final = 15.0
_IMAGE_SIDE: Final = 256  # of the published model, pixels
_STAND_IN_SIDE: Final = 64  # pixels; a sixteenth of the published area, so that 200 steps take seconds
_REPEATS: Final = 3


def imported_vidm() -> Path | None:
    """The model that `ego weights import vidm` left in the cache, if it did."""
    from ego_perception.weights.onnx import cache_folder

    path = cache_folder() / "vidm.safetensors"
    return path if path.is_file() else None


def diffusion_rows(frames: Sequence[Frame], path: Path | None = None, device: str = "cpu") -> list[BenchmarkRow]:
    """Measure.

    Args:
        frames: at least four of one clip.
        path: weight file; None takes the stand-in.
        device: "cpu" or "cuda".
    """
    from ego_perception.hand_removal.vidm.model import load_vidm

    side = _IMAGE_SIDE if path else _STAND_IN_SIDE
    model = load_vidm(path) if path else stand_in()
    images = [_masked(frame, index, side) for index, frame in enumerate(frames[:4])]
    published = replace(published_diffusion(), short_side_px=side)
    fast = DiffusionConfig(
        precision="bfloat16" if device == "cuda" else "float32", channels_last=device == "cuda", short_side_px=side
    )
    names = f"{'VIDM' if path else 'narrow stand-in with random weights'}, {side}x{side}, {device}"
    plain_ms, plain = _time(model, published, images, device)
    fast_ms, ours = _time(model, fast, images, device)
    rows = [
        BenchmarkRow(f"{names}: {fast.steps} steps, cached context, window: ms", fast_ms, "200 published steps", plain_ms),
        BenchmarkRow(
            f"{names}: published schedule over ours",
            plain_ms / fast_ms,
            target=f">= {TARGET_RATIO:g}",
            reached=plain_ms / fast_ms >= TARGET_RATIO,
        ),
    ]
    if path is not None:
        rows.append(BenchmarkRow(f"{names}: PSNR in the hole against the published output, dB", hole_psnr(ours, plain)))
    return rows


def stand_in() -> Vidm:
    """The published architecture, an eighth as wide, with random weights."""
    import torch

    from ego_perception.hand_removal.vidm.model import Vidm
    from ego_perception.hand_removal.vidm.sizes import VidmSizes

    torch.manual_seed(0)
    return Vidm(VidmSizes(width=32, first_stage_widths=(32, 64, 128), codes=512))


def hole_psnr(image: HandFreeImage, reference: HandFreeImage) -> float:
    """Peak signal-to-noise ratio over the generated pixels, decibels."""
    error = image.rgb[image.generated].astype(np.float64) - reference.rgb[image.generated]
    return float(20 * np.log10(255 / max(float(np.sqrt(np.mean(error**2))), 1e-9)))


def _time(model: Vidm, config: DiffusionConfig, images: Sequence[MaskedImage], device: str) -> tuple[float, HandFreeImage]:
    """Milliseconds for one image (the fastest of a few where it takes seconds at most), and the image.

    The published way begins with an empty cache each time, ours with the context in it.
    """
    from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
    from ego_perception.hand_removal.vidm.remover import VidmRemover

    remover = VidmRemover(VidmInpainter(model, config, device))
    *context, target = images
    results: list[HandFreeImage] = []
    durations: list[float] = []
    for _ in range(1 if config.quirks else _REPEATS):
        remover.reset()
        if not config.quirks:
            for image in context:
                remover.remember(image)
        durations.append(timed(lambda: results.append(remover.remove(target, context))))
    return min(durations), results[-1]


def _masked(frame: Frame, index: int, side: int) -> MaskedImage:
    from ego_perception.hand_removal.vidm.images import centre_square
    from ego_perception.hand_removal.vidm.remover import MaskedImage

    return MaskedImage(frame.stamp_ns, centre_square(frame.rgb, side), _arm(side, index))


def _arm(side: int, index: int) -> NDArray[np.bool_]:
    """A forearm that reaches in from below and moves a little from frame to frame: a fifth of the image."""
    mask = np.zeros((side, side), np.uint8)
    hand = (int(side * (0.45 + 0.02 * index)), int(side * 0.6))
    cv2.line(mask, (int(side * 0.6), side), hand, 1, int(side * 0.22))
    cv2.circle(mask, hand, int(side * 0.16), 1, -1)
    return mask > 0
