"""Words and numbers for people: the key figures of a result, and labels and rounding of settings and counters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ego_perception.evaluation import Metrics, Row
from ego_perception.viz.content import ResultContent


def key_figures(content: ResultContent) -> tuple[list[Row], list[str]]:
    """The lines of the key figures, and notes on them.

    Scores come from metrics.json; without one, what the result itself tells stands in their place.
    """
    stored = content.metrics
    if stored is None:
        notes = ["No metrics: the recording brought no ground truth, or was not evaluated."]
        return list(_own_figures(content)), notes
    try:
        metrics = Metrics.from_json(stored)
    except (ValueError, KeyError, TypeError) as error:
        return list(_own_figures(content)), [f"metrics.json is of another version and left out: {error}"]
    return metrics.rows(), list(metrics.notes)


def number(value: Any, decimals: int = 3) -> str:
    """A value as text: rounded floats, whole numbers and words as they are, yes and no, a dash for what is not finite."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{decimals}f}" if math.isfinite(value) else "–"
    return "–" if value is None else str(value)


def humanise(name: str) -> str:
    """`num_frames` as `Num frames`."""
    words = name.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]


def leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a nested mapping with the keys that lead to it, in order."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _own_figures(content: ResultContent) -> Iterator[Row]:
    if content.frames:
        with_pose = sum(f.T_world_cam is not None for f in content.frames)
        yield Row("run", "kept frames with a pose", f"{with_pose} of {len(content.frames)}")
    paths = content.paths
    if paths is None:
        return
    metres = "metres of the truth" if paths.truth is not None else "own metres"
    yield Row("trajectory", f"length of the estimated path, {metres}", f"{paths.length_m:.2f} m")
    if paths.rmse_m is not None:
        yield Row("trajectory", "ATE RMSE after Sim(3)", f"{100 * paths.rmse_m:.1f} cm")
