"""Decoding of raw images: every encoding against a plain reference, steps, byte order, and everything that can be wrong."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.data import Encoding, Frame
from ego_perception.errors import CalibrationError, FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import (
    SUPPORTED_ENCODINGS,
    decode_colour,
    decode_confidence,
    decode_depth,
    frame_from_image,
    image_from_frame,
    image_message,
    image_view,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def padded(pixels: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Rows of an array with `padding` bytes of rubbish behind each, and the step."""
    rows = pixels.reshape(pixels.shape[0], -1)
    raw = np.frombuffer(rows.tobytes(), np.uint8).reshape(pixels.shape[0], -1)
    out = np.full((raw.shape[0], raw.shape[1] + padding), 0xA5, np.uint8)
    out[:, : raw.shape[1]] = raw
    return out.tobytes(), out.shape[1]


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected", "order"),
    [
        ("rgb8", RGB, RGB, Encoding.RGB),
        ("bgr8", RGB, RGB, Encoding.BGR),
        ("8UC3", RGB, RGB, Encoding.BGR),
        ("rgba8", np.dstack([RGB, RGB[..., :1]]), RGB, Encoding.RGB),
        ("bgra8", np.dstack([RGB, RGB[..., :1]]), RGB, Encoding.BGR),
        ("8UC4", np.dstack([RGB, RGB[..., :1]]), RGB, Encoding.BGR),
        ("mono8", RGB[..., 0], RGB[..., 0], Encoding.MONO),
        ("8UC1", RGB[..., 0], RGB[..., 0], Encoding.MONO),
        ("mono16", RGB[..., 0].astype("<u2") * 256 + 7, RGB[..., 0], Encoding.MONO),
        ("rgb16", RGB.astype("<u2") * 256 + 7, RGB, Encoding.RGB),
        ("bgr16", RGB.astype("<u2") * 256 + 7, RGB, Encoding.BGR),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_plain_encodings_give_their_pixels(raw_image, encoding, pixels, expected, order, padding):
    data, step = padded(pixels, padding)
    decoded, found = decode_colour(raw_image(data, encoding, 8, 6, step))
    assert found is order
    np.testing.assert_array_equal(decoded, expected)


@given(
    width=st.integers(1, 9),
    height=st.integers(1, 7),
    padding=st.integers(0, 9),
    big=st.booleans(),
    kind=st.sampled_from([("mono8", "u1", 1), ("rgb8", "u1", 3), ("mono16", "u2", 1), ("16UC1", "u2", 1), ("32FC1", "f4", 1)]),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_view_equals_pixels_for_every_step_and_byte_order(width, height, padding, big, kind, seed):
    from types import SimpleNamespace

    encoding, dtype, channels = kind
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    data, step = padded(pixels.astype((">" if big else "<") + dtype), padding)
    msg = SimpleNamespace(data=data, encoding=encoding, width=width, height=height, step=step, is_bigendian=int(big))
    view = image_view(msg)
    assert view.shape == shape
    np.testing.assert_array_equal(view, pixels)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 0


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda b: array.array("B", b), lambda b: np.frombuffer(b, np.uint8)])
def test_decoding_shares_memory_with_the_message(raw_image, kind):
    data = kind(RGB.tobytes())
    decoded, _ = decode_colour(raw_image(data, "bgr8", 8, 6, 24))
    assert np.shares_memory(decoded, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ("encoding", "to_yuv", "order"),
    [
        ("yuv422", cv2.COLOR_RGB2YUV_UYVY, "uyvy"),
        ("uyvy", cv2.COLOR_RGB2YUV_UYVY, "uyvy"),
        ("yuv422_yuy2", cv2.COLOR_RGB2YUV_YUY2, "yuyv"),
        ("yuyv", cv2.COLOR_RGB2YUV_YUY2, "yuyv"),
    ],
)
def test_yuv422_known_colour(raw_image, encoding, to_yuv, order):
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    packed = cv2.cvtColor(red, to_yuv)
    # BT.601 red has luma 82, Cb 90, Cr 240 in video range.
    np.testing.assert_allclose(packed[0, 0] if order == "yuyv" else packed[0, 0, ::-1], [82, 90], atol=1)
    data, step = padded(packed, 3)
    decoded, found = decode_colour(raw_image(data, encoding, 6, 4, step))
    assert found is Encoding.RGB
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(0), [255, 0, 0], atol=3)


@pytest.mark.parametrize(("encoding", "chroma"), [("nv12", (90, 240)), ("nv21", (240, 90))])
def test_planar_yuv_known_colour(raw_image, encoding, chroma):
    planes = np.full((6, 4), 82, np.uint8)
    planes[4:, 0::2], planes[4:, 1::2] = chroma
    data, step = padded(planes, 2)
    decoded, _ = decode_colour(raw_image(data, encoding, 4, 4, step))
    assert decoded.shape == (4, 4, 3)
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(0), [255, 0, 0], atol=3)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_known_colour(raw_image, pattern):
    value = {"r": 200, "g": 100, "b": 30}
    mosaic = np.zeros((8, 8), np.uint8)
    for i, letter in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = value[letter]
    decoded, _ = decode_colour(raw_image(mosaic.tobytes(), f"bayer_{pattern}8", 8, 8, 8))
    np.testing.assert_array_equal(decoded[4, 4], [200, 100, 30])


@pytest.mark.parametrize("big", [False, True])
def test_depth_in_millimetres_becomes_metres(raw_image, big):
    values = np.array([[0, 1500], [65535, 1]], ">u2" if big else "<u2")
    depth = decode_depth(raw_image(values.tobytes(), "16UC1", 2, 2, 4, int(big)))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, 1.5], [65.535, 0.001]], rtol=1e-6)


def test_float_depth_marks_what_is_invalid(raw_image):
    values = np.array([[1.0, -1.0, 0.0, np.inf, np.nan]], "<f4")
    np.testing.assert_array_equal(decode_depth(raw_image(values.tobytes(), "32FC1", 5, 1, 20)), [[1.0, *[np.nan] * 4]])


def test_valid_float_depth_is_a_view(raw_image):
    data = bytearray(np.ones((2, 2), "<f4").tobytes())
    assert np.shares_memory(decode_depth(raw_image(data, "32FC1", 2, 2, 8)), np.frombuffer(data, np.uint8))


def test_confidence_of_both_kinds(raw_image):
    np.testing.assert_allclose(decode_confidence(raw_image(b"\x00\xff", "mono8", 2, 1, 2)), [[0.0, 1.0]])
    np.testing.assert_allclose(decode_confidence(raw_image(np.float32([0.25]).tobytes(), "32FC1", 1, 1, 4)), [[0.25]])
    with pytest.raises(FrameError, match="rgb8"):
        decode_confidence(raw_image(b"\x00" * 3, "rgb8", 1, 1, 3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0}, "empty: 0x2"),
        ({"height": 0}, "empty: 2x0"),
        ({"step": 5}, "step is 5 bytes, less than a row"),
        ({"step": 0}, "step is 0"),
        ({"step": 7}, "cut short"),
        ({"data": b""}, "0 bytes"),
        ({"data": bytes(11)}, "11 bytes"),
        ({"height": 2**32 - 1}, "cut short"),
        ({"width": 2**32 - 1}, "step"),
        ({"encoding": "rgb"}, "did you mean 'rgb8'"),
        ({"encoding": "RGB8"}, "did you mean 'rgb8'"),
        ({"encoding": ""}, "supported are rgb8"),
    ],
)
def test_wrong_images_say_what_is_wrong(raw_image, changes, words):
    fields = {"data": bytes(12), "encoding": "rgb8", "width": 2, "height": 2, "step": 6} | changes
    with pytest.raises(FrameError, match=words):
        decode_colour(raw_image(**fields))


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_no_picture_and_a_picture_no_depth(raw_image, encoding):
    with pytest.raises(FrameError, match="holds depth"):
        decode_colour(raw_image(bytes(16), encoding, 2, 2, 8))
    with pytest.raises(FrameError, match="rgb8"):
        decode_depth(raw_image(bytes(12), "rgb8", 2, 2, 6))


@pytest.mark.parametrize(("encoding", "width", "height"), [("yuyv", 3, 2), ("nv12", 2, 3), ("nv21", 3, 2)])
def test_shared_chroma_needs_even_sizes(raw_image, encoding, width, height):
    with pytest.raises(FrameError, match="even"):
        decode_colour(raw_image(bytes(64), encoding, width, height, 8))


@given(
    data=st.binary(max_size=80),
    width=st.integers(0, 9),
    height=st.integers(0, 9),
    step=st.integers(0, 40),
    encoding=st.sampled_from([*SUPPORTED_ENCODINGS, "nonsense"]),
    big=st.integers(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_random_bytes_give_a_frame_or_a_frame_error(data, width, height, step, encoding, big):
    from types import SimpleNamespace

    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=1), frame_id="")
    msg = SimpleNamespace(header=header, data=data, encoding=encoding, width=width, height=height, step=step, is_bigendian=big)
    for decode in (frame_from_image, decode_depth, decode_confidence):
        try:
            decode(msg)
        except FrameError as error:
            assert str(error)


def test_frame_carries_stamp_frame_id_and_rescaled_camera(raw_image):
    camera = PinholeCamera(16, 12, 20.0, 20.0, 7.5, 5.5)
    frame = frame_from_image(raw_image(RGB.tobytes(), "rgb8", 8, 6, 24), camera, index=4)
    assert (frame.stamp_ns, frame.frame_id, frame.index) == (3_000_000_005, "cam", 4)
    assert frame.camera == PinholeCamera(8, 6, 10.0, 10.0, 3.5, 2.5)
    with pytest.raises(CalibrationError, match="16x16 but the image is 8x6"):
        frame_from_image(raw_image(RGB.tobytes(), "rgb8", 8, 6, 24), PinholeCamera(16, 16, 20.0, 20.0, 7.5, 7.5))


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [("rgb8", "u1", 3), ("bgr8", "u1", 3), ("mono8", "u1", 0), ("16UC1", "u2", 0), ("32FC1", "f4", 0)],
)
def test_written_images_read_back(factory, encoding, dtype, channels):
    shape = (5, 7, 3) if channels else (5, 7)
    pixels = np.random.default_rng(1).integers(0, 255, shape).astype(dtype)
    msg = image_message(factory, pixels[:, ::-1], encoding, 42, "cam")
    assert msg.step * msg.height == msg.data.size
    np.testing.assert_array_equal(image_view(msg), pixels[:, ::-1])


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", np.zeros((2, 2), np.uint8)),
        ("32FC1", np.zeros((2, 2))),
        ("mono8", np.zeros((0, 2), np.uint8)),
        ("yuyv", np.zeros((2, 2, 2), np.uint8)),
    ],
)
def test_arrays_that_are_not_of_the_encoding_are_refused(factory, encoding, pixels):
    with pytest.raises(FrameError):
        image_message(factory, pixels, encoding, 0, "")


@pytest.mark.parametrize("encoding", list(Encoding))
def test_frames_survive_the_way_to_a_message_and_back(factory, encoding):
    image = RGB[..., 0] if encoding is Encoding.MONO else RGB
    frame = Frame(77, image, encoding, frame_id="cam")
    back = frame_from_image(image_from_frame(factory, frame))
    assert (back.stamp_ns, back.encoding, back.frame_id) == (77, encoding, "cam")
    np.testing.assert_array_equal(back.image, image)
