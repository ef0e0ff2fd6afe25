"""What is done to images: feature tracks, health, views, filling, dense depth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ego_perception.data import Encoding, Frame, FrameTruth
from ego_perception.geometry import DistortionModel, PinholeCamera, invert, so3_exp
from ego_perception.reconstruction import features
from ego_perception.reconstruction.config import DenseConfig, ReconstructionConfig, TrackingConfig
from ego_perception.reconstruction.dense import DenseDepth, DenseEstimator, Reference, SparseDepth
from ego_perception.reconstruction.fill import fill_guided, spread_values
from ego_perception.reconstruction.health import HealthMonitor, ImageHealth
from ego_perception.reconstruction.relocalisation import describe
from ego_perception.reconstruction.view import ViewFactory

NO_SPARSE = SparseDepth(np.zeros((0, 2)), np.zeros(0), np.zeros(0))


def texture(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """Smooth noise with contrast."""
    noise = np.random.default_rng(seed).random((height // 4, width // 4), np.float32)
    return np.clip(255 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def test_tracks_follow_a_known_warp() -> None:
    image, config = texture(), TrackingConfig()
    turn = cv2.getRotationMatrix2D((160, 120), 4.0, 1.03)
    turn[:, 2] += [5.0, -3.0]
    warped = cv2.warpAffine(image, turn, (320, 240), borderMode=cv2.BORDER_REFLECT)
    points = features.detect(config, image, np.zeros((0, 2), np.float32), 150)
    found, good = features.follow(config, image, warped, points, points)
    truth = points @ turn[:, :2].T + turn[:, 2]
    assert good.mean() > 0.7
    assert np.median(np.linalg.norm(found - truth, axis=1)[good]) < 0.2
    assert np.linalg.norm(found - truth, axis=1)[good].max() < 2.0


def test_tracks_into_another_picture_die() -> None:
    config = TrackingConfig()
    points = features.detect(config, texture(), np.zeros((0, 2), np.float32), 150)
    _, good = features.follow(config, texture(), texture(seed=5), points, points)
    assert good.mean() < 0.2


def test_no_points_no_tracks() -> None:
    none = np.zeros((0, 2), np.float32)
    found, good = features.follow(TrackingConfig(), texture(), texture(), none, none)
    assert found.shape == (0, 2)
    assert good.shape == (0,)


def test_detection_honours_taken_points_border_and_mask() -> None:
    config, image = TrackingConfig(), texture()
    ignore = np.zeros(image.shape, bool)
    ignore[:, 160:] = True
    first = features.detect(config, image, np.zeros((0, 2), np.float32), 60)
    more = features.detect(config, image, first, 60, ignore)
    distance = np.linalg.norm(first[:, None] - more[None], axis=2)
    assert distance.min() >= config.min_distance_px - 1
    assert (more[:, 0] < 160).all()
    assert first.min() >= 5
    assert len(features.detect(config, image, first, 0)) == 0
    assert len(features.detect(config, np.zeros_like(image), first, 50)) == 0


def test_descriptors_match_themselves_and_mark_the_border() -> None:
    image = texture()
    uv = np.array([[100.0, 100.0], [200.0, 120.0], [2.0, 2.0]], np.float32)
    a, b = describe(image, uv), describe(cv2.convertScaleAbs(image, alpha=0.8, beta=20), uv)
    distance = np.unpackbits(a ^ b, axis=1).sum(axis=1)
    assert distance[:2].max() < 40
    assert np.unpackbits(a[0] ^ a[1]).sum() > 60
    assert not a[2].any()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((240, 320), np.uint8), ImageHealth.BLACK),
        (np.full((240, 320), 255, np.uint8), ImageHealth.SATURATED),
        (np.full((240, 320), 120, np.uint8), ImageHealth.FLAT),
        (texture(), ImageHealth.GOOD),
    ],
)
def test_health(image: np.ndarray, expected: ImageHealth) -> None:
    assert HealthMonitor().check(image) is expected
    assert expected.is_blind is (expected is not ImageHealth.GOOD)


def test_a_repeated_picture_is_frozen_and_a_new_one_is_not() -> None:
    monitor = HealthMonitor()
    assert monitor.check(texture()) is ImageHealth.GOOD
    assert monitor.check(texture().copy()) is ImageHealth.FROZEN
    assert monitor.check(texture(seed=1)) is ImageHealth.GOOD
    monitor.reset()
    assert monitor.check(texture(seed=1)) is ImageHealth.GOOD
    assert monitor.check(texture(480, 640)) is ImageHealth.GOOD


def test_view_scales_large_images_and_keeps_small_ones() -> None:
    factory = ViewFactory(ReconstructionConfig())
    large = factory.prepare(Frame(0, cv2.cvtColor(texture(1080, 1920), cv2.COLOR_GRAY2RGB)))
    assert large.grey.shape == (360, 640)
    assert large.small.shape == (90, 160)
    small = factory.prepare(Frame(0, texture(), Encoding.MONO))
    assert small.grey.shape == (240, 320)
    assert small.frame.image is not None


def test_view_rectifies_image_mask_and_truth() -> None:
    camera = PinholeCamera(320, 240, 260.0, 260.0, 160.0, 120.0, DistortionModel.PLUMB_BOB, (-0.3, 0.1, 0.0, 0.0))
    ignore = np.zeros((240, 320), bool)
    ignore[:40] = True
    truth = FrameTruth(np.where(ignore, 1.0, 2.0).astype(np.float32))
    view = ViewFactory(ReconstructionConfig()).prepare(
        Frame(0, np.dstack([texture()] * 3), camera=camera, ignore=ignore, truth=truth)
    )
    assert view.frame.camera == camera.undistorted()
    assert view.ignore is not None
    assert view.frame.truth is not None
    assert view.frame.truth.depth is not None
    # A barrel lens draws the corners inwards: the rectified mask ends higher up in the middle than it did.
    assert view.ignore[:, 160].sum() < 40 < ignore.sum()
    np.testing.assert_array_equal(view.frame.truth.depth[60:, 60:-60], 2.0)


def test_spread_values_keeps_a_constant_and_fills_holes() -> None:
    weights = (np.random.default_rng(0).random((60, 80)) < 0.02).astype(np.float32)
    filled = spread_values(np.full((60, 80), 3.0, np.float32), weights, 9)
    np.testing.assert_allclose(filled, 3.0, rtol=1e-3)
    assert np.all(spread_values(np.ones((60, 80), np.float32), np.zeros((60, 80), np.float32), 9) == 0)


def test_guided_fill_stops_at_the_edge_of_the_guide() -> None:
    guide = np.zeros((60, 80), np.float32)
    guide[:, 40:] = 1.0
    values = np.where(guide > 0, 4.0, 2.0).astype(np.float32)
    weights = (np.random.default_rng(0).random((60, 80)) < 0.1).astype(np.float32)
    filled = fill_guided(guide, values, weights, 11, 1e-4)
    assert np.abs(filled - values)[:, 35:45].mean() < 0.1
    assert np.abs(spread_values(values, weights, 11) - values)[:, 35:45].mean() > 0.3


def dense_inputs(room: Any, camera: PinholeCamera, offsets: list[float]) -> tuple[np.ndarray, np.ndarray, list[Reference]]:
    """Image and depth at the origin, and references moved sideways."""
    image, depth = room.render(np.eye(4), camera)
    references = []
    for x in offsets:
        T = np.eye(4)
        T[:3, :3], T[0, 3] = so3_exp([0.0, 0.02, 0.0]), x
        inverse = invert(T)
        references.append(Reference(room.render(T, camera)[0][..., 0].copy(), (inverse[:3, :3], inverse[:3, 3])))
    return image[..., 0].copy(), depth, references


def flat(depth: np.ndarray, metres: float = 2.0, sigma: float = 0.5) -> DenseDepth:
    """A network that knows nothing."""
    return DenseDepth(np.full(depth.shape, np.log(metres), np.float32), np.full(depth.shape, sigma, np.float32))


CAMERA_SMALL = PinholeCamera(160, 120, 135.0, 135.0, 79.5, 59.5)
HERE = (np.eye(3), np.zeros(3))


def test_dense_depth_comes_from_parallax(room: Any) -> None:
    grey, depth, references = dense_inputs(room, CAMERA_SMALL, [-0.2, 0.25, 0.3])
    result = DenseEstimator(DenseConfig()).estimate(grey, CAMERA_SMALL, HERE, references, NO_SPARSE, flat(depth))
    error = np.abs(result.depth / depth - 1)
    assert np.median(error) < 0.04
    assert np.mean(np.abs(2.0 / depth - 1)) > 0.15  # what the network alone would score
    sure = result.confidence > 0.9
    assert sure.mean() > 0.5
    assert (error[sure] < 0.25).mean() > 0.9
    assert np.isfinite(result.depth).all()


def test_dense_without_references_is_the_network_bent_to_landmarks() -> None:
    depth = np.full((120, 160), 3.0, np.float32)
    estimator, grey = DenseEstimator(DenseConfig()), texture(120, 160)
    alone = estimator.estimate(grey, CAMERA_SMALL, HERE, [], NO_SPARSE, flat(depth, 2.0))
    np.testing.assert_allclose(alone.depth, 2.0, rtol=1e-5)
    assert alone.confidence.max() < 0.6
    uv = np.stack(np.meshgrid(np.arange(10, 160, 20), np.arange(10, 120, 20)), -1).reshape(-1, 2).astype(float)
    sparse = SparseDepth(uv, np.full(len(uv), np.log(3.0)), np.full(len(uv), 0.02))
    bent = estimator.estimate(grey, CAMERA_SMALL, HERE, [], sparse, flat(depth, 2.0))
    np.testing.assert_allclose(bent.depth, 3.0, rtol=0.02)


def test_dense_geometry_is_carried_through_a_blind_frame(room: Any) -> None:
    grey, depth, references = dense_inputs(room, CAMERA_SMALL, [-0.2, 0.25, 0.3])
    estimator = DenseEstimator(DenseConfig())
    estimator.estimate(grey, CAMERA_SMALL, HERE, references, NO_SPARSE, flat(depth))
    after = estimator.estimate(grey, CAMERA_SMALL, HERE, [], NO_SPARSE, flat(depth))
    assert np.median(np.abs(after.depth / depth - 1)) < 0.06
    estimator.reset()
    forgotten = estimator.estimate(grey, CAMERA_SMALL, HERE, [], NO_SPARSE, flat(depth))
    np.testing.assert_allclose(forgotten.depth, 2.0, rtol=1e-5)


def test_dense_ignores_masked_pixels(room: Any) -> None:
    grey, depth, references = dense_inputs(room, CAMERA_SMALL, [-0.2, 0.25, 0.3])
    ignore = np.zeros(grey.shape, bool)
    ignore[:, :80] = True
    result = DenseEstimator(DenseConfig()).estimate(grey, CAMERA_SMALL, HERE, references, NO_SPARSE, flat(depth), ignore)
    assert result.confidence[:, :40].mean() < 0.7 < result.confidence[:, 100:].mean()


def test_confidence_is_the_normal_probability() -> None:
    sigma = np.array([[0.05, 0.2231435, 0.5, 3.0]], np.float32)
    expected = [0.99999, 0.68269, 0.34464, 0.0593]
    np.testing.assert_allclose(DenseDepth(np.zeros_like(sigma), sigma).confidence[0], expected, atol=2e-3)
