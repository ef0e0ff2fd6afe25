"""`sensor_msgs/PointCloud2` to and from arrays: one structured buffer of 16 bytes per point, filled column by column.

Colour is the `rgb` field that RViz and PCL know: 0x00RRGGBB in the bits of a float32.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import FrameError
from ego_perception.messages.factory import MessageFactory, make_header

_FLOAT32: Final = 7
_NUMPY_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""`sensor_msgs/PointField` datatypes."""

POINT_STEP: Final = 16


def cloud_message(
    factory: MessageFactory,
    points: NDArray[np.float32],
    rgb: NDArray[np.uint8] | None,
    stamp_ns: int,
    frame_id: str,
    *,
    stride: int = 1,
) -> Any:
    """Make a PointCloud2 of xyz + rgb.

    Args:
        points: (H, W, 3) metres, NaN where invalid: an organised cloud; or (N, 3): an unorganised one.
        rgb: uint8 colours, red first, of the shape of `points`; None gives white.
        stride: keep every stride-th row and column of an organised cloud.

    Raises:
        FrameError: points and colours of different shape.
    """
    if points.ndim not in (2, 3) or points.shape[-1] != 3:
        raise FrameError(f"points have shape {points.shape}; they must be (H, W, 3) or (N, 3)")
    if rgb is not None and rgb.shape != points.shape:
        raise FrameError(f"colours have shape {rgb.shape} but points {points.shape}")
    if points.ndim == 2:
        points, rgb, stride = points[None], None if rgb is None else rgb[None], 1
    if stride > 1:
        points, rgb = points[::stride, ::stride], None if rgb is None else rgb[::stride, ::stride]
    height, width = points.shape[:2]
    buffer = _pack(points, rgb)
    return factory.make(
        "sensor_msgs/msg/PointCloud2",
        header=make_header(factory, stamp_ns, frame_id),
        height=height,
        width=width,
        fields=[
            factory.make("sensor_msgs/msg/PointField", name=name, offset=4 * i, datatype=_FLOAT32, count=1)
            for i, name in enumerate(("x", "y", "z", "rgb"))
        ],
        is_bigendian=False,
        point_step=POINT_STEP,
        row_step=POINT_STEP * width,
        data=buffer,
        is_dense=bool(np.isfinite(points).all()),
    )


def unpack_cloud(msg: Any) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """Read positions and colours of a PointCloud2 of any field order, padding and byte order.

    Returns:
        Points (H, W, 3), or (N, 3) where the height is one, float32; colours of the same shape, or None without an rgb field.

    Raises:
        FrameError: no x, y, z; fields outside the point; data shorter than the cloud.
    """
    fields = {f.name: f for f in msg.fields}
    if missing := {"x", "y", "z"} - fields.keys():
        raise FrameError(f"point cloud has no field '{min(missing)}'; it has {', '.join(fields) or 'none'}")
    height, width = int(msg.height), int(msg.width)
    data = np.frombuffer(msg.data, np.uint8)
    row_step, point_step = int(msg.row_step), int(msg.point_step)
    if row_step < width * point_step or data.size < height * row_step:
        raise FrameError(
            f"point cloud data has {data.size} bytes, row step {row_step}, point step {point_step}; "
            f"{height} rows of {width} points do not fit"
        )
    shape = (height, width) if height != 1 else (width,)
    strides = (row_step, point_step) if height != 1 else (point_step,)

    def column(name: str, kind: str | None = None) -> NDArray[Any]:
        f = fields[name]
        if f.datatype not in _NUMPY_TYPES:
            raise FrameError(f"point cloud field '{name}' has unknown datatype {f.datatype}")
        dtype = np.dtype(kind or _NUMPY_TYPES[f.datatype]).newbyteorder(">" if msg.is_bigendian else "<")
        if int(f.offset) + dtype.itemsize > point_step:
            raise FrameError(f"point cloud field '{name}' at byte {f.offset} lies outside the point of {point_step} bytes")
        if data.size == 0:
            return np.zeros(shape, dtype)
        return np.ndarray(shape, dtype, data, offset=int(f.offset), strides=strides)

    points = np.stack([column(axis).astype(np.float32) for axis in "xyz"], axis=-1)
    colour = next((name for name in ("rgb", "rgba") if name in fields), None)
    if colour is None:
        return points, None
    packed = column(colour, "u4")
    return points, np.stack([(packed >> shift & 0xFF).astype(np.uint8) for shift in (16, 8, 0)], axis=-1)


def resize_colours(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a picture to the size of a depth image, averaging where it shrinks."""
    if rgb.shape[:2] == (height, width):
        return rgb
    method = cv2.INTER_AREA if rgb.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method), np.uint8)


def _pack(points: NDArray[np.float32], rgb: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The bytes of the cloud, one dimensional."""
    height, width = points.shape[:2]
    buffer = np.empty((height, width, 4), "<f4")
    for axis in range(3):
        # Six times as fast as one assignment of all three.
        buffer[..., axis] = points[..., axis]
    packed = buffer.view("<u4")[..., 3]
    if rgb is None or rgb.size == 0:
        packed[...] = 0x00FFFFFF
    else:
        # Blue first and an alpha byte last is 0xAARRGGBB in little-endian; alpha is cleared since as a float it could be NaN.
        bgra = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGRA), np.uint8).view("<u4")[..., 0]
        np.bitwise_and(bgra, 0x00FFFFFF, out=packed)
    return buffer.reshape(-1).view(np.uint8)
