"""What had been seen before, in a scene whose answer is plain geometry."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.visibility import SeenBefore

W, H = 80, 60
CAMERA = PinholeCamera.from_fov(W, H, 1.0)
WALL = np.full((H, W), 2.0, np.float32)


def at(x: float, z: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[0, 3], T[2, 3] = x, z
    return T


def box(left: int, right: int) -> np.ndarray:
    hole = np.zeros((H, W), bool)
    hole[20:40, left:right] = True
    return hole


def test_only_what_an_earlier_frame_showed_counts() -> None:
    seen = SeenBefore(CAMERA)
    assert not seen.add(WALL, box(20, 40), at(0)).any()
    second = seen.add(WALL, box(30, 50), at(0))
    assert np.array_equal(second, box(40, 50))
    third = seen.add(WALL, box(20, 50), at(0))
    assert np.array_equal(third, box(20, 50) & ~box(30, 40))


@pytest.mark.parametrize("pixels", [10, -10])
def test_a_step_aside_reveals_a_strip(pixels: int) -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL, box(30, 50), at(0))
    revealed = seen.add(WALL, box(30, 50), at(pixels * 2.0 / CAMERA.fx))
    assert revealed.sum() == 20 * 10
    assert revealed[25, 45 if pixels > 0 else 35] and not revealed[25, 35 if pixels > 0 else 45]


def test_what_another_surface_hid_was_not_seen() -> None:
    seen = SeenBefore(CAMERA)
    near = WALL.copy()
    near[:, 30:50] = 1.0
    seen.add(near, np.zeros((H, W), bool), at(0))
    shown = seen.add(WALL, box(20, 60), at(0))
    assert np.array_equal(shown, box(20, 60) & ~box(30, 50))


def test_unknown_depth_and_places_out_of_view_were_not_seen() -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL, np.zeros((H, W), bool), at(50.0))
    seen.add(np.zeros((H, W), np.float32), np.zeros((H, W), bool), at(0))
    assert not seen.add(WALL, box(20, 60), at(0)).any()
    assert not seen.add(np.zeros((H, W), np.float32), box(20, 60), at(0)).any()
