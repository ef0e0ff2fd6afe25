"""What pages and plots need of a result folder beyond its files: common scales, alignment to the truth, errors, intervals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import TrackingState
from ego_perception.data.result import FrameRecord, ResultReader
from ego_perception.data.tum import Trajectory
from ego_perception.errors import FrameError, SourceError
from ego_perception.evaluation import Alignment, align, associate
from ego_perception.geometry import Similarity
from ego_perception.viz.pictures import Picture, depth_range
from ego_perception.viz.upright import find_up, level_rotation

_log = logging.getLogger(__name__)
T = TypeVar("T")

_MIN_POSES: Final = 3
_SAMPLED_FRAMES: Final = 24


@dataclass(frozen=True)
class Interval:
    """A stretch of frames in one state; seconds since the first frame."""

    start_s: float
    end_s: float
    state: TrackingState
    reason: str


@dataclass(frozen=True, eq=False)
class Paths:
    """Camera paths seen from above, in the level axes of the estimate; metres of the truth where there is one.

    Attributes:
        time_s: (N,) seconds since the first frame.
        estimate: (N, 3).
        truth: (M, 3), or None.
        error_time_s: (K,) times of the poses that have a true counterpart.
        error_m: (K,) distance to it after the alignment.
        scale: what the estimate was multiplied with; 1 without truth.
    """

    time_s: NDArray[np.float64]
    estimate: NDArray[np.float64]
    truth: NDArray[np.float64] | None
    error_time_s: NDArray[np.float64]
    error_m: NDArray[np.float64]
    scale: float

    @property
    def rmse_m(self) -> float | None:
        """Root mean square of the position error, metres; None without truth."""
        return float(np.sqrt(np.mean(self.error_m**2))) if len(self.error_m) else None

    @property
    def length_m(self) -> float:
        """Length of the estimated path, metres."""
        return float(np.linalg.norm(np.diff(self.estimate, axis=0), axis=1).sum())


class ResultContent:
    """A result folder, with everything derived from it computed on first use.

    A damaged part counts as absent and is remembered in `unreadable`, so that a page can still be made and say so.

    Raises:
        SourceError: `path` is no result folder.
    """

    def __init__(self, path: Path) -> None:
        self.reader = ResultReader(path)
        self.path = path
        self.frames: list[FrameRecord] = self.reader.frames
        self.unreadable: set[str] = set()

    def image(self, frame: FrameRecord) -> Picture | None:
        """(H, W, 3) RGB picture of a frame, or None."""
        return self._load("image", self.reader.image, frame)

    def depth(self, frame: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) estimated metres, NaN where invalid, or None."""
        return self._load("depth", self.reader.depth, frame)

    def true_depth(self, frame: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) true metres, NaN where unknown, or None."""
        return self._load("truth", self.reader.true_depth, frame)

    def confidence(self, frame: FrameRecord) -> NDArray[np.float32] | None:
        """(h, w) in 0..1, or None."""
        return self._load("confidence", self.reader.confidence, frame)

    def hand_free(self, frame: FrameRecord) -> Picture | None:
        """(H, W, 3) RGB picture without hands, or None."""
        return self._load("hand_free", self.reader.hand_free, frame)

    def hand_mask(self, frame: FrameRecord) -> NDArray[np.uint8] | None:
        """(H, W) `HandLabel` values, or None."""
        return self._load("hand_mask", self.reader.hand_mask, frame)

    def provenance(self, frame: FrameRecord) -> NDArray[np.uint8] | None:
        """(H, W) `Provenance` values, or None."""
        return self._load("provenance", self.reader.provenance, frame)

    @property
    def has_reconstruction(self) -> bool:
        """Reconstruction was among the tasks of the run."""
        return "reconstruction" in self.reader.run.get("tasks", ["reconstruction"])

    @cached_property
    def cloud(self) -> tuple[NDArray[np.float32], Picture]:
        """(N, 3) fused points in world metres and their colours; empty where there are none."""
        stored = self._read("cloud.ply", self.reader.cloud)
        return (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)) if stored is None else stored

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Scores as stored, None without."""
        return self._read("metrics.json", lambda: self.reader.metrics)

    @cached_property
    def timing(self) -> dict[str, Any] | None:
        """Wall-clock figures as stored, None without."""
        return self._read("timing.json", lambda: self.reader.timing)

    @property
    def num_maps(self) -> int:
        """How many maps the run needed; poses of different maps share no world."""
        return len({f.map_id for f in self.frames})

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except SourceError as error:
            _log.warning("%s is left out: %s", name, error)
            self.unreadable.add(name)
            return None

    def _load(self, kind: str, read: Callable[[FrameRecord], T], frame: FrameRecord) -> T | None:
        try:
            return read(frame)
        except FrameError as error:
            _log.warning("%s of frame %d is left out: %s", kind, frame.index, error)
            self.unreadable.add(f"{kind} {frame.index}")
            return None

    @property
    def start_ns(self) -> int:
        """Stamp of the first kept frame."""
        return self.frames[0].stamp_ns if self.frames else 0

    @property
    def duration_s(self) -> float:
        """From the first kept frame to the last, seconds."""
        return self.time_s(self.frames[-1]) if self.frames else 0.0

    def time_s(self, frame: FrameRecord) -> float:
        """Seconds of a frame since the first one."""
        return (frame.stamp_ns - self.start_ns) * 1e-9

    @cached_property
    def state_counts(self) -> Counter[TrackingState]:
        """How many kept frames are in each state."""
        return Counter(f.state for f in self.frames)

    @cached_property
    def depth_limits(self) -> tuple[float, float]:
        """Near and far end of the depth scale shared by all pictures, metres."""
        return depth_range(d for f in self.sampled() if (d := self.depth(f)) is not None)

    @cached_property
    def up(self) -> NDArray[np.float64]:
        """(3,) direction away from gravity in the world, estimated from surfaces; world z where unclear."""
        views = ((self.depth(f), f.camera, f.T_world_cam) for f in self.sampled())
        return find_up((d, camera, T) for d, camera, T in views if d is not None and T is not None)

    def sampled(self, count: int = _SAMPLED_FRAMES) -> list[FrameRecord]:
        """At most `count` frames spread evenly over the recording."""
        if not self.frames:
            return []
        picks = np.unique(np.round(np.linspace(0, len(self.frames) - 1, count)).astype(int))
        return [self.frames[i] for i in picks]

    @cached_property
    def _matched(self) -> tuple[Trajectory, Trajectory] | None:
        """Estimated and true poses of the same moments; None for fewer than three."""
        estimate, truth = self.reader.trajectory, self.reader.truth
        if estimate is None or truth is None or len(estimate) == 0 or len(truth) == 0:
            return None
        pairs = associate(estimate, truth)
        return pairs if len(pairs[0]) >= _MIN_POSES else None

    @cached_property
    def alignment(self) -> Similarity | None:
        """The similarity that takes the estimate's world to the truth's; None without at least three true poses."""
        return None if self._matched is None else align(*self._matched, Alignment.SIM3)[1]

    @cached_property
    def paths(self) -> Paths | None:
        """Both camera paths for plotting; None without a trajectory."""
        estimate, truth = self.reader.trajectory, self.reader.truth
        if estimate is None or len(estimate) == 0:
            return None
        level = level_rotation(self.up)
        time_s = self._seconds(estimate.stamps_ns)
        s = self.alignment
        if truth is None or s is None or self._matched is None:
            return Paths(time_s, estimate.positions @ level.T, None, np.zeros(0), np.zeros(0), 1.0)
        mine, true = self._matched
        error = np.linalg.norm(s.apply(mine.positions) - true.positions, axis=1)
        # Axes of the estimate (level, first view ahead), metres of the truth.
        true_in_estimate = (truth.positions - s.t) @ s.R @ level.T
        mine_scaled = s.scale * estimate.positions @ level.T
        return Paths(time_s, mine_scaled, true_in_estimate, self._seconds(mine.stamps_ns), error, s.scale)

    def _seconds(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray((stamps_ns - self.start_ns) * 1e-9, np.float64)

    def truth_in_world(self) -> NDArray[np.float64] | None:
        """(M, 3) true camera positions in the estimate's own world and scale, or None."""
        truth = self.reader.truth
        if truth is None or self.alignment is None:
            return None
        s = self.alignment
        positions: NDArray[np.float64] = (truth.positions - s.t) @ s.R / s.scale
        return positions

    @cached_property
    def depth_scale(self) -> float | None:
        """The one factor per recording that brings estimated to true depth (median ratio); None without true depth."""
        ratios = []
        for frame in self.sampled():
            pair = self._depth_pair(frame)
            if pair is not None:
                ratios.append((pair[1] / pair[0])[::4, ::4].ravel())
        values = np.concatenate(ratios) if ratios else np.zeros(0)
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else None

    def depth_error(self, frame: FrameRecord) -> NDArray[np.float32] | None:
        """(H, W) relative depth error |s d - t| / t after the recording's one scale, NaN where unknown; None without truth."""
        pair = self._depth_pair(frame)
        if pair is None or self.depth_scale is None:
            return None
        estimate, truth = pair
        error: NDArray[np.float32] = np.abs(np.float32(self.depth_scale) * estimate - truth) / truth
        return error

    def _depth_pair(self, frame: FrameRecord) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Estimated and true depth of a frame at the estimate's size, metres; None where one is missing."""
        estimate, truth = self.depth(frame), self.true_depth(frame)
        if estimate is None or truth is None:
            return None
        if truth.shape != estimate.shape:
            resized = cv2.resize(truth, (estimate.shape[1], estimate.shape[0]), interpolation=cv2.INTER_NEAREST)
            truth = np.asarray(resized, np.float32)
        return estimate, truth

    @cached_property
    def intervals(self) -> list[Interval]:
        """Every stretch of frames that was not TRACKING, in order; one that ends lasts until the next frame."""
        found: list[Interval] = []
        times = [self.time_s(f) for f in self.frames]
        for k, frame in enumerate(self.frames):
            if frame.state is TrackingState.TRACKING:
                continue
            end_s = times[min(k + 1, len(times) - 1)]
            last = found[-1] if found else None
            if last and last.end_s == times[k] and (last.state, last.reason) == (frame.state, frame.reason):
                found[-1] = Interval(last.start_s, end_s, frame.state, frame.reason)
            else:
                found.append(Interval(times[k], end_s, frame.state, frame.reason))
        return found
