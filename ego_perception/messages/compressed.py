"""Pixels out of `sensor_msgs/CompressedImage`, also of the `compressedDepth` transport; damage is an error, not a grey band."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding
from ego_perception.data.images import JPEG_START, PNG_START, decode_pixels
from ego_perception.errors import FrameError

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
    if data and not data.startswith((JPEG_START, PNG_START)):
        raise FrameError(f"compressed image starts with {data[:8]!r}: it is neither JPEG nor PNG")
    return decode_pixels(data, flags, "compressed image")
