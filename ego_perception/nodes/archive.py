"""What `~/save` writes: the poses since the last reset and the newest map, kept by a pipeline stage."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneEstimate
from ego_perception.data.result.cloud import write_ply
from ego_perception.data.result.layout import output_errors, write_atomic
from ego_perception.data.tum import format_pose
from ego_perception.errors import OutputError

_MAX_POSES: Final = 500_000
"""About nine hours at 15 Hz; beyond, the oldest go."""


class SceneArchive:
    """A stage that passes estimates on and remembers their poses and the newest map."""

    name = "archive"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poses: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=_MAX_POSES)
        self._landmarks: NDArray[np.float32] = np.zeros((0, 3), np.float32)
        self._map_id = 0

    def process(self, item: SceneEstimate) -> SceneEstimate:
        """Remember one estimate."""
        with self._lock:
            if item.map_id != self._map_id:
                self._map_id = item.map_id
                self._poses.clear()
            if item.T_world_cam is not None:
                self._poses.append((item.frame.stamp_ns, item.T_world_cam[:3].astype(np.float32)))
            self._landmarks = item.landmarks
        return item

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._poses.clear()
            self._landmarks = np.zeros((0, 3), np.float32)
            self._map_id = 0

    def flush(self) -> list[SceneEstimate]:
        """Nothing is held back."""
        return []

    def save(self, folder: Path, *, overwrite: bool) -> list[Path]:
        """Write `trajectory.tum` (camera poses, optical axes) and `map.ply` (points in the odom frame, metres).

        Raises:
            OutputError: nothing to save yet, files in the way, or a folder that cannot be written.
        """
        with self._lock:
            poses, landmarks = list(self._poses), self._landmarks
        if not poses:
            raise OutputError("there is nothing to save: no pose was estimated since the last reset")
        paths = [folder / "trajectory.tum", folder / "map.ply"]
        present = [path for path in paths if path.exists()]
        if present and not overwrite:
            raise OutputError(f"{present[0]} exists; set overwrite, or name another folder")
        lines = [format_pose(stamp_ns, T.astype(np.float64)) for stamp_ns, T in poses]
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(paths[0], ("\n".join(lines) + "\n").encode())
            write_ply(paths[1], landmarks, np.full(landmarks.shape, 255, np.uint8))
        return paths
