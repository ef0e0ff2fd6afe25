"""Calibration from text and files, scaled to other image sizes only where that is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from ego_perception.data.intrinsics import find_intrinsics, parse_intrinsics, read_intrinsics
from ego_perception.errors import CalibrationError
from ego_perception.geometry import DistortionModel

ROS_YAML = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "head",
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.0, 0.0, 0.05]},
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 320, 0, 510, 240, 0, 0, 1]},
}


def write_yaml(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump(ROS_YAML | changes))
    return path


def test_four_numbers() -> None:
    camera = parse_intrinsics("500, 510,320,240").camera(640, 480)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 320, 240)


def test_matrix_file_is_used_as_it_is(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "camera-intrinsics.txt", np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]]))
    found = find_intrinsics(tmp_path)
    assert found is not None
    assert np.array_equal(found.camera(640, 480).K, [[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])


def test_folder_without_calibration_gives_none(tmp_path: Path) -> None:
    assert find_intrinsics(tmp_path) is None


def test_ros_calibration_brings_its_lens(tmp_path: Path) -> None:
    camera = read_intrinsics(write_yaml(tmp_path / "camera_info.yaml")).camera(640, 480)
    assert camera.distortion_model is DistortionModel.PLUMB_BOB
    assert camera.distortion == (0.1, -0.2, 0.0, 0.0, 0.05)
    assert camera.fy == 510


def test_dumped_camera_info_message(tmp_path: Path) -> None:
    path = tmp_path / "camera_info.yaml"
    path.write_text(
        "width: 64\nheight: 48\nk: [50, 0, 32, 0, 50, 24, 0, 0, 1]\nd: [0, 0, 0, 0, 0]\ndistortion_model: plumb_bob\n"
    )
    assert read_intrinsics(path).camera(64, 48).is_distorted is False


def test_other_resolution_scales_the_focal_length(tmp_path: Path) -> None:
    camera = read_intrinsics(write_yaml(tmp_path / "c.yaml")).camera(320, 240)
    assert camera.fx == pytest.approx(250)
    assert camera.cx == pytest.approx(159.75)  # (320 + 0.5) / 2 - 0.5


def test_other_aspect_ratio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"calibrated for 640x480 but the image is 640x360"):
        read_intrinsics(write_yaml(tmp_path / "c.yaml")).camera(640, 360)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "nan,500,320,240", "0,500,320,240", "-500,500,320,240", "/no/such/file"])
def test_bad_text(text: str) -> None:
    with pytest.raises(CalibrationError):
        parse_intrinsics(text).camera(640, 480)


@pytest.mark.parametrize("content", ["", "1 2 3", "fx 500", "1 0 0 0 1 0 0 1 1", "\x00\x01", "500 500 320 inf"])
def test_bad_matrix_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "intrinsics.txt").write_text(content)
    with pytest.raises(CalibrationError, match=r"intrinsics\.txt"):
        find_intrinsics(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera_matrix": None},
        {"image_width": "wide"},
        {"distortion_model": "magic"},
        {"distortion_model": ""},
        {"camera_matrix": {"data": [0, 0, 320, 0, 0, 240, 0, 0, 1]}},
        {"camera_matrix": {"data": ["x"] * 9}},
    ],
)
def test_bad_ros_calibration(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(CalibrationError, match=r"c\.yaml"):
        read_intrinsics(write_yaml(tmp_path / "c.yaml", **changes)).camera(640, 480)


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "a: [", "42"])
def test_yaml_that_is_no_calibration(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(CalibrationError):
        read_intrinsics(tmp_path / "c.yaml")
