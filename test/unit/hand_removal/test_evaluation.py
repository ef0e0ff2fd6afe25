"""Scores of hand removal on scenes whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.hand_clips import CAMERA, HAND_RGB, SIZE, hand_columns, hand_frames

from ego_perception.data import Frame
from ego_perception.data.hand_removal import Provenance
from ego_perception.errors import SourceError
from ego_perception.geometry import DistortionModel
from ego_perception.hand_removal.evaluation import GUIDED, OURS, Painters, score_clip
from ego_perception.hand_removal.fill.painter import Painted
from ego_perception.hand_removal.removal_scores import HEADINGS, MethodScore, RemovalScores, about, cells, markdown
from ego_perception.hand_removal.segmentation.sizes import HandClass
from ego_perception.hand_removal.true_masks import true_hole

METHODS = [OURS, "telea", "navier_stokes", "propagation_telea", "single_frame_fill"]


class Oracle:
    """A painter that knows the truth, off by `error` in the hole, in every other frame where `blinks`; marks all as `mark`."""

    name = "oracle"

    def __init__(self, frames: list[Frame], error: int = 0, mark: Provenance = Provenance.OBSERVED, *, blinks: bool = False):
        self.truths = {frame.rgb.tobytes(): frame.truth.clean_shadowed for frame in frames if frame.truth}
        self.error, self.mark, self.blinks, self.count = error, mark, blinks, 0

    def reset(self) -> None: ...

    def paint(self, rgb: np.ndarray, hole: np.ndarray, background: Any) -> Painted:
        self.count += 1
        error = self.error if not self.blinks or self.count % 2 else 0
        image = self.truths[rgb.tobytes()].astype(np.int16)
        image[hole] += error
        provenance = np.where(hole, self.mark, Provenance.LIVE).astype(np.uint8)
        zeros = np.zeros(hole.shape, np.float32)
        return Painted(np.clip(image, 0, 255).astype(np.uint8), provenance, zeros, zeros)


def scored(frames: list[Frame], **options: Any) -> RemovalScores:
    scores = RemovalScores()
    score_clip(frames, Painters(*(Oracle(frames, **options) for _ in range(3))), scores)  # type: ignore[arg-type]
    return scores


def test_the_truth_scores_perfectly_and_inpainting_does_not() -> None:
    scores = scored(hand_frames(5))
    assert list(scores.methods) == METHODS
    row = scores.methods[OURS].row()
    assert row["psnr"] == row["psnr_observed"] == row["psnr_unobserved"] == row["composite_psnr"] == math.inf
    assert row["ssim"] == pytest.approx(1) and row["flicker"] == 0
    telea = scores.methods["telea"].row()
    assert telea["psnr"] < 30 and telea["ssim"] < 0.9 and telea["flicker"] > 1


def test_what_was_shown_before_is_filled_from_memory() -> None:
    """The hand uncovers the wall in each frame and covers what was seen."""
    scores = scored(hand_frames(6))
    remembered = scores.methods["propagation_telea"].row()
    assert remembered["psnr_observed"] > scores.methods["telea"].row()["psnr_observed"] + 3
    assert remembered["psnr_observed"] > remembered["psnr_unobserved"] + 3


def test_an_error_of_10_levels_is_28_db() -> None:
    frames = hand_frames(4)
    row = scored(frames, error=10).methods[OURS].row()
    assert row["psnr"] == pytest.approx(20 * math.log10(25.5), abs=0.01)
    assert row["frame_psnr"] == pytest.approx(row["psnr"])
    assert row["composite_psnr"] > row["psnr"] + 5
    assert row["flicker"] < 0.1


def test_true_depth_and_pose_make_one_more_method() -> None:
    frames = [replace(f, truth=replace(f.truth, depth=f.truth.clean_depth)) for f in hand_frames(3) if f.truth]
    methods = scored(frames, error=10).methods
    assert list(methods) == [*METHODS, GUIDED] and methods[GUIDED].row()["psnr"] == pytest.approx(28.13, abs=0.01)


def test_a_blinking_fill_flickers_by_what_it_blinks() -> None:
    assert scored(hand_frames(6), error=8, blinks=True).methods[OURS].row()["flicker"] == pytest.approx(8, abs=0.3)


def test_provenance_is_counted_against_geometry() -> None:
    frames = hand_frames(4)
    scores = scored(frames)
    assert scores.coverage == 1 and 0 < scores.seen < scores.hole
    assert scores.provenance_precision == pytest.approx(scores.seen / scores.hole)
    assert scored(frames, mark=Provenance.GENERATED).coverage == 0
    still = scored([replace(frames[0], stamp_ns=k, index=k) for k in range(3)])
    assert still.seen == 0 and still.provenance_precision == 0


def test_without_weights_the_memory_marks_and_two_methods_are_left_out() -> None:
    scores = RemovalScores()
    score_clip(hand_frames(5), None, scores)
    assert list(scores.methods) == METHODS[1:4]
    assert scores.provenance_precision > 0.95 and scores.coverage > 0.5


class Blind:
    """A segmenter that finds nothing, or the hand when told the clip."""

    name = "blind"

    def __init__(self, *, sees: bool) -> None:
        self.sees = sees

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        out = np.zeros((len(HandClass), *rgb.shape[:2]), np.float32)
        is_hand = (rgb == np.array(HAND_RGB, np.uint8)).all(axis=2) & self.sees
        out[HandClass.RIGHT_HAND], out[0] = is_hand, ~is_hand
        return out


def test_hands_that_the_segmenter_misses_are_scored() -> None:
    frames = hand_frames(3)
    blind, seeing, exact = RemovalScores(), RemovalScores(), RemovalScores()
    score_clip(frames, None, blind, Blind(sees=False))
    score_clip(frames, None, seeing, Blind(sees=True))
    score_clip(frames, None, exact)
    assert blind.hole == exact.hole and blind.methods["telea"].row()["psnr"] < 12
    assert blind.marked_seen == 0
    assert seeing.methods["telea"].row()["psnr"] == pytest.approx(exact.methods["telea"].row()["psnr"], abs=0.5)


def test_regions_are_kept_apart_and_nothing_outside_the_hole_counts() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(50, 200, (60, 80, 3), np.uint8)
    hole, seen = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    hole[20:40, 20:60] = True
    seen[:, :40] = True
    image = truth.copy()
    image[:, 40:] += 20  # also outside of the hole
    score = MethodScore()
    score.add(image, truth, hole, seen)
    row = score.row()
    assert row["psnr_observed"] == math.inf and row["ssim_observed"] > row["ssim_unobserved"]
    assert row["psnr_unobserved"] == pytest.approx(20 * math.log10(255 / 20), abs=0.01)
    inside = np.where(hole[..., None], image, truth)
    score_inside = MethodScore()
    score_inside.add(inside, truth, hole, seen)
    assert score_inside.row()["ssim"] == row["ssim"] and score_inside.row()["composite_psnr"] > row["composite_psnr"]


def test_per_frame_a_bad_frame_counts_as_one_frame() -> None:
    truth, everywhere = np.full((20, 20, 3), 100, np.uint8), np.ones((20, 20), bool)
    score = MethodScore()
    for error in (0, 0, 0, 100):
        score.add(truth + np.uint8(error), truth, everywhere, everywhere)
    row = score.row()
    assert row["psnr"] == pytest.approx(20 * math.log10(2.55) + 10 * math.log10(4))
    assert row["frame_psnr_observed"] == pytest.approx((3 * 60 + 20 * math.log10(2.55)) / 4)
    assert math.isnan(row["frame_psnr_unobserved"])


def test_a_region_without_pixels_has_no_score() -> None:
    empty = MethodScore().row()
    assert set(empty) == set(HEADINGS) and all(math.isnan(value) for value in empty.values())


def test_tables_hold_every_method_and_number() -> None:
    scores = scored(hand_frames(3), error=10)
    lines = markdown("Title", scores).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert lines[0] == "## Title" and len(rows) == 1 + len(METHODS)
    assert all(row.count("|") == len(HEADINGS) + 2 for row in rows)
    assert cells(scores.methods[OURS].row())[0] == "28.13" and "3 frames" in about(scores)


def test_the_true_hole_has_a_margin() -> None:
    frame = hand_frames(1)[0]
    assert frame.truth is not None
    hole = true_hole(frame.truth, SIZE)
    columns = hand_columns(0)
    assert hole[60:, columns].all() and hole[80, columns.start - 2] and not hole[80, columns.start - 6]


@pytest.mark.parametrize("missing", ["classes", "clean_shadowed", "clean_depth", "T_world_cam"])
def test_frames_without_the_truth_are_refused(missing: str) -> None:
    frame = hand_frames(1)[0]
    assert frame.truth is not None
    with pytest.raises(SourceError, match="render clips with --products clean"):
        score_clip([replace(frame, truth=replace(frame.truth, **{missing: None}))], None, RemovalScores())


def test_lens_distortion_is_refused() -> None:
    frame = replace(
        hand_frames(1)[0], camera=replace(CAMERA, distortion_model=DistortionModel.PLUMB_BOB, distortion=(0.1, 0, 0, 0, 0))
    )
    with pytest.raises(SourceError, match="without lens distortion"):
        score_clip([frame], None, RemovalScores())


def test_a_network_that_gives_no_numbers_is_an_error() -> None:
    class Broken(Oracle):
        def paint(self, rgb: np.ndarray, hole: np.ndarray, background: Any) -> Any:
            return None

    frames = hand_frames(1)
    with pytest.raises(SourceError, match="not finite"):
        score_clip(frames, Painters(*[Broken(frames)] * 3), RemovalScores())  # type: ignore[arg-type]
