"""`ego evaluate`: score hand removal and its baselines on clips with exact truth, and the segmenter there and on real masks."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ego_perception.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from ego_perception.hand_removal.evaluation import Painters
    from ego_perception.hand_removal.removal_scores import RemovalScores
    from ego_perception.hand_removal.segmentation.network import HandSegmenterNetwork

app = typer.Typer(add_completion=False)

TASKS: Final = ("hand_removal",)
NONE: Final = "none"
_FILE_WIDTH: Final = 150  # of tables that do not go to a terminal
_TRUE, _FOUND = "true masks", "masks of the segmenter"


@app.command(help="Score hand removal on clips with exact truth.")
def evaluate(
    task: Annotated[str, typer.Argument(help=f"What to score: {', '.join(TASKS)}.")],
    data: Annotated[Path, typer.Option(help="Data set of clips with the product `clean` and no lens.")],
    painter: Annotated[str, typer.Option(help="Weight file of the fill network; the shipped one if empty; or none.")] = "",
    segmenter: Annotated[str, typer.Option(help="Weight file of the segmenter; the shipped one if empty; or none.")] = "",
    vidm: Annotated[Path | None, typer.Option(help="Folder of real images, raw/, with hand masks, masks/.")] = None,
    limit: Annotated[int, typer.Option(help="Clips to score; 0 for all.")] = 0,
    perceptual: Annotated[
        bool, typer.Option("--perceptual", help="Also LPIPS and FID; needs the extra `perceptual` and loads its networks.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file to write; tables in Markdown go beside it.")
    ] = None,
) -> None:
    """Score, print, write."""
    if task not in TASKS:
        raise ConfigError(f"task is '{task}'; choose one of {', '.join(TASKS)}")
    if limit < 0:
        raise ConfigError(f"limit is {limit}; give the number of clips, or 0 for all")
    if output is not None and output.suffix == ".md":
        raise ConfigError(f"output is {output}, where the tables go; name the JSON file")
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    painters, network = _painters(painter), _segmenter(segmenter)
    removal, masks = _score(data, painters, network, limit, vidm, perceptual=perceptual)
    for title, scores in removal.items():
        _show(console, title, scores)
    looks = {title: scores.perceptual.rows() for title, scores in removal.items() if scores.perceptual is not None}
    for title, rows in looks.items():
        console.print(f"How alike pictures look, {title}\n" + _looks(rows), highlight=False)
    for name, row in masks.items():
        console.print(f"hand and arm masks, {name}: IoU {row['iou']:.3f}, recall {row['recall']:.3f}")
    if output is not None:
        names = {"painter": painters.own.name if painters else NONE, "segmenter": network.name if network else NONE}
        tables = {title: scores.as_dict() for title, scores in removal.items()}
        found = {"perceptual": looks} if perceptual else {}
        _write(output, {"data": str(data), "models": names, "removal": tables, "masks": masks, **found})
        _write_tables(output.with_suffix(".md"), removal, masks, names, looks)


def _painters(path: str) -> Painters | None:
    """Of the fill network; None without one."""
    if path == NONE:
        return None
    from ego_perception.hand_removal.evaluation import Painters
    from ego_perception.hand_removal.fill.network import load_filler
    from ego_perception.hand_removal.fill.painter import Painter, PainterConfig

    filler = load_filler(Path(path) if path else None)
    return Painters(*(Painter(PainterConfig(), filler) for _ in Painters._fields))


def _segmenter(path: str) -> HandSegmenterNetwork | None:
    if path == NONE:
        return None
    from ego_perception.hand_removal.segmentation.network import load_segmenter

    return load_segmenter(Path(path) if path else None)


def _score(
    data: Path,
    painters: Painters | None,
    segmenter: HandSegmenterNetwork | None,
    limit: int,
    vidm: Path | None,
    *,
    perceptual: bool,
) -> tuple[dict[str, RemovalScores], dict[str, dict[str, float]]]:
    """Removal by what gave the masks, and masks by where they were compared."""
    from ego_perception.data.clips import ClipDataset
    from ego_perception.hand_removal.evaluation import NEEDED, score_clip
    from ego_perception.hand_removal.finder import HandFinder
    from ego_perception.hand_removal.mask_scores import MaskScores, drawn_masks, score_masks
    from ego_perception.hand_removal.removal_scores import RemovalScores

    clips, masks = ClipDataset(data, parts=(*NEEDED, "depth")), MaskScores()
    removal = {_TRUE: RemovalScores()} | ({_FOUND: RemovalScores()} if segmenter is not None else {})
    if perceptual:
        from ego_perception.hand_removal.perceptual import PerceptualScores, load_networks

        networks = load_networks()
        for scores in removal.values():
            scores.perceptual = PerceptualScores(*networks)
    for k in range(min(limit, clips.num_clips) if limit else clips.num_clips):
        frames = list(clips.clip(k))
        score_clip(frames, painters, removal[_TRUE])
        if segmenter is not None:
            score_clip(frames, painters, removal[_FOUND], segmenter)
            score_masks(frames, HandFinder(segmenter), masks)
    if segmenter is None:
        return removal, {}
    rows = {"simulated": masks.row()}
    if vidm is not None:
        drawn = MaskScores()
        for image, truth in drawn_masks(vidm):
            drawn.add(HandFinder(segmenter).find(image, 0), truth)
        rows["real"] = drawn.row()
    return removal, rows


def _show(console: Console, title: str, scores: RemovalScores) -> None:
    from ego_perception.hand_removal.removal_scores import HEADINGS, about, cells

    table = Table(title=f"In the hole, {title}", title_justify="left")
    table.add_column("method")
    for heading in HEADINGS.values():
        table.add_column(heading, justify="right")
    for name, score in scores.methods.items():
        table.add_row(name, *cells(score.row()))
    console.print(table)
    console.print(about(scores))


def _looks(rows: dict[str, dict[str, float]]) -> str:
    """LPIPS and FID of every method as a table in Markdown."""
    lines = ["| method | LPIPS | in the hole | FID | of crops |", "|---|---:|---:|---:|---:|"]
    for name, row in rows.items():
        numbers = (row["lpips"], row["lpips_hole"], row["fid"], row["fid_hole"])
        lines.append(f"| {name} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    return "\n".join(lines) + "\n"


def _write_tables(
    path: Path,
    removal: dict[str, RemovalScores],
    masks: dict[str, dict[str, float]],
    names: dict[str, str],
    looks: dict[str, dict[str, dict[str, float]]],
) -> None:
    from ego_perception.hand_removal.mask_scores import MASK_HEADINGS
    from ego_perception.hand_removal.removal_scores import markdown

    parts = ["# Hand removal", "", "; ".join(f"{part}: {name}" for part, name in names.items()), ""]
    parts += [markdown(f"In the hole, {title}", scores) for title, scores in removal.items()]
    parts += [f"## How alike pictures look, {title}\n\n{_looks(rows)}" for title, rows in looks.items()]
    if masks:
        parts += ["## Masks of hands and arms", "", "| " + " | ".join(("images", *MASK_HEADINGS.values())) + " |"]
        parts += ["|---" + "|---:" * len(MASK_HEADINGS) + "|"]
        parts += [f"| {name} | " + " | ".join(f"{row[key]:.3f}" for key in MASK_HEADINGS) + " |" for name, row in masks.items()]
    _write_text(path, "\n".join(parts) + "\n")


def _write(path: Path, content: dict[str, Any]) -> None:
    _write_text(path, json.dumps(_finite(content), indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
