"""One image of the head-mounted camera."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.truth import FrameTruth
from ego_perception.errors import FrameError
from ego_perception.geometry import PinholeCamera


class Encoding(enum.Enum):
    """Channel order of a frame's pixels; the value is the ROS encoding name."""

    RGB = "rgb8"
    BGR = "bgr8"
    MONO = "mono8"


@dataclass(frozen=True, eq=False)
class Frame:
    """One image with its stamp and, where known, its camera.

    The pixels may be a read-only view into a message: never write to them. `grey` and `rgb` convert once and keep the result.

    Attributes:
        stamp_ns: acquisition time, integer nanoseconds.
        image: (H, W, 3) or, for MONO, (H, W) uint8; rows may be strided.
        camera: intrinsics of this image, None if unknown.
        frame_id: name of the optical frame.
        index: running number in the source.
        ignore: (H, W) bool, True where a pixel belongs to the wearer or another mover (hand mask), or None.
        hands: (h, w) uint8 `HandLabel` values that came with the frame, of any size and the image's shape, or None.
        truth: ground truth from a simulator or an RGB-D recording.

    Raises:
        FrameError: on construction, for a wrong shape or dtype, an empty image, or a camera of another size.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    encoding: Encoding = Encoding.RGB
    camera: PinholeCamera | None = None
    frame_id: str = "camera_optical_frame"
    index: int = 0
    ignore: NDArray[np.bool_] | None = field(default=None, repr=False)
    hands: NDArray[np.uint8] | None = field(default=None, repr=False)
    truth: FrameTruth | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape, dims = self.image.shape, 2 if self.encoding is Encoding.MONO else 3
        if self.image.dtype != np.uint8 or len(shape) != dims or (dims == 3 and shape[2] != 3):
            raise FrameError(f"image of dtype {self.image.dtype} and shape {shape} is not {self.encoding.value}")
        if shape[0] == 0 or shape[1] == 0:
            raise FrameError(f"image is empty: {shape[1]}x{shape[0]} pixels")
        if self.camera is not None and (self.camera.width, self.camera.height) != (shape[1], shape[0]):
            raise FrameError(
                f"camera is calibrated for {self.camera.width}x{self.camera.height} but the image is {shape[1]}x{shape[0]}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """(H, W) uint8 luminance."""
        if self.encoding is Encoding.MONO:
            return np.ascontiguousarray(self.image)
        code = cv2.COLOR_RGB2GRAY if self.encoding is Encoding.RGB else cv2.COLOR_BGR2GRAY
        return np.asarray(cv2.cvtColor(self.image, code), np.uint8)

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, red first."""
        if self.encoding is Encoding.RGB:
            return self.image
        code = cv2.COLOR_GRAY2RGB if self.encoding is Encoding.MONO else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(self.image, code), np.uint8)
