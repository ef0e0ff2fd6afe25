"""Reading of a result folder, also of one whose run was killed; for the viewer, the report and tests."""

from __future__ import annotations

import json
import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.images import read_depth, read_image
from ego_perception.data.result.cloud import read_ply
from ego_perception.data.result.layout import ResultLayout
from ego_perception.data.result.record import FrameRecord
from ego_perception.data.tum import Trajectory, read_tum
from ego_perception.errors import FrameError, SourceError

_log = logging.getLogger(__name__)


class ResultReader:
    """One result folder.

    Raises:
        SourceError: on construction, where no run has written.
    """

    def __init__(self, out: Path) -> None:
        self.layout = ResultLayout(out)
        if not self.layout.run.is_file():
            raise SourceError(f"'{out}' is no result folder: run.json is missing; make one with `ego run SOURCE -o {out}`")

    @cached_property
    def run(self) -> dict[str, Any]:
        """What `RunRecord.to_json` gave."""
        return _read_json(self.layout.run)

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Scores against ground truth, None where there were none."""
        return _read_json(self.layout.metrics) if self.layout.metrics.is_file() else None

    @cached_property
    def timing(self) -> dict[str, Any] | None:
        """Wall-clock figures, None for a killed run."""
        return _read_json(self.layout.timing) if self.layout.timing.is_file() else None

    @cached_property
    def frames(self) -> list[FrameRecord]:
        """The kept frames in order; a last line that was cut off is left out."""
        if not self.layout.frames_log.is_file():
            return []
        records = []
        for line in self.layout.frames_log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(FrameRecord.from_line(line))
            except SourceError as error:
                _log.warning("%s", error)
        return records

    @cached_property
    def trajectory(self) -> Trajectory | None:
        """Estimated poses, None where there is not one."""
        return _read_trajectory(self.layout.trajectory)

    @cached_property
    def truth(self) -> Trajectory | None:
        """True poses in the recording's own world, None where there are none."""
        return _read_trajectory(self.layout.truth)

    def cloud(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(N, 3) points in world metres and (N, 3) RGB; empty while a run has not written any."""
        if not self.layout.cloud.is_file():
            return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
        return read_ply(self.layout.cloud)

    def image(self, record: FrameRecord) -> NDArray[np.uint8]:
        """(H, W, 3) RGB picture of a frame.

        Raises:
            FrameError: missing or damaged.
        """
        return np.ascontiguousarray(read_image(self._path(record, "image"))[..., ::-1])

    def depth(self, record: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) metres, NaN where invalid; None without depth."""
        return self._depth(record, "depth")

    def true_depth(self, record: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) metres, NaN where unknown; None without truth."""
        return self._depth(record, "truth")

    def confidence(self, record: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) in 0..1; None without."""
        if "confidence" not in record.files:
            return None
        return read_image(self._path(record, "confidence"))[..., 0].astype(np.float32) / np.float32(255.0)

    def hand_free(self, record: FrameRecord) -> NDArray[np.uint8] | None:
        """(H, W, 3) RGB picture without hands; None where it was withheld or hands were not removed."""
        if "hand_free" not in record.files:
            return None
        return np.ascontiguousarray(read_image(self._path(record, "hand_free"))[..., ::-1])

    def hand_mask(self, record: FrameRecord) -> NDArray[np.uint8] | None:
        """(H, W) `HandLabel` values; None without."""
        return self._codes(record, "hand_mask")

    def provenance(self, record: FrameRecord) -> NDArray[np.uint8] | None:
        """(H, W) `Provenance` values of the picture without hands; None without."""
        return self._codes(record, "provenance")

    def _codes(self, record: FrameRecord, kind: str) -> NDArray[np.uint8] | None:
        if kind not in record.files:
            return None
        return np.ascontiguousarray(read_image(self._path(record, kind))[..., 0])

    def _depth(self, record: FrameRecord, kind: str) -> NDArray[np.float32] | None:
        if kind not in record.files:
            return None
        depth = read_depth(self._path(record, kind))
        depth[depth == 0] = np.nan
        return depth

    def _path(self, record: FrameRecord, kind: str) -> Path:
        name = record.files.get(kind, "")
        if not name or Path(name).name != name:
            raise FrameError(f"frame {record.index} names no {kind} file")
        return self.layout.frames / name


def _read_trajectory(path: Path) -> Trajectory | None:
    try:
        return read_tum(path) if path.is_file() else None
    except SourceError:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"'{path}' cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"'{path}' holds no JSON object")
    return content
