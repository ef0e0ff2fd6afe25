"""Motion from corners: known motions come back, mirrored worlds move mirrored, what says nothing changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp
from ego_perception.hand_removal.background.motion import (
    MIN_POINTS,
    Motion,
    clear_of,
    composed,
    follow,
    is_still,
    reprojection_error,
    solve_motion,
)

W, H = 160, 120
CAMERA = PinholeCamera(W, H, 140.0, 150.0, 79.5, 59.5)
NONE = np.zeros((H, W), bool)
BLOCKS = np.kron(np.random.default_rng(1).integers(30, 220, (H // 8 + 2, W // 8 + 2)), np.ones((8, 8))).astype(np.uint8)
TEXTURE = np.ascontiguousarray(BLOCKS[:H, :W])


def points(count: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rays with z = 1 and inverse depths."""
    rng = np.random.default_rng(seed)
    rays = np.concatenate([rng.uniform(-0.5, 0.5, (count, 2)), np.ones((count, 1))], axis=1)
    return rays, rng.uniform(0.4, 2.0, count)


def seen(T: np.ndarray, rays: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Where a camera sees points of another one, by plain projection of points at their depths."""
    q = (rays / inverse[:, None]) @ T[:3, :3].T + T[:3, 3]
    return q[:, :2] / q[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]


def solved(pixels: np.ndarray, rays: np.ndarray, inverse: np.ndarray, weight: np.ndarray | None = None) -> Motion:
    say = np.ones(len(rays)) if weight is None else weight
    return solve_motion(rays, inverse, pixels, say, CAMERA, np.eye(4), num_steps=30)


def test_no_motion_gives_the_identity() -> None:
    rays, inverse = points()
    motion = solved(seen(np.eye(4), rays, inverse), rays, inverse)
    assert motion.T_now_older == pytest.approx(np.eye(4), abs=1e-9) and motion.error_px.max() < 1e-6 and motion.is_sound


@pytest.mark.parametrize("turn", [(0.1, 0, 0), (0, -0.12, 0), (0, 0, 0.2), (0.05, 0.04, -0.06)])
def test_a_turn_is_found_and_no_translation_made_up(turn: tuple[float, float, float]) -> None:
    rays, inverse = points()
    T = make_transform(so3_exp(turn), np.zeros(3))
    found = solved(seen(T, rays, inverse), rays, inverse).T_now_older
    assert found == pytest.approx(T, abs=1e-4)


def test_points_at_infinity_say_nothing_about_translation() -> None:
    rays, _ = points()
    far = np.zeros(len(rays))
    T = make_transform(so3_exp([0.02, -0.03, 0.05]), np.zeros(3))
    q = rays @ T[:3, :3].T
    pixels = q[:, :2] / q[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    assert solved(pixels, rays, far).T_now_older == pytest.approx(T, abs=1e-5)


def test_a_mirrored_world_moves_mirrored() -> None:
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    rays, inverse = points()
    T = make_transform(so3_exp([0.03, 0.05, -0.04]), [0.05, -0.03, 0.04])
    pixels = seen(T, rays, inverse)
    mirrored = np.stack([2 * CAMERA.cx - pixels[:, 0], pixels[:, 1]], axis=1)
    plain, other = solved(pixels, rays, inverse), solved(mirrored, rays * [-1, 1, 1], inverse)
    assert other.T_now_older == pytest.approx(flip @ plain.T_now_older @ flip, abs=1e-9)


def test_forth_and_back_are_inverse_to_each_other() -> None:
    rays, inverse = points()
    T = make_transform(so3_exp([0.02, 0.04, 0.01]), [0.04, 0.02, -0.03])
    q = rays @ T[:3, :3].T + inverse[:, None] * T[:3, 3]
    there = solved(seen(T, rays, inverse), rays, inverse).T_now_older
    back = solved(seen(np.eye(4), rays, inverse), q / q[:, 2:], inverse / q[:, 2]).T_now_older
    assert there @ back == pytest.approx(np.eye(4), abs=2e-3)


def test_points_without_weight_do_not_matter() -> None:
    rays, inverse = points()
    pixels = seen(make_transform(so3_exp([0.02, 0, 0]), [0.05, 0, 0]), rays, inverse)
    weight = np.ones(len(rays))
    weight[:20] = 0
    moved = pixels.copy()
    moved[:20] += 0.4  # too little to change the robust scale, which asks everybody
    first, second = (solved(p, rays, inverse, weight).T_now_older for p in (pixels, moved))
    assert first == pytest.approx(second, abs=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_places_that_are_no_numbers_give_no_sound_motion(bad: float) -> None:
    rays, inverse = points()
    pixels = seen(np.eye(4), rays, inverse)
    pixels[3] = bad
    with np.errstate(invalid="ignore"):
        assert not solved(pixels, rays, inverse).is_sound


@pytest.mark.parametrize(("good", "bad", "is_sound"), [(12, 0, True), (11, 0, False), (12, 36, True), (12, 37, False)])
def test_a_motion_is_sound_from_twelve_points_of_which_a_quarter_agrees(good: int, bad: int, is_sound: bool) -> None:
    assert Motion(np.eye(4), np.array([1.0] * good + [2.0] * bad)).is_sound == is_sound


def test_the_error_is_the_larger_of_both_axes() -> None:
    rays, inverse = points(3)
    pixels = seen(np.eye(4), rays, inverse) + np.array([[3, 0], [-1, 2], [0, -0.5]])
    assert reprojection_error(np.eye(4), rays, inverse, pixels, CAMERA) == pytest.approx([3, 2, 0.5])


def test_products_of_transforms_stay_rigid() -> None:
    step = make_transform(so3_exp([0.3, -0.2, 0.5]), [0.1, 0.2, 0.3])
    off = step.copy()
    off[:3, :3] *= 1 + 1e-4  # what rounding does in the end
    out = composed(off, off)
    assert out[:3, :3] @ out[:3, :3].T == pytest.approx(np.eye(3), abs=1e-6)
    assert composed(step, invert(step)) == pytest.approx(np.eye(4), abs=1e-12)
    assert composed(step, step, step) == pytest.approx(step @ step @ step, abs=1e-12)


def test_still_means_that_nine_of_ten_corners_move_less_than_tracking_errs() -> None:
    now = np.random.default_rng(0).uniform(0, 100, (100, 2))
    then = now + np.where(np.arange(100)[:, None] < 92, 0.1, 5.0)
    assert is_still(now, then) and is_still(then, now) and is_still(now + 7, then + 7)
    then[88:] = now[88:] + 5.0
    assert not is_still(now, then)


def test_three_pixels_around_a_hole_are_cleared() -> None:
    hole = NONE.copy()
    hole[50, 80] = hole[0, 0] = True
    away = clear_of(hole)
    assert set(np.unique(away)) == {0, 255}
    assert not away[47:54, 77:84].any() and not away[:4, :4].any()
    assert (away == 0).sum() == 7 * 7 + 4 * 4
    assert (clear_of(NONE) == 255).all() and not clear_of(~NONE).any()


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (-3, 4)])
def test_corners_are_followed_by_a_known_shift(dx: int, dy: int) -> None:
    now, then = follow(TEXTURE, np.roll(TEXTURE, (dy, dx), axis=(0, 1)), NONE, NONE)
    inner = ((now > 15) & (now < [W - 15, H - 15])).all(axis=1)
    assert inner.sum() > 30 and np.median(np.abs(then - now - [dx, dy])[inner]) < 0.05


def test_no_corner_lies_near_a_hole_or_comes_from_one() -> None:
    hole, older_hole = NONE.copy(), NONE.copy()
    hole[30:70, 40:90] = True
    older_hole[80:110, 90:150] = True
    now, then = follow(TEXTURE, TEXTURE, hole, older_hole)
    assert len(now) >= MIN_POINTS
    columns, rows = np.round(now).astype(int).T
    assert (clear_of(hole)[rows, columns] == 255).all()
    columns, rows = np.round(then).astype(int).T
    assert not older_hole[rows, columns].any()


@pytest.mark.parametrize("image", [np.full((H, W), 90, np.uint8), np.zeros((H, W), np.uint8)])
def test_flat_images_and_images_that_are_all_hole_have_no_corners(image: np.ndarray) -> None:
    assert [len(side) for side in follow(image, image, NONE, NONE)] == [0, 0]
    assert [len(side) for side in follow(TEXTURE, TEXTURE, ~NONE, NONE)] == [0, 0]
    assert len(follow(TEXTURE, TEXTURE, NONE, ~NONE)[0]) == 0
