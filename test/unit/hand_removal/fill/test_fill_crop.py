"""Windows around holes, and numbers kept in bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ego_perception.hand_removal.background.drawing import Background
from ego_perception.hand_removal.baselines import forgetful
from ego_perception.hand_removal.fill.crop import Window, input_planes, last_planes, scene_planes, window_around
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


def background_of(rgb: np.ndarray, seen: np.ndarray, where: np.ndarray, age_s: float = 5.0) -> Background:
    """The picture itself, remembered where it was seen."""
    known = ~where | seen
    age = np.where(where, np.where(seen, age_s, np.nan), 0).astype(np.float32)
    return Background(np.where(known[..., None], rgb, 0).astype(np.uint8), seen, known.astype(np.float32), age)


@pytest.mark.parametrize("size", [(1, 1), (1, 320), (240, 1), (20, 50), (96, 96), (97, 1000)])
@pytest.mark.parametrize("longest", [64, 160])
def test_images_of_any_size_have_a_window(size: tuple[int, int], longest: int) -> None:
    for where in (np.ones(size, bool), np.zeros(size, bool)):
        where[-1, -1] = True
        window = window_around(where, longest)
        assert window is not None
        assert window.x >= 0 and window.x + window.width <= size[1] and window.y >= 0 and window.y + window.height <= size[0]
        assert window.cut(where).sum() == where.sum()
        assert all(32 <= side <= longest and side % 32 == 0 for side in window.size)


@pytest.mark.parametrize("box", [(100, 140, 50, 70), (0, 8, 300, 320), (60, 200, 20, 300), (239, 240, 319, 320)])
def test_turned_and_mirrored_holes_have_turned_and_mirrored_windows(box: tuple[int, int, int, int]) -> None:
    where = hole(*box)
    plain, turned, mirrored = (window_around(w, 160) for w in (where, where.T, where[:, ::-1]))
    assert plain is not None and turned is not None and mirrored is not None
    assert (turned.x, turned.y, turned.width, turned.height) == (plain.y, plain.x, plain.height, plain.width)
    assert turned.size == plain.size[::-1] == mirrored.size[::-1]
    assert abs(mirrored.x + mirrored.width + plain.x - 320) <= 1 and mirrored.y == plain.y


def test_a_hole_in_the_middle_has_three_tenths_of_itself_on_each_side() -> None:
    window = window_around(hole(70, 170, 100, 220), 256)
    assert window is not None
    assert (window.x, window.y, window.width, window.height) == (100 - 36, 70 - 30, 192, 160) and window.size == (192, 160)
    assert window_around(hole(119, 121, 159, 161), 256) == Window(112, 72, 96, 96, (96, 96)), "the least side"


def test_cut_is_a_view_and_take_averages_squares() -> None:
    window = Window(4, 2, 64, 64, (32, 32))
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    part = window.cut(image)
    assert part.base is image and np.array_equal(part, image[2:66, 4:68])
    expected = part.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(window.take(image) - expected).max() < 1e-3


def test_averages_ask_only_what_is_valid() -> None:
    window, rng = Window(0, 0, 64, 64, (32, 32)), np.random.default_rng(1)
    image, valid = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), rng.random((64, 64)) < 0.5
    mean, share = window.average(image, valid)
    squares, weight = image.reshape(32, 2, 32, 2, 3), valid.reshape(32, 2, 32, 2)
    count = weight.sum(axis=(1, 3))
    expected = (squares * weight[..., None]).sum(axis=(1, 3)) / np.maximum(count, 1)[..., None]
    assert np.abs(share - count / 4).max() < 1e-6 and np.abs(mean - expected).max() < 1e-2
    assert not mean[count == 0].any()
    junk = np.where(valid[..., None], image, 255).astype(np.uint8)
    assert np.array_equal(window.average(junk, valid)[0], mean)


def test_planes_mirror_with_the_image() -> None:
    where = hole(70, 170, 100, 220)
    rgb = np.random.default_rng(2).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    flip = np.s_[:, ::-1]
    window = window_around(where, 256)
    assert window is not None and window.x == 64, "lies in the middle"
    plain = scene_planes(rgb, where, background_of(rgb, where, where), window)
    other = background_of(rgb[flip], where[flip], where[flip])
    mirrored = scene_planes(np.ascontiguousarray(rgb[flip]), np.ascontiguousarray(where[flip]), other, window)
    assert np.abs(mirrored[:, :, ::-1] - plain).max() < 1e-5


def test_each_plane_says_what_it_is_said_to_say() -> None:
    where, seen = hole(70, 170, 100, 220), hole(70, 170, 100, 160)
    window = window_around(where, 256)
    assert window is not None
    planes = scene_planes(RGB, where, background_of(RGB, seen, where), window)
    inner, unseen, outside = planes[:, 50, 60], planes[:, 50, 140], planes[:, 5, 5]
    level = 100 / 127.5 - 1
    assert outside == pytest.approx([level] * 6 + [1, 0, 0, 0], abs=1e-5)
    assert inner == pytest.approx([0, 0, 0, level, level, level, 1, 1, 0, 1 - np.exp(-1)], abs=1e-5)
    assert unseen == pytest.approx([0, 0, 0, level, level, level, 0, 1, 1, 1 - np.exp(-12)], abs=0.02)


def test_where_nothing_is_known_at_all_the_guess_is_grey() -> None:
    everything = np.ones((240, 320), bool)
    window = window_around(everything, 160)
    assert window is not None
    planes = scene_planes(RGB, everything, forgetful(RGB, everything), window)
    assert not planes[:7].any() and (planes[7:9] == 1).all() and planes[9] == pytest.approx(1, abs=1e-4)


def test_the_last_output_counts_where_it_is_valid() -> None:
    window = Window(0, 0, 64, 64, (32, 32))
    valid = np.broadcast_to(np.arange(64) < 32, (64, 64)).copy()
    planes = last_planes(np.full((64, 64, 3), 255, np.uint8), valid, window)
    assert (planes[:3, :, :16] == 1).all() and not planes[:3, :, 16:].any()
    assert (planes[3, :, :16] == 1).all() and not planes[3, :, 16:].any()
    assert not last_planes(np.full((64, 64, 3), 255, np.uint8), ~valid & valid, window).any()


@pytest.mark.parametrize("box", [(0, 1, 0, 1), (0, 240, 0, 30), (0, 40, 280, 320), (120, 121, 160, 161), (0, 240, 0, 320)])
def test_all_planes_are_numbers_in_their_range(box: tuple[int, int, int, int]) -> None:
    where, rng = hole(*box), np.random.default_rng(3)
    rgb = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    window = window_around(where, 160)
    assert window is not None
    planes = input_planes(rgb, where, background_of(rgb, where & (rng.random(where.shape) < 0.5), where), None, None, window)
    assert planes.dtype == np.float32 and planes.shape == (PLANES, *window.size[::-1]) and np.isfinite(planes).all()
    assert np.abs(planes[[*range(6), 10, 11, 12]]).max() <= 1 + 1e-4
    assert planes[[6, 7, 8, 9, 13]].min() >= -1e-6 and planes[[6, 7, 8, 9, 13]].max() <= 1 + 1e-6
