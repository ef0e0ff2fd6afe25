"""Colours have known answers at both ends of a scale, and a missing value never looks like one."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from ego_perception.viz import pictures


def level(value: float, colour_map: int) -> list[int]:
    """What OpenCV gives for 0..1, as RGB."""
    return cv2.applyColorMap(np.full((1, 1), round(255 * value), np.uint8), colour_map)[0, 0, ::-1].tolist()


def test_depth_goes_from_red_near_to_blue_far_in_even_steps_of_inverse_depth() -> None:
    depth = np.array([[0.5, 4.0, 8 / 9]], np.float32)
    near, far, middle = pictures.colour_depth(depth, 0.5, 4.0)[0]
    assert near.tolist() == level(1.0, cv2.COLORMAP_TURBO)
    assert far.tolist() == level(0.0, cv2.COLORMAP_TURBO)
    assert np.abs(middle.astype(int) - level(0.5, cv2.COLORMAP_TURBO)).max() <= 4
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_depth_beyond_the_scale_takes_its_end() -> None:
    inside = pictures.colour_depth(np.array([[1.0, 3.0]], np.float32), 1.0, 3.0)
    beyond = pictures.colour_depth(np.array([[0.2, 30.0]], np.float32), 1.0, 3.0)
    np.testing.assert_array_equal(inside, beyond)


@pytest.mark.parametrize("missing", [np.nan, 0.0, -1.0, np.inf])
def test_missing_depth_is_a_grey_checker(missing: float) -> None:
    picture = pictures.colour_depth(np.full((16, 16), missing, np.float32), 1.0, 3.0)
    if np.isinf(missing):
        assert picture[0, 0].tolist() == level(0.0, cv2.COLORMAP_TURBO)
        return
    np.testing.assert_array_equal(picture, pictures.checker(16, 16))
    assert (np.ptp(picture, axis=2) == 0).all()
    assert len(np.unique(picture)) == 2


def test_confidence_and_error_scales_have_their_ends() -> None:
    ends = np.array([[0.0, 1.0]], np.float32)
    assert pictures.colour_confidence(ends)[0].tolist() == [level(0, cv2.COLORMAP_CIVIDIS), level(1, cv2.COLORMAP_CIVIDIS)]
    error = pictures.colour_error(np.array([[0.0, 0.5, 2.0]], np.float32), 0.5)[0].tolist()
    assert error == [level(0, cv2.COLORMAP_MAGMA), level(1, cv2.COLORMAP_MAGMA), level(1, cv2.COLORMAP_MAGMA)]


def test_confidence_without_depth_is_a_checker() -> None:
    confidence = np.full((8, 8), 0.7, np.float32)
    depth = np.full((8, 8), 2.0, np.float32)
    depth[:, 4:] = np.nan
    picture = pictures.colour_confidence(confidence, depth)
    np.testing.assert_array_equal(picture[:, 4:], pictures.checker(8, 8)[:, 4:])
    np.testing.assert_array_equal(picture[:, :4], pictures.colour_confidence(confidence)[:, :4])
    np.testing.assert_array_equal(pictures.colour_confidence(confidence, depth[:4]), pictures.colour_confidence(confidence))


def test_depth_range_is_shared_and_ignores_what_is_invalid() -> None:
    first = np.full((40, 40), 1.0, np.float32)
    second = np.full((40, 40), 5.0, np.float32)
    second[:20] = np.nan
    assert pictures.depth_range([first, second]) == pytest.approx((1.0, 5.0))


@pytest.mark.parametrize("depths", [[], [np.full((8, 8), np.nan, np.float32)], [np.zeros((8, 8), np.float32)]])
def test_depth_range_without_a_valid_pixel_has_a_default(depths: list[np.ndarray]) -> None:
    assert pictures.depth_range(depths) == (0.5, 5.0)


def test_depth_range_of_a_flat_wall_is_not_empty() -> None:
    near, far = pictures.depth_range([np.full((8, 8), 2.0, np.float32)])
    assert near < far


def test_overlays_leave_the_image_as_it_was() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    tinted = pictures.overlay_mask(image, mask, (200, 0, 100), 0.5)
    assert tinted[0, 0].tolist() == [150, 50, 100]
    assert tinted[1, 0].tolist() == [100, 100, 100]
    mixed = pictures.blend(image, np.full((2, 2, 3), 200, np.uint8), 0.25)
    assert mixed.shape == image.shape
    assert mixed[0, 0].tolist() == [125, 125, 125]
    assert (image == 100).all()


def test_contact_sheet_places_pictures_row_by_row() -> None:
    red, blue = np.zeros((10, 20, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = pictures.contact_sheet([[red, blue], [blue]], width=20, gap=2)
    assert sheet.shape == (22, 42, 3)
    assert sheet[5, 5].tolist() == [255, 0, 0]
    assert sheet[5, 30].tolist() == [0, 0, 255]
    assert sheet[17, 5].tolist() == [0, 0, 255]
    assert sheet[17, 30].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match="at least one picture"):
        pictures.contact_sheet([[]])


@pytest.mark.parametrize("width", [5, 40])
def test_fit_width_keeps_the_shape(width: int) -> None:
    assert pictures.fit_width(np.zeros((10, 20, 3), np.uint8), width).shape[:2] == (max(1, width // 2), width)


def test_encoded_pictures_decode_to_the_same_colours() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    decoded = cv2.imdecode(np.frombuffer(pictures.encode_png(picture), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(decoded, picture)
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    jpeg = cv2.imdecode(np.frombuffer(pictures.encode_jpeg(flat, 95), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(jpeg.astype(int) - flat).max() <= 6


def test_data_uri_carries_the_content() -> None:
    uri = pictures.data_uri(b"\x00\x01abc", "image/png")
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"\x00\x01abc"


@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.999, 1.0])
def test_confidence_and_error_take_the_nearest_of_256_colours(value: float) -> None:
    image = np.full((2, 2), value, np.float32)
    assert pictures.colour_confidence(image)[0, 0].tolist() == level(value, cv2.COLORMAP_CIVIDIS)
    assert pictures.colour_error(2 * image, 2.0)[0, 0].tolist() == level(value, cv2.COLORMAP_MAGMA)


@pytest.mark.parametrize("inverse", [0.25, 0.5, 0.75])
def test_depth_colours_are_even_in_inverse_depth(inverse: float) -> None:
    near, far = 0.5, 8.0
    depth = 1.0 / (1 / far + inverse * (1 / near - 1 / far))
    found = pictures.colour_depth(np.full((1, 1), depth, np.float64), near, far)[0, 0].astype(int)
    assert np.abs(found - level(inverse, cv2.COLORMAP_TURBO)).max() <= 6
