"""What fewer steps of the imported diffusion model cost on clips with exact truth: a table of settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from ego_perception.cli.benchmarks.hand_removal import best_device, imported_vidm
from ego_perception.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from ego_perception.hand_removal.vidm.quality import QualitySample, QualityScore

_SHORT_SIDE_PX: Final = 256
_EVERY: Final = 10  # frames of a clip from one sample to the next


def measure_quality(data: Path, weights: Path | None, limit: int) -> dict[str, QualityScore]:
    """Fill frames of a data set under every setting of `vidm.quality.settings`.

    Args:
        data: clips with the product `clean`.
        weights: None takes the imported model.
        limit: frames at most.

    Raises:
        ConfigError: no model was imported.
        SourceError: no frame of the clips shows hands.
    """
    from ego_perception.hand_removal.vidm.model import load_vidm
    from ego_perception.hand_removal.vidm.quality import measure, settings

    path = weights or imported_vidm()
    if path is None:
        raise ConfigError("no diffusion model was imported; run `ego weights import vidm FILE`, or name a weight file")
    model = load_vidm(path)
    found = _samples(data, model.sizes.reduction, limit)
    scores = measure(model, found, settings(), short_side_px=_SHORT_SIDE_PX, device=best_device())
    if not any(score.images for score in scores.values()):
        raise SourceError(f"no frame of {data} shows hands after its first seconds; render clips with --views hands")
    return scores


def _samples(data: Path, multiple: int, limit: int) -> Iterator[QualitySample]:
    from ego_perception.data.clips import ClipDataset
    from ego_perception.hand_removal.vidm.quality import samples

    clips, left = ClipDataset(data, parts=("classes", "clean_shadowed")), limit
    for k in range(clips.num_clips):
        for sample in samples(clips.clip(k), _SHORT_SIDE_PX, multiple, _EVERY):
            yield sample
            left -= 1
            if not left:
                return


def quality_table(scores: dict[str, QualityScore]) -> Table:
    """The table that `ego bench --quality` prints."""
    images = max(score.images for score in scores.values())
    table = Table(title=f"in the hole, {images} frames", title_justify="left")
    for heading in ("setting", "steps", "s/image", "PSNR to 200 steps, dB", "PSNR to the truth, dB"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for name, score in scores.items():
        row = score.row()
        values = (
            f"{row['steps']:.0f}",
            f"{row['s_per_image']:.3f}",
            f"{row['psnr_reference']:.2f}",
            f"{row['psnr_truth']:.2f}",
        )
        table.add_row(name, *values)
    return table
