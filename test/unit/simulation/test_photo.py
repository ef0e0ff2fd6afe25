"""The photo of a frame: repeatable, the same for its twins, and told truthfully."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.simulation.config import PhotoConfig
from ego_perception.simulation.photo import Photo
from ego_perception.simulation.shutter import to_linear

EVERYTHING = PhotoConfig(exposure_drift=0.1, white_balance_drift=0.05, noise=4.0, vignette=0.3, jpeg_quality=90)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 180, (48, 64, 3), dtype=np.uint8)


def test_everything_off_touches_nothing() -> None:
    picture = image()
    photo = Photo(PhotoConfig(rolling_shutter_s=0.02), seed=1)
    assert photo.apply(picture, 1.0, 3) is picture
    truth = photo.truth(1.0)
    assert (truth.exposure, truth.white_balance, truth.noise_std, truth.jpeg_quality) == (1.0, (1.0, 1.0, 1.0), 0.0, 0)
    assert truth.rolling_shutter_s == 0.02


def test_frames_can_be_made_in_any_order() -> None:
    one, other = Photo(EVERYTHING, seed=1), Photo(EVERYTHING, seed=1)
    forward = [one.apply(image(i), i / 15, i) for i in range(4)]
    backward = [other.apply(image(i), i / 15, i) for i in reversed(range(4))][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert not np.array_equal(forward[0], Photo(EVERYTHING, seed=2).apply(image(0), 0.0, 0))


def test_twins_stay_equal_where_they_were() -> None:
    photo = Photo(PhotoConfig(exposure_drift=0.1, white_balance_drift=0.05, noise=6.0, vignette=0.3), seed=4)
    with_hand, clean = image(), image()
    with_hand[10:20, 30:40] = 250
    a, b = photo.apply(with_hand, 0.5, 7), photo.apply(clean, 0.5, 7)
    same = (with_hand == clean).all(axis=-1)
    np.testing.assert_array_equal(a[same], b[same])
    assert (a[~same] != b[~same]).any()


def test_noise_changes_with_frame_and_camera() -> None:
    photo, picture = Photo(PhotoConfig(noise=5.0), seed=4), image()
    first = photo.apply(picture, 0.0, 0).astype(int) - picture
    for other in (photo.apply(picture, 0.0, 1), photo.apply(picture, 0.0, 0, stream=1)):
        assert abs(np.corrcoef(first.ravel(), (other.astype(int) - picture).ravel())[0, 1]) < 0.05
    assert 3.5 < first.std() < 7.0


@pytest.mark.parametrize("t", [0.0, 2.5, 9.0])
def test_truth_is_what_was_done(t: float) -> None:
    photo = Photo(PhotoConfig(exposure_drift=0.2, white_balance_drift=0.1), seed=11)
    truth, grey = photo.truth(t), np.full((48, 64, 3), 110, np.uint8)
    ratio = to_linear(photo.apply(grey, t, 0)) / to_linear(grey)
    expected = truth.exposure * np.array(truth.white_balance)
    np.testing.assert_allclose(ratio[20, 20], expected, rtol=0.015)
    assert truth.white_balance[1] == 1.0
    assert truth.exposure != 1.0


def test_drifts_have_the_declared_size() -> None:
    config = PhotoConfig(exposure_drift=0.2, white_balance_drift=0.05)
    truths = [Photo(config, seed).truth(1.0) for seed in range(600)]
    assert np.std([math.log(x.exposure) for x in truths]) == pytest.approx(0.2, rel=0.12)
    red, blue = (np.array([math.log(x.white_balance[k]) for x in truths]) for k in (0, 2))
    assert red.std() == pytest.approx(0.05, rel=0.12)
    assert abs(np.corrcoef(red, blue)[0, 1]) < 0.15


def test_vignette_comes_before_the_curve() -> None:
    white = np.full((49, 65, 3), 255, np.uint8)
    got = to_linear(Photo(PhotoConfig(vignette=0.5), seed=0).apply(white, 0.0, 0))
    assert got[0, 0, 0] == pytest.approx(0.5, abs=5e-3)
    assert got[24, 32, 0] == 1.0


def test_jpeg_alone_compresses_the_image_itself() -> None:
    picture = image()
    got = Photo(PhotoConfig(jpeg_quality=30), seed=0).apply(picture, 0.0, 0)
    assert not np.array_equal(got, picture)
    assert Photo(PhotoConfig(jpeg_quality=30), seed=0).truth(0.0).jpeg_quality == 30
