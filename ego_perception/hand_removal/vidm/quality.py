"""What fewer steps cost: the same frames filled under several settings, beside the published ones, in one run.

Works with any weights of the diffusion model. Holes are those of the wearer's real (simulated) hands; pictures are compared
in the hole only, with the output of the reference and with the picture that shows what is behind the hands.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.hand_removal.background.plate import BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.metrics import PixelError
from ego_perception.hand_removal.true_masks import true_hole
from ego_perception.hand_removal.vidm.images import completed, work_size
from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.remover import MaskedImage, VidmRemover

MIN_HOLE: Final = 0.02  # of the image; smaller holes say little about a fill
REFERENCE: Final = "ddim 200, eta 0"
PUBLISHED: Final = "as published: ddim 200, eta 1"


@dataclass(frozen=True, eq=False)
class QualitySample:
    """A frame to fill.

    Attributes:
        context: earlier frames, oldest first.
        guess: (H, W, 3) the frame with its hole filled from memory, smoothly where nobody saw.
        truth: (H, W, 3) what is behind the hands.
    """

    target: MaskedImage
    context: tuple[MaskedImage, ...]
    guess: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@dataclass
class QualityScore:
    """Pooled over frames, in the hole.

    Attributes:
        steps: network evaluations per image.
        seconds: wall time of all images, context encoded beforehand except for the published way.
    """

    steps: int
    to_reference: PixelError = field(default_factory=PixelError)
    to_truth: PixelError = field(default_factory=PixelError)
    seconds: float = 0.0
    images: int = 0

    def row(self) -> dict[str, float]:
        """Steps, seconds per image, and PSNR against the reference and the truth, dB."""
        return {
            "steps": self.steps,
            "s_per_image": self.seconds / max(self.images, 1),
            "psnr_reference": self.to_reference.psnr,
            "psnr_truth": self.to_truth.psnr,
        }


def settings(steps: Sequence[int] = (4, 8, 10, 20, 50), guided: Sequence[int] = (2, 4, 8)) -> dict[str, DiffusionConfig]:
    """The reference, the published way, and ours: all on the whole image, so that only the sampling differs.

    Args:
        steps: from noise.
        guided: half way from a first guess.
    """
    published = published_diffusion()
    plain = replace(published, quirks=False, eta=0.0)
    found = {REFERENCE: plain, PUBLISHED: published}
    found |= {f"{solver} {n}": replace(plain, solver=solver, steps=n) for solver in ("ddim", "dpm++") for n in steps}
    found |= {f"dpm++ {n}, known cells kept": replace(plain, solver="dpm++", steps=n, keep_known=True) for n in (10,)}
    start = DiffusionConfig().start_time
    half_way = replace(plain, solver="dpm++", start_time=start, keep_known=True)
    return found | {f"dpm++ {n} from {start}, first guess": replace(half_way, start_steps=n) for n in guided}


def samples(
    frames: Iterable[Frame], short_side_px: int, multiple: int, every: int, spacing: int = 5
) -> Iterator[QualitySample]:
    """Frames of one clip with exact truth, at the model's working size.

    Args:
        multiple: of the sides.
        every: frames from one sample to the next.
        spacing: frames from one context frame to the next.
    """
    plate, kept = BackgroundPlate(BackgroundConfig()), list[MaskedImage]()
    for k, frame in enumerate(frames):
        assert frame.truth is not None and frame.truth.clean_shadowed is not None
        hole = true_hole(frame.truth, frame.size)
        background = plate.push(frame.rgb, hole, frame.stamp_ns, camera=frame.camera)
        size = work_size(*frame.size, short_side_px, multiple)
        small = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        image = MaskedImage(frame.stamp_ns, _resized(frame.rgb, size), np.asarray(small))
        kept.append(image)
        if k % every == every - 1 and k >= 3 * spacing and hole.mean() >= MIN_HOLE:
            unknown = hole & ~background.observed
            guess = _resized(completed(background.rgb, unknown), size)
            context = tuple(kept[k - n * spacing] for n in (3, 2, 1))
            yield QualitySample(image, context, guess, _resized(frame.truth.clean_shadowed, size))


def measure(
    model: Vidm,
    frames: Iterable[QualitySample],
    configs: dict[str, DiffusionConfig],
    *,
    short_side_px: int,
    margin_px: int = 1,
    device: str = "cpu",
) -> dict[str, QualityScore]:
    """Fill every frame under every setting, in turn, and compare.

    Args:
        configs: with `REFERENCE` among them.
        margin_px: as in `DiffusionConfig`; the holes of the samples have their margin already.
    """
    sized = {name: replace(c, short_side_px=short_side_px, margin_px=margin_px) for name, c in configs.items()}
    removers = {name: VidmRemover(VidmInpainter(model, config, device)) for name, config in sized.items()}
    scores = {name: QualityScore(c.start_steps if c.start_time else c.steps) for name, c in configs.items()}
    for sample in frames:
        pictures = {name: _timed(remover, sample, scores[name]) for name, remover in removers.items()}
        for name, picture in pictures.items():
            scores[name].to_reference.add(picture, pictures[REFERENCE], sample.target.hands)
            scores[name].to_truth.add(picture, sample.truth, sample.target.hands)
    return scores


def _timed(remover: VidmRemover, sample: QualitySample, score: QualityScore) -> NDArray[np.uint8]:
    remover.reset()
    if not remover.inpainter.config.quirks:
        for image in sample.context:
            remover.remember(image)
    start = time.perf_counter()
    picture = remover.remove(sample.target, sample.context, sample.guess).rgb
    score.seconds += time.perf_counter() - start
    score.images += 1
    return picture


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
