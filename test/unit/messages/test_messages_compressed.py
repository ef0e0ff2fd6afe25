"""JPEG, PNG and compressedDepth: round trips, and damage at every place."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.data import Encoding, Frame
from ego_perception.errors import FrameError
from ego_perception.messages import compressed_from_frame, decode_compressed, decode_depth, frame_from_image

SMOOTH = np.dstack([*np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48)), np.full((48, 64), 90.0)]).astype(np.uint8)


def encode(pixels: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize("file_format", ["jpeg", "png"])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_frames_survive_compression(factory, file_format, encoding):
    image = SMOOTH[..., 0].copy() if encoding is Encoding.MONO else SMOOTH
    frame = Frame(7, image, encoding, frame_id="cam")
    back = frame_from_image(compressed_from_frame(factory, frame, file_format=file_format, quality=95))
    assert (back.stamp_ns, back.frame_id) == (7, "cam")
    np.testing.assert_allclose(back.rgb.astype(int), frame.rgb.astype(int), atol=0 if file_format == "png" else 12)


def test_format_names_what_is_inside(factory):
    msg = compressed_from_frame(factory, Frame(1, SMOOTH))
    assert msg.format == "rgb8; jpeg compressed bgr8"
    with pytest.raises(FrameError, match="webp"):
        compressed_from_frame(factory, Frame(1, SMOOTH), file_format="webp")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_every_cut_is_found(compressed_image, suffix):
    data = encode(SMOOTH, suffix)
    for size in [*range(0, len(data), 50), len(data) - 1]:
        with pytest.raises(FrameError, match=r"cut short|empty|neither"):
            decode_compressed(compressed_image(data[:size]))


def test_padding_behind_the_end_is_allowed(compressed_image):
    pixels, order = decode_compressed(compressed_image(encode(SMOOTH) + bytes(64)))
    assert pixels.shape == (48, 64, 3)
    assert order is Encoding.BGR


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]),
    st.sampled_from([b"", b"\xff\xda\xff\xd9", b"IEND"]),
)
@settings(max_examples=150, deadline=None)
def test_random_bytes_give_a_frame_error(body, start, end):
    from types import SimpleNamespace

    for form in ("jpeg", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl", "bayer_rggb8; jpeg compressed"):
        msg = SimpleNamespace(format=form, data=start + body + end)
        for decode in (decode_compressed, decode_depth):
            with pytest.raises(FrameError):
                decode(msg)


@given(st.integers(2, 600), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_gives_a_picture_or_a_frame_error(at, value):
    from types import SimpleNamespace

    data = bytearray(encode(SMOOTH))
    data[at % len(data)] = value
    try:
        pixels, _ = decode_compressed(SimpleNamespace(format="jpeg", data=bytes(data)))
    except FrameError:
        return
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_header_that_claims_too_much_is_refused_before_decoding(compressed_image, suffix):
    data = bytearray(encode(SMOOTH, suffix))
    if suffix == ".png":
        data[16:24] = struct.pack(">II", 60000, 60000)
    else:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(FrameError, match="60000x60000"):
        decode_compressed(compressed_image(bytes(data)))


def test_depth_png_in_millimetres(compressed_image):
    values = np.array([[0, 1000], [2500, 65535]], np.uint16)
    for header, form in ((b"", "16UC1; png compressed"), (bytes(12), "16UC1; compressedDepth png")):
        depth = decode_depth(compressed_image(header + encode(values, ".png"), form))
        np.testing.assert_allclose(depth, [[np.nan, 1.0], [2.5, 65.535]], rtol=1e-6)


def test_quantised_float_depth(compressed_image):
    """image_transport: v = A / depth + B with A = q (q + 1), B = 1 - A / depth_max."""
    true = np.array([[1.0, 2.0], [5.0, np.nan]])
    q, farthest = 100.0, 10.0
    A = q * (q + 1)
    B = 1 - A / farthest
    values = np.where(np.isnan(true), 0, np.round(A / true + B)).astype(np.uint16)
    data = struct.pack("<iff", 0, A, B) + encode(values, ".png")
    depth = decode_depth(compressed_image(data, "32FC1; compressedDepth png"))
    np.testing.assert_allclose(depth, true, rtol=2e-3)


@pytest.mark.parametrize(
    ("data", "form", "words"),
    [
        (b"", "16UC1; compressedDepth png", "header"),
        (bytes(12), "16UC1; compressedDepth png", "empty"),
        (bytes(40), "16UC1; compressedDepth rvl", "not supported"),
        (encode(SMOOTH, ".png"), "16UC1; png compressed", "not 16 bit depth"),
    ],
)
def test_wrong_depth_says_what_is_wrong(compressed_image, data, form, words):
    with pytest.raises(FrameError, match=words):
        decode_depth(compressed_image(data, form))


def test_depth_is_no_picture(compressed_image):
    with pytest.raises(FrameError, match="holds depth"):
        frame_from_image(compressed_image(encode(SMOOTH, ".png"), "16UC1; compressedDepth png"))
