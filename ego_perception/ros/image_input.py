"""Images and their camera from live topics, for a pipeline.

The callbacks do little (look at the header, queue the message) so that the executor never waits for a decoder; `decode` runs in
the pipeline's worker, which is also when a `camera_info` that came after its image has arrived.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ego_perception.data import Frame
from ego_perception.errors import CalibrationError, FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages.camera_info import camera_from_info
from ego_perception.messages.image import decode_colour, frame_from_image
from ego_perception.messages.stamp import stamp_ns_of
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.runtime import LatencyBook

T = TypeVar("T")

_KEPT: Final = 64
"""Messages kept for pairing: two seconds of a fast camera."""
_WIDENED: Final = 0.03
"""Of the image width: how far hands go while a mask is being made."""


class StampedBook(Generic[T]):
    """The last messages of a topic by stamp; safe between threads."""

    def __init__(self, capacity: int = _KEPT) -> None:
        self._capacity = capacity
        self._items: OrderedDict[int, T] = OrderedDict()
        self._lock = threading.Condition()

    def add(self, stamp_ns: int, item: T) -> None:
        """Keep an item; the oldest gives way."""
        with self._lock:
            self._items[stamp_ns] = item
            self._items.move_to_end(stamp_ns)
            while len(self._items) > self._capacity:
                self._items.popitem(last=False)
            self._lock.notify_all()

    def at(self, stamp_ns: int, timeout_s: float = 0.0, is_vain: Callable[[], bool] = lambda: False) -> T | None:
        """The item of exactly this stamp, waited for if need be, but not once one of a newer stamp has come.

        Args:
            is_vain: asked before the wait, and with each item that comes during it, whether there is nothing to wait for.
        """
        with self._lock:
            self._lock.wait_for(lambda: stamp_ns in self._items or self._newest() > stamp_ns or is_vain(), timeout_s)
            return self._items.get(stamp_ns)

    def before(self, stamp_ns: int, age_s: float) -> tuple[int, T] | None:
        """The newest item that is older than a stamp, by `age_s` at most, after its own stamp."""
        with self._lock:
            stamp = max((s for s in self._items if 0 < stamp_ns - s <= age_s * 1e9), default=None)
            return None if stamp is None else (stamp, self._items[stamp])

    def latest(self) -> T | None:
        """The item that came last."""
        with self._lock:
            return next(reversed(self._items.values()), None)

    def _newest(self) -> int:
        """Stamp of the item that came last; 0 before the first."""
        return next(reversed(self._items), 0)


@dataclass(frozen=True)
class InputOptions:
    """How `ImageInput` listens; the meaning of each field is told by `nodes.config.InputConfig`."""

    compressed: bool = False
    rectified: bool = False
    estimate_intrinsics: bool = False
    ignore_mask: bool = False
    ignore_mask_wait_s: float = 0.0
    ignore_mask_age_s: float = 0.0
    needs_camera: bool = True
    """False: an image without a usable `camera_info` is an image without a camera."""
    optical_frame: str = "camera_optical_frame"


class ImageInput:
    """Subscribes the camera topics of a node while `scope` lives.

    Args:
        node: the node; `image`, `camera_info` and `ignore_mask` are relative names on it.
        submit: takes each image message, or a FrameError in place of one that has no usable header.
        scope: undoes the subscriptions.
    """

    def __init__(
        self, node: EgoLifecycleNode[Any], options: InputOptions, submit: Callable[[Any], bool], scope: ExitStack
    ) -> None:
        self.num_images = 0
        self.mask_age = LatencyBook()
        """How much older than its image the mask was that served for it."""
        self._options = options
        self._submit = submit
        self._infos: StampedBook[Any] = StampedBook()
        self._masks: StampedBook[Any] = StampedBook()
        self._cameras: dict[bytes, PinholeCamera] = {}
        self._camera_error = ""
        self._image_topic = node.resolve_topic_name("image/compressed" if options.compressed else "image")
        self._info_topic = node.resolve_topic_name("camera_info")
        self._started = self._last_image = self._last_camera = time.monotonic()
        if not options.estimate_intrinsics:
            node.subscription(scope, CameraInfo, "camera_info", self._take_info)
        if options.ignore_mask:
            node.subscription(scope, Image, "ignore_mask", self._take_mask)
        image_type = CompressedImage if options.compressed else Image
        node.subscription(scope, image_type, self._image_topic, self._take_image)

    def decode(self, message: Any) -> Frame:
        """Make a frame of a queued message; call in the worker.

        Raises:
            FrameError: pixels or stamp that cannot be used.
            CalibrationError: no `camera_info` yet, or one that cannot belong to this image.
        """
        stamp_ns = stamp_ns_of(message)
        try:
            camera = None if self._options.estimate_intrinsics else self._camera_at(stamp_ns)
            frame = frame_from_image(message, camera)
        except CalibrationError as error:
            if self._options.needs_camera:
                self._camera_error = str(error)
                raise
            frame = frame_from_image(message)
        self._last_camera = time.monotonic()
        self._camera_error = ""
        ignore = self._mask_at(stamp_ns, frame) if self._options.ignore_mask else None
        return replace(frame, frame_id=frame.frame_id or self._options.optical_frame, ignore=ignore)

    def estimate_intrinsics(self) -> None:
        """Ignore `camera_info` from now on."""
        self._options = replace(self._options, estimate_intrinsics=True)

    def problem(self, image_timeout_s: float, camera_info_timeout_s: float) -> str:
        """What is wrong with the input now, naming the topic; empty when nothing is."""
        now = time.monotonic()
        if now - self._last_image > image_timeout_s:
            seen = f"for {now - self._last_image:.1f} s" if self.num_images else f"yet, after {now - self._started:.1f} s"
            return f"no image on '{self._image_topic}' {seen}; check the camera, the remap of `image` and input.transport"
        if now - self._last_camera > camera_info_timeout_s:
            cause = self._camera_error or f"no camera_info on '{self._info_topic}'"
            advice = "publish it, remap `camera_info`, or set input.intrinsics to estimate"
            return f"{cause}, for {now - self._last_camera:.1f} s; {advice}"
        return ""

    def _take_image(self, message: Any) -> None:
        if self.num_images == 0:
            self._last_camera = time.monotonic()
        self.num_images += 1
        self._last_image = time.monotonic()
        if stamp_ns_of(message) <= 0:
            self._submit(FrameError(f"image on '{self._image_topic}' has no stamp; the driver must set header.stamp"))
        else:
            self._submit(message)

    def _take_info(self, message: Any) -> None:
        self._infos.add(stamp_ns_of(message), message)

    def _take_mask(self, message: Any) -> None:
        self._masks.add(stamp_ns_of(message), message)

    def _camera_at(self, stamp_ns: int) -> PinholeCamera:
        """The camera that belongs to a stamp, else the newest: intrinsics rarely change, but zooming cameras pair exactly."""
        info = self._infos.at(stamp_ns) or self._infos.latest()
        if info is None:
            raise CalibrationError(f"no camera_info on '{self._info_topic}'")
        key = _intrinsics_key(info)
        camera = self._cameras.get(key)
        if camera is None:
            try:
                camera = camera_from_info(info, rectified=self._options.rectified)
            except CalibrationError as error:
                self._camera_error = f"camera_info on '{self._info_topic}': {error}"
                raise CalibrationError(self._camera_error) from error
            self._cameras = {key: camera}
        return camera

    def _mask_at(self, stamp_ns: int, frame: Frame) -> NDArray[np.bool_] | None:
        """The mask of the same stamp; None where none came, as the mask is a help and not a condition."""
        message = self._masks.at(stamp_ns, self._options.ignore_mask_wait_s)
        if message is None:
            return self._older_mask(stamp_ns, frame)
        self.mask_age.record("ignore mask age", 0)
        mask, _ = decode_colour(message)
        if mask.shape != frame.image.shape[:2]:
            width, height = frame.size
            raise FrameError(f"ignore_mask has shape {mask.shape}; the image is {width}x{height} and the mask must be mono8")
        return np.asarray(mask != 0)

    def _older_mask(self, stamp_ns: int, frame: Frame) -> NDArray[np.bool_] | None:
        """The mask of an image shortly before, widened by how far hands go until the next one comes."""
        found = self._masks.before(stamp_ns, self._options.ignore_mask_age_s)
        if found is None:
            return None
        self.mask_age.record("ignore mask age", stamp_ns - found[0])
        mask, _ = decode_colour(found[1])
        if mask.shape != frame.image.shape[:2]:
            return None
        side = 2 * max(1, round(_WIDENED * frame.size[0])) + 1
        return np.asarray(cv2.dilate((mask != 0).astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _intrinsics_key(info: Any) -> bytes:
    """Equal for equal intrinsics, so that a camera is built once and not per frame."""
    numbers = (info.width, info.height, info.binning_x, info.binning_y)
    region = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
    matrices = (np.asarray(info.k).tobytes(), np.asarray(info.p).tobytes(), np.asarray(info.d).tobytes())
    return b"|".join((*matrices, repr((numbers, region, info.distortion_model)).encode()))
