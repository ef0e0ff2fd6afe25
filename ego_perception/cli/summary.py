"""The few lines a run ends with."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ego_perception.cli.offline import Outcome
from ego_perception.evaluation import Metrics


def show_outcome(console: Console, outcome: Outcome) -> None:
    """Print what was processed, the scores where there is truth, and where the result lies."""
    counters = outcome.counters
    rate = counters.processed / outcome.wall_s if outcome.wall_s > 0 else 0.0
    parts = [f"{counters.processed} frames in {outcome.wall_s:.1f} s ({rate:.1f} per s)"]
    parts += [f"{count} {name.lower()}" for name, count in sorted(outcome.states.items())]
    if counters.failed:
        parts.append(f"{counters.failed} failed (last: {counters.last_error})")
    if counters.refused:
        parts.append(f"{counters.refused} refused for their stamps")
    console.print(", ".join(parts), highlight=False)
    if outcome.metrics is not None:
        show_metrics(console, outcome.metrics)
    console.print(f"result: {outcome.layout.root} (report.html, cloud.ply, trajectory.tum)", highlight=False, soft_wrap=True)


def show_metrics(console: Console, metrics: Metrics) -> None:
    """Print the scores beside those of doing nothing."""
    table = Table("", "score", "value", "doing nothing")
    for row in metrics.rows():
        table.add_row(row.group, row.name, row.value, row.baseline)
    console.print(table)
    for note in metrics.notes:
        console.print(note, highlight=False)
