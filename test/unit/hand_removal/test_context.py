"""The frames that the diffusion model sees beside its target, and what refinement makes of an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from removal_fakes import FaultyEstimator, frame_with_hand, scene

from ego_perception.data.hand_removal import HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import ConfigError
from ego_perception.hand_removal.assembly import RemovalModels, build_refiner, build_remover
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.context import ContextConfig, ContextMemory, homography_of
from ego_perception.hand_removal.estimator import HandRemovalConfig
from ego_perception.hand_removal.guard import problem_of
from ego_perception.hand_removal.refine import DiffusionRefiner, RefinedEstimator
from ego_perception.hand_removal.vidm.remover import HandFreeImage, MaskedImage

S = 1_000_000_000
SIZE = (160, 120)


def masked(seconds: float, rows: slice, cols: slice, seed: int = 0) -> MaskedImage:
    """A still room with a hole."""
    hands = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    hands[rows, cols] = True
    return MaskedImage(round(seconds * S), scene(seed, SIZE), hands)


class TestContext:
    def test_few_frames_are_all_taken_oldest_first_and_never_the_target(self) -> None:
        memory = ContextMemory(ContextConfig(spacing_s=0.3))
        images = [masked(k, slice(0, 20), slice(0, 20)) for k in range(3)]
        for image in images:
            memory.add(image)
        assert memory.choose(images[2]) == images[:2]
        assert memory.choose(masked(9, slice(0, 5), slice(0, 5))) == images

    def test_frames_nearer_than_a_third_of_the_spacing_are_not_kept(self) -> None:
        memory = ContextMemory(ContextConfig(spacing_s=0.6))
        for k in range(10):
            memory.add(masked(1 + 0.05 * k, slice(0, 5), slice(0, 5)))
        kept = [i.stamp_ns / S for i in memory.choose(masked(9, slice(0, 5), slice(0, 5)))]
        assert kept == pytest.approx([1.0, 1.2, 1.4])

    def test_uniform_takes_frames_one_spacing_apart(self) -> None:
        memory = ContextMemory(ContextConfig(policy="uniform", spacing_s=0.6))
        for k in range(15):
            memory.add(masked(1 + 0.2 * k, slice(0, 5), slice(0, 5)))
        chosen = [i.stamp_ns / S for i in memory.choose(masked(4.0, slice(0, 5), slice(0, 5)))]
        assert chosen == pytest.approx([2.2, 2.8, 3.4])

    def test_coverage_takes_what_shows_the_hidden_place(self) -> None:
        memory = ContextMemory(ContextConfig(policy="coverage", spacing_s=0.3))
        hidden = (slice(40, 80), slice(60, 100))
        for k in range(8):
            # Only the third frame shows the left half of the hidden place, only the sixth the right half.
            rows, cols = hidden
            if k == 2:
                cols = slice(80, 100)
            elif k == 5:
                cols = slice(60, 80)
            memory.add(masked(1 + k, rows, cols))
        chosen = [round(i.stamp_ns / S) for i in memory.choose(masked(20, *hidden))]
        assert {3, 6} <= set(chosen)
        assert len(chosen) == 3

    def test_another_size_and_a_jump_backwards_start_anew(self) -> None:
        memory = ContextMemory(ContextConfig(spacing_s=0.3))
        for k in range(5):
            memory.add(masked(1 + k, slice(0, 5), slice(0, 5)))
        memory.add(masked(0.5, slice(0, 5), slice(0, 5)))
        assert [i.stamp_ns for i in memory.choose(masked(9, slice(0, 5), slice(0, 5)))] == [S // 2]
        other = MaskedImage(10 * S, scene(0, (80, 60)), np.zeros((60, 80), np.bool_))
        assert memory.choose(other) == []
        memory.add(other)
        assert memory.choose(masked(11, slice(0, 5), slice(0, 5))) == []


class Blue:
    """Generates blue, one pixel further than the hands."""

    def __init__(self) -> None:
        self.contexts: list[int] = []
        self.guesses: list[np.ndarray | None] = []
        self.places: list[np.ndarray | None] = []
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
        self.guesses.append(guess)
        self.places.append(place)
        self.contexts.append(len(context))
        generated = target.hands.copy()
        generated[1:] |= target.hands[:-1]
        rgb = target.rgb.copy()
        rgb[generated] = (0, 100, 255)
        return HandFreeImage(rgb, generated)


def clip(estimator: RefinedEstimator | FaultyEstimator, count: int) -> list[HandRemovalEstimate]:
    found = [estimator.push(frame_with_hand(k, 10**18 + k * S // 2)) for k in range(count)]
    return [e for e in found if e is not None]


def test_refinement_generates_the_whole_hole_and_says_so() -> None:
    blue = Blue()
    estimator = RefinedEstimator(FaultyEstimator(paints=False), DiffusionRefiner(blue, ContextConfig(), "blue 1"))
    for estimate in clip(estimator, 5):
        assert (estimate.state, estimate.reason, estimate.model_id) == (RemovalState.CLEAN, "", "blue 1")
        hole = estimate.provenance == Provenance.GENERATED
        assert set(np.unique(estimate.provenance)) == {Provenance.LIVE, Provenance.GENERATED}
        assert (estimate.image[hole] == (0, 100, 255)).all()
        assert np.array_equal(estimate.image[~hole], estimate.frame.rgb[~hole])
        assert problem_of(estimate.frame, estimate) == ""
        assert np.isnan(estimate.age_s[hole]).all() and (estimate.confidence[~hole] == 1).all()
    assert blue.contexts == [0, 1, 2, 3, 3]
    estimator.reset()
    assert blue.num_resets == 1
    assert list(estimator.flush()) == []


def half_observed(estimate: HandRemovalEstimate) -> HandRemovalEstimate:
    """The left half of the hole was seen before, in green; the right half is black, as nobody saw it."""
    assert estimate.provenance is not None and estimate.image is not None
    middle = int(np.median(np.nonzero(estimate.provenance != Provenance.LIVE)[1]))
    image, provenance = estimate.image.copy(), estimate.provenance.copy()
    left = (provenance != Provenance.LIVE) & (np.arange(provenance.shape[1]) < middle)
    right = (provenance != Provenance.LIVE) & ~left
    image[left], image[right] = (0, 200, 0), 0
    provenance[left], provenance[right] = Provenance.OBSERVED, Provenance.UNKNOWN
    confidence = np.where(left, np.float32(0.7), np.where(right, np.float32(0), np.float32(1)))
    age = np.where(left, np.float32(2), np.where(right, np.float32(np.nan), np.float32(0)))
    return replace(estimate, image=image, provenance=provenance, confidence=confidence, age_s=age)


def test_what_was_really_seen_is_kept_and_guides_the_rest() -> None:
    blue = Blue()
    estimate = clip(FaultyEstimator(paints=False), 1)[0]
    half = half_observed(estimate)
    assert half.provenance is not None and half.image is not None
    refined = DiffusionRefiner(blue, ContextConfig(), "blue 1", DiffusionConfig()).refine(half)
    assert refined.provenance is not None and refined.image is not None and refined.confidence is not None
    generated = refined.provenance == Provenance.GENERATED
    assert generated[half.provenance == Provenance.UNKNOWN].all()
    observed = refined.provenance == Provenance.OBSERVED
    assert observed.any() and (refined.image[observed] == (0, 200, 0)).all()
    assert (refined.confidence[observed] == np.float32(0.7)).all() and refined.age_s is not None
    assert (refined.age_s[observed] == 2).all() and np.isnan(refined.age_s[generated]).all()
    assert problem_of(half.frame, refined) == ""
    guess = blue.guesses[0]
    assert guess is not None and guess[half.provenance == Provenance.UNKNOWN].any(), "what is black is continued"
    assert np.array_equal(guess[half.provenance != Provenance.UNKNOWN], half.image[half.provenance != Provenance.UNKNOWN])
    assert np.array_equal(blue.places[0], np.eye(3))


def test_the_published_way_takes_nothing_from_the_estimate() -> None:
    blue = Blue()
    half = half_observed(clip(FaultyEstimator(paints=False), 1)[0])
    refined = DiffusionRefiner(blue, ContextConfig(), "blue 1", published_diffusion()).refine(half)
    assert not (refined.provenance == Provenance.OBSERVED).any()
    assert (blue.guesses, blue.places) == ([None], [None])


def test_where_everything_was_seen_nothing_is_generated() -> None:
    estimate = clip(FaultyEstimator(paints=False), 1)[0]
    assert estimate.provenance is not None and estimate.image is not None
    hole = estimate.provenance != Provenance.LIVE
    seen = replace(
        estimate,
        image=np.where(hole[..., None], np.uint8(90), estimate.image),
        provenance=np.where(hole, np.uint8(Provenance.OBSERVED), estimate.provenance),
    )
    refined = DiffusionRefiner(Blue(), ContextConfig(), "blue 1", DiffusionConfig()).refine(seen)
    assert np.array_equal(refined.image, seen.image) and np.array_equal(refined.provenance, seen.provenance)
    assert refined.model_id == ""


class TestPlaces:
    """Where the background was in the first frame."""

    @staticmethod
    def shifted(stamp_s: float, pixels: int) -> MaskedImage:
        """A camera that turned by `pixels` to the right."""
        wide = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (96, 256, 3), dtype=np.uint8), (0, 0), 1.5)
        hands = np.zeros((96, 160), np.bool_)
        hands[60:, 60:90] = True
        rgb = np.ascontiguousarray(wide[:, 20 + pixels : 180 + pixels])
        rgb[hands] = 0
        return MaskedImage(int(stamp_s * S), rgb, hands)

    def test_follow_the_background(self) -> None:
        memory = ContextMemory(ContextConfig(spacing_s=0.3))
        for k in range(5):
            image = self.shifted(1 + k, 8 * k)
            memory.add(image)
            place = memory.place(image)
            assert place[0, 2] == pytest.approx(8 * k / 160, abs=0.01) and place[1, 2] == pytest.approx(0, abs=0.01)
        between = self.shifted(5.01, 36)
        assert memory.place(between)[0, 2] == pytest.approx(36 / 160, abs=0.01), "also of one that is not kept"

    def test_stay_where_nothing_connects(self) -> None:
        memory = ContextMemory(ContextConfig(spacing_s=0.3))
        assert np.array_equal(memory.place(self.shifted(1, 0)), np.eye(3))
        memory.add(self.shifted(1, 0))
        memory.add(self.shifted(2, 8))
        blank = MaskedImage(3 * S, np.full((96, 160, 3), 128, np.uint8), np.zeros((96, 160), np.bool_))
        assert memory.place(blank)[0, 2] == pytest.approx(0.05, abs=0.01)
        memory.reset()
        assert np.array_equal(memory.place(self.shifted(4, 30)), np.eye(3))


def test_what_has_no_image_or_no_hole_is_given_back() -> None:
    refiner = DiffusionRefiner(Blue(), ContextConfig(), "blue")
    clean = FaultyEstimator().push(frame_with_hand(0, 10**18, hand=False))
    assert clean is not None and refiner.refine(clean) is clean
    withheld = replace(clean, state=RemovalState.WITHHELD, image=None)
    assert refiner.refine(withheld) is withheld


def test_an_unknown_backend_and_a_missing_model_are_one_line() -> None:
    with pytest.raises(ConfigError, match="backend is 'magic'; choose one of compact"):
        build_remover(HandRemovalConfig("frame"), "magic")


def test_the_diffusion_model_that_was_not_imported_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("ego_perception.weights.onnx.cache_folder", lambda: __import__("pathlib").Path(str(tmp_path)))
    with pytest.raises(ConfigError, match="ego weights import vidm") as caught:
        build_refiner(RemovalModels())
    assert len(str(caught.value).splitlines()) == 1


def test_propagation_alone_with_masks_from_elsewhere_needs_no_weights() -> None:
    parts = build_remover(HandRemovalConfig("frame"), "propagate_only")
    assert (parts.names, parts.weights) == ((), {})
    estimate = parts.estimator.push(frame_with_hand(0, 10**18))
    assert estimate is not None and estimate.state is RemovalState.WITHHELD


def flow_of(homography: np.ndarray, width: int, height: int) -> np.ndarray:
    """Of pixels whose centres a homography in shares of width and height moves."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    q = np.stack([x / width, y / height, np.ones_like(x)], axis=-1) @ homography.T
    return np.stack([q[..., 0] / q[..., 2] * width - x, q[..., 1] / q[..., 2] * height - y], axis=-1).astype(np.float32)


class TestHomography:
    MOVES = (
        np.eye(3),
        np.array([[1, 0, 0.1], [0, 1, -0.05], [0, 0, 1]]),
        np.array([[0.9, 0.1, 0.02], [-0.08, 1.05, 0.01], [0.05, -0.03, 1]]),
    )

    @pytest.mark.parametrize("size", [(160, 120), (80, 60), (160, 16)])
    @pytest.mark.parametrize("move", MOVES)
    def test_is_found_whatever_the_size(self, move: np.ndarray, size: tuple[int, int]) -> None:
        found = homography_of(flow_of(move, *size), np.zeros(size[::-1], np.bool_))
        assert found is not None and np.abs(found / found[2, 2] - move).max() < 2e-3

    def test_does_not_ask_what_is_hidden(self) -> None:
        hole = np.zeros((120, 160), np.bool_)
        hole[30:100, 40:150] = True
        flow = flow_of(self.MOVES[2], 160, 120)
        plain = homography_of(flow, hole)
        flow[hole] = np.nan
        assert plain is not None and np.array_equal(plain, homography_of(flow, hole))

    def test_leaves_out_what_moves_otherwise(self) -> None:
        flow = flow_of(self.MOVES[1], 160, 120)
        flow[:40] = -30
        found = homography_of(flow, np.zeros((120, 160), np.bool_))
        assert found is not None and np.abs(found - self.MOVES[1]).max() < 2e-3

    def test_of_too_little_is_none(self) -> None:
        hole = np.ones((120, 160), np.bool_)
        flow = np.zeros((120, 160, 2), np.float32)
        assert homography_of(flow, hole) is None
        hole.ravel()[: 37 * 15] = False
        assert homography_of(flow, hole) is None


@pytest.mark.parametrize("policy", ["uniform", "coverage"])
def test_no_frame_is_chosen_twice_none_is_the_target_and_all_are_older(policy: str) -> None:
    memory = ContextMemory(ContextConfig(policy=policy, spacing_s=0.3))
    images = [masked(1 + 0.2 * k, slice(30, 60), slice(20 + 8 * k, 60 + 8 * k)) for k in range(6)]
    for target in images:
        chosen = memory.choose(target)
        memory.add(target)
        stamps = [image.stamp_ns for image in chosen]
        assert stamps == sorted(set(stamps)) and all(stamp < target.stamp_ns for stamp in stamps) and len(chosen) <= 3
    assert all(image.stamp_ns < images[4].stamp_ns for image in memory.choose(images[4])), "also of one in the past"


@pytest.mark.parametrize("policy", ["uniform", "coverage"])
def test_all_hole_and_no_hole_are_frames_too(policy: str) -> None:
    memory = ContextMemory(ContextConfig(policy=policy, spacing_s=0.3))
    for k in range(6):
        memory.add(masked(1 + k, *((slice(0, 120), slice(0, 160)) if k % 2 else (slice(0, 0), slice(0, 0)))))
    for rows, cols in ((slice(0, 120), slice(0, 160)), (slice(0, 0), slice(0, 0))):
        assert len(memory.choose(masked(20, rows, cols))) == 3


def test_the_memory_is_bounded_and_drops_the_oldest() -> None:
    memory = ContextMemory(ContextConfig(spacing_s=0.03, capacity=3), count=9)
    for k in range(6):
        memory.add(masked(1 + k, slice(0, 5), slice(0, 5)))
    assert [round(i.stamp_ns / S) for i in memory.choose(masked(9, slice(0, 5), slice(0, 5)))] == [4, 5, 6]


def test_a_frame_that_comes_twice_takes_nothing_away() -> None:
    memory = ContextMemory(ContextConfig(spacing_s=0.3))
    images = [masked(1 + k, slice(0, 5), slice(0, 5)) for k in range(3)]
    for image in (*images, images[-1]):
        memory.add(image)
    assert memory.choose(masked(9, slice(0, 5), slice(0, 5))) == images
