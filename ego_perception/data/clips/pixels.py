"""Images of ground truth as bytes: JPEG or PNG for colour, 16-bit PNG for everything measured, and back.

| image | stored as | exact to |
|---|---|---|
| colour | JPEG, quality 95 without chroma subsampling, or PNG | about 2 grey levels, or exactly |
| depth | uint16 PNG, units of 0.25 mm, 0 unknown | 0.125 mm, up to 16.38 m |
| optical flow | uint16 PNG as in KITTI 2015 (Menze and Geiger): (64 u + 2^15, 64 v + 2^15, valid) | 1/128 px, up to 511 px |
| scene flow | uint16 PNG: 2^15 + units of 0.1 mm for each axis, all zero where unknown | 0.05 mm, up to 3.27 m |
| classes, instances | uint8 and uint16 PNG | exactly |
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import FrameError

JPEG_QUALITY: Final = 95
DEPTH_UNIT_M: Final = 0.25e-3
FLOW_UNIT_PX: Final = 1.0 / 64.0
SCENE_FLOW_UNIT_M: Final = 1e-4
_ZERO: Final = 2**15
_LARGEST: Final = 2**16 - 1

_JPEG: Final = [
    cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
# More effort or a free choice of filters costs twice the time for a tenth of the size; OpenCV before 4.11 always chooses.
_PNG: Final = [cv2.IMWRITE_PNG_COMPRESSION, 1] + (
    [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB] if hasattr(cv2, "IMWRITE_PNG_FILTER") else []
)


def encode_colour(rgb: NDArray[np.uint8], suffix: str) -> bytes:
    """Encode (H, W, 3) uint8 RGB; `suffix` is `.jpg` or `.png`."""
    return _encode(suffix, np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)), _JPEG if suffix == ".jpg" else _PNG)


def decode_colour(data: bytes) -> NDArray[np.uint8]:
    """Decode to (H, W, 3) uint8 RGB.

    Raises:
        FrameError: not an image.
    """
    return np.asarray(cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def encode_ids(ids: NDArray[Any]) -> bytes:
    """Encode (H, W) uint8 or uint16 numbers without loss."""
    return _encode(".png", ids, _PNG)


def decode_ids(data: bytes) -> NDArray[Any]:
    """Decode (H, W) uint8 or uint16 numbers.

    Raises:
        FrameError: not an image of one channel.
    """
    ids = _decode(data, cv2.IMREAD_UNCHANGED)
    if ids.ndim != 2:
        raise FrameError(f"an image of numbers has shape {ids.shape}; it must have one channel")
    return ids


def encode_depth(depth: NDArray[np.float32]) -> bytes:
    """Encode (H, W) metres; what is not finite, not positive or out of range counts as unknown."""
    units = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) / DEPTH_UNIT_M + 0.5
    known = (units >= 1.0) & (units <= _LARGEST)
    return _encode(".png", np.where(known, units, 0.0).astype(np.uint16), _PNG)


def decode_depth(data: bytes) -> NDArray[np.float32]:
    """Decode to (H, W) float32 metres, 0 where unknown.

    Raises:
        FrameError: not an image of one channel.
    """
    return decode_ids(data).astype(np.float32) * np.float32(DEPTH_UNIT_M)


def encode_flow(flow: NDArray[np.float32]) -> bytes:
    """Encode (H, W, 2) pixels; NaN and what is out of range count as unknown."""
    units = np.round(flow / np.float32(FLOW_UNIT_PX)) + _ZERO
    with np.errstate(invalid="ignore"):
        known = ((units >= 0) & (units <= _LARGEST)).all(axis=2)
    out = np.zeros((*flow.shape[:2], 3), np.uint16)
    # OpenCV writes the last channel first, so that the file holds u, v, valid.
    out[..., 2], out[..., 1], out[..., 0] = (np.where(known, c, 0.0).astype(np.uint16) for c in (*_channels(units), known))
    return _encode(".png", out, _PNG)


def decode_flow(data: bytes) -> NDArray[np.float32]:
    """Decode to (H, W, 2) float32 pixels, NaN where unknown.

    Raises:
        FrameError: not an image of three channels.
    """
    stored = _decode_three(data)
    flow = (stored[..., 2:0:-1].astype(np.float32) - _ZERO) * np.float32(FLOW_UNIT_PX)
    flow[stored[..., 0] == 0] = np.nan
    return flow


def encode_scene_flow(flow: NDArray[np.float32]) -> bytes:
    """Encode (H, W, 3) metres; NaN and what is out of range count as unknown."""
    units = np.round(flow / np.float32(SCENE_FLOW_UNIT_M)) + _ZERO
    with np.errstate(invalid="ignore"):
        known = ((units >= 1) & (units <= _LARGEST)).all(axis=2, keepdims=True)
    return _encode(".png", np.ascontiguousarray(np.where(known, units, 0.0).astype(np.uint16)[..., ::-1]), _PNG)


def decode_scene_flow(data: bytes) -> NDArray[np.float32]:
    """Decode to (H, W, 3) float32 metres, NaN where unknown.

    Raises:
        FrameError: not an image of three channels.
    """
    stored = _decode_three(data)[..., ::-1]
    flow = (stored.astype(np.float32) - _ZERO) * np.float32(SCENE_FLOW_UNIT_M)
    flow[~stored.any(axis=2)] = np.nan
    return flow


def _channels(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return tuple(image[..., i] for i in range(image.shape[2]))


def _encode(suffix: str, image: NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise FrameError(f"an array of {image.dtype} {image.shape} cannot be encoded as {suffix}")
    return bytes(data)


def _decode(data: bytes, mode: int) -> NDArray[Any]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if image is None:
        raise FrameError(f"{len(data)} bytes are no image")
    return np.asarray(image)


def _decode_three(data: bytes) -> NDArray[Any]:
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint16:
        raise FrameError(f"a flow image has {image.dtype} and shape {image.shape}; it must be uint16 with three channels")
    return image
