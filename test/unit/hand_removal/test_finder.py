"""Hands of consecutive images: what is found, held, followed and doubted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import FrameError
from ego_perception.hand_removal.finder import FoundHands, HandFinder
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.hand_removal.segmentation.sizes import MIRRORED, HandClass

H, W = 120, 160
STEP_NS = 80_000_000
RGB = np.random.default_rng(0).integers(40, 220, (H // 4, W // 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)


class Sees:
    """Finds a hand in columns 40 to 79, as surely as told for each image, and an object in columns 100 to 119."""

    name = "sees"

    def __init__(self, *sureness: float) -> None:
        self.sureness = list(sureness)
        self.mirrored: list[bool] = []

    def next(self) -> None:
        """Go on to the next image."""
        self.sureness.pop(0)

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        p = np.zeros((len(HandClass), H // 4, W // 4), np.float32)
        p[HandClass.RIGHT_ARM, :, 10:20] = self.sureness[0]
        p[HandClass.HELD_OBJECT, :, 25:30] = 0.9
        p[HandClass.NONE] = 1 - p.sum(0)
        if np.array_equal(rgb, RGB):
            self.mirrored.append(False)
            return p
        assert np.array_equal(rgb, RGB[:, ::-1])
        self.mirrored.append(True)
        return np.ascontiguousarray(p[list(MIRRORED), :, ::-1])


def look(finder: HandFinder, k: int) -> FoundHands:
    """Find the hands of image k, and make the segmenter go on to the next."""
    try:
        return finder.find(RGB, k * STEP_NS)
    finally:
        assert isinstance(finder.segmenter, Sees)
        finder.segmenter.next()


def columns(mask: np.ndarray) -> tuple[int, int]:
    """First and last column of a mask of whole columns."""
    assert (mask.all(axis=0) | ~mask.any(axis=0)).all()
    found = np.flatnonzero(mask[0])
    return int(found[0]), int(found[-1])


def test_labels_hole_and_held_object_of_one_image() -> None:
    found = look(HandFinder(Sees(0.9)), 0)
    assert found.labels.shape == (H // 2, W // 2)
    assert (found.labels[:, 20:40] == HandLabel.RIGHT).all() and (found.labels[:, 50:60] == HandLabel.HELD_OBJECT).all()
    low, high = columns(found.hole)
    assert 36 <= low <= 38 and 81 <= high <= 83, "a margin"
    assert columns(found.held()) == (100, 119) and found.doubt.miss < 1e-6 and not found.doubt.where.any()


def test_a_hand_that_is_suddenly_not_found_is_doubted_for_a_while() -> None:
    finder = HandFinder(Sees(0.9, *([0.0] * 60)), MaskConfig(follow_s=1.0))
    look(finder, 0)
    misses = [look(finder, k).doubt.miss for k in range(1, 50)]
    assert misses[0] == pytest.approx(34 / 160 * np.exp(-0.08), rel=0.02), "without its outline"
    assert misses[12] == pytest.approx(misses[0] * np.exp(-12 * 0.08), rel=0.02)
    limit = MaskConfig().doubtful_miss
    assert misses[40] > limit and all(a > b for a, b in itertools.pairwise(misses))
    alone = HandFinder(Sees(0.9, 0.0), MaskConfig(follow_s=0.0))
    look(alone, 0)
    assert look(alone, 1).doubt.miss == 0


def test_it_is_not_remembered_as_background_while_it_is_believed_in() -> None:
    finder = HandFinder(Sees(0.9, *([0.0] * 60)), MaskConfig(follow_s=1.0))
    look(finder, 0)
    doubts = [look(finder, k).doubt.where for k in range(1, 20)]
    low, high = columns(doubts[0])
    assert 39 <= low <= 43 and 76 <= high <= 80
    assert doubts[7].any() and not doubts[8].any(), "exp(-0.08 * 8) is more than a half, exp(-0.08 * 9) is less"


@pytest.mark.parametrize(("keep_threshold", "is_kept"), [(0.3, True), (0.55, False)])
def test_where_it_was_followed_to_less_is_enough(keep_threshold: float, is_kept: bool) -> None:
    config = MaskConfig(threshold=0.6, keep_threshold=keep_threshold)
    finder = HandFinder(Sees(0.9, 0.3), config)
    look(finder, 0)
    assert bool((look(finder, 1).labels[:, 22:38] == HandLabel.RIGHT).all()) == is_kept
    assert not (look(HandFinder(Sees(0.4), config), 0).labels == HandLabel.RIGHT).any()


def test_every_other_look_is_mirrored_and_what_was_seen_before_counts_in() -> None:
    segmenter = Sees(0.9, 0.2, 0.2, 0.2, 0.9, 0.9)
    finder = HandFinder(segmenter, MaskConfig(threshold=0.4, keep_threshold=0.4))
    found = [look(finder, k) for k in range(4)]
    assert segmenter.mirrored == [False, True, False, True, False], "both at first, then in turn"
    # 0.9, 0.7 x 0.2 + 0.3 x 0.9 = 0.41, then 0.26
    assert [bool((one.labels[:, 22:38] == HandLabel.RIGHT).all()) for one in found] == [True, True, False, False]
    assert all((one.labels[:, 50:60] == HandLabel.HELD_OBJECT).all() for one in found), "sides and objects are put back"
    finder.reset()
    look(finder, 4)
    look(finder, 5 + 20)
    assert segmenter.mirrored[5:] == [False, True, False, True], "both after a reset, and both after a gap"


def test_an_image_of_which_nothing_is_known_has_the_mean_of_two_looks() -> None:
    class SeesOnceOnly(Sees):
        def predict(self, rgb: np.ndarray) -> np.ndarray:
            p = super().predict(rgb)
            self.sureness[0] = 0.1
            return p

    assert (look(HandFinder(SeesOnceOnly(0.9), MaskConfig(threshold=0.49)), 0).labels[:, 22:38] == HandLabel.RIGHT).all()
    assert not (look(HandFinder(SeesOnceOnly(0.9), MaskConfig(threshold=0.51)), 0).labels == HandLabel.RIGHT).any()
    once = SeesOnceOnly(0.9)
    look(HandFinder(once, MaskConfig(follow_s=0.0)), 0)
    assert once.mirrored == [False], "where nothing is followed every image is looked at once, as it is"


def test_with_two_looks_at_each_image_none_is_mirrored_here_and_each_counts_alone() -> None:
    segmenter = Sees(0.9, 0.2)
    finder = HandFinder(segmenter, MaskConfig(looks=2, threshold=0.21, keep_threshold=0.21))
    look(finder, 0)
    assert not (look(finder, 1).labels == HandLabel.RIGHT).any() and segmenter.mirrored == [False, False]


def test_numbers_that_are_not_finite_are_refused_and_the_hands_before_forgotten() -> None:
    finder = HandFinder(Sees(0.9, np.nan, 0.0))
    look(finder, 0)
    with pytest.raises(FrameError, match="not finite"):
        look(finder, 1)
    assert look(finder, 2).doubt.miss == 0


def test_a_reset_forgets_the_images_before() -> None:
    finder = HandFinder(Sees(0.9, 0.0))
    look(finder, 0)
    finder.reset()
    assert look(finder, 1).doubt.miss == 0
