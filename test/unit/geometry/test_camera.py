"""The pinhole camera: projection laws, resizing, distortion against OpenCV, and refusals."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ego_perception.errors import CalibrationError
from ego_perception.geometry import DistortionModel, PinholeCamera

CAMERA = PinholeCamera(640, 480, 500.0, 510.0, 322.0, 236.0)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.1, 20))
def test_project_then_normalise_returns_the_ray(x: float, y: float, z: float) -> None:
    point = np.array([x * z, y * z, z])
    np.testing.assert_allclose(CAMERA.normalise(CAMERA.project(point)), [x, y], atol=1e-9)


def test_projection_equals_the_matrix() -> None:
    p = np.array([0.3, -0.2, 2.0])
    uvw = CAMERA.K @ p
    np.testing.assert_allclose(CAMERA.project(p), uvw[:2] / uvw[2])


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert np.isnan(CAMERA.project(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]]))).all()


def test_rays_agree_with_projection_at_every_pixel() -> None:
    camera = CAMERA.resized(8, 6)
    v, u = np.mgrid[:6, :8]
    np.testing.assert_allclose(camera.project(camera.rays().astype(np.float64)), np.stack([u, v], -1), atol=1e-5)


def test_from_fov_is_centred_between_integer_pixels() -> None:
    camera = PinholeCamera.from_fov(640, 480, math.radians(60))
    assert (camera.cx, camera.cy) == (319.5, 239.5)
    assert camera.fov_rad[1] == pytest.approx(math.radians(60))


@given(st.integers(32, 2000), st.integers(32, 2000))
def test_resizing_keeps_where_rays_fall_in_the_image(width: int, height: int) -> None:
    small = CAMERA.resized(width, height)
    p = np.array([0.4, 0.3, 1.5])
    u, v = CAMERA.project(p)
    expected = [(u + 0.5) * width / 640 - 0.5, (v + 0.5) * height / 480 - 0.5]
    np.testing.assert_allclose(small.project(p), expected, atol=1e-9)


def test_cropping_shifts_pixels() -> None:
    p = np.array([0.1, 0.1, 1.0])
    np.testing.assert_allclose(CAMERA.cropped(10, 20, 300, 200).project(p), CAMERA.project(p) - [10, 20])


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        (DistortionModel.PLUMB_BOB, (-0.2, 0.05, 0.001, -0.001, 0.0)),
        (DistortionModel.RATIONAL, (-0.2, 0.05, 0.001, -0.001, 0.0, 0.01, 0.0, 0.0)),
        (DistortionModel.EQUIDISTANT, (0.05, -0.01, 0.002, 0.0)),
    ],
)
def test_rectification_puts_straight_pixels_where_the_lens_saw_them(
    model: DistortionModel, coefficients: tuple[float, ...]
) -> None:
    """An image whose value encodes its own distorted coordinate must show, at a rectified pixel, the projection by OpenCV."""
    camera = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5, model, coefficients)
    v, u = np.mgrid[:480, :640].astype(np.float32)
    seen = cv2.remap(np.dstack([u, v]), *camera.rectification_maps(), cv2.INTER_LINEAR)
    points = np.array([[[0.2, -0.15, 1.0]], [[-0.3, 0.2, 1.0]]])
    if model is DistortionModel.EQUIDISTANT:
        distorted, _ = cv2.fisheye.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, np.array(coefficients))
    else:
        distorted, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, np.array(coefficients))
    for point, expected in zip(points[:, 0], distorted.reshape(-1, 2), strict=True):
        x, y = camera.undistorted().project(point).round().astype(int)
        np.testing.assert_allclose(seen[y, x], expected, atol=1.5)


def test_distortion_is_known_and_dropped_by_undistorted() -> None:
    camera = PinholeCamera(64, 48, 50, 50, 31.5, 23.5, DistortionModel.PLUMB_BOB, (0.1, 0, 0, 0, 0))
    assert camera.is_distorted
    assert not camera.undistorted().is_distorted
    assert not PinholeCamera(64, 48, 50, 50, 31.5, 23.5, DistortionModel.PLUMB_BOB, (0.0,) * 5).is_distorted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fx": 0.0}, "focal length"),
        ({"fy": -1.0}, "focal length"),
        ({"fx": math.nan}, "focal length"),
        ({"width": 0}, "size is 0x480"),
        ({"cx": 5000.0}, "principal point"),
        ({"cy": math.nan}, "principal point"),
        ({"distortion": (0.1,)}, "coefficients"),
        ({"distortion_model": DistortionModel.PLUMB_BOB, "distortion": (math.inf, 0, 0, 0, 0)}, "not finite"),
    ],
)
def test_impossible_intrinsics_are_refused(fields: dict, message: str) -> None:
    good = {"width": 640, "height": 480, "fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0}
    with pytest.raises(CalibrationError, match=message):
        PinholeCamera(**(good | fields))


def test_a_matrix_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(CalibrationError, match="shape"):
        PinholeCamera.from_matrix(np.eye(4), 640, 480)
