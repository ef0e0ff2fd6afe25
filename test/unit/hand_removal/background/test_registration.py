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
