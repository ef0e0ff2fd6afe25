"""Decoding of image bytes and files, strict about damage: OpenCV alone fills the missing part of a truncated file with grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import FrameError

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
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
    return np.asarray(_decode(data, cv2.IMREAD_COLOR, what), np.uint8)


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
    raw = _decode(_read(path), cv2.IMREAD_UNCHANGED, path.name)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise FrameError(f"{path.name} is {raw.dtype} of shape {raw.shape}; a depth image is 16-bit with one channel")
    depth = raw.astype(np.float32) / np.float32(units_per_metre)
    depth[raw == _DEPTH_INVALID] = 0.0
    return depth


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path.name} cannot be read: {error.strerror}") from error


def _decode(data: bytes, flags: int, what: str) -> NDArray[Any]:
    if not data:
        raise FrameError(f"{what} is empty: 0 bytes")
    if _is_truncated(data):
        raise FrameError(f"{what} is cut short after {len(data)} bytes")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"{what} cannot be decoded: {error.err}") from error
    if image is None or image.size == 0:
        raise FrameError(f"{what} is no image: {len(data)} bytes that cannot be decoded")
    return image


def _is_truncated(data: bytes) -> bool:
    if data.startswith(_JPEG_START):
        # Inside a scan 0xff is always followed by a stuffed zero, so an end marker found there is a real one.
        scan = data.rfind(_JPEG_SCAN)
        return scan < 0 or data.find(_JPEG_END, scan) < 0
    return data.startswith(_PNG_START) and _PNG_END not in data[-64:]
