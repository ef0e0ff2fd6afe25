"""`ego evaluate`: score hand removal and its baselines on clips with exact truth, and the segmenter there and on real masks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ego_perception.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from ego_perception.hand_removal.evaluation import RemovalScores
    from ego_perception.hand_removal.fill.painter import Painter
    from ego_perception.hand_removal.segmentation.network import HandSegmenterNetwork

app = typer.Typer(add_completion=False)

TASKS: Final = ("hand_removal",)
NONE: Final = "none"
_PARTS: Final = ("classes", "clean_shadowed", "clean_depth", "T_world_cam")


@app.command(help="Score hand removal on clips with exact truth.")
def evaluate(
    task: Annotated[str, typer.Argument(help=f"What to score: {', '.join(TASKS)}.")],
    data: Annotated[Path, typer.Option(help="Data set of clips with the product `clean` and no lens.")],
    painter: Annotated[str, typer.Option(help="Weight file of the fill network; the shipped one if empty; or none.")] = "",
    segmenter: Annotated[str, typer.Option(help="Weight file of the segmenter; the shipped one if empty; or none.")] = "",
    vidm: Annotated[Path | None, typer.Option(help="Folder of real images, raw/, with hand masks, masks/.")] = None,
    limit: Annotated[int, typer.Option(help="Clips to score; 0 for all.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file to write.")] = None,
) -> None:
    """Score, print, write."""
    if task not in TASKS:
        raise ConfigError(f"task is '{task}'; choose one of {', '.join(TASKS)}")
    if limit < 0:
        raise ConfigError(f"limit is {limit}; give the number of clips, or 0 for all")
    console = Console()
    painters, network = _painters(painter), _segmenter(segmenter)
    removal, masks = _score(data, painters, network, limit, vidm)
    _show(console, removal, masks)
    if output is not None:
        names = {"painter": painters[0].name if painters else NONE, "segmenter": network.name if network else NONE}
        _write(output, {"data": str(data), "models": names, "removal": removal.as_dict(), "masks": masks})


def _painters(path: str) -> tuple[Painter, Painter] | None:
    """One for the method and one for the single-frame baseline; they remember images."""
    if path == NONE:
        return None
    from ego_perception.hand_removal.fill.network import load_filler
    from ego_perception.hand_removal.fill.painter import Painter, PainterConfig

    filler = load_filler(Path(path) if path else None)
    return Painter(PainterConfig(), filler), Painter(PainterConfig(), filler)


def _segmenter(path: str) -> HandSegmenterNetwork | None:
    if path == NONE:
        return None
    from ego_perception.hand_removal.segmentation.network import load_segmenter

    return load_segmenter(Path(path) if path else None)


def _score(
    data: Path,
    painters: tuple[Painter, Painter] | None,
    segmenter: HandSegmenterNetwork | None,
    limit: int,
    vidm: Path | None,
) -> tuple[RemovalScores, dict[str, dict[str, float]]]:
    from ego_perception.data.clips import ClipDataset
    from ego_perception.hand_removal.evaluation import RemovalScores, score_clip
    from ego_perception.hand_removal.mask_scores import MaskScores, drawn_masks, find, score_masks

    clips, removal, masks = ClipDataset(data, parts=_PARTS), RemovalScores(), MaskScores()
    for k in range(min(limit, clips.num_clips) if limit else clips.num_clips):
        frames = list(clips.clip(k))
        score_clip(frames, painters, removal)
        if segmenter is not None:
            score_masks(frames, segmenter, masks)
    if segmenter is None:
        return removal, {}
    rows = {"simulated": masks.row()}
    if vidm is not None:
        drawn = MaskScores()
        for image, truth in drawn_masks(vidm):
            drawn.add(find(image, segmenter, None)[0], truth)
        rows["real"] = drawn.row()
    return removal, rows


def _show(console: Console, removal: RemovalScores, masks: dict[str, dict[str, float]]) -> None:
    table = Table(title=f"in the hole only, {removal.frames} frames")
    for heading in ("method", "PSNR", "observed", "unobserved", "SSIM", "flicker"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name, score in removal.methods.items():
        row = score.row()
        table.add_row(name, *(f"{value:.3f}" if key == "ssim" else f"{value:.2f}" for key, value in row.items()))
    console.print(table)
    console.print(f"provenance: {removal.provenance_precision:.1%} of the pixels marked seen were seen;", end=" ")
    console.print(f"{removal.coverage:.1%} of the pixels that had been seen are marked so")
    for name, scores in masks.items():
        console.print(f"hand and arm masks, {name}: IoU {scores['iou']:.3f}, recall {scores['recall']:.3f}")


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_finite(content), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
