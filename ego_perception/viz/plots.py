"""Plots of the report: camera path from above, error over time, latency by stage.

Each function gives a matplotlib figure; `to_png` makes a picture of it, `to_svg` a fragment for a page, whose text and axes
take the page's own colour and so suit a light and a dark one.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ego_perception.data import TrackingState
from ego_perception.runtime.latency import StageLatency
from ego_perception.viz.content import Interval, Paths

# Okabe and Ito's palette, told apart by colour-blind readers; the blue is lifted to show on dark grounds.
ESTIMATE: Final = "#2f8fd8"
TRUTH: Final = "#8b9099"
STATE_COLOURS: Final = {
    TrackingState.UNKNOWN: "#8b9099",
    TrackingState.TRACKING: "#009e73",
    TrackingState.DEGRADED: "#e69f00",
    TrackingState.LOST: "#d55e00",
}
# Stands for the page's text colour until `to_svg` puts `currentColor` in its place.
_INK: Final = "#1f2329"
_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
}


def trajectory_plot(paths: Paths, *, width_in: float = 5.4, height_in: float = 4.6) -> Figure:
    """The camera path from above, in metres; the estimate is broken where no pose was published."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        axes = figure.add_subplot()
        if paths.truth is not None:
            axes.plot(paths.truth[:, 0], paths.truth[:, 1], color=TRUTH, linewidth=3.2, label="ground truth")
        for part in unbroken(paths.time_s):
            axes.plot(paths.estimate[part, 0], paths.estimate[part, 1], color=ESTIMATE)
        label = "estimate" if paths.truth is None else "estimate, aligned (Sim(3))"
        axes.plot([], [], color=ESTIMATE, label=label)
        start, end = paths.estimate[0], paths.estimate[-1]
        axes.plot(start[0], start[1], "o", color=ESTIMATE, markersize=7, label="start")
        axes.plot(end[0], end[1], "s", color=ESTIMATE, markersize=7, markerfacecolor="none", label="end")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.08)
        axes.set_xlabel("x, ahead at the start (m)")
        axes.set_ylabel("y, left (m)")
        figure.legend(loc="outside upper center", ncols=4, columnspacing=1.2, handlelength=1.4)
    return figure


def error_plot(
    position: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    depth: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    intervals: Sequence[Interval],
    duration_s: float,
    *,
    width_in: float = 7.2,
) -> Figure:
    """Errors over time, one panel each, over a shade where the state was not TRACKING.

    Args:
        position: times in seconds and position errors in metres after the alignment, or None.
        depth: times in seconds and mean relative depth errors, or None.
        intervals: stretches to shade.
        duration_s: right end of the time axis.
    """
    panels = [
        (series, name, factor)
        for series, name, factor in ((position, "position error (cm)", 100.0), (depth, "depth AbsRel (%)", 100.0))
        if series is not None and len(series[0])
    ]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, 0.7 + 1.9 * max(len(panels), 1)), layout="constrained")
        grid = figure.subplots(max(len(panels), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (series, name, factor) in zip(grid, panels, strict=False):
            times, values = series
            for part in unbroken(times):
                axes.plot(times[part], factor * values[part], color=ESTIMATE)
            axes.set_ylim(0, None)
            axes.set_ylabel(name)
        for axes in grid:
            _shade(axes, intervals)
        grid[-1].set_xlim(0, max(duration_s, 1e-3))
        grid[-1].set_xlabel("time (s)")
        if shades := _state_legend(intervals):
            figure.legend(handles=shades, loc="outside upper right", ncols=len(shades))
    return figure


def latency_plot(stages: Sequence[StageLatency], *, width_in: float = 7.2) -> Figure:
    """Median time per stage as bars, with a line on to the 95th percentile."""
    names = [s.stage for s in stages]
    rows = np.arange(len(stages))
    median = np.array([s.p50_ms for s in stages])
    slow = np.maximum(np.array([s.p95_ms for s in stages]), median)
    with mpl.rc_context(_STYLE | {"axes.grid.axis": "x"}):
        figure = Figure(figsize=(width_in, 0.9 + 0.36 * len(stages)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(rows, median, height=0.58, color=ESTIMATE)
        axes.hlines(rows, median, slow, color=TRUTH, linewidth=1.6)
        axes.plot(slow, rows, "|", color=TRUTH, markersize=9, markeredgewidth=1.6)
        for row, p50, p95 in zip(rows, median, slow, strict=True):
            axes.annotate(f"{p50:.1f} / {p95:.1f}", (p95, row), (6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(rows, names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.18 * float(slow.max(initial=1e-3)))
        axes.set_xlabel("milliseconds per frame (median / 95th percentile)")
        axes.tick_params(axis="y", length=0)
    return figure


def to_png(figure: Figure, *, dpi: int = 110) -> bytes:
    """The figure as a PNG file on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element without addresses, in the colour of the surrounding text.

    Args:
        figure: what a function of this module gave.
        name: unique on the page; keeps the identifiers of several figures apart, and equal from run to run.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*"\s*', r"\1", svg.replace("xlink:href", "href"), count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*"\s*', r'\1role="img" ', svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)
    return svg.replace(_INK, "currentColor").replace("'DejaVu Sans'", "inherit")


def unbroken(times: NDArray[np.float64], factor: float = 3.5) -> list[slice]:
    """Split a time axis where a step is `factor` times the usual one: poses are missing there."""
    if len(times) < 3:
        return [slice(0, len(times))]
    steps = np.diff(times)
    cuts = np.flatnonzero(steps > factor * np.median(steps)) + 1
    edges = [0, *cuts.tolist(), len(times)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _shade(axes: Axes, intervals: Iterable[Interval]) -> None:
    for i in intervals:
        axes.axvspan(i.start_s, i.end_s, color=STATE_COLOURS[i.state], alpha=0.28, linewidth=0, zorder=0)


def _state_legend(intervals: Sequence[Interval]) -> list[Patch | Line2D]:
    states = sorted({i.state for i in intervals})
    return [Patch(color=STATE_COLOURS[s], alpha=0.4, linewidth=0, label=s.name.lower()) for s in states]
