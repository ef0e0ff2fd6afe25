"""The lens: its camera model, the render that covers it, and truth that survives the way between both."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from ego_perception.data import Encoding, Frame
from ego_perception.data.rectify import RectifyStage
from ego_perception.errors import SimulationError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.simulation.lens import MAX_ANGLE_RAD, Lens, make_lens, pixel_rays, project, valid_radius

SIZE = (160, 120)
BENT = [(kind, fov) for kind in ("radtan", "fisheye") for fov in (45, 80, 110)]


def lens_of(kind: str, fov_deg: float, seed: int = 1, size: tuple[int, int] = SIZE) -> Lens:
    return make_lens(*size, math.radians(fov_deg), kind, np.random.default_rng(seed))


def grid(camera: PinholeCamera) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)


def texture(camera: PinholeCamera) -> np.ndarray:
    """Smooth colours with parts of several sizes, given on the plane z = 1, so that any camera can draw it exactly."""
    xy = pixel_rays(camera)[..., :2].astype(np.float64)
    waves = [np.sin(5 * xy[..., 0] + c) * np.cos(4 * xy[..., 1] - c) + 0.4 * np.sin(11 * xy.sum(axis=-1)) for c in range(3)]
    return np.rint(127 + 80 * np.stack(waves, axis=-1)).clip(0, 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / max(1e-9, float(np.mean((a.astype(float) - b) ** 2))))


@pytest.mark.parametrize(("kind", "fov"), BENT)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_projecting_the_rays_gives_back_the_pixels(kind: str, fov: int, seed: int) -> None:
    camera = lens_of(kind, fov, seed).camera
    rays = pixel_rays(camera).astype(np.float64)
    error = np.abs(project(camera, rays * 2.5) - grid(camera))
    assert np.nanmax(error) < 1e-3
    assert np.isfinite(rays[..., 0]).mean() > (0.8 if fov == 110 else 0.99)


@pytest.mark.parametrize(("kind", "fov"), BENT)
def test_rays_agree_with_opencv(kind: str, fov: int) -> None:
    camera = lens_of(kind, fov).camera
    points = pixel_rays(camera).reshape(-1, 3).astype(np.float64)
    points = np.ascontiguousarray(points[np.isfinite(points[:, 0])][::7])
    D = np.array(camera.distortion)
    if kind == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), camera.K, D)
    else:
        expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, D)
    np.testing.assert_allclose(project(camera, points), expected[:, 0], atol=1e-6)


@pytest.mark.parametrize(("kind", "fov"), BENT)
def test_field_of_view_is_the_one_asked_for(kind: str, fov: int) -> None:
    camera = lens_of(kind, fov).camera
    half = math.tan(math.radians(fov / 2))
    ends = project(camera, np.array([[0.0, -half, 1.0], [0.0, half, 1.0]]))[:, 1]
    # Tangential terms tilt the image by less than half a per cent.
    assert ends[1] - ends[0] == pytest.approx(camera.height, rel=5e-3)
    assert abs(camera.cx - 79.5) <= 0.015 * 160
    assert abs(camera.cy - 59.5) <= 0.015 * 160


@pytest.mark.parametrize(("kind", "model"), [("radtan", DistortionModel.PLUMB_BOB), ("fisheye", DistortionModel.EQUIDISTANT)])
def test_camera_says_which_lens_it_is(kind: str, model: DistortionModel) -> None:
    camera = lens_of(kind, 70).camera
    assert camera.distortion_model is model
    assert camera.is_distorted
    assert (camera.width, camera.height) == SIZE


@pytest.mark.parametrize(("kind", "fov"), BENT)
def test_render_covers_the_image_at_full_resolution(kind: str, fov: int) -> None:
    lens = lens_of(kind, fov)
    pixels = lens.render_camera.project(pixel_rays(lens.camera))
    pixels = pixels[np.isfinite(pixels[..., 0])]
    assert (pixels >= 0).all()
    assert (pixels <= [lens.render_camera.width - 1, lens.render_camera.height - 1]).all()
    assert lens.render_camera.fy == pytest.approx(lens.camera.fy)
    assert not lens.render_camera.is_distorted
    size = (lens.render_camera.width, lens.render_camera.height)
    again = PinholeCamera.from_fov(*size, lens.render_camera.fov_rad[1])
    assert (again.fx, again.cx, again.cy) == pytest.approx((lens.render_camera.fx, *(0.5 * (s - 1) for s in size)))


@pytest.mark.parametrize(("kind", "fov"), BENT)
def test_warped_picture_is_what_the_lens_sees(kind: str, fov: int) -> None:
    lens = lens_of(kind, fov)
    seen, drawn = np.isfinite(pixel_rays(lens.camera)[..., 0]), lens.warp_colour(texture(lens.render_camera))
    expected = texture(lens.camera) if seen.all() else None
    if expected is not None:
        assert psnr(drawn, expected) > 30
    else:
        assert not drawn[~cv2.dilate(seen.astype(np.uint8), np.ones((3, 3))).astype(bool)].any()


@pytest.mark.parametrize(("kind", "fov"), [("radtan", 60), ("radtan", 100), ("fisheye", 60), ("fisheye", 80)])
def test_rectifying_gives_back_the_pinhole_image(kind: str, fov: int) -> None:
    lens = lens_of(kind, fov, size=(320, 240))
    drawn = lens.warp_colour(texture(lens.render_camera))
    frame = RectifyStage().process(Frame(1, drawn, Encoding.RGB, camera=lens.camera))
    assert frame.camera is not None
    expected = texture(frame.camera)
    back = lens.camera.rectification_maps()
    covered = cv2.remap(np.full(drawn.shape[:2], 255, np.uint8), *back, cv2.INTER_LINEAR) == 255
    covered = cv2.erode(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert covered.mean() > 0.8
    assert psnr(frame.image[covered], expected[covered]) > 30


@pytest.mark.parametrize(("kind", "fov"), BENT)
def test_depth_of_a_slanted_plane_stays_exact(kind: str, fov: int) -> None:
    lens = lens_of(kind, fov)

    def plane(camera: PinholeCamera) -> np.ndarray:
        rays = pixel_rays(camera).astype(np.float64)
        inverse = (0.9 + 0.25 * rays[..., 0] - 0.2 * rays[..., 1]) / 2
        return np.where(inverse > 0.05, 1 / inverse, 0).astype(np.float32)

    got, expected = lens.warp_depth(plane(lens.render_camera)), plane(lens.camera)
    both = (got > 0) & (expected > 0) & (expected < 6)
    assert both.mean() > 0.7
    assert np.quantile(np.abs(got - expected)[both], 0.99) < 1e-3


def test_depth_is_not_mixed_between_things() -> None:
    lens = lens_of("fisheye", 80)
    shape = (lens.render_camera.height, lens.render_camera.width)
    instances = np.ones(shape, np.uint16)
    instances[:, shape[1] // 2 :] = 2
    depth = np.where(instances == 1, np.float32(1.0), np.float32(1.02))
    assert set(np.unique(lens.warp_depth(depth, instances))) == {np.float32(1.0), np.float32(1.02)}
    far = np.where(instances == 1, np.float32(1.0), np.float32(3.0))
    got = lens.warp_depth(far)
    assert np.isclose(got[:, :, None], [1.0, 3.0], atol=1e-6).any(axis=-1).all()
    np.testing.assert_array_equal(got > 2, lens.warp_nearest(instances) == 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_ids_are_never_blended(dtype: type) -> None:
    lens = lens_of("radtan", 70)
    ids = np.random.default_rng(0).choice(np.array([3, 200], dtype), (lens.render_camera.height, lens.render_camera.width))
    got = lens.warp_nearest(ids)
    assert got.dtype == dtype
    assert got.shape == (120, 160)
    assert set(np.unique(got)) == {3, 200}


def test_outside_of_the_image_circle_is_nothing() -> None:
    lens = lens_of("fisheye", 110)
    ones = np.ones((lens.render_camera.height, lens.render_camera.width), np.float32)
    rays = pixel_rays(lens.camera)
    dark = np.isnan(rays[..., 0])
    assert 0.02 < dark.mean() < 0.25
    assert dark[0, 0]
    assert (lens.warp_depth(ones)[dark] == 0).all()
    assert (lens.warp_nearest(ones)[dark] == 0).all()
    assert np.nanmax(np.hypot(rays[..., 0], rays[..., 1])) <= math.tan(MAX_ANGLE_RAD) + 1e-4
    # Only the corners of a very wide lens: at 80 degrees everything is seen.
    assert np.isfinite(pixel_rays(lens_of("fisheye", 80).camera)).all()


def test_pinhole_changes_nothing() -> None:
    lens = lens_of("pinhole", 55)
    image, depth = np.zeros((120, 160, 3), np.uint8), np.ones((120, 160), np.float32)
    assert lens.is_pinhole
    assert lens.camera == PinholeCamera.from_fov(160, 120, math.radians(55))
    assert lens.warp_colour(image) is image
    assert lens.warp_depth(depth) is depth
    assert lens.warp_nearest(depth) is depth
    np.testing.assert_array_equal(pixel_rays(lens.camera), lens.camera.rays())


def test_points_outside_the_lens_model_do_not_fold_back() -> None:
    lens = lens_of("radtan", 80, seed=80)
    radius = valid_radius(lens.camera)
    assert math.isfinite(radius)
    inside, outside = np.array([[0.9 * radius, 0.0, 1.0]]), np.array([[1.1 * radius, 0.0, 1.0]])
    assert np.isfinite(project(lens.camera, inside)).all()
    assert np.isnan(project(lens.camera, outside)).all()
    assert np.isnan(project(lens.camera, np.array([[0.1, 0.1, -1.0], [0.0, 0.0, 0.0]]))).all()


def test_lenses_differ_by_seed_and_repeat() -> None:
    assert lens_of("fisheye", 80, 1) == lens_of("fisheye", 80, 1)
    assert lens_of("fisheye", 80, 1) != lens_of("fisheye", 80, 2)


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(SimulationError, match="'wide' is unknown; choose pinhole, radtan, fisheye"):
        lens_of("wide", 60)
    rational = PinholeCamera(8, 8, 5, 5, 3.5, 3.5, DistortionModel.RATIONAL, (0.1,) * 8)
    with pytest.raises(SimulationError, match="rational"):
        pixel_rays(rational)
