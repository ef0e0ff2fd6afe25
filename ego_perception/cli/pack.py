"""`ego pack`: pack egocentric video of EPIC-KITCHENS, Ego4D or VISOR for the fine-tune of hand removal.

    ego pack epic FRAMES -o data/train/epic/P01_01.hdf5
    ego pack visor P01_01_interpolations.json --sparse P01_01.json -o data/train/visor/P01_01_interpolations.hdf5
    ego pack ego4d CLIP.mp4 -o data/train/ego4d/CLIP.hdf5

The videos are the user's to get, under their own licences. Exit codes: 0 done, 1 an expected error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ego_perception.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ego_perception.data.hdf5.ego4d import HandDetector

app = typer.Typer(add_completion=False)

KINDS: Final = ("epic", "ego4d", "visor")


@app.command(help="Pack EPIC-KITCHENS frames, an Ego4D clip or VISOR annotations into one HDF5 file.")
def pack(
    kind: Annotated[str, typer.Argument(help="epic, ego4d or visor.")],
    source: Annotated[
        Path, typer.Argument(help="Folder of frame_<number>.jpg (epic); video or folder (ego4d); dense JSON file (visor).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    sparse: Annotated[Path | None, typer.Option(help="visor: JSON file of the same video's ground truth.")] = None,
    stride: Annotated[int, typer.Option(min=1, help="ego4d: every n-th frame is kept.")] = 10,
    labels: Annotated[
        Path | None, typer.Option(help="ego4d: text file with 0 or 1 (shows a hand) per kept frame; the segmenter if left out.")
    ] = None,
    segmenter: Annotated[
        Path | None, typer.Option(help="ego4d: weight file of the hand segmenter; the shipped one if left out.")
    ] = None,
) -> None:
    """Pack one video."""
    if kind == "epic":
        from ego_perception.data.hdf5.epic import pack_epic

        count = pack_epic(source, out)
    elif kind == "ego4d":
        count = _pack_ego4d(source, out, stride, labels, segmenter)
    elif kind == "visor":
        from ego_perception.data.hdf5.visor import pack_visor

        if sparse is None:
            raise ConfigError("`ego pack visor` needs the ground truth of the same video: --sparse FILE.json")
        count = pack_visor(source, sparse, out)
    else:
        raise ConfigError(f"kind is '{kind}'; choose one of {', '.join(KINDS)}")
    typer.echo(f"{out}: {count} {'annotations' if kind == 'visor' else 'frames'}")


def _pack_ego4d(source: Path, out: Path, stride: int, labels: Path | None, segmenter: Path | None) -> int:
    from ego_perception.data.hdf5.ego4d import pack_ego4d

    if labels is None:
        return pack_ego4d(source, out, _segmented(segmenter), stride)
    flags = _read_labels(labels)
    count = pack_ego4d(source, out, _listed(flags, labels), stride)
    if count != len(flags):
        out.unlink()
        raise ConfigError(f"{labels} has {len(flags)} labels for {count} frames; write one per kept frame")
    return count


def _read_labels(path: Path) -> list[bool]:
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if strange := [word for word in words if word not in ("0", "1")]:
        raise ConfigError(f"{path} holds '{strange[0]}'; write 0 or 1 per kept frame")
    return [word == "1" for word in words]


def _listed(flags: list[bool], path: Path) -> HandDetector:
    remaining = iter(flags)

    def has_hand(rgb: NDArray[np.uint8]) -> bool:
        del rgb
        flag = next(remaining, None)
        if flag is None:
            raise ConfigError(f"{path} has {len(flags)} labels, fewer than there are frames; write one per kept frame")
        return flag

    return has_hand


def _segmented(path: Path | None) -> HandDetector:
    from ego_perception.data.hand_removal import HandLabel
    from ego_perception.hand_removal.finder import HandFinder
    from ego_perception.hand_removal.segmentation.network import load_segmenter

    network = load_segmenter(path)

    def has_hand(rgb: NDArray[np.uint8]) -> bool:
        labels = HandFinder(network).find(rgb, 0).labels  # frames may be far apart: each is looked at alone
        return bool(((labels != HandLabel.NONE) & (labels != HandLabel.HELD_OBJECT)).any())

    return has_hand
