"""Rectification, held against OpenCV's own projection of distorted points."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.rectify import RectifyStage
from ego_perception.geometry import DistortionModel, PinholeCamera

LENSES = {
    DistortionModel.PLUMB_BOB: (-0.25, 0.06, 0.001, -0.001, 0.0),
    DistortionModel.RATIONAL: (0.1, -0.05, 0.0, 0.0, 0.01, 0.2, 0.0, 0.0),
    DistortionModel.EQUIDISTANT: (0.02, -0.01, 0.002, 0.0),
}
POINTS = np.array([[-0.45, -0.3, 1.0], [0.4, -0.2, 1.0], [0.0, 0.0, 1.0], [-0.3, 0.35, 1.0], [0.45, 0.3, 1.0]])


def camera(model: DistortionModel) -> PinholeCamera:
    return PinholeCamera(320, 240, 260.0, 262.0, 161.0, 118.0, model, LENSES[model])


def distorted_pixels(cam: PinholeCamera) -> np.ndarray:
    zero, D = np.zeros(3), np.array(cam.distortion)
    if cam.distortion_model is DistortionModel.EQUIDISTANT:
        return cv2.fisheye.projectPoints(POINTS[:, None], zero, zero, cam.K, D)[0].reshape(-1, 2)
    return cv2.projectPoints(POINTS, zero, zero, cam.K, D)[0].reshape(-1, 2)


def blobs(pixels: np.ndarray) -> np.ndarray:
    grey = np.zeros((240, 320), np.uint8)
    for x, y in pixels:
        cv2.circle(grey, (round(x * 16), round(y * 16)), 4 * 16, 255, -1, cv2.LINE_AA, shift=4)
    return grey


def centre(image: np.ndarray, near: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image * (np.hypot(xs - near[0], ys - near[1]) < 12)
    return np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("model", list(LENSES))
def test_points_land_where_the_pinhole_puts_them(model: DistortionModel) -> None:
    cam = camera(model)
    frame = Frame(1, np.repeat(blobs(distorted_pixels(cam))[..., None], 3, 2), camera=cam)
    out = RectifyStage().process(frame)
    assert out.camera is not None
    assert not out.camera.is_distorted
    for expected in cam.undistorted().project(POINTS):
        assert np.linalg.norm(centre(out.image[..., 0].astype(float), expected) - expected) < 0.35


def test_depth_and_mask_move_with_the_image_without_mixing() -> None:
    cam = camera(DistortionModel.PLUMB_BOB)
    depth = np.where(np.arange(320) < 160, 1.0, 3.0).astype(np.float32)[None].repeat(240, 0)
    mask = depth > 2
    frame = Frame(1, np.zeros((240, 320, 3), np.uint8), camera=cam, ignore=mask, truth=FrameTruth(depth=depth))
    out = RectifyStage().process(frame)
    assert out.truth is not None
    assert out.truth.depth is not None
    assert out.ignore is not None
    assert set(np.unique(out.truth.depth)) <= {np.float32(0.0), np.float32(1.0), np.float32(3.0)}
    inside = out.truth.depth > 0
    assert np.array_equal(out.ignore[inside], out.truth.depth[inside] > 2)


def test_undistorted_and_unknown_cameras_pass_untouched() -> None:
    stage = RectifyStage()
    plain = Frame(1, np.zeros((24, 32, 3), np.uint8), camera=PinholeCamera(32, 24, 30, 30, 16, 12))
    unknown = Frame(1, np.zeros((24, 32, 3), np.uint8))
    assert stage.process(plain) is plain
    assert stage.process(unknown) is unknown
    stage.reset()
    assert list(stage.flush()) == []


def test_a_new_camera_gets_new_maps() -> None:
    stage = RectifyStage()
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    first = stage.process(Frame(1, image, camera=camera(DistortionModel.PLUMB_BOB)))
    other = stage.process(Frame(2, image, camera=camera(DistortionModel.EQUIDISTANT)))
    again = stage.process(Frame(3, image, camera=camera(DistortionModel.PLUMB_BOB)))
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(first.image, again.image)
