"""The whole real clip with the shipped network: the figures of the README within a margin, and recovery on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ego_perception.data import Encoding, Frame, SceneEstimate, TrackingState
from ego_perception.geometry import PinholeCamera, umeyama
from ego_perception.parameters import from_mapping
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.reconstruction.network import load_prior

pytestmark = pytest.mark.slow

CAMERA = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)
FPS = 15.0
Change = Callable[[int, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def clip(kitchen: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Image, depth (metres) and pose of every frame."""
    out = []
    for path in sorted(kitchen.glob("*.color.jpg")):
        stem = path.name.removesuffix(".color.jpg")
        depth = cv2.imread(str(kitchen / f"{stem}.depth.png"), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000
        out.append((cv2.imread(str(path)), depth, np.loadtxt(kitchen / f"{stem}.pose.txt")))
    return out


def reconstruct(clip: Any, change: Change = lambda _, image: image, **settings: object) -> list[SceneEstimate]:
    """Push the clip; keywords with a double underscore become dotted parameters."""
    config = from_mapping(ReconstructionConfig, {k.replace("__", "."): v for k, v in settings.items()})
    estimator = ReconstructionEstimator(config, load_prior())
    return [
        estimator.push(Frame(int(i / FPS * 1e9), change(i, image), Encoding.BGR, CAMERA, index=i))
        for i, (image, _, _) in enumerate(clip)
    ]


def ate_m(clip: Any, estimates: list[SceneEstimate]) -> float:
    """ATE RMSE after Sim(3) over frames with a pose."""
    known = [i for i, e in enumerate(estimates) if e.T_world_cam is not None]
    found = np.array([estimates[i].T_world_cam[:3, 3] for i in known])  # type: ignore[index]
    truth = np.array([clip[i][2][:3, 3] for i in known])
    return float(np.sqrt(((umeyama(found, truth).apply(found) - truth) ** 2).sum(1).mean()))


def depth_scores(clip: Any, estimates: list[SceneEstimate]) -> tuple[float, float]:
    """AbsRel and the share within 25 %, one scale per clip, every valid pixel of every frame."""
    found, truth = [], []
    for (_, depth, _), estimate in zip(clip, estimates, strict=True):
        assert estimate.depth is not None
        small = cv2.resize(depth, estimate.depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        valid = (small > 0.1) & (small < 10)
        found.append(estimate.depth[valid])
        truth.append(small[valid])
    f, t = np.concatenate(found), np.concatenate(truth)
    ratio = f / t * np.median(t / f)
    return float(np.abs(ratio - 1).mean()), float((np.maximum(ratio, 1 / ratio) < 1.25).mean())


@pytest.mark.parametrize("refine", [True, False])
def test_kitchen_figures(clip: Any, refine: bool) -> None:
    estimates = reconstruct(clip, intrinsics__refine=refine)
    assert all(e.T_world_cam is not None for e in estimates)
    assert ate_m(clip, estimates) < 0.05
    abs_rel, within = depth_scores(clip, estimates)
    assert abs_rel < 0.15
    assert within > 0.80
    fx = estimates[-1].camera.fx
    assert fx == pytest.approx(548, rel=0.04) if refine else fx == pytest.approx(585)


def blackout(i: int, image: np.ndarray) -> np.ndarray:
    """One second of darkness."""
    return np.zeros_like(image) if 60 <= i < 75 else image


def hand(i: int, image: np.ndarray) -> np.ndarray:
    """A textured thing over 70 % of the view for one second, moving on its own."""
    if not 60 <= i < 75:
        return image
    texture = cv2.resize(np.random.default_rng(3).integers(0, 255, (60, 80, 3), np.uint8), (900, 700))
    k, out = i - 60, image.copy()
    x, y = 50 + int(20 * np.sin(0.5 * k)), 50 + int(15 * np.cos(0.37 * k))
    start = 640 - int(448 * min(1.0, (k + 1) / 2))
    out[:, start:] = texture[y : y + 480, x : x + 640 - start]
    return out


@pytest.mark.parametrize("change", [blackout, hand])
def test_recovery_on_the_old_map_within_two_seconds(clip: Any, change: Change) -> None:
    estimates = reconstruct(clip, change)
    disturbed = estimates[60:75]
    assert sum(e.state is not TrackingState.TRACKING for e in disturbed) >= 10
    assert any(e.state is TrackingState.TRACKING for e in estimates[75:105])
    assert {e.map_id for e in estimates} == {0}
    assert ate_m(clip, estimates) < 2 * 0.044  # at most twice that of the undisturbed clip
