"""`ego doctor`: versions, middleware, GPU, weights with checksums, live topics and QoS mismatches named by peer.

Exit codes: 0 nothing essential is broken, 1 something is.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ego_perception.cli import checks
from ego_perception.cli.checks import Check, Status

app = typer.Typer(add_completion=False)

_COLOURS: Final = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


@dataclass(frozen=True)
class Report:
    """All that the doctor found.

    Attributes:
        topics: one row per live topic: name, type, publishing nodes, subscribing nodes.
        mismatches: pairs of peers that cannot hear each other, one sentence each.
    """

    checks: Sequence[Check]
    topics: Sequence[dict[str, Any]] = field(default_factory=list)
    mismatches: Sequence[str] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """Whether everything essential works."""
        return all(check.status is not Status.FAIL for check in self.checks)

    def as_json(self) -> str:
        """The report for machines."""
        rows = [{"name": c.name, "status": c.status.value, "found": c.found, "remedy": c.remedy} for c in self.checks]
        content = {"ok": self.is_healthy, "checks": rows, "topics": list(self.topics), "mismatches": list(self.mismatches)}
        return json.dumps(content, indent=2)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="How long to look for live topics; 0 leaves them out.")
    ] = 2.0,
) -> None:
    """Check versions, middleware, GPU, weights, system packages and live topics."""
    report = examine(seconds)
    if as_json:
        typer.echo(report.as_json())
    else:
        show(report, Console())
    if not report.is_healthy:
        raise typer.Exit(1)


def examine(seconds: float) -> Report:
    """Run every check; look at the live graph for `seconds`."""
    found = [checks.check_python(), checks.check_package(), *checks.check_packages(), *_check_gpu()]
    middleware = checks.check_middleware()
    found += [*middleware, *checks.check_weights(), checks.check_system()]
    works = all(check.status is Status.OK for check in middleware if check.name == "rclpy")
    if not works or seconds <= 0:
        return Report(found)
    topics, mismatches = _look_at_topics(seconds)
    found.append(_judge_topics(topics, mismatches))
    return Report(found, topics, mismatches)


def show(report: Report, console: Console) -> None:
    """Print the report as tables."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in report.checks:
        mark = f"[{_COLOURS[check.status]}]{check.status.value}"
        table.add_row(mark, check.name, check.found + (f"\n-> {check.remedy}" if check.remedy else ""))
    console.print(table, soft_wrap=False)
    if report.topics:
        topics = Table(title="live topics", box=None, pad_edge=False, title_justify="left")
        for heading in ("topic", "type", "published by", "heard by"):
            topics.add_column(heading, overflow="fold")
        for row in report.topics:
            topics.add_row(row["name"], ", ".join(row["types"]), ", ".join(row["publishers"]), ", ".join(row["subscribers"]))
        console.print(topics)
    for line in report.mismatches:
        console.print(f"[yellow]mismatch[/] {line}", highlight=False)


def _check_gpu() -> list[Check]:
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:  # a damaged build fails to load its libraries with OSError
        return [Check("torch import", Status.FAIL, str(error), "run ./ego setup")]
    return [checks.check_gpu(torch, has_nvidia_device=Path("/dev/nvidia0").exists())]


def _look_at_topics(seconds: float) -> tuple[list[dict[str, Any]], list[str]]:
    from ego_perception.ros.graph import find_mismatches, observe

    topics = observe(seconds)
    rows = [
        {
            "name": topic.name,
            "types": sorted({end.type_name for end in (*topic.publishers, *topic.subscribers)}),
            "publishers": [end.node for end in topic.publishers],
            "subscribers": [end.node for end in topic.subscribers],
        }
        for topic in topics
    ]
    return rows, [str(mismatch) for mismatch in find_mismatches(topics)]


def _judge_topics(topics: Sequence[dict[str, Any]], mismatches: Sequence[str]) -> Check:
    if mismatches:
        remedy = "change the QoS of one side, here with qos_overrides"
        return Check("topics", Status.WARN, f"{len(topics)} live, {len(mismatches)} pairs that cannot hear each other", remedy)
    return Check("topics", Status.OK, f"{len(topics)} live" if topics else "none live")
