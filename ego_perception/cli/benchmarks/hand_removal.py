"""How long the diffusion model takes for one image: the published schedule and ours, same model, images and run.

The published way encodes four frames and takes 200 steps over the whole image. Ours encodes one frame, the others being in
the cache, and works on a window around the hole: ten steps from noise, or four from a first guess. Without an imported
checkpoint two models with random weights stand in, and the figures say so, for their images mean nothing: the published
sizes, of which on a CPU each part is timed once and multiplied by how often it runs, and a narrow network, run in full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.cli.benchmarks.row import BenchmarkRow, timed
from ego_perception.data import Frame
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion

if TYPE_CHECKING:
    from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
    from ego_perception.hand_removal.vidm.model import Vidm
    from ego_perception.hand_removal.vidm.remover import HandFreeImage, MaskedImage
    from ego_perception.hand_removal.vidm.sizes import VidmSizes
    from ego_perception.hand_removal.vidm.window import Window

TARGET_RATIO: Final = 15.0
TARGET_HZ: Final = 5.0  # on a GPU
_IMAGE_SIDE: Final = 256  # of the published model, pixels
_STAND_IN_SIDE: Final = 64  # pixels; a sixteenth of the published area, so that 200 steps take seconds
_REPEATS: Final = 3


def imported_vidm() -> Path | None:
    """The model that `ego weights import vidm` left in the cache, if it did."""
    from ego_perception.weights.onnx import cache_folder

    path = cache_folder() / "vidm.safetensors"
    return path if path.is_file() else None


def best_device() -> str:
    """The GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def diffusion_rows(frames: Sequence[Frame], path: Path | None = None, device: str | None = None) -> list[BenchmarkRow]:
    """Measure.

    Args:
        frames: at least four of one clip.
        path: weight file; None takes the stand-ins.
        device: "cpu" or "cuda"; the GPU where there is one if left out.
    """
    from ego_perception.hand_removal.vidm.model import load_vidm

    device = device or best_device()
    if path is not None:
        name = f"VIDM, {_IMAGE_SIDE}x{_IMAGE_SIDE}, {device}"
        rows, psnr = _measured(load_vidm(path), frames, device, name)
        quality = BenchmarkRow(f"{name}: PSNR in the hole against the published output, dB", psnr)
        return rows if device == "cpu" else [*rows, quality]
    narrow = f"narrow stand-in with random weights, {_STAND_IN_SIDE}x{_STAND_IN_SIDE}, {device}"
    rows, _ = _in_full(stand_in(), frames, _STAND_IN_SIDE, device, narrow)
    name = f"VIDM's size with random weights, {_IMAGE_SIDE}x{_IMAGE_SIDE}, {device}"
    return rows + _measured(published_size(), frames, device, name)[0]


def _measured(model: Vidm, frames: Sequence[Frame], device: str, name: str) -> tuple[list[BenchmarkRow], float]:
    if device == "cpu":
        return _in_parts(model, frames, name), float("nan")
    return _in_full(model, frames, _IMAGE_SIDE, device, name)


def _ours(side: int, device: str) -> dict[str, DiffusionConfig]:
    """Settings by what they do."""
    is_gpu = device == "cuda"
    guided = DiffusionConfig(precision="bfloat16" if is_gpu else "float32", channels_last=is_gpu, short_side_px=side)
    return {
        f"{guided.steps} steps from noise": replace(guided, start_time=0, keep_known=False),
        f"{guided.start_steps} steps from a first guess": guided,
    }


def _in_full(model: Vidm, frames: Sequence[Frame], side: int, device: str, name: str) -> tuple[list[BenchmarkRow], float]:
    """Whole images, every step; also PSNR in the hole of ours, from noise, against the published output."""
    images = [_masked(frame, index, side) for index, frame in enumerate(frames[:4])]
    plain_ms, plain = _time(model, replace(published_diffusion(), short_side_px=side), images, device)
    rows, psnr = [], float("nan")
    for what, config in _ours(side, device).items():
        ours_ms, ours = _time(model, config, images, device)
        rows += _rows(f"{name}: {what}", ours_ms, "200 published steps", plain_ms, device)
        psnr = psnr if config.start_time else hole_psnr(ours, plain)
    return rows, psnr


@dataclass(frozen=True)
class _Parts:
    """Milliseconds of one run of each part: encoding the image, encoding the window, one step over it, decoding it."""

    encode: float
    encode_window: float
    step: float
    decode: float


def _in_parts(model: Vidm, frames: Sequence[Frame], name: str) -> list[BenchmarkRow]:
    """On a CPU, where 200 steps take an hour: each part once, times how often it runs."""
    from ego_perception.hand_removal.vidm.images import with_margin
    from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
    from ego_perception.hand_removal.vidm.window import around_hole, whole

    published = published_diffusion()
    images = [_masked(frame, index, _IMAGE_SIDE) for index, frame in enumerate(frames[:4])]
    inpainter = VidmInpainter(model, published)
    hole = with_margin(images[-1].hands.astype(np.uint8) * np.uint8(255))
    window = around_hole(hole, model.sizes.reduction)
    everywhere = _time_parts(inpainter, images[-1], whole(_IMAGE_SIDE, _IMAGE_SIDE))
    nearby = everywhere if window.width == window.height == _IMAGE_SIDE else _time_parts(inpainter, images[-1], window)
    plain_ms = 4 * everywhere.encode + published.steps * everywhere.step + everywhere.decode
    rows = []
    for what, config in _ours(_IMAGE_SIDE, "cpu").items():
        steps = config.start_steps if config.start_time else config.steps
        guess = nearby.encode_window if config.uses_guess else 0.0
        ours_ms = everywhere.encode + guess + steps * nearby.step + nearby.decode
        figure = f"{name}: {what}, window {window.width}x{window.height}, 1 timed step x {steps}"
        rows += _rows(figure, ours_ms, f"published, 1 timed step x {published.steps}", plain_ms, "cpu")
    return rows


def _time_parts(inpainter: VidmInpainter, image: MaskedImage, window: Window) -> _Parts:
    import torch

    sizes, (rows, columns) = inpainter.sizes, window.cells
    cells = (rows.stop - rows.start, columns.stop - columns.start)
    latent = torch.zeros((1, sizes.code_width, *cells))
    x = torch.randn((1, sizes.frames, sizes.input_channels, *cells), generator=torch.Generator().manual_seed(0))
    times = torch.full((1,), 500)

    def once(action: Callable[[], object]) -> float:
        with torch.inference_mode():
            return timed(action)

    return _Parts(
        encode=once(lambda: inpainter.encode(image.rgb, image.hands)),
        encode_window=once(lambda: inpainter.encode_guess(np.ascontiguousarray(image.rgb[window.pixels]))),
        step=once(lambda: inpainter.model.unet(x, times)),
        decode=once(lambda: inpainter.model.first_stage.decode(latent)),
    )


def _rows(figure: str, ours_ms: float, peer: str, plain_ms: float, device: str) -> list[BenchmarkRow]:
    ratio, rate = plain_ms / ours_ms, 1000 / ours_ms
    goal = f">= {TARGET_RATIO:g}"
    rows = [
        BenchmarkRow(f"{figure}: ms", ours_ms, peer, plain_ms),
        BenchmarkRow(f"{figure}: times as fast", ratio, target=goal, reached=ratio >= TARGET_RATIO),
    ]
    if device == "cuda":
        rows.append(BenchmarkRow(f"{figure}: Hz", rate, target=f">= {TARGET_HZ:g}", reached=rate >= TARGET_HZ))
    return rows


def published_size() -> Vidm:
    """The published sizes, with random weights."""
    from ego_perception.hand_removal.vidm.sizes import PUBLISHED

    return _random(PUBLISHED)


def stand_in() -> Vidm:
    """The published architecture, an eighth as wide, with random weights."""
    from ego_perception.hand_removal.vidm.sizes import VidmSizes

    return _random(VidmSizes(width=32, first_stage_widths=(32, 64, 128), codes=512))


def _random(sizes: VidmSizes) -> Vidm:
    """Small uniform numbers: the usual initialisation of 440 million takes long, and leaves whole layers at zero."""
    import torch

    from ego_perception.hand_removal.vidm.model import Vidm

    with torch.device("meta"):
        model = Vidm(sizes)
    model.to_empty(device="cpu")
    torch.manual_seed(0)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, -0.05, 0.05)
        else:
            tensor.zero_()
    return model


def hole_psnr(image: HandFreeImage, reference: HandFreeImage) -> float:
    """Peak signal-to-noise ratio over the generated pixels, decibels."""
    error = image.rgb[image.generated].astype(np.float64) - reference.rgb[image.generated]
    return float(20 * np.log10(255 / max(float(np.sqrt(np.mean(error**2))), 1e-9)))


def _time(model: Vidm, config: DiffusionConfig, images: Sequence[MaskedImage], device: str) -> tuple[float, HandFreeImage]:
    """Milliseconds for one image (the fastest of a few where it takes seconds at most), and the image.

    The published way begins with an empty cache each time, ours with the context in it.
    """
    from ego_perception.hand_removal.vidm.images import completed
    from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
    from ego_perception.hand_removal.vidm.remover import VidmRemover

    remover = VidmRemover(VidmInpainter(model, config, device))
    *context, target = images
    guess = completed(target.rgb, target.hands)
    results: list[HandFreeImage] = []
    durations: list[float] = []
    for _ in range(1 if config.quirks else _REPEATS):
        remover.reset()
        if not config.quirks:
            for image in context:
                remover.remember(image)
        durations.append(timed(lambda: results.append(remover.remove(target, context, guess))))
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
