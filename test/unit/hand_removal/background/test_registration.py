"""Registration of the background: known motions, holes with something else in them, and pairs that have nothing in common."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.hand_removal.background.registration import Registrar, inside, sample

W, H = 320, 240


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(H + 120, W + 120)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload, no-any-return]


def view(canvas: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """What a camera sees whose pixel p lies at homography(p) on the canvas."""
    return cv2.warpPerspective(canvas, homography, (W, H), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, 60 + x], [0, 1, 60 + y], [0, 0, 1]], float)


def disc(x: int, y: int, radius: int) -> np.ndarray:
    rows, cols = np.mgrid[:H, :W]
    return (cols - x) ** 2 + (rows - y) ** 2 < radius**2


NONE = np.zeros((H, W), bool)


@pytest.mark.parametrize(
    "change",
    [np.eye(3), shift(-50, -63), np.array([[1.03, 0.02, -4], [-0.02, 0.98, 6], [1e-5, -2e-5, 1]])],
)
def test_a_known_homography_is_found_also_behind_the_hole(change: np.ndarray) -> None:
    base = shift(0, 0)
    older, newer = view(texture(), base), view(texture(), base @ change)
    hole, older_hole = disc(160, 130, 45), disc(130, 120, 40)
    hand = texture(9)[:H, :W]
    older_with_hand, newer_with_hand = (
        np.where(older_hole, 128, older).astype(np.uint8),
        np.where(hole, hand, newer).astype(np.uint8),
    )
    match = Registrar().register(newer_with_hand, older_with_hand, hole, older_hole)
    assert match is not None and match.inliers > 0.9
    grid = np.stack(np.meshgrid(np.arange(W, dtype=np.float32), np.arange(H, dtype=np.float32)), axis=-1)
    truth = cv2.perspectiveTransform(grid.reshape(1, -1, 2), change).reshape(H, W, 2) - grid
    error = np.linalg.norm(match.flow - truth, axis=-1)
    ok = inside(truth)
    assert np.median(error[hole & ok]) < 0.3
    assert np.percentile(error[hole & ok], 95) < 1.5
    assert match.error[ok].mean() < 4


def test_pairs_without_anything_in_common_are_refused() -> None:
    registrar = Registrar()
    assert registrar.register(texture(1)[:H, :W], texture(2)[:H, :W], NONE, NONE) is None
    flat = np.full((H, W), 90, np.uint8)
    assert registrar.register(flat, flat, NONE, NONE) is None
    everything = np.ones((H, W), bool)
    assert registrar.register(texture()[:H, :W], texture()[:H, :W], everything, NONE) is None


def test_sampling_moves_and_leaves_the_outside_empty() -> None:
    image = texture()[:H, :W]
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = 5
    assert np.array_equal(sample(image, flow)[:, : W - 5], image[:, 5:])
    assert not sample(image, flow)[:, W - 5 :].any()
    assert inside(flow).sum() == H * (W - 5)


SMALL = (80, 64)  # width, height


def small(seed: int = 0) -> np.ndarray:
    return np.ascontiguousarray(texture(seed)[: SMALL[1], : SMALL[0]])


def small_hole() -> np.ndarray:
    hole = np.zeros(SMALL[::-1], bool)
    hole[20:44, 25:50] = True
    return hole


def test_with_a_known_start_nothing_under_the_hole_is_read() -> None:
    hole, none = small_hole(), np.zeros(SMALL[::-1], bool)
    H = np.array([[1, 0, 3.0], [0, 1, -2.0], [0, 0, 1]])
    matches = [
        Registrar().register(np.where(hole, np.uint8(value), small()), np.roll(small(), (-2, 3), (0, 1)), hole, none, H)
        for value in (0, 255)
    ]
    assert matches[0] is not None and matches[1] is not None and matches[0].inliers == 1
    assert np.array_equal(matches[0].flow, matches[1].flow) and np.array_equal(matches[0].error, matches[1].error)
    assert np.abs(matches[0].flow[8:-8, 8:-8] - [3, -2]).max() < 0.5


@pytest.mark.parametrize("start", [np.eye(3), np.array([[1, 0, 4.5], [0, 1, 1], [0, 0, 1]])])
def test_a_flat_image_moves_as_it_is_told(start: np.ndarray) -> None:
    flat, hole = np.full(SMALL[::-1], 90, np.uint8), small_hole()
    match = Registrar().register(flat, flat, hole, np.zeros_like(hole), start)
    assert match is not None
    assert np.abs(match.flow - start[:2, 2]).max() < 1e-4 and not match.error.any()


def test_a_start_that_leads_out_of_the_older_image_is_refused() -> None:
    away = np.array([[1, 0, 500.0], [0, 1, 0], [0, 0, 1]])
    none = np.zeros(SMALL[::-1], bool)
    assert Registrar().register(small(), small(), none, none, away) is None
    assert Registrar().register(small(), small(), none, ~none, np.eye(3)) is None
    assert Registrar().register(small(), small(), ~none, none, np.eye(3)) is None


def test_equal_images_do_not_move() -> None:
    none = np.zeros(SMALL[::-1], bool)
    match = Registrar().register(small(), small(), none, none)
    assert match is not None and np.abs(match.flow).max() < 0.05 and match.error.max() < 1 and match.inliers == 1


def test_places_that_are_no_numbers_lie_outside() -> None:
    flow = np.full((4, 5, 2), np.nan, np.float32)
    assert not inside(flow).any()
    flow[1:] = 0
    assert np.array_equal(inside(flow), np.arange(4)[:, None].repeat(5, 1) > 0)


def test_a_sample_at_half_a_pixel_is_the_mean_and_the_border_is_what_was_asked_for() -> None:
    image = np.arange(0, 200, 10, dtype=np.uint8).reshape(1, 20).repeat(4, 0)
    flow = np.zeros((4, 20, 2), np.float32)
    flow[..., 0] = 0.5
    assert np.array_equal(sample(image, flow)[:, :-1], image[:, :-1] + 5)
    assert (sample(image, flow, border=cv2.BORDER_REPLICATE)[:, -1] == 190).all() and (sample(image, flow)[:, -1] == 95).all()
