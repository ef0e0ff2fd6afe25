"""Windows around holes, and numbers kept in bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ego_perception.hand_removal.baselines import forgetful
from ego_perception.hand_removal.fill.crop import input_planes, window_around
from ego_perception.hand_removal.fill.data import from_bytes, to_bytes
from ego_perception.hand_removal.fill.sizes import PLANES

RGB = np.full((240, 320, 3), 100, np.uint8)


def hole(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    out = np.zeros((240, 320), bool)
    out[top:bottom, left:right] = True
    return out


@pytest.mark.parametrize("box", [(0, 3, 0, 3), (100, 240, 50, 300), (0, 240, 0, 320), (200, 240, 310, 320)])
def test_the_window_holds_the_hole_and_lies_in_the_image(box: tuple[int, int, int, int]) -> None:
    window = window_around(hole(*box), 256)
    assert window is not None and window.x >= 0 and window.y >= 0
    assert window.x <= box[2] and box[3] <= window.x + window.width <= 320
    assert window.y <= box[0] and box[1] <= window.y + window.height <= 240
    assert window.size[0] % 32 == 0 and window.size[1] % 32 == 0 and max(window.size) <= 256


def test_no_hole_no_window() -> None:
    assert window_around(hole(0, 0, 0, 0), 256) is None


def test_nothing_of_the_hand_reaches_the_network() -> None:
    where = hole(60, 160, 100, 200)
    planes = []
    for colour in (0, 255):
        rgb = RGB.copy()
        rgb[where] = colour
        window = window_around(where, 256)
        assert window is not None
        planes.append(input_planes(rgb, where, forgetful(rgb, where), None, None, window))
    assert planes[0].shape[0] == PLANES and np.array_equal(planes[0], planes[1])
    assert planes[0][:3][:, planes[0][7] < 0.4] == pytest.approx(100 / 127.5 - 1, abs=0.01)
    assert not planes[0][6][planes[0][7] > 0.9].any() and not planes[0][10:].any()


def test_bytes_hold_numbers_to_half_a_step_and_0_and_1_exactly() -> None:
    values = np.linspace(-1, 1, 1001, dtype=np.float32)
    back = from_bytes(torch.from_numpy(to_bytes(values))).numpy()
    assert np.abs(back - values).max() <= 0.004
    assert from_bytes(torch.from_numpy(to_bytes(np.array([0, 1], np.float32)))).tolist() == [0.0, 1.0]
