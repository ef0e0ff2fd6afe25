"""Image messages out of arrays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding, Frame
from ego_perception.errors import FrameError
from ego_perception.messages.factory import MessageFactory, make_header

_ARRAYS: dict[str, tuple[np.dtype[Any], int]] = {
    "rgb8": (np.dtype(np.uint8), 3),
    "bgr8": (np.dtype(np.uint8), 3),
    "mono8": (np.dtype(np.uint8), 0),
    "16UC1": (np.dtype(np.uint16), 0),
    "mono16": (np.dtype(np.uint16), 0),
    "32FC1": (np.dtype(np.float32), 0),
    "32FC2": (np.dtype(np.float32), 2),
    "32FC3": (np.dtype(np.float32), 3),
}


def image_message(factory: MessageFactory, pixels: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """Make a `sensor_msgs/Image`, rows without padding.

    Args:
        pixels: (H, W, 3) uint8 for rgb8 and bgr8, (H, W) uint8 for mono8, uint16 for 16UC1 and mono16, float32 for
            32FC1; (H, W, 2) and (H, W, 3) float32 for 32FC2 and 32FC3.

    Raises:
        FrameError: an encoding that is never written, or an array that is not of it.
    """
    if encoding not in _ARRAYS:
        raise FrameError(f"images are written as {', '.join(_ARRAYS)}, not as '{encoding}'")
    dtype, channels = _ARRAYS[encoding]
    if pixels.dtype != dtype or pixels.shape[2:] != ((channels,) if channels else ()) or pixels.size == 0:
        raise FrameError(f"an array of {pixels.dtype} {pixels.shape} is not a '{encoding}' image")
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).astype(dtype.newbyteorder("<"), copy=False)
    return factory.make(
        "sensor_msgs/msg/Image",
        header=make_header(factory, stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * max(1, channels) * dtype.itemsize,
        data=data.reshape(-1).view(np.uint8),
    )


def image_from_frame(factory: MessageFactory, frame: Frame) -> Any:
    """Make a raw Image of a frame, in the frame's own channel order."""
    return image_message(factory, frame.image, frame.encoding.value, frame.stamp_ns, frame.frame_id)


def compressed_from_frame(factory: MessageFactory, frame: Frame, *, file_format: str = "jpeg", quality: int = 90) -> Any:
    """Make a CompressedImage of a frame.

    Args:
        file_format: jpeg or png.
        quality: of JPEG, 1 to 100.

    Raises:
        FrameError: a file format that is never written, or pixels that OpenCV cannot encode.
    """
    if file_format not in ("jpeg", "png"):
        raise FrameError(f"compressed images are written as jpeg or png, not as '{file_format}'")
    pixels = frame.grey if frame.encoding is Encoding.MONO else frame.image
    if frame.encoding is Encoding.RGB:
        pixels = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if file_format == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    done, data = cv2.imencode(f".{file_format}", pixels, options)
    if not done:
        raise FrameError(f"frame of {frame.size[0]}x{frame.size[1]} cannot be encoded as {file_format}")
    stored = "mono8" if frame.encoding is Encoding.MONO else "bgr8"
    return factory.make(
        "sensor_msgs/msg/CompressedImage",
        header=make_header(factory, frame.stamp_ns, frame.frame_id),
        # The form of image_transport's compressed plug-in: encoding of the source, file format, encoding inside the file.
        format=f"{frame.encoding.value}; {file_format} compressed {stored}",
        data=np.ascontiguousarray(data).reshape(-1),
    )
