"""Pixels out of `sensor_msgs/CompressedImage`, also of the `compressedDepth` transport; damage is an error, not a grey band."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding
from ego_perception.errors import FrameError

MAX_PIXELS = 1 << 26
"""Largest declared picture that is decoded: a broken header must not claim all memory."""

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_DEPTH_HEADER = struct.Struct("<iff")
"""`compressed_depth_image_transport/ConfigHeader`: format, and the quantisation A and B of inverse depth."""


def decode_compressed(msg: Any) -> tuple[NDArray[np.uint8], Encoding]:
    """Decode a JPEG or PNG picture to uint8 pixels, (H, W, 3) BGR or (H, W) MONO.

    Raises:
        FrameError: empty, cut short or undecodable data, or a format that holds no picture.
    """
    kind = str(msg.format)
    if "compressedDepth" in kind or kind.startswith(("16UC1", "32FC1")):
        raise FrameError(f"a compressed image of format '{kind}' holds depth, not a picture; choose the colour topic")
    if kind.startswith("bayer_"):
        raise FrameError(f"compressed image format '{kind}' is not supported; record the raw or the debayered topic")
    # A head camera's stamps and intrinsics belong to the sensor's rows, so an EXIF orientation is not applied.
    pixels = _imdecode(bytes(msg.data), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(pixels, np.uint8), Encoding.MONO if pixels.ndim == 2 else Encoding.BGR


def decode_compressed_depth(msg: Any) -> NDArray[Any]:
    """Decode depth that was compressed as PNG, with or without the header of `compressedDepth`.

    Returns:
        (H, W) uint16 millimetres with 0 invalid, or float32 metres with NaN invalid.

    Raises:
        FrameError: empty, cut short or undecodable data, RVL compression, or a picture where depth was expected.
    """
    kind, data = str(msg.format), bytes(msg.data)
    if "rvl" in kind.lower():
        raise FrameError(f"depth format '{kind}' is not supported; record with PNG compression or the raw depth topic")
    scale, offset = 0.0, 0.0
    if "compressedDepth" in kind:
        if len(data) < _DEPTH_HEADER.size:
            raise FrameError(f"compressed depth has {len(data)} bytes, less than its header; it was cut short")
        _, scale, offset = _DEPTH_HEADER.unpack_from(data)
        data = data[_DEPTH_HEADER.size :]
    values = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if values.ndim != 2 or values.dtype != np.uint16:
        raise FrameError(
            f"compressed depth of format '{kind}' holds a picture of {values.dtype} {values.shape}, not 16 bit depth"
        )
    if not kind.startswith("32FC1"):
        return values
    depth = np.full(values.shape, np.nan, np.float32)
    known = values > 0
    # image_transport quantises inverse depth: v = A / depth + B.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth[known] = np.float32(scale) / (values[known].astype(np.float32) - np.float32(offset))
    return depth


def _imdecode(data: bytes, flags: int) -> NDArray[Any]:
    if not data:
        raise FrameError("compressed image is empty: 0 bytes")
    _check_complete(data)
    width, height = _declared_size(data)
    if width * height > MAX_PIXELS:
        raise FrameError(f"compressed image claims {width}x{height} pixels, more than {MAX_PIXELS}; its header is damaged")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"compressed image of {len(data)} bytes cannot be decoded: {error.err or error}") from error
    if pixels is None or pixels.size == 0:
        raise FrameError(f"compressed image of {len(data)} bytes cannot be decoded; it is damaged")
    return pixels


def _check_complete(data: bytes) -> None:
    """Refuse a file without its end mark: decoders fill the missing part with grey and say nothing."""
    if data.startswith(_JPEG_START):
        # Entropy-coded data never holds these marks; a thumbnail in the header may, but only before the last scan.
        complete = data.rfind(_JPEG_END) > data.rfind(_JPEG_SCAN) >= 0
    elif data.startswith(_PNG_START):
        complete = data.rfind(_PNG_END) >= 0
    else:
        raise FrameError(f"compressed image starts with {data[:8]!r}: it is neither JPEG nor PNG")
    if not complete:
        raise FrameError(f"compressed image of {len(data)} bytes was cut short: its end mark is missing")


def _declared_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a JPEG or PNG; zeros where there is none."""
    if data.startswith(_PNG_START):
        return struct.unpack_from(">II", data, 16) if len(data) >= 24 else (0, 0)
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        mark = data[at + 1]
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if mark == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return 0, 0
