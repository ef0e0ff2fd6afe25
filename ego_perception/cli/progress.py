"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ego_perception.data import SceneEstimate

_LINE_EVERY_S: Final = 5.0


class ProgressSink:
    """Counts estimates for the user; an end of a pipeline like any other, and a context that owns the terminal line.

    Args:
        console: where to show it.
        total: number of frames where known.
    """

    name = "progress"

    def __init__(self, console: Console, total: int | None = None) -> None:
        self._console = console
        self._total = total
        self._count = 0
        self._last_line_s = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> ProgressSink:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def write(self, item: SceneEstimate) -> None:
        """Show one more frame."""
        self._count += 1
        state = f"{item.state.name.lower()} {item.reason}".strip()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._count, description=state)
            return
        now = time.monotonic()
        if now - self._last_line_s >= _LINE_EVERY_S:
            self._last_line_s = now
            of_total = "" if self._total is None else f" of {self._total}"
            self._console.print(f"frame {self._count}{of_total}: {state}", highlight=False)

    def close(self) -> None:
        """The bar is stopped by the context."""
