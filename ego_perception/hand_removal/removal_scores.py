"""Scores of hand removal, pooled over clips: per method in the hole, and how true the statement is where pixels come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.metrics import PixelError, ssim_map
from ego_perception.hand_removal.perceptual import PerceptualScores

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

HEADINGS: Final = {
    "psnr": "PSNR",
    "psnr_observed": "observed",
    "psnr_unobserved": "unobserved",
    "frame_psnr": "per frame",
    "frame_psnr_observed": "observed",
    "frame_psnr_unobserved": "unobserved",
    "ssim": "SSIM",
    "ssim_observed": "observed",
    "ssim_unobserved": "unobserved",
    "composite_psnr": "whole image",
    "flicker": "flicker",
}
"""Columns of the tables by the keys of `MethodScore.row`; dB, except for SSIM and flicker (grey levels).

PSNR is of the squared error of all pixels together, which a few bad frames decide; per frame, as publications have it, it is
the mean of the frames' PSNR."""

_MIN_PIXELS: Final = 100  # of a region in a frame, to give it a PSNR of its own
_CAP_DB: Final = 60.0  # of a frame without an error


@dataclass
class RegionScore:
    """Error and structural similarity pooled over the pixels of a region."""

    error: PixelError = field(default_factory=PixelError)
    ssim_sum: float = 0.0
    ssim_count: int = 0
    frame_sum: float = 0.0
    frame_count: int = 0

    def add(self, image: Image, truth: Image, ssim: NDArray[np.float32], where: Mask) -> None:
        """Take the pixels that (H, W) `where` marks."""
        self.error.add(image, truth, where)
        self.ssim_sum += float(ssim[where].sum(dtype=np.float64))
        self.ssim_count += int(where.sum())
        if where.sum() >= _MIN_PIXELS:
            own = PixelError()
            own.add(image, truth, where)
            self.frame_sum += min(own.psnr, _CAP_DB)
            self.frame_count += 1

    @property
    def frame_psnr(self) -> float:
        """Mean of the frames' PSNR, dB, each 60 at most, of those with 100 pixels; NaN without one."""
        return self.frame_sum / self.frame_count if self.frame_count else float("nan")

    @property
    def ssim(self) -> float:
        """Mean similarity; NaN without a pixel."""
        return self.ssim_sum / self.ssim_count if self.ssim_count else float("nan")


@dataclass
class MethodScore:
    """Scores of one method: in the hole, in its parts that had and had not been seen before, and in the whole image."""

    all: RegionScore = field(default_factory=RegionScore)
    observed: RegionScore = field(default_factory=RegionScore)
    unobserved: RegionScore = field(default_factory=RegionScore)
    composite: PixelError = field(default_factory=PixelError)
    flicker_sum: float = 0.0
    flicker_count: int = 0

    def add(self, image: Image, truth: Image, hole: Mask, seen: Mask) -> None:
        """Take one image.

        Args:
            hole: (H, W) what is scored; seen: (H, W) what of it had been seen before.
        """
        # Next to the hole a window of similarity reaches outside, where methods do not differ and the image may.
        similarity = ssim_map(np.where(hole[..., None], image, truth), truth)
        for region, where in ((self.all, hole), (self.observed, hole & seen), (self.unobserved, hole & ~seen)):
            region.add(image, truth, similarity, where)
        self.composite.add(image, truth, np.ones_like(hole))

    def row(self) -> dict[str, float]:
        """The numbers under the keys of `HEADINGS`."""
        regions = {"": self.all, "_observed": self.observed, "_unobserved": self.unobserved}
        return {
            **{f"psnr{name}": region.error.psnr for name, region in regions.items()},
            **{f"frame_psnr{name}": region.frame_psnr for name, region in regions.items()},
            **{f"ssim{name}": region.ssim for name, region in regions.items()},
            "composite_psnr": self.composite.psnr,
            "flicker": self.flicker_sum / self.flicker_count if self.flicker_count else float("nan"),
        }


@dataclass
class RemovalScores:
    """Scores over any number of clips.

    Attributes:
        methods: by name.
        marked_seen, truly_seen: hole pixels marked OBSERVED, and those of them that had been seen before.
        hole, seen: hole pixels, and those that had been seen before.
        frames, pixels: all that were scored.
        perceptual: how alike the pictures look, where asked for.
    """

    methods: dict[str, MethodScore] = field(default_factory=dict)
    marked_seen: int = 0
    truly_seen: int = 0
    hole: int = 0
    seen: int = 0
    frames: int = 0
    pixels: int = 0
    perceptual: PerceptualScores | None = None

    def add_provenance(self, marked: Mask, hole: Mask, seen: Mask) -> None:
        """Count for one image, (H, W) each, what is marked OBSERVED against what had been seen."""
        self.frames += 1
        self.pixels += hole.size
        self.hole += int(hole.sum())
        self.seen += int((hole & seen).sum())
        self.marked_seen += int(marked.sum())
        self.truly_seen += int((marked & seen).sum())

    @property
    def provenance_precision(self) -> float:
        """Share of the pixels marked OBSERVED that had been seen."""
        return self.truly_seen / max(self.marked_seen, 1)

    @property
    def coverage(self) -> float:
        """Share of the pixels that had been seen and are marked OBSERVED."""
        return self.truly_seen / max(self.seen, 1)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "frames": self.frames,
            "hole_share": self.hole / max(self.pixels, 1),
            "seen_share_of_hole": self.seen / max(self.hole, 1),
            "provenance_precision": self.provenance_precision,
            "coverage": self.coverage,
            "methods": {name: score.row() for name, score in self.methods.items()},
        }


def cells(row: Mapping[str, float]) -> list[str]:
    """The numbers of a method as text, in the order of `HEADINGS`."""
    return [f"{row[key]:.3f}" if key.startswith("ssim") else f"{row[key]:.2f}" for key in HEADINGS]


def markdown(title: str, scores: RemovalScores) -> str:
    """A table of all methods in Markdown, and a line on provenance."""
    lines = [f"## {title}", "", f"{about(scores)}", ""]
    lines.append("| method | " + " | ".join(HEADINGS.values()) + " |")
    lines.append("|---" + "|---:" * len(HEADINGS) + "|")
    lines += [f"| {name} | " + " | ".join(cells(score.row())) + " |" for name, score in scores.methods.items()]
    return "\n".join(lines) + "\n"


def about(scores: RemovalScores) -> str:
    """One sentence on what was scored and how true provenance is."""
    facts = scores.as_dict()
    return (
        f"{scores.frames} frames, hole {facts['hole_share']:.1%} of the image, {facts['seen_share_of_hole']:.1%} of it seen "
        f"before; {scores.provenance_precision:.1%} of the pixels marked seen were seen, {scores.coverage:.1%} of those that "
        f"had been seen are marked so."
    )
