"""What is noted about a run and about each kept frame."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import ego_perception
from ego_perception.data.scene import TrackingState
from ego_perception.errors import CalibrationError, SourceError
from ego_perception.geometry import PinholeCamera

_LIBRARIES: Final = ("numpy", "opencv-python-headless", "opencv-python", "scipy", "torch", "onnxruntime", "rosbags")
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RunRecord:
    """Everything needed to repeat a run; no path, date or duration, so that a repeat writes the same bytes.

    Attributes:
        verb: `run`, `replay` or `record`.
        source: name of the input, without its folder.
        parameters: the resolved configuration under dotted names.
        weights: SHA-256 of each weight file by name.
        environment: versions, processor and commit; see `environment`.
        status: running, finished, interrupted, or the error that ended the run.
        counters: frames received, processed, refused, failed and so on.
        command: what repeats the run, without its output folder; empty where verb and source say it.
        tasks: what was run on each frame.
    """

    verb: str
    source: str
    parameters: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    status: str = "running"
    counters: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    tasks: tuple[str, ...] = ("reconstruction",)

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        return {"version": ego_perception.__version__, **dataclasses.asdict(self)}


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One kept frame.

    Attributes:
        index: running number among all frames of the run; also the stem of its files.
        state, reason: as in `SceneEstimate`.
        camera: pinhole of the depth picture (of the colour picture where there is no depth).
        T_world_cam, T_world_cam_truth: (4, 4) metres, or None. The truth is in the recording's own world.
        files: `image`, and `depth`, `confidence`, `truth`, `hand_free`, `hand_mask`, `provenance` where present; names inside
            the frames folder.
        map_id: poses of different maps share no world.
        hand_removal: `state` and `reason` as in `HandRemovalEstimate`; empty where hands were not removed.
    """

    index: int
    stamp_ns: int
    state: TrackingState
    reason: str
    camera: PinholeCamera
    T_world_cam: Matrix | None = None
    T_world_cam_truth: Matrix | None = None
    files: dict[str, str] = field(default_factory=dict)
    map_id: int = 0
    hand_removal: dict[str, str] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON, without its end."""
        c = self.camera
        content = {
            "index": self.index,
            "stamp_ns": self.stamp_ns,
            "state": self.state.name,
            "reason": self.reason,
            "map_id": self.map_id,
            "camera": {"width": c.width, "height": c.height, "fx": c.fx, "fy": c.fy, "cx": c.cx, "cy": c.cy},
            "T_world_cam": _to_list(self.T_world_cam),
            "T_world_cam_truth": _to_list(self.T_world_cam_truth),
            "files": self.files,
        }
        if self.hand_removal:
            content["hand_removal"] = self.hand_removal
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> FrameRecord:
        """Read back what `to_line` wrote.

        Raises:
            SourceError: not such a line, as the last one of a killed run may be.
        """
        try:
            content = json.loads(line)
            content["state"] = TrackingState[content["state"]]
            content["camera"] = PinholeCamera(**content["camera"])
            for key in ("T_world_cam", "T_world_cam_truth"):
                content[key] = None if content[key] is None else np.array(content[key], np.float64).reshape(4, 4)
            return cls(**content)
        except (ValueError, KeyError, TypeError, CalibrationError) as error:
            raise SourceError(f"line of frames.jsonl cannot be read ({error}): {line[:40]!r}") from error


def environment() -> dict[str, str]:
    """Versions of what decides the numbers, the machine's kind, and the commit when run from a clone."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    found["cpu_count"] = str(os.cpu_count() or 0)
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = git_commit(Path(ego_perception.__file__).parents[1])
    return found | ({"commit": commit} if commit else {})


def git_commit(root: Path) -> str | None:
    """The commit of a clone, with `+changes` when tracked files differ from it; None outside a clone or without git."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _to_list(T: Matrix | None) -> list[list[float]] | None:
    return None if T is None else [[float(v) for v in row] for row in T]
