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
