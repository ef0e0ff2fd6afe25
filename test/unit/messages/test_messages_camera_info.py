"""CameraInfo both ways; binning and region of interest by known answers and by projecting points."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.errors import CalibrationError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.messages import camera_for_size, camera_from_info, info_from_camera

VGA = PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        (DistortionModel.NONE, ()),
        (DistortionModel.PLUMB_BOB, (0.1, -0.2, 0.001, 0.002, 0.05)),
        (DistortionModel.RATIONAL, tuple(0.01 * i for i in range(1, 9))),
        (DistortionModel.EQUIDISTANT, (0.1, 0.01, -0.01, 0.002)),
    ],
)
def test_cameras_survive_the_way_to_a_message_and_back(factory, model, coefficients):
    camera = PinholeCamera(640, 480, 500.0, 510.0, 300.0, 250.0, model, coefficients)
    info = info_from_camera(factory, camera, 123, "cam")
    assert camera_from_info(info) == camera
    assert camera_from_info(info, rectified=True) == camera.undistorted()
    assert (info.header.frame_id, info.header.stamp.nanosec) == ("cam", 123)
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], camera.K)


def test_roi_moves_the_principal_point(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 50, 320, 240
    assert camera_from_info(info) == PinholeCamera(320, 240, 500.0, 510.0, 219.5, 189.5)


def test_binning_keeps_the_centre_in_the_centre(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.binning_x = info.binning_y = 2
    assert camera_from_info(info) == PinholeCamera(320, 240, 250.0, 255.0, 159.5, 119.5)


def test_roi_then_binning_agrees_with_projected_points(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 40, 20, 401, 300
    info.binning_x, info.binning_y = 4, 3
    camera = camera_from_info(info)
    assert (camera.width, camera.height) == (100, 100)
    points = np.array([[0.1, -0.2, 1.0], [-0.3, 0.1, 2.0]])
    full = VGA.project(points)
    expected = (full - [40, 20] + 0.5) / [4, 3] - 0.5
    np.testing.assert_allclose(camera.project(points), expected)


def test_binning_of_one_and_zero_are_the_same(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.binning_x = info.binning_y = 1
    assert camera_from_info(info) == VGA


def test_offset_without_a_size_is_a_region_to_the_border(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.roi.x_offset = 40
    assert camera_from_info(info).width == 600


def test_zero_coefficients_are_no_lens(factory):
    assert camera_from_info(info_from_camera(factory, VGA, 0, "")).distortion_model is DistortionModel.NONE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": np.zeros(9)}, "focal length"),
        ({"k": np.full(9, np.nan)}, "focal length"),
        ({"width": 0}, "size is 0x480"),
        ({"height": 0}, "size is 640x0"),
        ({"distortion_model": "thin_prism", "d": np.ones(5)}, "unknown distortion model 'thin_prism'"),
        ({"distortion_model": "plumb_bob", "d": np.ones(3)}, "coefficients"),
        ({"distortion_model": "", "d": np.ones(5)}, "no distortion model"),
        ({"binning_x": 1000}, "binning 1000x1"),
    ],
)
def test_impossible_cameras_are_refused(factory, changes, words):
    info = info_from_camera(factory, VGA, 0, "")
    for name, value in changes.items():
        setattr(info, name, value)
    with pytest.raises(CalibrationError, match=words):
        camera_from_info(info)


def test_region_outside_the_sensor_is_refused(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.roi.x_offset, info.roi.width, info.roi.height = 400, 300, 100
    with pytest.raises(CalibrationError, match="300x100 at"):
        camera_from_info(info)


def test_uncalibrated_rectification_is_refused(factory):
    info = info_from_camera(factory, VGA, 0, "")
    info.p = np.zeros(12)
    with pytest.raises(CalibrationError, match="focal length"):
        camera_from_info(info, rectified=True)


def test_camera_of_another_resolution():
    assert camera_for_size(VGA, 640, 480) is VGA
    assert camera_for_size(VGA, 320, 240) == VGA.resized(320, 240)
    assert camera_for_size(VGA, 427, 320).width == 427
    with pytest.raises(CalibrationError, match="640x480 but the image is 640x360"):
        camera_for_size(VGA, 640, 360)
