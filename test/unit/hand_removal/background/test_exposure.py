"""The camera's gain between two images of one background."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.hand_removal.background.exposure import gain_between

RGB = np.random.default_rng(0).integers(40, 180, (60, 80, 3), dtype=np.uint8)
STILL = np.zeros((60, 80, 2), np.float32)
HIDDEN = np.zeros((60, 80), bool)


def test_gains_are_found_per_channel_and_moving_hands_are_left_out() -> None:
    gains = np.array([1.2, 1.0, 0.85])
    brighter = np.clip(RGB * gains + 0.5, 0, 255).astype(np.uint8)
    hidden = HIDDEN.copy()
    hidden[:30] = True
    brighter[:30] = 200
    assert gain_between(brighter, RGB, STILL, hidden) == pytest.approx(gains, rel=0.02)


def test_steps_are_limited_and_ill_exposed_images_say_nothing() -> None:
    assert gain_between((RGB * 1.4).clip(0, 235).astype(np.uint8), RGB, STILL, HIDDEN).max() <= 1.25
    white = np.full_like(RGB, 255)
    assert gain_between(white, RGB, STILL, HIDDEN) == pytest.approx(np.ones(3))
    assert gain_between(RGB, RGB // 2, STILL, np.ones_like(HIDDEN)) == pytest.approx(np.ones(3))


def test_an_image_is_as_bright_as_itself_and_back_is_one_over_forth() -> None:
    assert gain_between(RGB, RGB, STILL, HIDDEN).tolist() == [1, 1, 1]
    brighter = (RGB * 1.15 + 0.5).astype(np.uint8)
    forth, back = gain_between(brighter, RGB, STILL, HIDDEN), gain_between(RGB, brighter, STILL, HIDDEN)
    assert forth * back == pytest.approx(np.ones(3), abs=0.01) and forth == pytest.approx([1.15] * 3, rel=0.01)


def test_pixels_are_compared_where_they_were() -> None:
    flow = STILL.copy()
    flow[..., 0], flow[..., 1] = 8, -4
    brighter = (np.roll(RGB, (4, -8), axis=(0, 1)) * 1.1 + 0.5).astype(np.uint8)
    assert gain_between(brighter, RGB, flow, HIDDEN) == pytest.approx([1.1] * 3, rel=0.01)


def test_images_larger_than_their_flow_are_averaged() -> None:
    large = np.kron(RGB, np.ones((3, 3, 1))).astype(np.uint8)
    assert gain_between((large * 1.2).astype(np.uint8), large, STILL, HIDDEN) == pytest.approx([1.2] * 3, rel=0.02)
    assert gain_between((RGB * 1.2).astype(np.uint8), large, STILL, HIDDEN) == pytest.approx([1.2] * 3, rel=0.02)


@pytest.mark.parametrize("far", [500.0, -500.0, np.nan])
def test_places_out_of_view_say_nothing(far: float) -> None:
    with np.errstate(invalid="ignore"):
        assert gain_between(RGB, RGB // 2, np.full_like(STILL, far), HIDDEN).tolist() == [1, 1, 1]


def test_clipped_channels_say_nothing_and_the_others_do() -> None:
    old, new = RGB.copy(), (RGB * 1.1).astype(np.uint8)
    old[..., 0], new[..., 0] = 250, 255
    old[..., 2], new[..., 2] = 10, 5
    gains = gain_between(new, old, STILL, HIDDEN)
    assert gains[0] == gains[2] == 1 and gains[1] == pytest.approx(1.1, rel=0.01)


def test_hands_that_hid_the_older_image_are_left_out_where_they_were() -> None:
    hand = np.arange(80) >= 40
    older = np.where(hand[:, None], RGB // 2, RGB).astype(np.uint8)
    flow = STILL.copy()
    flow[..., 0] = 40  # all of what is seen on the left now was behind the hand
    gains = gain_between(np.roll(RGB, -40, axis=1), older, flow, np.broadcast_to(hand, HIDDEN.shape))
    assert gains.tolist() == [1, 1, 1]
