"""What one frame costs in the estimator, against plain OpenCV DIS optical flow of the same pictures in the same loop."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from ego_perception.cli.benchmarks.row import BenchmarkRow, Milliseconds, timed
from ego_perception.data import Frame
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.reconstruction.network import load_prior


def front_end_rows(frames: Sequence[Frame]) -> list[BenchmarkRow]:
    """Push frames through a fresh estimator; between any two, time one DIS flow (preset FAST, full size, one thread)."""
    estimator = ReconstructionEstimator(ReconstructionConfig(), load_prior())
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    ours: list[float] = []
    plain: list[float] = []
    for before, frame in itertools.pairwise(frames):
        out = np.zeros((*frame.grey.shape, 2), np.float32)
        plain.append(timed(partial(flow.calc, before.grey, frame.grey, out)))
        ours.append(timed(partial(estimator.push, frame)))
    size = f"{frames[0].size[0]}x{frames[0].size[1]}"
    mine, peer = Milliseconds.of(ours[2:]), Milliseconds.of(plain[2:])
    name = f"DIS flow alone, {size}"
    return [
        BenchmarkRow(f"estimator per frame, {size}: p50, ms", mine.p50, f"{name}: p50", peer.p50),
        BenchmarkRow(f"estimator per frame, {size}: p95, ms", mine.p95, f"{name}: p95", peer.p95),
        BenchmarkRow(f"estimator per frame, {size}: worst, ms", mine.worst, f"{name}: worst", peer.worst),
    ]
