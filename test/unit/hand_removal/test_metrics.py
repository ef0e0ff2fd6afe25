"""Metrics with answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.metrics import PixelError, background_flow, flicker, intersection_over_union, moved, ssim_map

H, W = 40, 60
RGB = np.random.default_rng(0).integers(20, 200, (H, W, 3), dtype=np.uint8)
ALL = np.ones((H, W), bool)
STILL = np.zeros((H, W, 2), np.float32)


def test_psnr_counts_only_where_it_is_told() -> None:
    off = RGB.copy()
    off[:, :30] += 10
    error = PixelError()
    assert math.isnan(error.psnr)
    error.add(off, RGB, ALL & (np.arange(W) >= 30))
    assert error.psnr == math.inf
    error.add(off, RGB, ALL & (np.arange(W) < 30))
    assert error.psnr == pytest.approx(10 * math.log10(255**2 / 50))


def test_ssim_is_one_for_equals_and_falls_with_noise_and_blur() -> None:
    assert ssim_map(RGB, RGB) == pytest.approx(np.ones((H, W)), abs=1e-4)
    noisy = np.clip(RGB + np.random.default_rng(1).normal(0, 20, RGB.shape), 0, 255).astype(np.uint8)
    noisier = np.clip(RGB + np.random.default_rng(1).normal(0, 60, RGB.shape), 0, 255).astype(np.uint8)
    assert 1 > ssim_map(RGB, noisy).mean() > ssim_map(RGB, noisier).mean() > 0
    assert ssim_map(RGB, np.full_like(RGB, 110)).mean() < 0.1


def test_overlap() -> None:
    left, right = np.arange(4) < 2, np.arange(4) > 0
    assert intersection_over_union(left, right) == 0.25
    assert intersection_over_union(left & False, right & False) == 1.0


def test_background_flow_of_a_sideways_step_is_focal_length_times_step_over_depth() -> None:
    camera, depth = PinholeCamera.from_fov(W, H, 1.0), np.full((H, W), 2.0, np.float32)
    depth[0, 0] = 0
    before, now = np.eye(4), np.eye(4)
    now[0, 3] = 0.1
    flow = background_flow(depth, camera, now, before)
    assert flow[1:, :, 0] == pytest.approx(np.full((H - 1, W), camera.fx * 0.1 / 2), abs=1e-4)
    assert flow[1:, :, 1] == pytest.approx(np.zeros((H - 1, W)), abs=1e-4)
    assert np.isnan(flow[0, 0]).all()


def test_flicker_is_the_change_beyond_motion() -> None:
    flow = STILL.copy()
    flow[..., 0] = 3
    now = moved(RGB, flow)
    inner = ALL & (np.arange(W) < 50)
    assert flicker(now, RGB, flow, inner, ALL) == (0.0, inner.sum() * 3)
    total, count = flicker(RGB + np.uint8(4), RGB, STILL, inner, ALL)
    assert total / count == pytest.approx(4.0)
    assert flicker(RGB, RGB, STILL, inner, ~inner)[1] == 0


def test_error_is_pooled_over_pixels_and_not_over_images() -> None:
    rng = np.random.default_rng(2)
    truths = rng.integers(0, 256, (3, H, W, 3), dtype=np.uint8)
    images = rng.integers(0, 256, (3, H, W, 3), dtype=np.uint8)
    where = rng.random((3, H, W)) < np.array([0.9, 0.1, 0.0])[:, None, None]
    error = PixelError()
    for image, truth, mask in zip(images, truths, where, strict=True):
        error.add(image, truth, mask)
    square = (images.astype(float) - truths)[where] ** 2
    assert error.psnr == pytest.approx(10 * math.log10(255**2 / square.mean())) and error.count == where.sum() * 3


def test_bytes_do_not_wrap_around_in_the_error() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    for image, truth in ((black, white), (white, black)):
        error = PixelError()
        error.add(image, truth, np.ones((2, 2), bool))
        assert error.psnr == pytest.approx(0)


def test_ssim_is_that_of_the_published_formula() -> None:
    """By its definition, at one pixel, in double precision: a Gaussian window of eleven pixels."""
    other = np.clip(RGB * 0.7 + np.random.default_rng(3).normal(20, 15, RGB.shape), 0, 255).astype(np.uint8)
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(window, window)[..., None] / window.sum() ** 2
    x, y = (image[15:26, 25:36].astype(float) for image in (RGB, other))
    mx, my = ((weight * v).sum((0, 1)) for v in (x, y))
    vx, vy = (weight * (x - mx) ** 2).sum((0, 1)), (weight * (y - my) ** 2).sum((0, 1))
    covariance = (weight * (x - mx) * (y - my)).sum((0, 1))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = ((2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
    assert ssim_map(RGB, other)[20, 30] == pytest.approx(expected, abs=1e-4)


def test_ssim_is_symmetric_and_mirrors_with_the_images() -> None:
    other = np.random.default_rng(4).integers(0, 256, RGB.shape, dtype=np.uint8)
    plain = ssim_map(RGB, other)
    assert np.allclose(ssim_map(other, RGB), plain, atol=1e-5)
    assert np.allclose(ssim_map(RGB[:, ::-1], other[:, ::-1]), plain[:, ::-1], atol=1e-4)
    assert plain.max() <= 1 + 1e-4 and plain.min() >= -1


@pytest.mark.parametrize(("a", "b"), [(100, 100), (0, 0), (255, 255), (100, 130), (0, 255)])
def test_of_flat_images_only_their_levels_count_in_ssim(a: int, b: int) -> None:
    flat = [np.full((12, 14, 3), v, np.uint8) for v in (a, b)]
    c1 = (0.01 * 255) ** 2
    assert np.allclose(ssim_map(*flat), (2 * a * b + c1) / (a * a + b * b + c1), atol=1e-3)


def test_overlap_is_symmetric_and_one_only_for_equals() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random((2, H, W)) < 0.5
    assert intersection_over_union(a, b) == intersection_over_union(b, a) == (a & b).sum() / (a | b).sum()
    assert intersection_over_union(a, a) == 1 and intersection_over_union(a, ~a) == 0 and intersection_over_union(a, ALL) < 1


def camera_at(*place: float, turn: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = place
    T[:3, :3] = np.array([[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]])
    return T


def test_the_background_of_a_still_camera_does_not_flow_wherever_it_stands() -> None:
    camera, depth = PinholeCamera.from_fov(W, H, 1.0), np.random.default_rng(6).uniform(0.5, 4, (H, W)).astype(np.float32)
    pose = camera_at(3, -2, 7, turn=1.1)
    assert np.abs(background_flow(depth, camera, pose, pose)).max() < 1e-3


def test_a_turn_flows_alike_at_all_depths_and_a_step_does_not() -> None:
    camera, near = PinholeCamera.from_fov(W, H, 1.0), np.full((H, W), 1.0, np.float32)
    turned = [background_flow(d, camera, camera_at(0, 0, 0, turn=0.1), np.eye(4)) for d in (near, 5 * near)]
    assert np.allclose(turned[0], turned[1], atol=1e-3)
    middle = turned[0][H // 2, W // 2, 0]
    assert middle == pytest.approx(camera.fx * math.tan(0.1), rel=0.02)
    steps = [background_flow(d, camera, camera_at(0.1, 0, 0), np.eye(4)) for d in (near, 5 * near)]
    assert np.allclose(steps[0], 5 * steps[1], atol=1e-4)


def test_a_step_forward_flows_outwards_from_the_middle() -> None:
    camera, depth = PinholeCamera.from_fov(W, H, 1.0), np.full((H, W), 2.0, np.float32)
    flow = background_flow(depth, camera, camera_at(0, 0, 0.5), np.eye(4))
    x = np.arange(W) - camera.cx
    assert np.allclose(flow[0, :, 0], x * 2.0 / 2.5 - x, atol=1e-4), "in the image before it was nearer to the middle"


@pytest.mark.parametrize("depth", [0.0, -1.0, np.nan])
def test_where_there_is_no_depth_and_behind_the_camera_no_flow_is_known(depth: float) -> None:
    camera, walls = PinholeCamera.from_fov(W, H, 1.0), np.full((H, W), depth, np.float32)
    assert np.isnan(background_flow(walls, camera, np.eye(4), np.eye(4))).all()
    behind = background_flow(np.ones((H, W), np.float32), camera, np.eye(4), camera_at(0, 0, 2))
    assert np.isnan(behind).all()


def test_moved_by_whole_pixels_is_a_shift_that_is_empty_beyond_the_border() -> None:
    flow = STILL.copy()
    flow[..., 0], flow[..., 1] = 7, -3
    out = moved(RGB, flow)
    assert np.array_equal(out[3:, : W - 7], RGB[: H - 3, 7:]) and not out[:3].any() and not out[:, W - 7 :].any()
    assert not moved(RGB, np.full_like(STILL, np.nan)).any()
    assert np.array_equal(moved(RGB, STILL), RGB)


def test_flicker_does_not_ask_outside_of_either_hole_or_where_the_flow_is_unknown() -> None:
    flow = STILL.copy()
    flow[:, :20] = np.nan
    hole = ALL & (np.arange(W) < 40)
    before = np.where((np.arange(W) < 40)[:, None], RGB, 0).astype(np.uint8)
    now = np.where((np.arange(W) < 40)[:, None], RGB, 255).astype(np.uint8)
    assert flicker(now, before, flow, hole, hole) == (0.0, 20 * H * 3)
    assert flicker(now, before, flow, ~ALL, hole) == flicker(now, before, flow, hole, ~ALL) == (0.0, 0)


@pytest.mark.parametrize("shift", [0.4, -0.4])
def test_a_plain_picture_does_not_flicker_at_the_border_of_the_image(shift: float) -> None:
    plain, flow = np.full((H, W, 3), 200, np.uint8), np.full((H, W, 2), shift, np.float32)
    assert flicker(plain, plain, flow, ALL, ALL)[0] == 0
