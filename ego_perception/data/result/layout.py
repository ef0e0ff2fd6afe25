"""Names inside a result folder, and how files are put there without ever being half written."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ego_perception.errors import OutputError

MIN_FREE_BYTES: Final = 50 * 2**20
"""A run is refused below this: it would die within seconds and take its report with it."""


@dataclass(frozen=True)
class ResultLayout:
    """Paths of one result folder."""

    root: Path

    @property
    def run(self) -> Path:
        """Configuration, versions and counters."""
        return self.root / "run.json"

    @property
    def bag(self) -> Path:
        """The result as a rosbag2 recording."""
        return self.root / "result"

    @property
    def trajectory(self) -> Path:
        """Estimated poses."""
        return self.root / "trajectory.tum"

    @property
    def truth(self) -> Path:
        """True poses, in the recording's own world."""
        return self.root / "truth.tum"

    @property
    def cloud(self) -> Path:
        """Fused coloured points."""
        return self.root / "cloud.ply"

    @property
    def frames(self) -> Path:
        """Pictures of kept frames."""
        return self.root / "frames"

    @property
    def frames_log(self) -> Path:
        """One line of JSON per kept frame."""
        return self.frames / "frames.jsonl"

    @property
    def metrics(self) -> Path:
        """Scores against ground truth."""
        return self.root / "metrics.json"

    @property
    def timing(self) -> Path:
        """Wall-clock figures; with the report, which shows them, all that differs from run to run."""
        return self.root / "timing.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.root / "report.html"

    def prepare(self) -> None:
        """Create the folder and take an earlier result out of it; files of other origin stay.

        Raises:
            OutputError: not a folder, not writable, or nearly no space left.
        """
        with output_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
            if free < MIN_FREE_BYTES:
                raise OutputError(f"'{self.root}' has {free >> 20} MB free; make room or choose another output folder")
            for path in (self.run, self.trajectory, self.truth, self.cloud, self.metrics, self.timing, self.report):
                path.unlink(missing_ok=True)
            if self.frames_log.is_file():
                shutil.rmtree(self.frames)
            if (self.bag / "metadata.yaml").is_file() or list(self.bag.glob("*.mcap")):
                shutil.rmtree(self.bag)
            self.frames.mkdir(exist_ok=True)


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn a failed write below `path` into an `OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"'{path}' cannot be written: {reason}; free space or choose another output folder") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file in one step; on failure the old one stays and no scrap is left.

    Raises:
        OSError: as the file system gives it.
    """
    scratch = path.with_name(path.name + ".part")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    except BaseException:
        # Also on Ctrl-C; a scrap would look like a result.
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, in one step."""
    write_atomic(path, (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())
