"""Which files of a folder form a recording: plain images, colour with depth and pose files beside it, or TUM RGB-D lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.images import IMAGE_SUFFIXES
from ego_perception.data.tum import parse_stamp, read_tum
from ego_perception.errors import SourceError

EPOCH_NS: Final = 1_700_000_000 * 1_000_000_000
"""Stamp of the first image of a recording that has no clock; not zero, which ROS reads as "no time"."""

_COLOR: Final = re.compile(r"\.color\.(?:jpe?g|png)$", re.IGNORECASE)
_COMPANION: Final = re.compile(r"\.(?:depth|conf|truth|mask)\.[a-z]+$", re.IGNORECASE)
_TUM_TOLERANCE_NS: Final = 20_000_000
_TUM_UNITS_PER_METRE: Final = 5000.0


@dataclass(frozen=True, eq=False)
class Entry:
    """One image and what lies beside it.

    Attributes:
        stamp_ns: integer nanoseconds.
        image: colour file.
        depth: 16-bit depth file, or None.
        pose_file: 4x4 camera-to-world text file, or None.
        T_world_cam: pose that is known already, or None.
        units_per_metre: of the depth file.
    """

    stamp_ns: int
    image: Path
    depth: Path | None = None
    pose_file: Path | None = None
    T_world_cam: NDArray[np.float64] | None = None
    units_per_metre: float = 1000.0


def list_folder(folder: Path, fps: float) -> list[Entry]:
    """Find the images of a folder in the order in which they were taken.

    Args:
        folder: plain images; `*.color.jpg` with `.depth.png` and `.pose.txt`; or `rgb.txt` with `depth.txt`, `groundtruth.txt`.
        fps: rate for layouts without stamps.

    Raises:
        SourceError: no such folder, no image in it, or a list that cannot be read.
    """
    if not folder.is_dir():
        raise SourceError(f"folder '{folder}' does not exist")
    try:
        if (folder / "rgb.txt").is_file():
            return _list_tum(folder)
        images = sorted(_images(folder), key=_natural)
    except PermissionError as error:
        raise SourceError(f"folder '{folder}' cannot be read: {error.strerror}") from error
    colour = [path for path in images if _COLOR.search(path.name)]
    if not images:
        inner = sorted(p.name for p in folder.iterdir() if p.is_dir() and any(_images(p)))
        advice = f"; images are in its folders {', '.join(inner[:3])}" if inner else ""
        raise SourceError(f"folder '{folder}' holds no images (*.jpg, *.png){advice}")
    if colour:
        return [_with_companions(path, _stamp(i, fps)) for i, path in enumerate(colour)]
    return [Entry(_stamp(i, fps), path) for i, path in enumerate(images)]


def _stamp(index: int, fps: float) -> int:
    return EPOCH_NS + round(index * 1e9 / fps)


def _images(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not _COMPANION.search(p.name)]


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Order 2 before 10; digits compare as numbers, the rest as text."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name) if part]


def _with_companions(image: Path, stamp_ns: int) -> Entry:
    stem = _COLOR.sub("", image.name)
    depth, pose = image.with_name(f"{stem}.depth.png"), image.with_name(f"{stem}.pose.txt")
    return Entry(stamp_ns, image, depth if depth.is_file() else None, pose if pose.is_file() else None)


def _list_tum(folder: Path) -> list[Entry]:
    """Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012: lists joined by nearest stamp."""
    rgb = _read_list(folder / "rgb.txt")
    if not rgb:
        raise SourceError(f"list '{folder / 'rgb.txt'}' names no image; a line is: stamp file")
    depth = _read_list(folder / "depth.txt") if (folder / "depth.txt").is_file() else []
    truth = read_tum(folder / "groundtruth.txt") if (folder / "groundtruth.txt").is_file() else None
    near_depth = _nearest(np.array([stamp for stamp, _ in depth], np.int64))
    near_pose = _nearest(truth.stamps_ns if truth is not None else np.zeros(0, np.int64))
    entries = []
    for stamp_ns, name in rgb:
        d, t = near_depth(stamp_ns), near_pose(stamp_ns)
        entries.append(
            Entry(
                stamp_ns,
                folder / name,
                None if d is None else folder / depth[d][1],
                T_world_cam=None if t is None or truth is None else truth.T_world_cam[t],
                units_per_metre=_TUM_UNITS_PER_METRE,
            )
        )
    return entries


def _read_list(path: Path) -> list[tuple[int, str]]:
    rows = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                stamp, name = line.split(maxsplit=1)
                rows.append((parse_stamp(stamp), name.strip()))
    except (OSError, ValueError) as error:
        raise SourceError(f"list '{path}' cannot be read: {error}; a line is: stamp file") from error
    return sorted(rows)


def _nearest(stamps_ns: NDArray[np.int64]) -> Callable[[int], int | None]:
    def find(stamp_ns: int) -> int | None:
        if len(stamps_ns) == 0:
            return None
        i = int(np.searchsorted(stamps_ns, stamp_ns))
        best = min((j for j in (i - 1, i) if 0 <= j < len(stamps_ns)), key=lambda j: abs(int(stamps_ns[j]) - stamp_ns))
        return best if abs(int(stamps_ns[best]) - stamp_ns) <= _TUM_TOLERANCE_NS else None

    return find
