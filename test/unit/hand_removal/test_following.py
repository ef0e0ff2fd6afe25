"""Hands followed by optical flow: they move with their pixels, fade with time, and end where nothing looks like them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from ego_perception.hand_removal.following import HandFollower
from ego_perception.hand_removal.masks import MaskConfig

H, W = 240, 320
STEP_NS = 80_000_000


def smooth(seed: int, width: int, height: int, cell: int) -> np.ndarray:
    """A soft pattern, as flow needs it."""
    coarse = np.random.default_rng(seed).integers(60, 200, (height // cell, width // cell, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


WALL, ARM = smooth(0, W, H, 20), smooth(1, 60, 100, 10)
NOTHING = np.zeros((H, W), bool)


def image(x: int | None, y: int = 100) -> np.ndarray:
    """A patterned arm, 100 high and 60 wide, before a patterned wall."""
    rgb = WALL.copy()
    if x is not None:
        rgb[y : y + 100, x : x + 60] = ARM[: H - y]
    return rgb


def mask(x: int, y: int = 100) -> np.ndarray:
    found = np.zeros((H, W), bool)
    found[y : y + 100, x : x + 60] = True
    return found


def started(config: MaskConfig, x: int, sureness: float = 1.0) -> HandFollower:
    follower = HandFollower(config)
    assert follower.follow(image(x), 0) is None
    follower.remember(mask(x).astype(np.float32) * np.float32(sureness), mask(x), mask(x), None)
    return follower


def test_a_hand_is_followed_to_where_its_pixels_went_and_fades() -> None:
    follower = started(MaskConfig(follow_s=2.0), 100)
    for k, x in enumerate((106, 112, 118), start=1):
        followed = follower.follow(image(x), k * STEP_NS)
        assert followed is not None
        sure = followed.sure
        assert all(one.shape == (120, 160) and one.dtype == np.float32 for one in followed)
        inner, outer = sure[58:92, x // 2 + 8 : x // 2 + 22], sure[~mask(x)[::2, ::2]]
        assert np.median(inner) == pytest.approx(math.exp(-k * 0.08 / 2), abs=0.02)
        assert outer.sum() < 0.12 * sure.sum()
        follower.remember(np.zeros((H, W), np.float32), NOTHING, NOTHING, followed)


def test_what_was_likely_before_moves_along_and_where_nothing_looks_the_same_nothing_is_said() -> None:
    follower = started(MaskConfig(), 100, sureness=0.4)
    followed = follower.follow(image(106), STEP_NS)
    assert followed is not None
    assert np.median(followed.hand[58:92, 61:75]) == pytest.approx(0.4, abs=0.02)
    assert followed.is_same[58:92, 61:75].mean() > 0.9 and set(np.unique(followed.is_same)) <= {0, 1}
    follower = started(MaskConfig(), 100)
    other = follower.follow(255 - image(100), STEP_NS)
    assert other is not None and other.is_same.mean() < 0.5 and other.sure.sum() < 0.5 * other.hand.sum()


def test_a_hand_that_left_its_place_is_not_expected_there() -> None:
    follower = started(MaskConfig(), 100)
    followed = follower.follow(image(None), STEP_NS)
    assert followed is not None and float((followed.sure > 0.5).mean()) < 0.02


def test_only_what_is_sure_and_found_is_followed_and_what_is_found_again_starts_anew() -> None:
    unsure = started(MaskConfig(sure=0.8), 100, sureness=0.7).follow(image(100), STEP_NS)
    assert unsure is not None and not unsure.sure.any() and unsure.hand.max() == pytest.approx(0.7)
    follower = started(MaskConfig(sure=0.8), 100)
    for k in range(1, 4):
        followed = follower.follow(image(100), k * STEP_NS)
        follower.remember(mask(100).astype(np.float32), mask(100), mask(100), followed)
    followed = follower.follow(image(100), 4 * STEP_NS)
    assert followed is not None and followed.sure.max() == pytest.approx(math.exp(-0.04), abs=1e-3), "as old as one frame"
    speck = HandFollower(MaskConfig())
    speck.follow(image(100), 0)
    speck.remember(mask(100).astype(np.float32), NOTHING, NOTHING, None)
    nothing = speck.follow(image(100), STEP_NS)
    assert nothing is not None and not nothing.sure.any()


def test_what_was_followed_into_the_margin_of_a_hand_is_forgotten() -> None:
    margin, arm = mask(90) | mask(110), mask(100)
    margin[150:] = arm[150:] = False  # the lower half of the arm is not found any more
    follower = started(MaskConfig(), 100)
    followed = follower.follow(image(100), STEP_NS)
    follower.remember(np.zeros((H, W), np.float32), arm & mask(110), margin, followed)
    again = follower.follow(image(100), 2 * STEP_NS)
    assert again is not None
    assert again.sure[80:98, 54:78].min() > 0.9, "not found, not removed: doubtful"
    assert again.sure[52:73, 57:78].min() > 0.9, "found once more, if not for sure"
    assert not again.sure[52:73, :53].any(), "removed, but only as margin"


@pytest.mark.parametrize("stamp_ns", [0, -STEP_NS, 10 * STEP_NS])
def test_nothing_is_followed_back_in_time_or_over_a_gap(stamp_ns: int) -> None:
    assert started(MaskConfig(), 100).follow(image(100), stamp_ns) is None


def test_nothing_is_followed_after_a_reset_a_new_shape_or_on_request() -> None:
    follower = started(MaskConfig(), 100)
    follower.reset()
    assert follower.follow(image(100), STEP_NS) is None
    assert started(MaskConfig(), 100).follow(image(100)[:200], STEP_NS) is None
    assert started(MaskConfig(follow_s=0.0), 100).follow(image(100), STEP_NS) is None
    follower = HandFollower(MaskConfig())
    follower.remember(mask(100).astype(np.float32), mask(100), mask(100), None)  # before any image
    assert follower.follow(image(100), STEP_NS) is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_belief_fades_with_time_and_not_with_the_number_of_frames(count: int) -> None:
    follower = started(MaskConfig(follow_s=1.0), 100)
    for k in range(1, count + 1):
        followed = follower.follow(image(100), k * 4 * STEP_NS // count)
        assert followed is not None
        follower.remember(np.zeros((H, W), np.float32), NOTHING, NOTHING, followed)
        sure = followed.sure
    assert sure.max() == pytest.approx(math.exp(-0.32), abs=1e-3) and sure.min() == 0


def test_what_is_followed_is_a_probability_and_never_more_than_was_known() -> None:
    follower, rng = HandFollower(MaskConfig()), np.random.default_rng(0)
    follower.follow(image(100), 0)
    for k in range(1, 5):
        hand = np.asarray(cv2.resize(rng.random((6, 8), np.float32), (W // 2, H // 2)), np.float32)
        follower.remember(hand, hand > 0.4, np.kron(hand > 0.4, np.ones((2, 2), bool)), None)
        followed = follower.follow(image(100 + 2 * k), k * STEP_NS)
        assert followed is not None
        for values in (followed.sure, followed.hand, followed.is_same):
            assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
        assert followed.hand.max() <= hand.max() + 1e-6


def test_a_frame_nobody_decided_about_breaks_the_chain() -> None:
    follower = started(MaskConfig(), 100)
    assert follower.follow(image(100), STEP_NS) is not None
    assert follower.follow(image(100), 2 * STEP_NS) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 500), (31, 33)])
def test_images_of_any_shape_are_followed(size: tuple[int, int]) -> None:
    follower, plain, all_hand = HandFollower(MaskConfig()), np.full((*size, 3), 90, np.uint8), np.ones(size, bool)
    assert follower.follow(plain, 0) is None
    follower.remember(all_hand.astype(np.float32), all_hand, all_hand, None)
    followed = follower.follow(plain, STEP_NS)
    assert followed is not None and followed.sure[0, 0] == pytest.approx(math.exp(-0.04), abs=1e-3)


def test_a_hand_of_one_pixel_leaves_no_trail() -> None:
    follower, dot = HandFollower(MaskConfig()), NOTHING.copy()
    dot[120, 160] = True
    follower.follow(image(None), 0)
    follower.remember(dot.astype(np.float32), dot, dot, None)
    followed = follower.follow(image(None), STEP_NS)
    assert followed is not None and not followed.sure.any()
