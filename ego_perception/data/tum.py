"""Trajectories as TUM text: `stamp tx ty tz qx qy qz qw`, seconds and metres; stamps keep all nine decimals."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SourceError
from ego_perception.geometry import make_transform, matrix_from_quat_xyzw, quat_xyzw_from_matrix

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses over time.

    Attributes:
        stamps_ns: (N,) int64, increasing.
        T_world_cam: (N, 4, 4) float64, metres.
    """

    stamps_ns: NDArray[np.int64]
    T_world_cam: NDArray[np.float64]

    @property
    def positions(self) -> NDArray[np.float64]:
        """(N, 3) metres."""
        return self.T_world_cam[:, :3, 3]

    @property
    def path_length_m(self) -> float:
        """Sum of the steps from pose to pose."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=1).sum())

    def __len__(self) -> int:
        return len(self.stamps_ns)


def make_trajectory(stamps_ns: list[int], poses: list[NDArray[np.float64]]) -> Trajectory:
    """Collect poses into a trajectory sorted by stamp; of equal stamps the first stays."""
    stamps, first = np.unique(np.array(stamps_ns, np.int64), return_index=True)
    stacked = np.array(poses, np.float64).reshape(-1, 4, 4)
    return Trajectory(stamps, stacked[first])


def format_pose(stamp_ns: int, T_world_cam: NDArray[np.float64]) -> str:
    """One line of a TUM file, without a line end."""
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    x, y, z = T_world_cam[:3, 3]
    quat = quat_xyzw_from_matrix(T_world_cam[:3, :3])
    return f"{seconds}.{rest:09d} {x:.6f} {y:.6f} {z:.6f} " + " ".join(f"{q:.7f}" for q in quat)


class TumWriter:
    """Appends poses to a TUM file and flushes each, so that a killed run leaves whole lines behind."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", encoding="ascii")
        self._file.write("# stamp[s] tx ty tz[m] qx qy qz qw, camera to world, optical axes\n")
        self._file.flush()

    def write(self, stamp_ns: int, T_world_cam: NDArray[np.float64]) -> None:
        """Append one pose."""
        self._file.write(format_pose(stamp_ns, T_world_cam) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_tum(path: Path, trajectory: Trajectory) -> None:
    """Write a whole trajectory."""
    writer = TumWriter(path)
    for stamp_ns, T in zip(trajectory.stamps_ns, trajectory.T_world_cam, strict=True):
        writer.write(int(stamp_ns), T)
    writer.close()


def read_tum(path: Path) -> Trajectory:
    """Read a trajectory; lines that are no pose (a cut-off last line, a NaN) are skipped with a warning.

    Raises:
        SourceError: unreadable, or not one pose in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"trajectory '{path}' cannot be read: {error}") from error
    stamps: list[int] = []
    poses: list[NDArray[np.float64]] = []
    num_bad = 0
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parsed = _parse_line(line)
        if parsed is None:
            num_bad += 1
            continue
        stamps.append(parsed[0])
        poses.append(parsed[1])
    if num_bad:
        _log.warning("trajectory %s: %d lines that hold no pose were skipped", path.name, num_bad)
    if not stamps:
        raise SourceError(f"trajectory '{path}' holds no pose; a line is: stamp tx ty tz qx qy qz qw")
    return make_trajectory(stamps, poses)


def parse_stamp(text: str) -> int:
    """Turn decimal seconds into integer nanoseconds without a float in between.

    Raises:
        ValueError: not a plain decimal number.
    """
    whole, _, decimals = text.strip().partition(".")
    if "e" in text.lower():
        return round(float(text) * 1e9)
    sign = -1 if whole.startswith("-") else 1
    return int(whole or "0") * 1_000_000_000 + sign * int((decimals + "000000000")[:9])


def _parse_line(line: str) -> tuple[int, NDArray[np.float64]] | None:
    words = line.replace(",", " ").split()
    if len(words) != 8:
        return None
    try:
        stamp_ns, values = parse_stamp(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        return None
    if not all(math.isfinite(v) for v in values) or math.hypot(*values[3:]) < 1e-6:
        return None
    return stamp_ns, make_transform(matrix_from_quat_xyzw(values[3:]), values[:3])
