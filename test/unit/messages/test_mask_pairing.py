"""Images and masks of another node find one another by stamp, in order, and nobody waits for longer than the limit."""

from __future__ import annotations

import pytest

from ego_perception.messages.mask_pairing import MaskPairing, PairedImage

STEP = 100_000_000


class Pairs:
    """A pairing on a clock that the test moves."""

    def __init__(self, *, expected: bool = True) -> None:
        self.given: list[tuple[str, str | None]] = []
        self.now_s = 0.0
        self.expected = expected
        self.pairing = MaskPairing(self.take, 0.15, lambda: self.expected, lambda: self.now_s)

    def take(self, pair: PairedImage) -> None:
        self.given.append((pair.image, pair.mask))

    def image(self, k: float) -> None:
        self.pairing.add_image(round(k * STEP), f"image {k:g}")

    def mask(self, k: float) -> None:
        self.pairing.add_mask(round(k * STEP), f"mask {k:g}")

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.pairing.expire()


def test_the_same_stamp_pairs_whoever_comes_first() -> None:
    pairs = Pairs()
    pairs.image(1)
    assert pairs.given == []
    pairs.mask(1)
    pairs.mask(2)
    pairs.image(2)
    assert pairs.given == [("image 1", "mask 1"), ("image 2", "mask 2")]


def test_the_nearest_stamp_within_half_a_step_pairs() -> None:
    pairs = Pairs()
    for k in (1, 2, 3):
        pairs.image(k)
        pairs.mask(k)
    pairs.given.clear()
    pairs.image(4)
    pairs.mask(4.45)
    pairs.image(5)
    pairs.mask(4.7)
    assert pairs.given == [("image 4", "mask 4.45"), ("image 5", "mask 4.7")]
    assert pairs.pairing.slop_ns == STEP // 2


@pytest.mark.parametrize("offset", [-0.5, 0.5, -1.0, 0.8, -50.0])
def test_further_away_does_not(offset: float) -> None:
    pairs = Pairs()
    for k in (1, 2, 3):
        pairs.image(k)
        pairs.mask(k)
    pairs.given.clear()
    pairs.image(4)
    pairs.mask(4 + offset)
    pairs.wait(0.16)
    assert pairs.given == [("image 4", None)]


def test_the_first_image_pairs_by_the_very_stamp_alone() -> None:
    pairs = Pairs()
    pairs.image(1)
    pairs.mask(1.01)
    pairs.wait(0.16)
    assert pairs.given == [("image 1", None)]


def test_an_image_goes_on_at_the_limit_and_its_late_mask_serves_nobody() -> None:
    pairs = Pairs()
    pairs.image(1)
    pairs.wait(0.14)
    assert pairs.given == []
    pairs.wait(0.02)
    assert pairs.given == [("image 1", None)]
    pairs.mask(1)
    pairs.image(2)
    pairs.wait(0.2)
    assert pairs.given == [("image 1", None), ("image 2", None)]


def test_the_mask_of_a_newer_image_ends_the_wait_of_older_ones_in_order() -> None:
    pairs = Pairs()
    for k in (1, 2, 3, 4):
        pairs.image(k)
    pairs.mask(3)
    assert pairs.given == [("image 1", None), ("image 2", None), ("image 3", "mask 3")]
    pairs.mask(4)
    assert pairs.given[-1] == ("image 4", "mask 4")


def test_nobody_waits_where_no_mask_is_expected() -> None:
    pairs = Pairs(expected=False)
    pairs.image(1)
    assert pairs.given == [("image 1", None)]
    pairs.mask(2)
    pairs.image(2)
    assert pairs.given[-1] == ("image 2", "mask 2"), "one that is there is taken all the same"


def test_a_recording_that_starts_again_does_not_meet_its_old_masks() -> None:
    pairs = Pairs()
    for k in (5, 6, 7):
        pairs.image(k)
    pairs.mask(8)
    pairs.wait(1.0)
    pairs.given.clear()
    pairs.image(1)
    for k in (2, 3, 4, 5, 6, 7, 8):
        pairs.image(k)
        pairs.wait(0.2)
    assert [mask for _, mask in pairs.given] == [None] * len(pairs.given)


def test_memory_is_bounded_both_ways() -> None:
    pairs = Pairs()
    for k in range(1, 200):
        pairs.mask(1000 + k)
        pairs.image(k)
    assert len(pairs.pairing._masks) <= 32
    assert len(pairs.pairing._images) <= 33
    assert [image for image, _ in pairs.given] == [f"image {k}" for k in range(1, len(pairs.given) + 1)]
