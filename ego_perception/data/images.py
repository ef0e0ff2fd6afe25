"""Decoding of image bytes and files, strict about damage: OpenCV alone fills the missing part of a truncated file with grey."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import FrameError

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

MAX_PIXELS: Final = 1 << 26
"""Largest declared picture that is decoded: a broken header must not claim all memory."""

JPEG_START: Final = b"\xff\xd8"
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SCAN, _JPEG_END, _PNG_END = b"\xff\xda", b"\xff\xd9", b"IEND\xaeB`\x82"
_DEPTH_INVALID: Final = 65535


def decode_image(data: bytes, what: str = "image") -> NDArray[np.uint8]:
    """Decode a compressed colour image.

    Args:
        data: the bytes of a JPEG, PNG or other file that OpenCV reads.
        what: name for messages.

    Returns:
        (H, W, 3) uint8, BGR as OpenCV gives it.

    Raises:
        FrameError: empty, cut short or not an image.
    """
    return np.asarray(decode_pixels(data, cv2.IMREAD_COLOR, what), np.uint8)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a colour image file as (H, W, 3) uint8 BGR.

    Raises:
        FrameError: unreadable, empty, cut short or not an image.
    """
    return decode_image(_read(path), path.name)


def read_depth(path: Path, units_per_metre: float = 1000.0) -> NDArray[np.float32]:
    """Read a 16-bit depth image.

    Args:
        path: a single-channel uint16 PNG; 0 and 65535 mean unknown.
        units_per_metre: 1000 for millimetres, 5000 in TUM RGB-D.

    Returns:
        (H, W) float32 metres, 0 where unknown.

    Raises:
        FrameError: unreadable, damaged, or not single-channel uint16.
    """
    raw = decode_pixels(_read(path), cv2.IMREAD_UNCHANGED, path.name)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise FrameError(f"{path.name} is {raw.dtype} of shape {raw.shape}; a depth image is 16-bit with one channel")
    depth = raw.astype(np.float32) / np.float32(units_per_metre)
    depth[raw == _DEPTH_INVALID] = 0.0
    return depth


def decode_pixels(data: bytes, flags: int, what: str) -> NDArray[Any]:
    """Decode a compressed image of any kind.

    Args:
        data: the bytes of a JPEG, PNG or other file that OpenCV reads.
        flags: of `cv2.imdecode`.
        what: name for messages.

    Raises:
        FrameError: empty, cut short, claiming more than `MAX_PIXELS`, or not an image.
    """
    if not data:
        raise FrameError(f"{what} is empty: 0 bytes")
    if _is_truncated(data):
        raise FrameError(f"{what} is cut short after {len(data)} bytes: its end mark is missing")
    width, height = _declared_size(data)
    if width * height > MAX_PIXELS:
        raise FrameError(f"{what} claims {width}x{height} pixels, more than {MAX_PIXELS}; its header is damaged")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"{what} of {len(data)} bytes cannot be decoded: {error.err or error}") from error
    if image is None or image.size == 0:
        raise FrameError(f"{what} is no image: {len(data)} bytes that cannot be decoded")
    return image


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path.name} cannot be read: {error.strerror}") from error


def _is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end mark; bytes behind it are allowed."""
    if data.startswith(JPEG_START):
        # Inside a scan 0xff is always followed by a stuffed zero, so an end mark found there is a real one. A thumbnail in the
        # header may hold marks too, but only before the last scan.
        scan = data.rfind(_JPEG_SCAN)
        return scan < 0 or data.find(_JPEG_END, scan) < 0
    return data.startswith(PNG_START) and data.rfind(_PNG_END) < 0


def _declared_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a JPEG or PNG; zeros where there is none."""
    if data.startswith(PNG_START):
        return struct.unpack_from(">II", data, 16) if len(data) >= 24 else (0, 0)
    at = 2 if data.startswith(JPEG_START) else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        mark = data[at + 1]
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if mark == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return 0, 0
