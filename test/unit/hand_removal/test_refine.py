"""What refinement says of each pixel, whatever the model gives, and what reaches the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from removal_fakes import SIZE, frame_with_hand, scene

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import FrameError
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.context import ContextConfig
from ego_perception.hand_removal.refine import DiffusionRefiner, RefinedEstimator
from ego_perception.hand_removal.vidm.remover import HandFreeImage, MaskedImage

S = 1_000_000_000
W, H = SIZE
STRIPES = np.arange(H)[:, None].repeat(W, 1) % 4  # live, observed, generated and unknown rows in turn
KINDS = (Provenance.LIVE, Provenance.OBSERVED, Provenance.GENERATED, Provenance.UNKNOWN)


class Green:
    """Paints green what it is told to, and `extra` besides."""

    def __init__(self, extra: np.ndarray | None = None, fault: Exception | None = None) -> None:
        self.extra, self.fault = extra, fault
        self.targets: list[MaskedImage] = []
        self.contexts: list[list[int]] = []
        self.guesses: list[np.ndarray | None] = []
        self.num_resets = 0

    def reset(self) -> None:
        self.num_resets += 1

    def remove(
        self,
        target: MaskedImage,
        context: Sequence[MaskedImage] = (),
        guess: np.ndarray | None = None,
        place: np.ndarray | None = None,
    ) -> HandFreeImage:
        if self.fault is not None:
            raise self.fault
        self.targets.append(target)
        self.contexts.append([image.stamp_ns for image in context])
        self.guesses.append(guess)
        generated = target.hands if self.extra is None else target.hands | self.extra
        return HandFreeImage(np.where(generated[..., None], np.array([0, 255, 0], np.uint8), target.rgb), generated)


def striped(stamp_ns: int = S) -> HandRemovalEstimate:
    """An estimate in which all kinds of pixels occur."""
    kinds = np.array(KINDS, np.uint8)[STRIPES]
    picture = np.where((kinds == Provenance.LIVE)[..., None], scene(), np.uint8(40)).astype(np.uint8)
    confidence = np.array([1.0, 0.7, 0.3, 0.0], np.float32)[STRIPES]
    age = np.array([0.0, 2.5, np.nan, np.nan], np.float32)[STRIPES]
    frame = Frame(stamp_ns, scene())
    return HandRemovalEstimate(frame, RemovalState.DEGRADED, "never seen", picture, None, kinds, confidence, age, "fill 1")


def refined(remover: Green, estimate: HandRemovalEstimate, config: DiffusionConfig | None = None) -> HandRemovalEstimate:
    return DiffusionRefiner(remover, ContextConfig(), "green 1", config).refine(estimate)


@pytest.mark.parametrize(
    ("config", "made_anew"), [(DiffusionConfig(), (2, 3)), (published_diffusion(), (1, 2, 3)), (None, (1, 2, 3))]
)
def test_each_pixel_is_what_is_said_of_it(config: DiffusionConfig | None, made_anew: tuple[int, ...]) -> None:
    before, green = striped(), Green()
    after = refined(green, before, config)
    assert after.image is not None and after.provenance is not None and after.confidence is not None and after.age_s is not None
    anew = np.isin(STRIPES, made_anew)
    assert (after.provenance[anew] == Provenance.GENERATED).all() and (after.image[anew] == (0, 255, 0)).all()
    assert np.allclose(after.confidence[anew], 0.1) and np.isnan(after.age_s[anew]).all()
    assert before.image is not None and before.provenance is not None and before.confidence is not None
    assert np.array_equal(after.provenance[~anew], before.provenance[~anew])
    assert np.array_equal(after.confidence[~anew], before.confidence[~anew])
    assert np.array_equal(after.image[~anew], before.image[~anew])
    assert (after.state, after.reason, after.model_id) == (RemovalState.CLEAN, "", "green 1")
    assert np.array_equal(after.image[STRIPES == 0], before.frame.rgb[STRIPES == 0]), "the camera's own, bit by bit"


def test_what_the_model_makes_beyond_the_hole_is_said_to_be_made() -> None:
    extra = np.zeros((H, W), np.bool_)
    extra[0, :5] = True  # live pixels
    after = refined(Green(extra), striped(), DiffusionConfig())
    assert after.provenance is not None and (after.provenance[0, :5] == Provenance.GENERATED).all()
    assert (after.provenance[0, 5:] == Provenance.LIVE).all()


def test_the_estimate_that_was_given_is_left_alone() -> None:
    before, same = striped(), striped()
    refined(Green(), before, DiffusionConfig())
    for name in ("image", "provenance", "confidence", "age_s"):
        assert np.array_equal(getattr(before, name), getattr(same, name), equal_nan=name == "age_s")


def test_the_published_model_sees_the_camera_and_ours_what_was_remembered() -> None:
    published, ours = Green(), Green()
    estimate = striped()
    refined(published, estimate, published_diffusion())
    refined(ours, estimate, DiffusionConfig())
    assert np.array_equal(published.targets[0].rgb, estimate.frame.rgb) and published.guesses == [None]
    assert estimate.image is not None and np.array_equal(ours.targets[0].rgb, estimate.image)
    guess = ours.guesses[0]
    assert guess is not None and np.array_equal(guess[STRIPES != 3], estimate.image[STRIPES != 3])


def test_without_an_age_what_is_kept_is_as_old_as_the_frame() -> None:
    after = refined(Green(), replace(striped(), age_s=None), DiffusionConfig())
    assert after.age_s is not None and after.age_s.dtype == np.float32
    assert not after.age_s[STRIPES < 2].any() and np.isnan(after.age_s[STRIPES >= 2]).all()


@pytest.mark.parametrize("missing", ["image", "provenance", "confidence"])
def test_what_lacks_a_part_is_given_back(missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    green, lacking = Green(), replace(striped(), state=RemovalState.WITHHELD, **without)
    assert refined(green, lacking) is lacking and not green.targets


def test_a_frame_without_a_hole_is_no_work_but_context_for_the_next() -> None:
    green = Green()
    refiner = DiffusionRefiner(green, ContextConfig(), "green 1")
    clean = replace(striped(), provenance=np.full((H, W), Provenance.LIVE, np.uint8))
    assert refiner.refine(clean) is clean and not green.targets
    refiner.refine(striped(3 * S))
    assert green.contexts == [[S]]
    refiner.reset()
    refiner.refine(striped(5 * S))
    assert green.contexts == [[S], []] and green.num_resets == 1


def test_a_fault_of_the_model_is_told_and_the_next_frame_is_refined() -> None:
    green = Green(fault=FrameError("not finite"))
    refiner = DiffusionRefiner(green, ContextConfig(), "green 1")
    with pytest.raises(FrameError, match="not finite"):
        refiner.refine(striped())
    green.fault = None
    assert refiner.refine(striped(2 * S)).model_id == "green 1"


class Held:
    """Gives nothing at once and everything at the end."""

    def __init__(self) -> None:
        self.kept: list[HandRemovalEstimate] = []
        self.num_resets = 0

    def reset(self) -> None:
        self.num_resets += 1
        self.kept.clear()

    def push(self, frame: Frame) -> HandRemovalEstimate | None:
        self.kept.append(striped(frame.stamp_ns))
        return None

    def flush(self) -> Iterable[HandRemovalEstimate]:
        return list(self.kept)


def test_what_was_held_back_is_refined_in_the_end_in_its_order() -> None:
    held, green = Held(), Green()
    estimator = RefinedEstimator(held, DiffusionRefiner(green, ContextConfig(), "green 1"))
    assert [estimator.push(frame_with_hand(k, k * S)) for k in (1, 2, 3)] == [None] * 3 and not green.targets
    assert [e.frame.stamp_ns for e in estimator.flush()] == [S, 2 * S, 3 * S]
    assert green.contexts == [[], [S], [S, 2 * S]]
    estimator.reset()
    assert (held.num_resets, green.num_resets) == (1, 1) and list(estimator.flush()) == []
