"""What one image costs hand removal, against OpenCV's inpainting of the same holes in the same loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ego_perception.cli.benchmarks.row import BenchmarkRow, Milliseconds, timed
from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, Provenance
from ego_perception.hand_removal.assembly import RemovalModels, build_remover
from ego_perception.hand_removal.baselines import navier_stokes, telea
from ego_perception.hand_removal.estimator import HandRemovalConfig
from ego_perception.runtime import Estimator

_WARM_UP = 3
_PEER_EVERY = 5
"""Inpainting takes long: every fifth image is enough for its percentiles."""


def compact_rows(frames: Sequence[Frame], models: RemovalModels | None = None) -> list[BenchmarkRow]:
    """Measure mask, background and fill of every frame.

    Args:
        frames: of one clip in which hands are seen.
        models: the shipped weights by default.
    """
    estimator = build_remover(HandRemovalConfig(), models=models).estimator
    ours: list[float] = []
    peers: dict[str, list[float]] = {"Telea": [], "Navier-Stokes": []}
    holes: list[float] = []
    for index, frame in enumerate(frames):
        duration, estimate = _timed_push(estimator, frame)
        if index < _WARM_UP or estimate is None or estimate.provenance is None:
            continue
        hole = estimate.provenance != Provenance.LIVE
        ours.append(duration)
        holes.append(float(hole.mean()))
        if hole.any() and index % _PEER_EVERY == 0:
            for name, inpaint in (("Telea", telea), ("Navier-Stokes", navier_stokes)):
                peers[name].append(timed(partial(inpaint, frame.rgb, hole)))
    return rows_of(f"{frames[0].size[0]}x{frames[0].size[1]}", ours, peers, holes)


def _timed_push(estimator: Estimator[HandRemovalEstimate], frame: Frame) -> tuple[float, HandRemovalEstimate | None]:
    given: list[HandRemovalEstimate | None] = []
    duration = timed(lambda: given.append(estimator.push(frame)))
    return duration, given[0]


def rows_of(size: str, ours: list[float], peers: dict[str, list[float]], holes: list[float]) -> list[BenchmarkRow]:
    """Sum up durations in milliseconds, and the shares of the images that were holes."""
    mine = Milliseconds.of(ours)
    what = f"hand removal per image, {size}"
    rows = [
        BenchmarkRow(f"{what}: hole, percent of the image", 100 * sum(holes) / len(holes)),
        BenchmarkRow(f"{what}: p95, ms", mine.p95),
    ]
    for name, durations in peers.items():
        if durations:
            peer = Milliseconds.of(durations)
            rows.append(BenchmarkRow(f"{what}: p50, ms", mine.p50, f"{name}, the same holes: p50", peer.p50))
    return rows
