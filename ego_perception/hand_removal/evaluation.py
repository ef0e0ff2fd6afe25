"""Scores hand removal and its baselines on clips with exact truth, all on the same frames and masks in the same run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.hand_removal import HandLabel, Provenance
from ego_perception.errors import SourceError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.baselines import forgetful, navier_stokes, propagation_and_telea, telea
from ego_perception.hand_removal.fill.painter import Painted, Painter
from ego_perception.hand_removal.finder import HandFinder, Segmenter
from ego_perception.hand_removal.metrics import background_flow, flicker, moved
from ego_perception.hand_removal.removal_scores import MethodScore, RemovalScores
from ego_perception.hand_removal.true_masks import true_hole, true_labels
from ego_perception.hand_removal.visibility import SeenBefore

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

OURS: Final = "ours"
GUIDED: Final = "ours_with_depth_and_pose"
"""The same with the true depth and pose of each frame for the memory: what a perfect reconstruction beside it would bring."""
NEEDED: Final = ("classes", "clean_shadowed", "clean_depth", "T_world_cam")
_STILL: Final = 10  # grey levels by which the true background may change, after its motion, and still count as static


class Painters(NamedTuple):
    """One painter for each method that has one, for they remember images.

    Attributes:
        own: of the estimator; alone: forgets every frame, the single-frame baseline; guided: of `GUIDED`.
    """

    own: Painter
    alone: Painter
    guided: Painter


class _Scored(NamedTuple):
    """One frame's outputs and what they are compared with.

    Attributes:
        outputs: (H, W, 3) by method.
        hole: (H, W) what is scored.
        clean, depth, T_world_cam: the true picture, its depth and the camera's pose.
    """

    outputs: dict[str, Image]
    hole: Mask
    clean: Image
    depth: NDArray[np.float32]
    T_world_cam: NDArray[np.float64]


def score_clip(
    frames: Iterable[Frame],
    painters: Painters | None,
    scores: RemovalScores,
    segmenter: Segmenter | None = None,
) -> None:
    """Run all methods over one clip and add to the scores.

    Args:
        painters: None leaves their methods out; provenance is then that of the remembered background.
        segmenter: finds the hands for all methods; what it misses is scored as well. None takes the true hands.

    Raises:
        SourceError: a frame lacks the truth that is needed, or the weights are unusable.
    """
    plate, guided = BackgroundPlate(BackgroundConfig()), BackgroundPlate(BackgroundConfig())
    for painter in painters or ():
        painter.reset()
    seen_before: SeenBefore | None = None
    last: _Scored | None = None
    finder = None if segmenter is None else HandFinder(segmenter)
    for frame in frames:
        truth, camera = _checked(frame)
        assert truth.clean_depth is not None and truth.T_world_cam is not None and truth.clean_shadowed is not None
        seen_before = seen_before or SeenBefore(camera)
        true = true_hole(truth, frame.size)
        found = None if finder is None else finder.find(frame.rgb, frame.stamp_ns)
        removed = true if found is None else found.hole
        movers = (true_labels(truth) == HandLabel.HELD_OBJECT) & ~true if found is None else found.held()
        doubtful = None if found is None else found.doubt.where
        hole = removed | true
        seen = seen_before.add(truth.clean_depth, hole, truth.T_world_cam)
        shown: dict[str, Any] = {"camera": camera, "movers": movers, "doubtful": doubtful}
        background = plate.push(frame.rgb, removed, frame.stamp_ns, **shown)
        outputs, marked = _outputs(frame.rgb, removed, background, painters)
        if painters is not None and truth.depth is not None:
            geometry = SceneGeometry(frame.stamp_ns, truth.depth, truth.T_world_cam, camera)
            known = guided.push(frame.rgb, removed, frame.stamp_ns, **shown, geometry=geometry)
            outputs[GUIDED] = _painted(painters.guided, frame.rgb, removed, known).image
        scores.add_provenance(marked, hole, seen)
        for name, image in outputs.items():
            scores.methods.setdefault(name, MethodScore()).add(image, truth.clean_shadowed, hole, seen)
        if scores.perceptual is not None:
            scores.perceptual.add(outputs, truth.clean_shadowed, hole)
        now = _Scored(outputs, hole, truth.clean_shadowed, truth.clean_depth, truth.T_world_cam)
        if last is not None:
            _add_flicker(scores, now, last, camera)
        last = now


def _outputs(rgb: Image, hole: Mask, background: Background, painters: Painters | None) -> tuple[dict[str, Image], Mask]:
    """The picture of each method, and which pixels count as seen before."""
    outputs = {
        "telea": telea(rgb, hole),
        "navier_stokes": navier_stokes(rgb, hole),
        "propagation_telea": propagation_and_telea(background, hole),
    }
    if painters is None:
        return outputs, background.observed
    painted = _painted(painters.own, rgb, hole, background)
    painters.alone.reset()
    alone = _painted(painters.alone, rgb, hole, forgetful(rgb, hole))
    return {OURS: painted.image, **outputs, "single_frame_fill": alone.image}, painted.provenance == Provenance.OBSERVED


def _painted(painter: Painter, rgb: Image, hole: Mask, background: Background) -> Painted:
    painted = painter.paint(rgb, hole, background)
    if painted is None:
        raise SourceError("the fill network gave numbers that are not finite; train it anew")
    return painted


def _add_flicker(scores: RemovalScores, now: _Scored, last: _Scored, camera: PinholeCamera) -> None:
    """Compare fills with those of the frame before where the true background is static."""
    flow = background_flow(now.depth, camera, now.T_world_cam, last.T_world_cam)
    change = np.abs(moved(last.clean, flow).astype(np.int16) - now.clean).max(axis=2)
    static = now.hole & (change <= _STILL)
    for name, image in now.outputs.items():
        total, count = flicker(image, last.outputs[name], flow, static, last.hole)
        scores.methods[name].flicker_sum += total
        scores.methods[name].flicker_count += count


def _checked(frame: Frame) -> tuple[FrameTruth, PinholeCamera]:
    truth = frame.truth
    if truth is None or frame.camera is None or any(getattr(truth, name) is None for name in NEEDED):
        raise SourceError(f"frame {frame.index} lacks {', '.join(NEEDED)} or its camera; render clips with --products clean")
    if frame.camera.is_distorted:
        raise SourceError("hand removal is scored on images without lens distortion; render clips with --photo off")
    return truth, frame.camera
