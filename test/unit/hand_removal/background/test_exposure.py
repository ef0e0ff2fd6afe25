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
