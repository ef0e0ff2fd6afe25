"""Training pictures by the room: many views of many rooms, one block file per room, resumable after a kill at any point.

A block `room_NNNNN.npz` holds `rgb` (N, H, W, 3) uint8, `depth` (N, H, W) float16 metres (0 none), `fov_y` (N,) float32
radians, `up` (N, 3) float32 the world's up in optical axes and `T_world_cam` (N, 4, 4) float32. Splits are disjoint ranges of
room seeds.
"""

from __future__ import annotations

import argparse
import functools
import logging
import math
import multiprocessing
import os
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import EgoPerceptionError, OutputError, SimulationError
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import build_room
from ego_perception.simulation.scene import compile_scene
from ego_perception.simulation.viewpoints import random_viewpoint

_log = logging.getLogger(__name__)

SPLITS: Final[dict[str, range]] = {"train": range(10_000), "val": range(10_000, 10_500), "test": range(10_500, 11_000)}
HARD_SHARE: Final = 0.65
FOV_Y_DEG: Final = (40.0, 80.0)
SHADOW_MAP_PX: Final = 1024


@dataclass(frozen=True)
class BlockSpec:
    """What one block holds: the number of views and their size in pixels."""

    views: int = 12
    width: int = 160
    height: int = 120


def render_dataset(
    out: Path, split: str, num_rooms: int, views_per_room: int = 12, size: tuple[int, int] = (160, 120), jobs: int = 1
) -> int:
    """Render the first `num_rooms` rooms of a split into `out`; blocks that are already there are kept.

    Args:
        size: width and height, pixels.
        jobs: processes; each has a GL context of its own.

    Returns:
        Blocks written by this call.

    Raises:
        SimulationError: an unknown split, or more rooms than it has.
        OutputError: the folder cannot be written, or the disk is full.
    """
    if split not in SPLITS:
        raise SimulationError(f"split is '{split}'; choose one of {', '.join(SPLITS)}")
    seeds = SPLITS[split]
    if not 0 < num_rooms <= len(seeds) or views_per_room < 1 or min(size) < 16 or jobs < 1:
        raise SimulationError(
            f"cannot render {num_rooms} rooms x {views_per_room} views of {size[0]}x{size[1]} px with {jobs} jobs; "
            f"'{split}' has {len(seeds)} rooms, sides start at 16 px and the rest at 1"
        )
    spec = BlockSpec(views_per_room, *size)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror}") from error
    todo = [seed for seed in seeds[:num_rooms] if not block_path(out, seed).exists()]
    if jobs == 1:
        return _render_blocks(todo, out, spec)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        return sum(pool.map(functools.partial(_render_blocks, out=out, spec=spec), [todo[k::jobs] for k in range(jobs)]))


def block_path(out: Path, seed: int) -> Path:
    """Where a room's block lies."""
    return out / f"room_{seed:05d}.npz"


def _render_blocks(seeds: Iterable[int], out: Path, spec: BlockSpec) -> int:
    done, start = 0, time.monotonic()
    with Renderer(spec.width, spec.height) as renderer:
        for seed in seeds:
            write_block(block_path(out, seed), room_block(renderer, seed, spec))
            done += 1
            if done % 50 == 0:
                rate = done * spec.views / (time.monotonic() - start)
                _log.info("%s: %d rooms, %.1f views/s", out.name, done, rate)
    return done


def room_block(renderer: Renderer, seed: int, spec: BlockSpec) -> dict[str, NDArray[Any]]:
    """Render one room's views; equal seeds give equal blocks."""
    rng = np.random.default_rng([seed, 3])
    preset = "hard" if rng.random() < HARD_SHARE else "default"
    room = build_room(EgoSimConfig(seed=seed, preset=preset))
    renderer.load(compile_scene(room, offscreen=renderer.offscreen, shadow_map_px=SHADOW_MAP_PX))
    rows = []
    for T, fov_y, view in _useful_views(rng, renderer, room, spec.views):
        up = T[2, :3].astype(np.float32)
        rows.append((view.rgb, view.depth.astype(np.float16), np.float32(fov_y), up, T.astype(np.float32)))
    names = ("rgb", "depth", "fov_y", "up", "T_world_cam")
    return {name: np.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _useful_views(
    rng: np.random.Generator, renderer: Renderer, room: Any, count: int
) -> Iterator[tuple[Any, float, Rendering]]:
    """Draw views until `count` show more than a bare or too close surface; the last draws are taken as they are."""
    patience = 8 * count
    while count > 0:
        T = random_viewpoint(rng, room)
        fov_y = math.radians(float(rng.uniform(*FOV_Y_DEG)))
        view = renderer.render(T, fov_y)
        low, middle, high = np.percentile(view.depth[view.depth > 0], (3, 50, 95)) if view.depth.any() else (0.0, 0.0, 0.0)
        is_dull = low < 0.2 or middle < 0.4 or (high < 1.4 * low and rng.random() < 0.8)
        patience -= 1
        if is_dull and patience > 0:
            continue
        count -= 1
        yield T, fov_y, view


def write_block(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write a block under another name and rename it, so that a block that exists is whole.

    Raises:
        OutputError: full disk or no permission.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}; free some space and start again") from error


def read_block(path: Path) -> dict[str, NDArray[Any]]:
    """Read a block.

    Raises:
        OutputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise OutputError(f"cannot read the block {path}: {error}; delete it and render again") from error


def main(arguments: list[str] | None = None) -> int:
    """Command line of `python -m ego_perception.simulation.dataset`."""
    parser = argparse.ArgumentParser(prog="ego_perception.simulation.dataset", description="Render depth training pictures.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=tuple(SPLITS), default="train")
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=1)
    o = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        render_dataset(o.out, o.split, o.rooms, o.views, (o.width, o.height), o.jobs)
    except EgoPerceptionError as error:
        _log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
