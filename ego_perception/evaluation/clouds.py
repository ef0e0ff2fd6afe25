"""Point cloud scores of a clip as EgoMono4D publishes them, with the usual definitions beside them.

One weighted similarity over all pixel pairs of the clip brings the prediction to the truth, then each frame is scored alone.
The published Chamfer distance sums squared distances both ways (m^2) and its recall is no completeness; both are kept under
their own names so that numbers can be compared, next to the mean distance and the ordinary F-score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ego_perception.evaluation.depth import MAX_DEPTH_M, MIN_DEPTH_M
from ego_perception.geometry import PinholeCamera, Similarity, transform_points, umeyama

THRESHOLDS_M: Final = (0.01, 0.025, 0.05, 0.1)
_MAX_PAIRS_FOR_ALIGNMENT: Final = 2000
Float = NDArray[np.float64]


@dataclass(frozen=True)
class CloudScore:
    """Means over the scored frames.

    Attributes:
        chamfer_squared_m2: mean squared distance prediction to truth plus truth to prediction (published as "CD", times 1000).
        chamfer_m: mean distance, the average of both directions.
        f_published: F at `THRESHOLDS_M` with the published recall.
        f_score: F at `THRESHOLDS_M` with accuracy and completeness.
        scale: of the clip's alignment.
        num_frames: scored frames.
        frame_stride: 1 when every frame was scored, k when every k-th.
    """

    chamfer_squared_m2: float
    chamfer_m: float
    f_published: tuple[float, ...]
    f_score: tuple[float, ...]
    scale: float
    num_frames: int
    frame_stride: int


@dataclass(frozen=True, eq=False)
class _Pair:
    """One frame: depth images on one pixel grid as uint16 millimetres (0 = none), and where the cameras stand."""

    prediction: NDArray[np.uint16]
    truth: NDArray[np.uint16]
    camera: PinholeCamera
    T_world_cam: Float
    T_truth_cam: Float
    truth_camera: PinholeCamera

    def points(self) -> tuple[Float, Float]:
        """(N, 3) predicted and true world points of the pixels that have both."""
        both = (self.prediction > 0) & (self.truth > 0)
        predicted = self.camera.rays()[both] * (self.prediction[both, None] * 1e-3)
        true = self.truth_camera.rays()[both] * (self.truth[both, None] * 1e-3)
        return (
            np.asarray(transform_points(self.T_world_cam, predicted), np.float64),
            np.asarray(transform_points(self.T_truth_cam, true), np.float64),
        )


class CloudAccumulator:
    """Keeps depth pairs of at most `max_frames` frames, every k-th of a longer clip, and scores them at the end."""

    def __init__(self, max_frames: int = 300) -> None:
        self._max_frames = max_frames
        self._stride = 1
        self._num_seen = 0
        self._pairs: list[_Pair] = []

    def add(
        self,
        prediction: NDArray[np.floating],
        truth: NDArray[np.floating],
        camera: PinholeCamera,
        truth_camera: PinholeCamera,
        T_world_cam: Float,
        T_truth_cam: Float,
    ) -> None:
        """Add one frame.

        Args:
            prediction, truth: (h, w) metres on the same pixels; NaN or 0 where unknown.
            camera, truth_camera: estimated and true pinhole of these pixels.
            T_world_cam, T_truth_cam: camera in the estimate's and in the truth's world.
        """
        if self._num_seen % self._stride == 0:
            known = (truth >= MIN_DEPTH_M) & (truth <= MAX_DEPTH_M)
            kept = _to_millimetres(np.where(known, truth, 0.0))
            self._pairs.append(_Pair(_to_millimetres(prediction), kept, camera, T_world_cam, T_truth_cam, truth_camera))
            if len(self._pairs) > self._max_frames:
                self._pairs = self._pairs[::2]
                self._stride *= 2
        self._num_seen += 1

    def score(self) -> CloudScore | None:
        """Align the clip and score its frames; None when too few pixels have both depths."""
        clouds = [cloud for cloud in (pair.points() for pair in self._pairs) if len(cloud[0])]
        if sum(len(cloud[0]) for cloud in clouds) < 3:
            return None
        similarity = _align(clouds)
        squared, mean, published, usual = [], [], [], []
        for predicted, true in clouds:
            there, back = nearest_distances(similarity.apply(predicted), true)
            squared.append(chamfer(there, back, squared=True))
            mean.append(chamfer(there, back))
            published.append([f_score(there, back, radius, published=True) for radius in THRESHOLDS_M])
            usual.append([f_score(there, back, radius) for radius in THRESHOLDS_M])
        return CloudScore(
            float(np.mean(squared)),
            float(np.mean(mean)),
            tuple(float(v) for v in np.mean(published, axis=0)),
            tuple(float(v) for v in np.mean(usual, axis=0)),
            similarity.scale,
            len(clouds),
            self._stride,
        )


def nearest_distances(predicted: Float, true: Float) -> tuple[Float, Float]:
    """Distances from each predicted point to the nearest true one, and from each true point to the nearest predicted one."""
    there, _ = cKDTree(true).query(predicted)
    back, _ = cKDTree(predicted).query(true)
    return np.asarray(there), np.asarray(back)


def chamfer(there: Float, back: Float, *, squared: bool = False) -> float:
    """Chamfer distance from nearest distances.

    Returns:
        Half the sum of both mean distances in metres; or, `squared`, the sum of both mean squared distances in m^2.
    """
    if squared:
        return float(np.mean(there**2) + np.mean(back**2))
    return 0.5 * float(np.mean(there) + np.mean(back))


def f_score(there: Float, back: Float, radius_m: float, *, published: bool = False) -> float:
    """F-score at a radius, 0..1.

    Precision is the share of predicted points within the radius of the truth. Recall is the share of true points within the
    radius of the prediction; `published` follows kaolin instead: tp / (tp + fn) with tp counted on the prediction.
    """
    true_positive = float((there <= radius_m).sum())
    missed = float((back > radius_m).sum())
    precision = true_positive / len(there)
    if published:
        recall = true_positive / (true_positive + missed) if true_positive + missed else 0.0
    else:
        recall = 1.0 - missed / len(back)
    return 2 * precision * recall / (precision + recall + 1e-8)


def _align(clouds: list[tuple[Float, Float]]) -> Similarity:
    """One similarity from an even sample of each frame; frames weigh by their number of pixels."""
    sources, targets, weights = [], [], []
    for predicted, true in clouds:
        step = max(1, len(predicted) // _MAX_PAIRS_FOR_ALIGNMENT)
        sources.append(predicted[::step])
        targets.append(true[::step])
        weights.append(np.full(len(sources[-1]), len(predicted) / len(sources[-1])))
    return umeyama(np.concatenate(sources), np.concatenate(targets), weights=np.concatenate(weights))


def _to_millimetres(depth: NDArray[np.floating]) -> NDArray[np.uint16]:
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    return np.where((millimetres > 0) & (millimetres < 65535), millimetres, 0).astype(np.uint16)
