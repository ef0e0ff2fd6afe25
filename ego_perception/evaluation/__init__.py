"""Scores of estimates against ground truth: trajectories, depth and clouds, gathered while a pipeline runs."""

from ego_perception.evaluation.clouds import CloudAccumulator, CloudScore, chamfer, f_score
from ego_perception.evaluation.depth import DepthAccumulator, DepthScore
from ego_perception.evaluation.result import Metrics, Row
from ego_perception.evaluation.sink import EvaluationSink
from ego_perception.evaluation.trajectory import Alignment, TrajectoryScore, align, associate, score_trajectory

__all__ = [
    "Alignment",
    "CloudAccumulator",
    "CloudScore",
    "DepthAccumulator",
    "DepthScore",
    "EvaluationSink",
    "Metrics",
    "Row",
    "TrajectoryScore",
    "align",
    "associate",
    "chamfer",
    "f_score",
    "score_trajectory",
]
