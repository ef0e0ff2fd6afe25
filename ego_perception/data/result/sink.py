"""The end of a pipeline that writes a result folder; domain-free of ROS, the result bag is another sink."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.result.cloud import VoxelCloud, write_ply
from ego_perception.data.result.frame_log import FrameLog
from ego_perception.data.result.layout import ResultLayout, output_errors, write_json
from ego_perception.data.result.record import RunRecord
from ego_perception.data.scene import SceneEstimate
from ego_perception.data.tum import TumWriter
from ego_perception.errors import OutputError
from ego_perception.geometry import transform_points

_EDGE_SPREAD: Final = 0.08
"""A point is on a depth edge when its neighbours differ by this share of its depth: there, two surfaces mix."""


class ResultSink:
    """Writes poses, pictures and a fused cloud of scene estimates as they come.

    Every pose and every kept frame is on disk when `write` returns; the cloud is replaced every `cloud_every` frames and at
    the end. After a write failed, what was written stays, `failure` holds the reason, and further frames are refused.

    Args:
        out: the folder; an earlier result in it is replaced.
        record: what is known of the run at its start.
        max_frames: upper bound of pictures kept.
        voxel_m: resolution of the cloud, metres.
        min_confidence: points below it are not fused.
        cloud_every: frames between two versions of the cloud file.

    Raises:
        OutputError: the folder cannot be written or has no space.
    """

    name = "result"

    def __init__(
        self,
        out: Path,
        record: RunRecord,
        *,
        max_frames: int = 400,
        voxel_m: float = 0.02,
        min_confidence: float = 0.5,
        cloud_every: int = 150,
    ) -> None:
        self.layout = ResultLayout(out)
        self.record = record
        self.failure: OutputError | None = None
        self.num_states: dict[str, int] = {}
        self._voxel_m = voxel_m
        self._min_confidence = min_confidence
        self._cloud_every = cloud_every
        self._clouds: dict[int, VoxelCloud] = {}
        self._num_written = 0
        self.layout.prepare()
        with output_errors(out):
            write_json(self.layout.run, record.to_json())
            self._poses = TumWriter(self.layout.trajectory)
            self._truth: TumWriter | None = None
            self._frames = FrameLog(self.layout.frames, self.layout.frames_log, max_frames)

    def write(self, item: SceneEstimate) -> None:
        """Write one estimate.

        Raises:
            OutputError: the disk is full or gone.
        """
        if self.failure is not None:
            return
        try:
            with output_errors(self.layout.root):
                self._write(item)
        except OutputError as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Write the last version of the cloud and close the files; a result without poses has an empty cloud.

        Raises:
            OutputError: the disk is full or gone.
        """
        with output_errors(self.layout.root):
            try:
                self._write_cloud()
            finally:
                self._poses.close()
                self._frames.close()
                if self._truth is not None:
                    self._truth.close()

    def finish(self, record: RunRecord) -> None:
        """Replace `run.json` by its final version.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.record = record
        with output_errors(self.layout.root):
            write_json(self.layout.run, record.to_json())

    def _write(self, estimate: SceneEstimate) -> None:
        frame = estimate.frame
        self.num_states[estimate.state.name] = self.num_states.get(estimate.state.name, 0) + 1
        if estimate.T_world_cam is not None:
            self._poses.write(frame.stamp_ns, estimate.T_world_cam)
        if frame.truth is not None and frame.truth.T_world_cam is not None:
            if self._truth is None:
                self._truth = TumWriter(self.layout.truth)
            self._truth.write(frame.stamp_ns, frame.truth.T_world_cam)
        self._frames.write(self._num_written, estimate)
        self._fuse(estimate)
        self._num_written += 1
        if self._num_written % self._cloud_every == 0:
            self._write_cloud()

    def _fuse(self, estimate: SceneEstimate) -> None:
        points, depth = estimate.points, estimate.depth
        if estimate.T_world_cam is None or points is None or depth is None:
            return
        confidence = np.ones_like(depth) if estimate.confidence is None else estimate.confidence
        keep = (confidence >= self._min_confidence) & ~_on_edge(depth)
        if estimate.frame.ignore is not None:
            keep &= ~_resize(estimate.frame.ignore.astype(np.uint8), depth.shape, cv2.INTER_NEAREST).astype(bool)
        colours = _resize(estimate.frame.rgb, depth.shape, cv2.INTER_AREA)
        world = transform_points(estimate.T_world_cam, points[keep])
        cloud = self._clouds.setdefault(estimate.map_id, VoxelCloud(self._voxel_m))
        cloud.add(world.astype(np.float32), colours[keep], confidence[keep])

    def _write_cloud(self) -> None:
        """Maps that share no world cannot be joined: the largest one is the result."""
        largest = max(self._clouds.values(), key=len, default=VoxelCloud(self._voxel_m))
        write_ply(self.layout.cloud, *largest.points())


def _on_edge(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True where depth is invalid or changes steeply within the 3x3 neighbourhood."""
    filled = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(filled, kernel) - cv2.erode(np.where(filled > 0, filled, np.float32(1e9)), kernel)
    return np.asarray((filled <= 0) | (spread > _EDGE_SPREAD * filled))


def _resize(image: NDArray[Any], shape: tuple[int, ...], interpolation: int) -> NDArray[Any]:
    if image.shape[:2] == shape:
        return image
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (shape[1], shape[0]), interpolation=interpolation))
