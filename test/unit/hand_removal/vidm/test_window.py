"""The square around a hole: where it lies, how large it is, and what it does at the borders."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.hand_removal.vidm.window import Window, around_hole, whole

H, W = 256, 352


def hole(top: int, left: int, height: int, width: int) -> np.ndarray:
    out = np.zeros((H, W), np.bool_)
    out[top : top + height, left : left + width] = True
    return out


def test_the_window_that_is_the_image_takes_all_of_it() -> None:
    window = whole(W, H)
    assert hole(0, 0, H, W)[window.pixels].shape == (H, W)
    assert window.cells == (slice(0, H // 4), slice(0, W // 4))


def test_cells_are_a_quarter_of_pixels() -> None:
    window = Window(16, 32, 64, 96)
    assert window.pixels == (slice(32, 128), slice(16, 80)) and window.cells == (slice(8, 32), slice(4, 20))


@pytest.mark.parametrize(
    ("place", "start"), [((0, 0), (0, 0)), ((255, 351), (96, 192)), ((0, 351), (0, 192)), ((255, 0), (96, 0))]
)
def test_one_pixel_in_a_corner_has_the_window_in_that_corner(place: tuple[int, int], start: tuple[int, int]) -> None:
    window = around_hole(hole(*place, 1, 1), 32)
    assert (window.top, window.left, window.width, window.height) == (*start, 160, 160)


@pytest.mark.parametrize(("longer", "side"), [(1, 160), (100, 160), (101, 192), (120, 192), (121, 224), (140, 224), (141, 256)])
def test_the_side_is_1_6_times_the_longer_side_of_the_hole_in_steps(longer: int, side: int) -> None:
    window = around_hole(hole(40, 60, 20, longer), 32)
    assert (window.width, window.height) == (side, side)
    assert window.width >= 1.6 * longer and (window.width == 160 or window.width - 32 < 1.6 * longer)


@pytest.mark.parametrize("box", [(0, 0, 256, 352), (0, 0, 256, 1), (100, 0, 10, 352)])
def test_a_large_hole_has_all_of_the_side_it_needs(box: tuple[int, int, int, int]) -> None:
    window = around_hole(hole(*box), 32)
    assert window.height == H and window.top == 0
    assert window.width == W or box[3] == 1


def test_pieces_far_apart_lie_in_one_window() -> None:
    both = hole(10, 10, 5, 5) | hole(200, 300, 5, 5)
    window = around_hole(both, 32)
    assert both[window.pixels].sum() == both.sum()


@pytest.mark.parametrize("box", [(100, 120, 20, 40), (0, 300, 30, 30), (33, 47, 101, 77)])
def test_mirrored_holes_have_mirrored_windows(box: tuple[int, int, int, int]) -> None:
    plain, mirrored = around_hole(hole(*box), 32), around_hole(hole(*box)[:, ::-1], 32)
    turned = around_hole(np.pad(hole(*box), ((0, W - H), (0, 0))).T, 32)
    assert (mirrored.width, mirrored.height, mirrored.top) == (plain.width, plain.height, plain.top)
    assert abs(mirrored.left + mirrored.width + plain.left - W) <= 4
    assert (turned.left, turned.top) == (plain.top, plain.left) and turned.width == plain.height


@pytest.mark.parametrize("multiple", [8, 32, 64])
def test_sides_are_multiples_of_what_the_network_needs(multiple: int) -> None:
    window = around_hole(np.pad(hole(100, 100, 30, 50), ((0, 0), (0, 32))), multiple)
    assert window.width % multiple == window.height % multiple == 0 and window.width >= 160
    assert around_hole(hole(100, 100, 30, 50), multiple, min_side=1, factor=1.0).width == -(-50 // multiple) * multiple
