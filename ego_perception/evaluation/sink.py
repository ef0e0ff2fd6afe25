"""The end of a pipeline that scores scene estimates against the truth that rides with their frames."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneEstimate
from ego_perception.data.tum import Trajectory, make_trajectory
from ego_perception.errors import EgoPerceptionError
from ego_perception.evaluation.clouds import CloudAccumulator
from ego_perception.evaluation.depth import DepthAccumulator, DepthScore
from ego_perception.evaluation.result import ONE_SCALE, Metrics
from ego_perception.evaluation.trajectory import TrajectoryScore, score_trajectory

CONFIDENT: Final = 0.5


class EvaluationSink:
    """Gathers what is needed to score a run; `metrics` may be asked at any time, also after an interrupt.

    A predicted depth image smaller than the true one is scored at every true pixel, each taking the predicted pixel it lies in.

    Args:
        source: name for the result.
        with_clouds: also score point clouds, which costs some 50 ms per frame at the end.
    """

    name = "evaluation"

    def __init__(self, source: str, *, with_clouds: bool = False) -> None:
        self._source = source
        self._stamps: list[int] = []
        self._poses: list[NDArray[np.float64]] = []
        self._truth_stamps: list[int] = []
        self._truth_poses: list[NDArray[np.float64]] = []
        self._depth = DepthAccumulator()
        self._confident = DepthAccumulator()
        self._constant = DepthAccumulator()
        self._clouds = CloudAccumulator() if with_clouds else None
        self._states: dict[str, int] = {}
        self._maps: set[int] = set()
        self._num_frames = 0

    def write(self, item: SceneEstimate) -> None:
        """Take one estimate; frames without truth count by state alone."""
        self._num_frames += 1
        self._states[item.state.name] = self._states.get(item.state.name, 0) + 1
        if item.T_world_cam is not None:
            self._stamps.append(item.frame.stamp_ns)
            self._poses.append(item.T_world_cam)
            self._maps.add(item.map_id)
        truth = item.frame.truth
        if truth is None:
            return
        if truth.T_world_cam is not None:
            self._truth_stamps.append(item.frame.stamp_ns)
            self._truth_poses.append(truth.T_world_cam)
        if truth.depth is not None:
            self._add_depth(item, truth.depth)

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def has_truth(self) -> bool:
        """True when a frame brought ground truth."""
        return bool(self._truth_stamps) or not self._constant.is_empty

    def trajectories(self) -> tuple[Trajectory, Trajectory]:
        """The estimated and the true poses so far."""
        return make_trajectory(self._stamps, self._poses), make_trajectory(self._truth_stamps, self._truth_poses)

    def metrics(self) -> Metrics:
        """Score what came so far."""
        notes: list[str] = []
        return Metrics(
            source=self._source,
            num_frames=self._num_frames,
            states=dict(sorted(self._states.items())),
            num_maps=len(self._maps),
            trajectory=self._score_trajectory(notes),
            depth=self._score_depth(),
            constant_depth=None if self._constant.is_empty else self._constant.one_scale(),
            clouds=None if self._clouds is None else self._clouds.score(),
            notes=tuple(notes),
        )

    def _add_depth(self, estimate: SceneEstimate, truth: NDArray[np.float32]) -> None:
        self._constant.add(np.ones_like(truth), truth)
        if estimate.depth is None or estimate.depth_camera is None:
            self._depth.add(np.full_like(truth, np.nan), truth)
            return
        self._depth.add(_resize(estimate.depth, truth.shape), truth)
        if estimate.confidence is not None:
            confident = _resize(estimate.confidence, truth.shape) >= CONFIDENT
            self._confident.add(np.where(confident, _resize(estimate.depth, truth.shape), np.nan), truth)
        T_truth = None if estimate.frame.truth is None else estimate.frame.truth.T_world_cam
        if self._clouds is not None and estimate.T_world_cam is not None and T_truth is not None:
            shape, camera = estimate.depth.shape, estimate.depth_camera
            given = estimate.frame.camera or estimate.camera
            true_camera = given.resized(shape[1], shape[0])
            self._clouds.add(estimate.depth, _resize(truth, shape), camera, true_camera, estimate.T_world_cam, T_truth)

    def _score_trajectory(self, notes: list[str]) -> TrajectoryScore | None:
        if not self._truth_stamps:
            return None
        if not self._stamps:
            notes.append("no frame got a pose")
            return None
        try:
            score = score_trajectory(*self.trajectories())
        except EgoPerceptionError as error:
            notes.append(f"trajectory not scored: {error}")
            return None
        if len(self._maps) > 1:
            notes.append(
                f"{len(self._maps)} maps share no world; one alignment over all of them makes the ATE worse, not better"
            )
        return score

    def _score_depth(self) -> dict[str, DepthScore]:
        if self._depth.is_empty:
            return {}
        scores = {
            ONE_SCALE: self._depth.one_scale(),
            "one scale per frame": self._depth.per_frame_scale(),
            "own metres": self._depth.metric(),
            "scale and shift per clip": self._depth.scale_and_shift(),
        }
        if not self._confident.is_empty:
            scores[f"{ONE_SCALE}, confident pixels"] = self._confident.one_scale()
        return scores


def _resize(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if image.shape == shape:
        return image
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT), np.float32)
