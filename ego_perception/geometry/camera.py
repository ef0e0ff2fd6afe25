"""The pinhole camera with lens distortion, in the pixel convention of `sensor_msgs/CameraInfo` (integer pixel centres)."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import CalibrationError

Array = NDArray[np.float64]


class DistortionModel(enum.Enum):
    """Lens models of `sensor_msgs/distortion_models.hpp`; the value is the ROS name."""

    NONE = ""
    PLUMB_BOB = "plumb_bob"
    RATIONAL = "rational_polynomial"
    EQUIDISTANT = "equidistant"


_NUM_COEFFICIENTS = {
    DistortionModel.NONE: (0,),
    DistortionModel.PLUMB_BOB: (4, 5),
    DistortionModel.RATIONAL: (8, 12, 14),
    DistortionModel.EQUIDISTANT: (4,),
}


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics in pixels: a point (x, y, z) in optical axes projects to (fx x/z + cx, fy y/z + cy) before distortion.

    Raises:
        CalibrationError: on construction, for a non-positive or non-finite focal length, an empty image, a principal point
            more than one image size away from the image, or a wrong number of distortion coefficients.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: DistortionModel = DistortionModel.NONE
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise CalibrationError(f"camera image size is {self.width}x{self.height}; it must be positive")
        if not (math.isfinite(self.fx) and math.isfinite(self.fy) and self.fx > 0 and self.fy > 0):
            raise CalibrationError(f"focal length is fx={self.fx}, fy={self.fy} px; calibrate the camera or omit it")
        if not (-self.width <= self.cx <= 2 * self.width and -self.height <= self.cy <= 2 * self.height):
            raise CalibrationError(
                f"principal point ({self.cx}, {self.cy}) is far outside the {self.width}x{self.height} image"
            )
        if len(self.distortion) not in _NUM_COEFFICIENTS[self.distortion_model]:
            raise CalibrationError(
                f"distortion model '{self.distortion_model.value}' takes {_NUM_COEFFICIENTS[self.distortion_model]} "
                f"coefficients, got {len(self.distortion)}"
            )
        if not all(math.isfinite(k) for k in self.distortion):
            raise CalibrationError(f"distortion coefficients are not finite: {self.distortion}")

    @classmethod
    def from_fov(cls, width: int, height: int, fov_y_rad: float) -> PinholeCamera:
        """Build a centred camera with square pixels from its vertical field of view in radians."""
        f = 0.5 * height / math.tan(0.5 * fov_y_rad)
        return cls(width, height, f, f, 0.5 * (width - 1), 0.5 * (height - 1))

    @classmethod
    def from_matrix(cls, K: NDArray[np.floating], width: int, height: int, **lens: Any) -> PinholeCamera:
        """Build from a (3, 3) intrinsic matrix in pixels; `lens` passes the distortion fields."""
        if np.shape(K) != (3, 3):
            raise CalibrationError(f"intrinsic matrix has shape {np.shape(K)}; it must be (3, 3)")
        return cls(width, height, float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]), **lens)

    @property
    def K(self) -> Array:
        """(3, 3) intrinsic matrix, pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def fov_rad(self) -> tuple[float, float]:
        """Horizontal and vertical field of view without distortion, radians."""
        return 2 * math.atan(0.5 * self.width / self.fx), 2 * math.atan(0.5 * self.height / self.fy)

    @property
    def is_distorted(self) -> bool:
        """True when a lens model with a non-zero coefficient is set."""
        return any(k != 0.0 for k in self.distortion)

    def resized(self, width: int, height: int) -> PinholeCamera:
        """The same camera after its image is scaled to `width` x `height` (pixel-area mapping, centres at integers)."""
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=cx, cy=cy)

    def cropped(self, x0: int, y0: int, width: int, height: int) -> PinholeCamera:
        """The same camera after cutting out the rectangle whose top left pixel is (x0, y0)."""
        return replace(self, width=width, height=height, cx=self.cx - x0, cy=self.cy - y0)

    def with_focal(self, scale: float) -> PinholeCamera:
        """The same camera with both focal lengths multiplied by `scale`."""
        return replace(self, fx=self.fx * scale, fy=self.fy * scale)

    def undistorted(self) -> PinholeCamera:
        """The same intrinsics without a lens model: the camera of the rectified image."""
        return replace(self, distortion_model=DistortionModel.NONE, distortion=())

    def project(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Project points (..., 3) in optical axes to undistorted pixels (..., 2); NaN where z <= 0."""
        z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
        return np.stack([self.fx * points[..., 0] / z + self.cx, self.fy * points[..., 1] / z + self.cy], axis=-1)

    def normalise(self, pixels: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map undistorted pixels (..., 2) to the plane z = 1, shape (..., 2)."""
        return (pixels - np.array([self.cx, self.cy], pixels.dtype)) / np.array([self.fx, self.fy], pixels.dtype)

    def rays(self) -> NDArray[np.float32]:
        """Directions of all pixels with z = 1, shape (height, width, 3), float32."""
        x = (np.arange(self.width, dtype=np.float32) - np.float32(self.cx)) / np.float32(self.fx)
        y = (np.arange(self.height, dtype=np.float32) - np.float32(self.cy)) / np.float32(self.fy)
        out = np.ones((self.height, self.width, 3), np.float32)
        out[..., 0] = x
        out[..., 1] = y[:, None]
        return out

    def rectification_maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Fixed-point maps for `cv2.remap` that take the distorted image to `undistorted()`."""
        K, D, size = self.K, np.array(self.distortion), (self.width, self.height)
        if self.distortion_model is DistortionModel.EQUIDISTANT:
            a, b = cv2.fisheye.initUndistortRectifyMap(K, D, np.eye(3), K, size, cv2.CV_16SC2)
        else:
            a, b = cv2.initUndistortRectifyMap(K, D, np.eye(3), K, size, cv2.CV_16SC2)
        return a, b
