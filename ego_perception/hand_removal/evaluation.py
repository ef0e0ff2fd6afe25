"""Scores hand removal and its baselines on clips with exact truth, all on the same frames and masks in the same run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.hand_removal import HandLabel, Provenance
from ego_perception.errors import SourceError
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.baselines import forgetful, navier_stokes, propagation_and_telea, telea
from ego_perception.hand_removal.fill.painter import Painter
from ego_perception.hand_removal.masks import MaskConfig, hole_of
from ego_perception.hand_removal.metrics import PixelError, background_flow, flicker, ssim_map
from ego_perception.hand_removal.segmentation.data import hand_classes
from ego_perception.hand_removal.segmentation.sizes import HandClass
from ego_perception.hand_removal.visibility import SeenBefore

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

OURS = "ours"


@dataclass
class MethodScore:
    """Pooled scores of one method, in the hole only."""

    all: PixelError = field(default_factory=PixelError)
    observed: PixelError = field(default_factory=PixelError)
    unobserved: PixelError = field(default_factory=PixelError)
    ssim_sum: float = 0.0
    ssim_count: int = 0
    flicker_sum: float = 0.0
    flicker_count: int = 0

    def row(self) -> dict[str, float]:
        """PSNR in dB overall and split by what had been seen before, SSIM, and flicker in grey levels."""
        return {
            "psnr": self.all.psnr,
            "psnr_observed": self.observed.psnr,
            "psnr_unobserved": self.unobserved.psnr,
            "ssim": self.ssim_sum / max(self.ssim_count, 1),
            "flicker": self.flicker_sum / max(self.flicker_count, 1),
        }


@dataclass
class RemovalScores:
    """Scores over any number of clips.

    Attributes:
        methods: by name; `OURS` is the estimator's way.
        marked_seen, truly_seen: hole pixels marked OBSERVED, and those of them that had been seen before.
        hole, seen: hole pixels, and those that had been seen before.
    """

    methods: dict[str, MethodScore] = field(default_factory=dict)
    marked_seen: int = 0
    truly_seen: int = 0
    hole: int = 0
    seen: int = 0
    frames: int = 0

    @property
    def provenance_precision(self) -> float:
        """Share of the pixels marked OBSERVED that had been seen."""
        return self.truly_seen / max(self.marked_seen, 1)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "frames": self.frames,
            "hole_pixels": self.hole,
            "provenance_precision": self.provenance_precision,
            "coverage": self.coverage,
            "methods": {name: score.row() for name, score in self.methods.items()},
        }

    @property
    def coverage(self) -> float:
        """Share of the pixels that had been seen and are marked OBSERVED."""
        return self.truly_seen / max(self.seen, 1)


def score_clip(frames: Iterable[Frame], painters: tuple[Painter, Painter] | None, scores: RemovalScores) -> None:
    """Run all methods over one clip with the true hands as mask, and add to the scores.

    Args:
        painters: of the estimator, and another one for the single-frame baseline. None leaves both methods out; provenance is
            then that of the remembered background.

    Raises:
        SourceError: a frame lacks the truth that is needed, or the weights are unusable.
    """
    plate = BackgroundPlate(BackgroundConfig())
    if painters is not None:
        painters[0].reset()
    seen_before: SeenBefore | None = None
    last: tuple[Mapping[str, Image], Mask, FrameTruth] | None = None
    for frame in frames:
        truth = _checked(frame)
        assert frame.camera is not None and truth.clean_depth is not None and truth.T_world_cam is not None
        assert truth.clean_shadowed is not None
        seen_before = seen_before or SeenBefore(frame.camera)
        hole = true_hole(truth, frame.size)
        seen = seen_before.add(truth.clean_depth, hole, truth.T_world_cam)
        background = plate.push(frame.rgb, hole, frame.stamp_ns)
        outputs, marked = _outputs(frame.rgb, hole, background, painters)
        scores.frames += 1
        scores.hole, scores.seen = scores.hole + int(hole.sum()), scores.seen + int(seen.sum())
        scores.marked_seen += int(marked.sum())
        scores.truly_seen += int((marked & seen).sum())
        for name, image in outputs.items():
            _add(scores.methods.setdefault(name, MethodScore()), image, truth.clean_shadowed, hole, seen)
        if last is not None and last[2].T_world_cam is not None:
            flow = background_flow(truth.clean_depth, frame.camera, truth.T_world_cam, last[2].T_world_cam)
            for name, image in outputs.items():
                change, count = flicker(image, last[0][name], flow, hole, last[1])
                scores.methods[name].flicker_sum += change
                scores.methods[name].flicker_count += count
        last = outputs, hole, truth


def _outputs(
    rgb: Image, hole: Mask, background: Background, painters: tuple[Painter, Painter] | None
) -> tuple[dict[str, Image], Mask]:
    """The picture of each method, and which pixels count as seen before."""
    outputs = {
        "telea": telea(rgb, hole),
        "navier_stokes": navier_stokes(rgb, hole),
        "propagation_telea": propagation_and_telea(background, hole),
    }
    if painters is None:
        return outputs, background.observed
    painter, lonely = painters
    painted = painter.paint(rgb, hole, background)
    lonely.reset()
    alone = lonely.paint(rgb, hole, forgetful(rgb, hole))
    if painted is None or alone is None:
        raise SourceError("the fill network gave numbers that are not finite; train it anew")
    return {OURS: painted.image, **outputs, "single_frame_fill": alone.image}, painted.provenance == Provenance.OBSERVED


def true_hole(truth: FrameTruth, size: tuple[int, int]) -> Mask:
    """The wearer's hands and arms with the margin of `MaskConfig`, (H, W)."""
    assert truth.classes is not None
    classes = hand_classes(truth.classes)
    labels = np.where((classes >= HandClass.LEFT_HAND) & (classes <= HandClass.RIGHT_ARM), HandLabel.ANY, HandLabel.NONE)
    return hole_of(labels.astype(np.uint8), size, MaskConfig())


def _checked(frame: Frame) -> FrameTruth:
    truth = frame.truth
    needed = ("classes", "clean_shadowed", "clean_depth", "T_world_cam")
    if truth is None or frame.camera is None or any(getattr(truth, name) is None for name in needed):
        raise SourceError(f"frame {frame.index} lacks {', '.join(needed)} or its camera; render clips with --products clean")
    if frame.camera.is_distorted:
        raise SourceError("hand removal is scored on images without lens distortion; render clips with --photo off")
    return truth


def _add(score: MethodScore, image: Image, truth: Image, hole: Mask, seen: Mask) -> None:
    score.all.add(image, truth, hole)
    score.observed.add(image, truth, hole & seen)
    score.unobserved.add(image, truth, hole & ~seen)
    values = ssim_map(image, truth)[hole]
    score.ssim_sum += float(values.sum())
    score.ssim_count += values.size
