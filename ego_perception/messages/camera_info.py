"""`sensor_msgs/CameraInfo` to and from cameras (REP-104): K and D of the full sensor, binning and region of interest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ego_perception.errors import CalibrationError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.messages.factory import MessageFactory, make_header

_ALIASES = {"radtan": "plumb_bob", "fisheye": "equidistant", "kannala_brandt4": "equidistant"}


def camera_from_info(info: Any, *, rectified: bool = False) -> PinholeCamera:
    """Read the camera of the image that the info rides with.

    The image is the region of interest, then binned; a binned pixel covers its whole block, so centres shift by half a block.

    Args:
        info: anything with the fields of a CameraInfo.
        rectified: True for the info of a rectified topic (`image_rect`), whose camera is P without distortion.

    Raises:
        CalibrationError: an uncalibrated camera (zero focal length), an empty image, a region outside the sensor, an
            unknown lens model.
    """
    full = _sensor_camera(info, rectified)
    roi = info.roi
    width, height = int(roi.width) or full.width, int(roi.height) or full.height
    x0, y0 = int(roi.x_offset), int(roi.y_offset)
    if x0 + width > full.width or y0 + height > full.height:
        if roi.width or roi.height:
            raise CalibrationError(
                f"region of interest {width}x{height} at ({x0}, {y0}) leaves the {full.width}x{full.height} sensor"
            )
        width, height = full.width - x0, full.height - y0
    bin_x, bin_y = max(1, int(info.binning_x)), max(1, int(info.binning_y))
    if width < bin_x or height < bin_y:
        raise CalibrationError(f"binning {bin_x}x{bin_y} is larger than the {width}x{height} image")
    camera = _cut(full, x0, y0, width - width % bin_x, height - height % bin_y)
    return camera.resized(width // bin_x, height // bin_y)


def info_from_camera(factory: MessageFactory, camera: PinholeCamera, stamp_ns: int, frame_id: str) -> Any:
    """Make a CameraInfo; P is the camera of the rectified image, which has the same K."""
    model = camera.distortion_model
    coefficients = camera.distortion
    if model is DistortionModel.NONE:
        # An empty model makes image_geometry refuse the camera; five zeros are what a calibrator writes for a perfect lens.
        model, coefficients = DistortionModel.PLUMB_BOB, (0.0,) * 5
    P = np.zeros((3, 4))
    P[:, :3] = camera.K
    return factory.make(
        "sensor_msgs/msg/CameraInfo",
        header=make_header(factory, stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model=model.value,
        d=np.array(coefficients, np.float64),
        k=camera.K.ravel(),
        r=np.eye(3).ravel(),
        p=P.ravel(),
    )


def camera_for_size(camera: PinholeCamera, width: int, height: int) -> PinholeCamera:
    """The camera of an image of another resolution of the same sensor area.

    Raises:
        CalibrationError: an aspect ratio more than one pixel off, which means a crop whose offset nobody told.
    """
    if (camera.width, camera.height) == (width, height):
        return camera
    expected = width * camera.height / camera.width
    if abs(expected - height) > 1.0:
        raise CalibrationError(
            f"camera_info is for {camera.width}x{camera.height} but the image is {width}x{height}; "
            "publish the camera_info of this image"
        )
    return camera.resized(width, height)


def _sensor_camera(info: Any, rectified: bool) -> PinholeCamera:
    width, height = int(info.width), int(info.height)
    if rectified:
        P = np.asarray(info.p, np.float64).reshape(3, 4)
        return PinholeCamera.from_matrix(P[:, :3], width, height)
    K = np.asarray(info.k, np.float64).reshape(3, 3)
    model, coefficients = _lens(str(info.distortion_model), tuple(float(k) for k in info.d))
    return PinholeCamera.from_matrix(K, width, height, distortion_model=model, distortion=coefficients)


def _lens(name: str, coefficients: tuple[float, ...]) -> tuple[DistortionModel, tuple[float, ...]]:
    """The lens model; one whose coefficients are all zero is none."""
    known = [model.value for model in DistortionModel]
    name = _ALIASES.get(name, name)
    if name not in known:
        raise CalibrationError(f"unknown distortion model '{name}'; supported are {', '.join(filter(None, known))}")
    if not any(coefficients):
        return DistortionModel.NONE, ()
    if not name:
        raise CalibrationError("camera_info has distortion coefficients but no distortion model; name the model")
    return DistortionModel(name), coefficients


def _cut(camera: PinholeCamera, x0: int, y0: int, width: int, height: int) -> PinholeCamera:
    if (x0, y0, width, height) == (0, 0, camera.width, camera.height):
        return camera
    return replace(camera, width=width, height=height, cx=camera.cx - x0, cy=camera.cy - y0)
