"""Preprocessing against the published code, the composite, the window, and the free-form holes."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from fixtures.random_weights import numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ego_perception.errors import FrameError
from ego_perception.hand_removal.vidm.compositing import blend, match_colours, paste
from ego_perception.hand_removal.vidm.free_form import free_form_mask
from ego_perception.hand_removal.vidm.images import (
    centre_square,
    centre_square_mask,
    completed,
    latent_mask,
    to_bytes,
    to_tensor,
    with_margin,
    work_size,
)
from ego_perception.hand_removal.vidm.window import around_hole, whole


def picture(name: str, height: int, width: int) -> NDArray[np.uint8]:
    """The pictures that the golden crops were made from."""
    smooth = cv2.GaussianBlur(numbers(name, (height, width, 3)).numpy(), (0, 0), 6) * 8
    return np.clip(smooth * 64 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "height", "width"), [("wide", 360, 480), ("tall", 333, 250), ("odd", 257, 471), ("same", 256, 256)]
)
def test_crop_and_mask_equal_the_published_ones(golden: dict[str, Any], name: str, height: int, width: int) -> None:
    crop = centre_square(picture(f"prep.{name}", height, width))
    assert np.abs(crop[::4, ::4].astype(int) - golden[f"prep.{name}.image"].astype(int)).max() <= 1
    hands = picture(f"prep.mask.{name}", height, width)[..., 0] > 170
    assert np.array_equal(np.packbits(centre_square_mask(hands)), golden[f"prep.{name}.mask"])


def test_margin_is_a_square_of_seven() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[20, 20] = 255
    assert with_margin(mask).sum() == 49 and with_margin(mask)[17:24, 17:24].all()
    assert with_margin(mask, 1).sum() == 1


@pytest.mark.parametrize(("size", "expected"), [((640, 480), (352, 256)), ((256, 256), (256, 256)), ((480, 854), (256, 448))])
def test_work_size_keeps_the_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert work_size(*size, short=256, multiple=32) == expected
    assert work_size(1, 1000, short=256, multiple=32)[0] == 256


def test_hole_pixels_are_not_read() -> None:
    hole = np.zeros((8, 8), np.bool_)
    hole[2:5, 3:6] = True
    first, second = picture("a", 8, 8), picture("a", 8, 8)
    second[hole] = 17
    device = torch.device("cpu")
    image, mask = to_tensor(first, hole, device)
    assert torch.equal(image, to_tensor(second, hole, device)[0])
    assert torch.equal(mask[0, 0] > 0, torch.from_numpy(hole)) and set(mask.unique().tolist()) == {-1.0, 1.0}
    assert (image[0, :, 2:5, 3:6] == -1).all()
    assert torch.allclose(image[0, :, 0, 0], torch.tensor(first[0, 0] / 127.5 - 1).float())


def test_a_thin_finger_stays_in_the_latent_mask() -> None:
    mask = torch.full((1, 1, 16, 16), -1.0)
    mask[..., 6] = 1.0  # one column, not at a corner of a cell
    assert (latent_mask(mask, is_published=False)[0, 0, :, 1] == 1).all()
    assert (latent_mask(mask, is_published=True) == -1).all(), "the published reduction loses it; kept for comparison only"


def test_bytes_are_the_inverse_of_the_input() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    rgb = np.stack([values] * 3, axis=-1)
    image, _ = to_tensor(rgb, np.zeros((16, 16), np.bool_), torch.device("cpu"))
    assert np.array_equal(to_bytes(image[0], is_published=False), rgb)


@pytest.mark.parametrize(("level", "published"), [(0.1, -0.4), (0.9, 0.4)])
def test_published_bytes_are_biased(level: float, published: float) -> None:
    """Dark images come out half a grey level too dark, bright ones too bright; ours on average not at all."""
    values = 2 * (level + 0.05 * (torch.linspace(0, 1, 3 * 90 * 90) - 0.5)).reshape(3, 90, 90) - 1
    ideal = (values.permute(1, 2, 0).numpy() + 1) * 127.5
    assert abs((to_bytes(values, is_published=False) - ideal).mean()) < 0.02
    assert (to_bytes(values, is_published=True) - ideal).mean() == pytest.approx(published, abs=0.06)


def test_wrong_images_are_refused() -> None:
    device = torch.device("cpu")
    with pytest.raises(FrameError, match=r"image is float64 \(8, 8, 3\)"):
        to_tensor(np.zeros((8, 8, 3)), np.zeros((8, 8), np.bool_), device)  # type: ignore[arg-type]
    with pytest.raises(FrameError, match=r"mask is bool \(4, 8\)"):
        to_tensor(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 8), np.bool_), device)
    with pytest.raises(FrameError, match="mask is uint8"):
        to_tensor(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), device)  # type: ignore[arg-type]


def disc(radius: int = 20) -> NDArray[np.bool_]:
    y, x = np.mgrid[:96, :128]
    return np.asarray((x - 60) ** 2 + (y - 50) ** 2 < radius**2)


@pytest.mark.parametrize("composite", [paste, blend])
def test_outside_the_hole_nothing_changes_and_inside_nothing_is_read(composite: Any) -> None:
    frame, fill, hole = picture("frame", 96, 128), picture("fill", 96, 128), disc()
    result = composite(frame, fill, hole)
    assert np.array_equal(result[~hole], frame[~hole])
    other = frame.copy()
    other[hole] = 255 - other[hole]
    assert np.array_equal(composite(other, fill, hole), result)


def test_colours_of_a_tinted_fill_are_matched() -> None:
    frame, hole = picture("frame", 96, 128), disc()
    tinted = np.clip(0.9 * frame.astype(np.float32) + 25, 0, 255).astype(np.uint8)
    assert np.abs(match_colours(frame, tinted, hole)[hole] - frame[hole]).mean() < 2.5
    assert np.abs(blend(frame, tinted, hole)[hole].astype(float) - frame[hole]).mean() < 2.5
    assert np.abs(paste(frame, tinted, hole)[hole].astype(float) - frame[hole]).mean() > 4


def test_the_seam_fades() -> None:
    """A fill that is off by a slope, which no gain or shift removes, meets the frame at the border of the hole."""
    frame = np.full((96, 128, 3), 100, np.uint8)
    slope = np.linspace(-40, 40, 128)[None, :, None]
    fill, hole = np.broadcast_to(np.rint(100 + slope), (96, 128, 3)).astype(np.uint8), disc()
    distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    border, error = (distance > 0) & (distance < 1.5), lambda image: np.abs(image.astype(float) - 100)
    assert error(blend(frame, fill, hole))[border].mean() < 0.5 * error(blend(frame, fill, hole, 0))[border].mean()
    deep = distance > 8
    assert np.array_equal(blend(frame, fill, hole)[deep], blend(frame, fill, hole, 0)[deep])


def test_a_whole_or_missing_hole_is_pasted() -> None:
    frame, fill = picture("frame", 96, 128), picture("fill", 96, 128)
    assert np.array_equal(blend(frame, fill, np.ones((96, 128), np.bool_)), fill)
    assert np.array_equal(blend(frame, fill, np.zeros((96, 128), np.bool_)), frame)


@given(st.integers(0, 255), st.integers(0, 351), st.integers(1, 256), st.integers(1, 352))
@settings(max_examples=200, deadline=None)
def test_window_holds_the_hole_and_fits(top: int, left: int, height: int, width: int) -> None:
    hole = np.zeros((256, 352), np.bool_)
    hole[top : top + height, left : left + width] = True
    window = around_hole(hole, 32)
    inside = np.zeros_like(hole)
    inside[window.pixels] = True
    assert not (hole & ~inside).any()
    assert window.width % 32 == window.height % 32 == window.left % 4 == window.top % 4 == 0
    assert min(window.left, window.top) >= 0
    assert window.left + window.width <= 352 and window.top + window.height <= 256
    assert inside[::4, ::4].sum() == np.prod([s.stop - s.start for s in window.cells])
    longer = max(*hole.any(axis=0).nonzero()[0][[-1]] - left, *hole.any(axis=1).nonzero()[0][[-1]] - top) + 1
    assert window.width >= min(352, max(160, 1.6 * longer)) and window.height >= min(256, max(160, 1.6 * longer))


def test_window_of_a_small_hole_is_small() -> None:
    assert (around_hole(disc()[:96, :128], 32).width, whole(128, 96).width) == (128, 128)
    hole = np.zeros((256, 352), np.bool_)
    hole[100:130, 200:240] = True
    window = around_hole(hole, 32)
    assert (window.width, window.height) == (160, 160) and (window.left, window.top) == (140, 36)


def test_free_form_holes_are_distributed_as_published(golden: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    coverage = np.array([free_form_mask(rng).mean() for _ in range(2000)])
    assert abs(coverage.mean() - float(golden["masks.mean"])) < 0.02
    below = (coverage[:, None] <= golden["masks.quantiles"]).mean(axis=0)
    assert np.abs(below - np.linspace(0.05, 0.95, 19)).max() < 0.03  # three standard errors of 2000 draws
    assert free_form_mask(rng, 64, 40).shape == (64, 40)


@pytest.mark.parametrize("size", [(256, 256), (300, 256), (256, 411)])
def test_the_crop_is_the_middle_and_a_square_of_the_right_size_stays(size: tuple[int, int]) -> None:
    rgb = picture("crop", *size)
    top, left = (size[0] - 256) // 2, (size[1] - 256) // 2
    assert np.array_equal(centre_square(rgb), rgb[top : top + 256, left : left + 256])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (600, 512)])
def test_any_image_has_a_square(size: tuple[int, int]) -> None:
    plain = np.full((*size, 3), (10, 200, 90), np.uint8)
    assert np.array_equal(centre_square(plain, 32), np.full((32, 32, 3), (10, 200, 90), np.uint8))
    assert centre_square_mask(np.ones(size, np.bool_), 32).all() and not centre_square_mask(np.zeros(size, np.bool_), 32).any()


def test_margins_grow_masks_and_never_shrink_them() -> None:
    mask = (np.random.default_rng(0).random((40, 50)) < 0.02).astype(np.uint8) * np.uint8(255)
    grown = [with_margin(mask, margin) for margin in (1, 3, 7, 11)]
    assert np.array_equal(grown[0], mask > 0)
    assert all((larger >= smaller).all() for smaller, larger in itertools.pairwise(grown))
    twice = with_margin(grown[1].astype(np.uint8) * np.uint8(255), 5)
    assert np.array_equal(twice, with_margin(mask, 7)), "margins add up"
    assert np.array_equal(with_margin(mask[:, ::-1].copy(), 7), grown[2][:, ::-1])


@given(st.integers(1, 4000), st.integers(1, 4000))
@settings(max_examples=60, deadline=None)
def test_work_sizes_are_multiples_and_turn_with_the_image(width: int, height: int) -> None:
    across, down = work_size(width, height, short=256, multiple=32)
    assert across % 32 == down % 32 == 0 and min(across, down) == 256
    assert work_size(height, width, short=256, multiple=32) == (down, across)
    assert abs(max(across, down) - 256 * max(width, height) / min(width, height)) <= 16


@pytest.mark.parametrize("is_published", [True, False])
def test_latent_masks_are_marks_of_cells_and_larger_holes_have_larger_ones(is_published: bool) -> None:
    small = torch.where(torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0)) < 0.05, 1.0, -1.0)
    large = torch.maximum(small, torch.where(torch.arange(48) < 10, 1.0, -1.0))
    first, second = (latent_mask(mask, is_published=is_published) for mask in (small, large))
    assert first.shape == (1, 1, 8, 12) and set(first.unique().tolist()) == {-1.0, 1.0} and bool((second >= first).all())
    assert bool((latent_mask(small, is_published=False) >= latent_mask(small, is_published=True)).all())
    ours = latent_mask(small, is_published=False)[0, 0]
    assert torch.equal(ours > 0, (small[0, 0] > 0).unflatten(0, (8, 4)).unflatten(2, (12, 4)).any(3).any(1))


@pytest.mark.parametrize(
    ("value", "ours", "published"), [(-1.0, 0, 0), (0.0, 128, 128), (1.0, 255, 255), (-9.0, 0, 0), (9.0, 255, 255)]
)
def test_bytes_at_the_ends_and_beyond(value: float, ours: int, published: int) -> None:
    image = torch.full((3, 2, 2), value)
    assert (to_bytes(image, is_published=False) == ours).all() and (to_bytes(image, is_published=True) == published).all()


def test_a_first_guess_keeps_what_is_known_and_reads_nothing_else() -> None:
    rgb, unknown = picture("guess", 60, 90), np.zeros((60, 90), np.bool_)
    unknown[20:45, 30:70] = True
    guesses = [completed(np.where(unknown[..., None], colour, rgb).astype(np.uint8), unknown) for colour in (0, 255)]
    assert np.array_equal(guesses[0], guesses[1]) and np.array_equal(guesses[0][~unknown], rgb[~unknown])
    assert completed(rgb, ~unknown & unknown) is rgb
    plain = np.full((60, 90, 3), (9, 120, 250), np.uint8)
    assert np.array_equal(completed(np.where(unknown[..., None], 0, plain).astype(np.uint8), unknown), plain)
    assert np.array_equal(completed(guesses[0], unknown), guesses[0]), "completed once is completed"


def test_a_first_guess_of_a_plain_picture_is_plain_however_little_is_known() -> None:
    plain, known = np.full((240, 320, 3), 120, np.uint8), np.zeros((240, 320), np.bool_)
    known[:12, :12] = True
    assert np.abs(completed(np.where(known[..., None], plain, 0).astype(np.uint8), ~known).astype(int) - 120).max() <= 2
