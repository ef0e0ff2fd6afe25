"""Frames and scene estimates as plain data."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.data import Encoding, Frame, SceneEstimate, TrackingState
from ego_perception.errors import FrameError
from ego_perception.geometry import PinholeCamera

RED = np.tile(np.array([200, 10, 20], np.uint8), (4, 6, 1))
CAMERA = PinholeCamera.from_fov(6, 4, 1.0)


def test_rgb_of_bgr_swaps_and_rgb_is_the_same_object() -> None:
    assert Frame(0, RED).rgb is RED
    np.testing.assert_array_equal(Frame(0, RED[..., ::-1].copy(), Encoding.BGR).rgb, RED)


def test_grey_does_not_depend_on_channel_order() -> None:
    np.testing.assert_array_equal(Frame(0, RED).grey, Frame(0, RED[..., ::-1].copy(), Encoding.BGR).grey)


def test_conversions_are_kept() -> None:
    frame = Frame(0, RED)
    assert frame.grey is frame.grey


def test_a_strided_read_only_view_is_accepted() -> None:
    padded = np.zeros((4, 32), np.uint8)
    view = (
        padded[:, :18].reshape(4, 6, 3)
        if padded[:, :18].flags.c_contiguous
        else np.lib.stride_tricks.as_strided(padded, (4, 6, 3), (32, 3, 1))
    )
    view.flags.writeable = False
    assert Frame(0, view).grey.shape == (4, 6)


@pytest.mark.parametrize(
    ("image", "encoding"),
    [
        (np.zeros((4, 6), np.uint8), Encoding.RGB),
        (np.zeros((4, 6, 3), np.uint8), Encoding.MONO),
        (np.zeros((4, 6, 3), np.float32), Encoding.RGB),
        (np.zeros((0, 6, 3), np.uint8), Encoding.RGB),
    ],
)
def test_pixels_that_are_no_image_are_refused(image: np.ndarray, encoding: Encoding) -> None:
    with pytest.raises(FrameError):
        Frame(0, image, encoding)


def test_a_camera_of_another_size_is_refused() -> None:
    with pytest.raises(FrameError, match="calibrated for 6x4 but the image is 12x8"):
        Frame(0, np.zeros((8, 12, 3), np.uint8), camera=CAMERA)


def test_points_are_rays_times_depth_and_nan_stays_nan() -> None:
    depth = np.full((2, 3), 2.0, np.float32)
    depth[0, 0] = np.nan
    estimate = SceneEstimate(Frame(0, RED), TrackingState.TRACKING, CAMERA, depth=depth)
    assert estimate.points is not None
    assert np.isnan(estimate.points[0, 0]).all()
    np.testing.assert_allclose(estimate.points[1, 1], CAMERA.resized(3, 2).rays()[1, 1] * 2)


def test_without_depth_there_are_no_points() -> None:
    estimate = SceneEstimate(Frame(0, RED), TrackingState.LOST, CAMERA)
    assert estimate.points is None
    assert estimate.depth_camera is None
