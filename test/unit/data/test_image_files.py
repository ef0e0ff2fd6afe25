"""Decoding: exact where the bytes are whole, a `FrameError` where they are not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ego_perception.data.images import decode_image, read_depth, read_image
from ego_perception.errors import FrameError


def picture(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, picture())[1].tobytes())


def test_png_is_exact_and_keeps_channel_order() -> None:
    assert np.array_equal(decode_image(encoded(".png")), picture())


def test_grey_file_becomes_three_equal_channels() -> None:
    grey = cv2.imencode(".png", picture()[..., 0])[1].tobytes()
    image = decode_image(grey)
    assert image.shape == (40, 60, 3)
    assert np.array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated_file_is_refused(suffix: str, share: float) -> None:
    data = encoded(suffix)
    with pytest.raises(FrameError, match=r"cut short|no image"):
        decode_image(data[: int(len(data) * share)], "cut.jpg")


def test_jpeg_with_bytes_after_its_end_is_whole() -> None:
    assert decode_image(encoded(".jpg") + b"\0" * 500).shape == (40, 60, 3)


@pytest.mark.parametrize("data", [b"", b"hello, this is text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode_image(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_escape_as_another_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        assert decode_image(data).ndim == 3


def test_message_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(FrameError, match=r"a\.jpg is empty"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(FrameError, match=r"b\.jpg cannot be read"):
        read_image(tmp_path / "b.jpg")


def test_depth_units_and_unknown_values(tmp_path: Path) -> None:
    raw = np.array([[0, 1000, 65535], [250, 5000, 65534]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), raw)
    assert np.allclose(read_depth(tmp_path / "d.png"), [[0, 1.0, 0], [0.25, 5.0, 65.534]])
    assert read_depth(tmp_path / "d.png", 5000.0)[1, 1] == pytest.approx(1.0)


def test_depth_must_be_16_bit_single_channel(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "eight.png"), picture()[..., 0])
    cv2.imwrite(str(tmp_path / "colour.png"), picture())
    for name in ("eight.png", "colour.png"):
        with pytest.raises(FrameError, match="16-bit"):
            read_depth(tmp_path / name)


def test_a_thumbnail_in_the_header_is_no_end() -> None:
    whole = encoded(".jpg")
    thumbnail = b"\xff\xe1" + (len(whole) + 2).to_bytes(2, "big") + whole
    with_thumbnail = whole[:2] + thumbnail + whole[2:]
    assert decode_image(with_thumbnail).shape == (40, 60, 3)
    with pytest.raises(FrameError, match="cut short"):
        decode_image(with_thumbnail[:-100])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_header_that_claims_too_much_is_refused_before_decoding(suffix: str) -> None:
    data = bytearray(encoded(suffix))
    if suffix == ".png":
        data[16:24] = (60000).to_bytes(4, "big") * 2
    else:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = (60000).to_bytes(2, "big") * 2
    with pytest.raises(FrameError, match="claims 60000x60000 pixels"):
        decode_image(bytes(data))
