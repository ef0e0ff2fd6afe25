"""Inverse depth: what is nearer hides what is behind, motion reveals depth, and nothing is forgotten while nothing moves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, make_transform, so3_exp
from ego_perception.hand_removal.background.motion import reprojection_error, solve_motion
from ego_perception.hand_removal.background.structure import (
    Structure,
    Warp,
    carried,
    informed,
    refined,
    sampled,
    splat,
    unknown,
)

W, H = 96, 72
CAMERA = PinholeCamera.from_fov(W, H, 1.0)
RAYS = CAMERA.rays()
NONE = np.zeros((H, W), bool)


def sideways(x: float) -> np.ndarray:
    return make_transform(np.eye(3), [x, 0.0, 0.0])


def test_a_splat_at_the_same_place_is_the_identity() -> None:
    inverse = np.random.default_rng(0).uniform(0.5, 0.52, (H, W)).astype(np.float32)
    index, there = splat(RAYS, inverse, np.eye(4), CAMERA)
    assert np.array_equal(index.ravel(), np.arange(H * W)) and np.allclose(there, inverse, rtol=0.07)


def test_what_is_nearer_hides_what_is_behind() -> None:
    inverse = np.full((H, W), 0.25, np.float32)
    inverse[:, 40:50] = 1.0
    shift = 10 / CAMERA.fx  # of the near bar, in baselines at distance one
    index, there = splat(RAYS, inverse, sideways(shift), CAMERA)
    assert (there[:, 51:59] > 0.9).all()  # the bar has moved ten pixels, and the wall behind it is covered
    assert (index[:, 53:57] % W >= 40).all() and (index[:, 53:57] % W < 50).all()
    assert (index[:, 44:48] < 0).any()  # what the bar had covered was never seen


@pytest.mark.parametrize("channels", [(), (2,), (3,)])
@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_samples_at_whole_pixels_are_the_pixels(channels: tuple[int, ...], interpolation: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (H, W, *channels), dtype=np.uint8)
    xy = np.stack(np.meshgrid(np.arange(W), np.arange(H)), axis=-1).astype(np.float32)
    assert np.array_equal(sampled(image, xy, interpolation), image)
    assert np.array_equal(sampled(image, xy + np.array([1, 0], np.float32), interpolation)[:, :-1], image[:, 1:])


def test_of_many_pixels_that_meet_the_nearest_stays() -> None:
    inverse = np.random.default_rng(0).uniform(0.1, 1.0, (H, W)).astype(np.float32)
    back = np.eye(4)
    back[2, 3] = 3.0  # from far behind everything falls on few pixels
    index, there = splat(RAYS, inverse, back, CAMERA)
    x, y, z = ((RAYS[..., k] + inverse * back[k, 3]).ravel() for k in range(3))
    col, row = np.rint(x / z * CAMERA.fx + CAMERA.cx).astype(int), np.rint(y / z * CAMERA.fy + CAMERA.cy).astype(int)
    nearest = np.zeros(H * W, np.float32)
    np.maximum.at(nearest, row * W + col, inverse.ravel() / z)
    hit = nearest.reshape(H, W) > 0
    assert (index[hit] >= 0).all()
    assert (inverse.ravel() / z)[index[hit]] == pytest.approx(nearest.reshape(H, W)[hit], rel=1e-5)
    assert (there[hit] >= nearest.reshape(H, W)[hit] * 0.999).all()


def test_a_warp_and_its_parallax_agree_with_finite_differences() -> None:
    inverse = np.full((H, W), 0.7, np.float32)
    T = make_transform(so3_exp([0.02, -0.03, 0.01]), [0.1, -0.05, 0.08])
    low, high = (Warp(RAYS, inverse + d, T, CAMERA) for d in (np.float32(-1e-2), np.float32(1e-2)))
    assert np.allclose((high.xy - low.xy) / 2e-2, np.stack(Warp(RAYS, inverse, T, CAMERA).parallax(), axis=-1), atol=0.05)
    same = Warp(RAYS, inverse, np.eye(4), CAMERA)
    assert same.inside().all() and np.abs(same.parallax()).max() == 0


def test_depth_is_found_from_motion_and_nothing_without_it() -> None:
    truth = np.full((H, W), 0.8, np.float32)
    truth[:, W // 2 :] = 1.6
    structure, T = unknown((H, W)), sideways(0.1)
    goal, quiet = Warp(RAYS, truth, T, CAMERA).xy, np.zeros((H, W), np.float32)
    for _ in range(6):
        warp = Warp(RAYS, structure.inverse, T, CAMERA)
        structure = refined(structure, warp, goal - warp.xy, quiet, ~NONE)
    ratio = structure.inverse / truth
    assert np.percentile(np.abs(ratio - 1), 90) < 0.08
    still = Warp(RAYS, structure.inverse, np.eye(4), CAMERA)
    noise = np.random.default_rng(0).normal(0, 0.1, (H, W, 2)).astype(np.float32)
    assert np.array_equal(refined(structure, still, noise, quiet, ~NONE).inverse, structure.inverse)


def test_what_is_known_lasts_while_nothing_moves() -> None:
    structure = informed(unknown((H, W)), np.full((H, W), 0.5, np.float32), ~NONE)
    for _ in range(200):
        index, inverse = splat(RAYS, structure.inverse, np.eye(4), CAMERA)
        structure = carried(structure, index, inverse)
    assert np.allclose(structure.inverse, 0.5, rtol=0.1)
    assert structure.information.min() > unknown((H, W)).information.max()


def test_given_depth_replaces_what_it_contradicts_and_leaves_the_rest() -> None:
    where = NONE.copy()
    where[:, :20] = True
    out = informed(
        Structure(np.ones((H, W), np.float32), np.full((H, W), 1e5, np.float32)), np.full((H, W), 3.0, np.float32), where
    )
    assert (out.inverse[:, :20] == 3).all() and (out.inverse[:, 20:] == 1).all()


@pytest.mark.parametrize("outliers", [0, 60])
def test_motion_is_found_in_spite_of_outliers(outliers: int) -> None:
    rng = np.random.default_rng(3)
    T = make_transform(so3_exp([0.05, -0.04, 0.03]), [0.06, -0.02, 0.05])
    rays = np.concatenate([rng.uniform(-0.5, 0.5, (200, 2)), np.ones((200, 1))], axis=1)
    inverse = rng.uniform(0.4, 2.0, 200)
    q = rays @ T[:3, :3].T + inverse[:, None] * T[:3, 3]
    pixels = q[:, :2] / q[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    pixels[:outliers] += rng.uniform(-20, 20, (outliers, 2))
    motion = solve_motion(rays, inverse, pixels, np.ones(200), CAMERA, np.eye(4), num_steps=30)
    assert motion.is_sound and np.median(motion.error_px[outliers:]) < 0.05
    assert np.abs(motion.T_now_older - T).max() < 5e-3
    assert np.allclose(motion.error_px, reprojection_error(motion.T_now_older, rays, inverse, pixels, CAMERA))


def test_points_that_agree_on_nothing_give_no_sound_motion() -> None:
    rng = np.random.default_rng(4)
    rays = np.concatenate([rng.uniform(-0.5, 0.5, (50, 2)), np.ones((50, 1))], axis=1)
    motion = solve_motion(rays, np.ones(50), rng.uniform(0, 90, (50, 2)), np.ones(50), CAMERA, np.eye(4))
    assert not motion.is_sound


@pytest.mark.parametrize("unit", [0.5, 3.0])
def test_only_the_ratio_of_depth_and_translation_matters(unit: float) -> None:
    inverse = np.random.default_rng(0).uniform(0.5, 2, (H, W)).astype(np.float32)
    T, scaled = (make_transform(so3_exp([0.02, 0.01, 0.03]), [0.1 * s, -0.05 * s, 0.04 * s]) for s in (1.0, unit))
    plain, other = Warp(RAYS, inverse, T, CAMERA), Warp(RAYS, inverse / np.float32(unit), scaled, CAMERA)
    assert np.allclose(plain.xy, other.xy, atol=1e-3) and np.array_equal(plain.inside(), other.inside())
    index, there = splat(RAYS, inverse, T, CAMERA)
    same, scaled_there = splat(RAYS, inverse / np.float32(unit), scaled, CAMERA)
    assert (index == same).mean() > 0.999
    assert np.isclose(there, scaled_there * unit, rtol=1e-3).mean() > 0.999


@pytest.mark.parametrize("pixels", [3, -5])
def test_a_wall_moves_by_whole_pixels(pixels: int) -> None:
    inverse = np.ones((H, W), np.float32)
    index, there = splat(RAYS, inverse, sideways(pixels / CAMERA.fx), CAMERA)
    rows, cols = np.divmod(np.arange(H * W).reshape(H, W), W)
    source = cols - pixels
    expected = np.where((source >= 0) & (source < W), rows * W + source, -1)
    assert np.array_equal(index, expected) and np.array_equal(there, (expected >= 0).astype(np.float32))
    assert np.array_equal(
        Warp(RAYS, inverse, sideways(pixels / CAMERA.fx), CAMERA).inside(), np.roll(expected, -pixels, 1) >= 0
    )


def test_what_comes_too_near_or_lies_behind_is_not_seen() -> None:
    forward = np.eye(4)
    for z, is_seen in ((-0.5, True), (-0.99, False), (-1.5, False)):
        forward[2, 3] = z
        index, there = splat(RAYS, np.ones((H, W), np.float32), forward, CAMERA)
        assert (index >= 0).any() == is_seen and there.any() == is_seen


def test_what_lies_behind_the_other_camera_is_not_inside_its_image() -> None:
    forward = np.eye(4)
    forward[2, 3] = -1.5
    assert not Warp(RAYS, np.ones((H, W), np.float32), forward, CAMERA).inside().any()


def test_splatting_what_is_no_number_shows_nothing_of_it() -> None:
    inverse = np.ones((H, W), np.float32)
    inverse[20:30, 30:40] = np.nan
    with np.errstate(invalid="ignore"):
        index, there = splat(RAYS, inverse, sideways(0), CAMERA)
    assert (index[21:29, 31:39] == -1).all() and np.isfinite(there).all() and (index[:18] >= 0).all()


def test_beyond_its_border_an_image_goes_on_like_it() -> None:
    image = np.random.default_rng(0).integers(0, 255, (H, W), dtype=np.uint8)
    far = np.array([[[-30, 5], [W + 30, 5], [7, -9], [7, H + 9], [-1, -1]]], np.float32)
    assert sampled(image, far, cv2.INTER_LINEAR)[0].tolist() == [
        image[5, 0], image[5, -1], image[0, 7], image[-1, 7], image[0, 0]
    ]  # fmt: skip


def test_where_nothing_arrives_the_structure_goes_on_and_is_doubtful() -> None:
    older = Structure(np.full((H, W), 0.7, np.float32), np.full((H, W), 9000.0, np.float32))
    index, inverse = splat(RAYS, older.inverse, sideways(8 / CAMERA.fx / 0.7), CAMERA)
    moved = carried(older, index, inverse)
    assert (index[:, :8] == -1).all() and np.allclose(moved.inverse, 0.7, rtol=0.02)
    assert np.allclose(moved.information[:, :8], 1 / (0.5 * 0.7) ** 2, rtol=0.05)
    assert np.allclose(moved.information[:, 8:], 1 / (0.04 * 0.7) ** 2), "sure, but never so sure that nothing changes any more"


def test_what_was_not_measured_stays_and_knows_no_more() -> None:
    structure, warp = unknown((H, W)), Warp(RAYS, np.ones((H, W), np.float32), sideways(0.1), CAMERA)
    wild = np.random.default_rng(0).normal(0, 5, (H, W, 2)).astype(np.float32)
    out = refined(structure, warp, wild, np.zeros((H, W), np.float32), NONE)
    assert np.array_equal(out.inverse, structure.inverse) and np.array_equal(out.information, structure.information)


def test_one_measurement_changes_the_structure_by_three_tenths_at_most() -> None:
    structure, warp = unknown((H, W)), Warp(RAYS, np.ones((H, W), np.float32), sideways(0.1), CAMERA)
    for direction in (-1, 1):
        far = np.zeros((H, W, 2), np.float32)
        far[..., 0] = direction * 3.0
        out = refined(structure, warp, far, np.zeros((H, W), np.float32), ~NONE)
        assert (out.inverse >= 0.7 - 1e-4).all() and (out.inverse <= 1.3 + 1e-4).all()
        assert (direction * (out.inverse - 1) > 0).all() and (out.information >= structure.information).all()


def test_motion_across_the_parallax_tells_nothing() -> None:
    structure, warp = unknown((H, W)), Warp(RAYS, np.ones((H, W), np.float32), sideways(0.1), CAMERA)
    across = np.zeros((H, W, 2), np.float32)
    across[..., 1] = 0.5
    out = refined(structure, warp, across, np.zeros((H, W), np.float32), ~NONE)
    assert np.allclose(out.inverse, 1, atol=1e-3)


def test_dark_and_bright_error_makes_a_measurement_say_less() -> None:
    structure, warp = unknown((H, W)), Warp(RAYS, np.ones((H, W), np.float32), sideways(0.1), CAMERA)
    motion = np.full((H, W, 2), (0.5, 0), np.float32)
    said = [refined(structure, warp, motion, np.full((H, W), e, np.float32), ~NONE).information for e in (0, 10, 40)]
    gained = [float(np.median(s - structure.information)) for s in said]
    assert gained[0] / gained[1] == pytest.approx(2, rel=0.01) and gained[0] / gained[2] == pytest.approx(17, rel=0.01)


def test_two_witnesses_of_equal_say_meet_in_the_middle() -> None:
    ours = Structure(np.ones((H, W), np.float32), np.full((H, W), 1 / (0.05 * 1.2) ** 2, np.float32))
    both = informed(ours, np.full((H, W), 1.2, np.float32), ~NONE)
    assert np.allclose(both.inverse, 1.1) and np.allclose(both.information, 2 * ours.information)
    agreed = informed(both, both.inverse, ~NONE)
    assert np.allclose(agreed.inverse, both.inverse) and (agreed.information > both.information).all()
