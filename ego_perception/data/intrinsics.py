"""Camera intrinsics from a command line, a matrix file or a ROS calibration file, and their fit to images of other sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from ego_perception.errors import CalibrationError
from ego_perception.geometry import DistortionModel, PinholeCamera

FILE_NAMES: Final = (
    "camera-intrinsics.txt",
    "intrinsics.txt",
    "camera_info.yaml",
    "intrinsics.yaml",
    "calibration.yaml",
    "intrinsics.yml",
)
_ASPECT_TOLERANCE: Final = 0.01
_DISTORTION_NAMES: Final = {"fisheye": DistortionModel.EQUIDISTANT, "none": DistortionModel.NONE}


@dataclass(frozen=True)
class Intrinsics:
    """A calibration that waits for the image size.

    Attributes:
        K: (3, 3) pixels.
        size: width and height it was made for; None means those of the first image.
        distortion_model, distortion: the lens.
        origin: the file or text it came from, for messages.
    """

    K: NDArray[np.float64]
    size: tuple[int, int] | None = None
    distortion_model: DistortionModel = DistortionModel.NONE
    distortion: tuple[float, ...] = ()
    origin: str = "intrinsics"

    def camera(self, width: int, height: int) -> PinholeCamera:
        """The camera of an image of `width` x `height`; scaled when only the resolution differs.

        Raises:
            CalibrationError: another aspect ratio than calibrated (a crop nobody described), or impossible values.
        """
        w, h = self.size or (width, height)
        camera = PinholeCamera.from_matrix(self.K, w, h, distortion_model=self.distortion_model, distortion=self.distortion)
        if (w, h) == (width, height):
            return camera
        if abs(width * h / (height * w) - 1.0) > _ASPECT_TOLERANCE:
            raise CalibrationError(
                f"{self.origin} is calibrated for {w}x{h} but the image is {width}x{height}: "
                "another aspect ratio; give a calibration of this image"
            )
        return camera.resized(width, height)


def parse_intrinsics(text: str) -> Intrinsics:
    """Read `fx,fy,cx,cy` in pixels, or the name of a calibration file.

    Raises:
        CalibrationError: neither of the two, or impossible values.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        return read_intrinsics(Path(text))
    try:
        fx, fy, cx, cy = (float(part) for part in parts)
    except ValueError as error:
        raise CalibrationError(f"intrinsics '{text}' are not four numbers fx,fy,cx,cy in pixels") from error
    return Intrinsics(_matrix([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0], text), origin=text)


def read_intrinsics(path: Path) -> Intrinsics:
    """Read a text file with a 3x3 matrix (or fx fy cx cy), or a ROS calibration in YAML.

    Raises:
        CalibrationError: unreadable, not a calibration, or impossible values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"calibration '{path}' cannot be read: {error}") from error
    if path.suffix in {".yaml", ".yml"}:
        return _from_yaml(text, path.name)
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise CalibrationError(f"calibration {path.name} holds a word that is no number: {error}") from error
    if len(values) == 4:
        fx, fy, cx, cy = values
        values = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    return Intrinsics(_matrix(values, path.name), origin=path.name)


def find_intrinsics(folder: Path) -> Intrinsics | None:
    """Read the calibration that lies beside the images, None where there is none.

    Raises:
        CalibrationError: as `read_intrinsics`.
    """
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return read_intrinsics(folder / name)
    return None


def _from_yaml(text: str, name: str) -> Intrinsics:
    """Read the file of `camera_calibration_parsers`, or a dumped `sensor_msgs/CameraInfo`."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CalibrationError(f"calibration {name} is not YAML: {str(error).splitlines()[0]}") from error
    fields = loaded if isinstance(loaded, dict) else {}
    K = _numbers(fields.get("camera_matrix", fields.get("k", fields.get("K"))))
    D = _numbers(fields.get("distortion_coefficients", fields.get("d", fields.get("D", []))))
    width, height = fields.get("image_width", fields.get("width")), fields.get("image_height", fields.get("height"))
    if K is None or D is None or not isinstance(width, int) or not isinstance(height, int):
        raise CalibrationError(
            f"calibration {name} lacks camera_matrix (or k), width or height; write it as camera_calibration does"
        )
    model_name = str(fields.get("distortion_model") or "")
    try:
        model = _DISTORTION_NAMES.get(model_name) or DistortionModel(model_name)
    except ValueError as error:
        known = ", ".join(m.value for m in DistortionModel if m.value)
        raise CalibrationError(f"calibration {name} has distortion model '{model_name}'; known are {known}") from error
    if not any(D):
        model, D = DistortionModel.NONE, []
    elif model is DistortionModel.NONE:
        raise CalibrationError(f"calibration {name} has distortion coefficients but names no distortion_model")
    return Intrinsics(_matrix(K, name), (width, height), model, tuple(D), name)


def _numbers(value: Any) -> list[float] | None:
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, list):
        return None
    try:
        return [float(v) for v in value]
    except (TypeError, ValueError):
        return None


def _matrix(values: list[float], origin: str) -> NDArray[np.float64]:
    if len(values) != 9 or not all(math.isfinite(v) for v in values):
        raise CalibrationError(f"calibration {origin} holds {len(values)} numbers; a 3x3 matrix of finite numbers is needed")
    K = np.array(values).reshape(3, 3)
    if not (K[0, 0] > 0 and K[1, 1] > 0) or not np.allclose(K[2], [0.0, 0.0, 1.0]):
        raise CalibrationError(f"calibration {origin} is no intrinsic matrix: fx={K[0, 0]}, fy={K[1, 1]}, last row {K[2]}")
    return K
