"""Dense flow: a known shift is found, and images of every size get a flow of theirs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.geometry.flow import DenseFlow


def soft(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (height // 6 + 2, width // 6 + 2), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_flow_points_to_where_a_pixel_was() -> None:
    wide = soft(96, 140)
    flow = DenseFlow().between(wide[:, :128].copy(), wide[:, 3:131].copy())  # what is at x now was at x - 3
    assert flow.shape == (96, 128, 2) and flow.dtype == np.float32
    # The preset stops at a quarter of the resolution: a quarter of a pixel is what it can do.
    assert np.median(flow[10:-10, 10:-10, 0]) == pytest.approx(-3, abs=0.25)
    assert np.median(flow[10:-10, 10:-10, 1]) == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize("preset", [cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, cv2.DISOPTICAL_FLOW_PRESET_FAST])
@pytest.mark.parametrize("size", [(1, 1), (2, 160), (8, 160), (12, 160), (20, 320), (31, 31), (160, 10), (32, 32)])
def test_no_size_ends_the_process(size: tuple[int, int], preset: int) -> None:
    image = np.random.default_rng(1).integers(0, 255, size, dtype=np.uint8)
    flow = DenseFlow(preset, spatial_propagation=True).between(image, np.roll(image, 1, 1))
    assert flow.shape == (*size, 2) and np.isfinite(flow).all()


def test_a_shift_is_found_in_a_flat_image_as_well() -> None:
    wide = soft(20, 180)
    flow = DenseFlow().between(wide[:, :160].copy(), wide[:, 2:162].copy())
    assert np.median(flow[4:-4, 10:-10, 0]) == pytest.approx(-2, abs=0.3)
