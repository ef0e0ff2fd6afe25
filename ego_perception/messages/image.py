"""Pixels out of `sensor_msgs/Image`: views where the layout allows it, one conversion where it does not.

Works on anything with the fields of an Image, whatever library made it; nothing is copied but what a colour conversion needs.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding, Frame
from ego_perception.errors import FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages.camera_info import camera_for_size
from ego_perception.messages.compressed import decode_compressed, decode_compressed_depth
from ego_perception.messages.stamp import stamp_ns_of


@dataclass(frozen=True)
class _Layout:
    """How an encoding lies in memory, and what turns it into a frame; `code` None means that the pixels serve as they are.

    `extra_rows` holds the rows of chroma below the picture, as a fraction of its height (planar formats).
    """

    dtype: str
    channels: int
    target: Encoding | None
    code: int | None = None
    extra_rows: float = 0.0


_LAYOUTS = {
    "rgb8": _Layout("u1", 3, Encoding.RGB),
    "bgr8": _Layout("u1", 3, Encoding.BGR),
    "8UC3": _Layout("u1", 3, Encoding.BGR),
    "rgba8": _Layout("u1", 4, Encoding.RGB, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout("u1", 4, Encoding.BGR, cv2.COLOR_BGRA2BGR),
    "8UC4": _Layout("u1", 4, Encoding.BGR, cv2.COLOR_BGRA2BGR),
    "mono8": _Layout("u1", 1, Encoding.MONO),
    "8UC1": _Layout("u1", 1, Encoding.MONO),
    "mono16": _Layout("u2", 1, Encoding.MONO),
    "rgb16": _Layout("u2", 3, Encoding.RGB),
    "bgr16": _Layout("u2", 3, Encoding.BGR),
    "16UC1": _Layout("u2", 1, None),
    "32FC1": _Layout("f4", 1, None),
    "32FC2": _Layout("f4", 2, None),
    "32FC3": _Layout("f4", 3, None),
    "yuv422": _Layout("u1", 2, Encoding.RGB, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Layout("u1", 2, Encoding.RGB, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Layout("u1", 2, Encoding.RGB, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _Layout("u1", 2, Encoding.RGB, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_YUV2RGB_NV12, 0.5),
    "nv21": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_YUV2RGB_NV21, 0.5),
    "bayer_rggb8": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": _Layout("u1", 1, Encoding.RGB, cv2.COLOR_BayerGRBG2RGB),
}
SUPPORTED_ENCODINGS = tuple(_LAYOUTS)


def is_compressed(msg: Any) -> bool:
    """True for a `CompressedImage`, which has a format in place of an encoding."""
    return hasattr(msg, "format") and not hasattr(msg, "encoding")


def frame_from_image(msg: Any, camera: PinholeCamera | None = None, index: int = 0) -> Frame:
    """Make a frame of an Image or CompressedImage.

    Args:
        msg: the message; the frame keeps a read-only view into it where no conversion is needed.
        camera: intrinsics from the camera's `camera_info`; rescaled when the image has another size of the same shape.
        index: running number in the source.

    Raises:
        FrameError: pixels that cannot be decoded.
        CalibrationError: a camera of another aspect ratio.
    """
    pixels, encoding = decode_compressed(msg) if is_compressed(msg) else decode_colour(msg)
    height, width = pixels.shape[:2]
    if camera is not None:
        camera = camera_for_size(camera, width, height)
    return Frame(stamp_ns_of(msg), pixels, encoding, camera, msg.header.frame_id, index)


def decode_colour(msg: Any) -> tuple[NDArray[np.uint8], Encoding]:
    """Decode an Image to uint8 pixels, (H, W, 3) or (H, W), and their channel order.

    Raises:
        FrameError: as `image_view`, or an encoding that holds depth rather than a picture.
    """
    layout = _layout_of(msg)
    if layout.target is None:
        raise FrameError(f"an image of encoding '{msg.encoding}' holds depth or flow, not a picture; choose the colour topic")
    _check_chroma(msg, layout)
    view = image_view(msg)
    if layout.dtype == "u2":
        return (view >> 8).astype(np.uint8), layout.target
    if layout.code is None:
        return view, layout.target
    try:
        return np.asarray(cv2.cvtColor(view, layout.code), np.uint8), layout.target
    except cv2.error as error:
        raise FrameError(
            f"image of encoding '{msg.encoding}', {msg.width}x{msg.height}, cannot be converted: {error}"
        ) from error


def decode_depth(msg: Any) -> NDArray[np.float32]:
    """Decode a depth image (16UC1 or mono16 in millimetres, 32FC1 in metres; raw, or of the `compressedDepth` transport).

    Returns:
        (H, W) float32 metres, NaN where there is no depth (REP-118); a read-only view where nothing had to change.

    Raises:
        FrameError: as `image_view`, or an encoding that holds no depth.
    """
    if is_compressed(msg):
        values = decode_compressed_depth(msg)
    elif msg.encoding in ("16UC1", "mono16", "32FC1"):
        values = image_view(msg)
    else:
        raise FrameError(f"a depth image has encoding '{msg.encoding}'; it must be 32FC1 (m) or 16UC1 (mm)")
    if values.dtype.kind == "u":
        depth = values.astype(np.float32) * np.float32(1e-3)
        depth[values == 0] = np.nan
        return depth
    depth = values.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore"):
        wrong = ~(depth > 0) | np.isinf(depth)
    if wrong.any():
        depth = np.where(wrong, np.float32(np.nan), depth)
    return depth


def decode_confidence(msg: Any) -> NDArray[np.float32]:
    """Decode a confidence image, 32FC1 in 0..1 or mono8 in 0..255, to (H, W) float32 in 0..1.

    Raises:
        FrameError: as `image_view`, or another encoding.
    """
    if msg.encoding == "32FC1":
        return image_view(msg).astype(np.float32, copy=False)
    if msg.encoding in ("mono8", "8UC1"):
        return image_view(msg).astype(np.float32) / np.float32(255.0)
    raise FrameError(f"a confidence image has encoding '{msg.encoding}'; it must be 32FC1 or mono8")


def image_view(msg: Any) -> NDArray[Any]:
    """View the pixels of an Image as an array, without a copy.

    Returns:
        (H, W) or (H, W, C), read-only, of the encoding's type and the message's byte order, rows `step` bytes apart.
        Planar formats have their chroma rows below: (1.5 H, W).

    Raises:
        FrameError: unknown encoding, empty image, `step` shorter than a row, or data shorter than the image.
    """
    layout = _layout_of(msg)
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if height <= 0 or width <= 0:
        raise FrameError(f"image is empty: {width}x{height} pixels")
    dtype = np.dtype(layout.dtype).newbyteorder(">" if msg.is_bigendian else "<")
    pixel = dtype.itemsize * layout.channels
    if step < width * pixel:
        raise FrameError(
            f"image step is {step} bytes, less than a row of {width} '{msg.encoding}' pixels ({width * pixel} bytes)"
        )
    rows = height + int(height * layout.extra_rows)
    data = memoryview(msg.data).cast("B")
    if len(data) < rows * step:
        raise FrameError(f"image data has {len(data)} bytes, less than {rows} rows of {step} bytes; it was cut short")
    shape: tuple[int, ...] = (rows, width, layout.channels)
    strides: tuple[int, ...] = (step, pixel, dtype.itemsize)
    if layout.channels == 1:
        shape, strides = shape[:2], strides[:2]
    view: NDArray[Any] = np.ndarray(shape, dtype, data, strides=strides)
    view.flags.writeable = False
    return view.view(dtype.newbyteorder("=")) if _is_native(dtype) else view


def _layout_of(msg: Any) -> _Layout:
    layout = _LAYOUTS.get(msg.encoding)
    if layout is None:
        near = difflib.get_close_matches(str(msg.encoding).lower(), _LAYOUTS, n=1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else f"; supported are {', '.join(_LAYOUTS)}"
        raise FrameError(f"unknown image encoding '{msg.encoding}'{hint}")
    return layout


def _check_chroma(msg: Any, layout: _Layout) -> None:
    """Refuse odd sizes where chroma is shared between pixels."""
    if layout.channels == 2 and msg.width % 2:
        raise FrameError(f"image of encoding '{msg.encoding}' is {msg.width} pixels wide; its width must be even")
    if layout.extra_rows and (msg.width % 2 or msg.height % 2):
        raise FrameError(f"image of encoding '{msg.encoding}' is {msg.width}x{msg.height}; both must be even")


def _is_native(dtype: np.dtype[Any]) -> bool:
    return dtype.byteorder in ("=", "|") or dtype.byteorder == ("<" if sys.byteorder == "little" else ">")
