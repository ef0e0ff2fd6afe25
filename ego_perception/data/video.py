"""Video files and webcams as sources, through OpenCV."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ego_perception.data.frame import Encoding, Frame
from ego_perception.data.images import IMAGE_SUFFIXES
from ego_perception.data.intrinsics import Intrinsics
from ego_perception.data.listing import EPOCH_NS
from ego_perception.errors import CalibrationError, FrameError, SourceError
from ego_perception.geometry import PinholeCamera

_log = logging.getLogger(__name__)
_FALLBACK_FPS = 30.0


class VideoSource:
    """Frames of a video file, stamped by its container from a fixed epoch on.

    A file that ends before the length in its header gives what it holds, and a warning.

    Args:
        path: any file that the FFmpeg inside OpenCV reads.
        fps: replaces the container's time stamps by a fixed rate, Hz.
        intrinsics: calibration of the video's frames.

    Raises:
        SourceError: missing, or not a video.
    """

    is_live = False

    def __init__(self, path: Path, *, fps: float | None = None, intrinsics: Intrinsics | None = None) -> None:
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise SourceError(f"fps is {fps}; the frame rate of a video must be positive")
        if not path.is_file():
            raise SourceError(f"video '{path}' does not exist")
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise SourceError(f"'{path}' is one image; give the folder of images or a video")
        self.name = path.name
        self._path = path
        self._fps = fps
        self._intrinsics = intrinsics
        self._capture = self._open()

    def __iter__(self) -> Iterator[Frame | Exception]:
        capture = self._capture if self._capture.isOpened() else self._open()
        declared_fps = capture.get(cv2.CAP_PROP_FPS)
        step_ms = 1000.0 / (self._fps or (declared_fps if 0 < declared_fps < 1000 else _FALLBACK_FPS))
        index, stamp_ms = 0, -step_ms
        while True:
            ok, image = capture.read()
            if not ok:
                break
            container_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
            # Some containers carry no or repeated stamps: the nominal step then keeps time moving forward.
            trusted = self._fps is None and math.isfinite(container_ms) and container_ms > stamp_ms
            stamp_ms = container_ms if trusted else stamp_ms + step_ms
            yield _make_frame(self, image, EPOCH_NS + round(stamp_ms * 1e6), index)
            index += 1
        self._check_length(index, capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def camera(self, width: int, height: int) -> PinholeCamera | None:
        """The calibrated camera of a frame of this size, None without calibration."""
        if self._intrinsics is None:
            return None
        if self._intrinsics.size is None:
            self._intrinsics = replace(self._intrinsics, size=(width, height))
        return self._intrinsics.camera(width, height)

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise SourceError(f"'{self._path}' is no video that can be read; check it with a player, or convert it to mp4")
        self._capture = capture
        return capture

    def _check_length(self, num_read: int, num_declared: float) -> None:
        if num_read == 0:
            raise SourceError(f"video '{self._path}' holds no frame that can be decoded")
        if num_read < num_declared:
            _log.warning("video %s ends after %d of %d frames; it was cut short", self.name, num_read, int(num_declared))


class WebcamSource:
    """Live frames of a local camera, stamped by the system clock on arrival.

    Args:
        device: number of the camera; 0 is /dev/video0.
        intrinsics: calibration of the camera's frames.

    Raises:
        SourceError: no such camera, or it gives no picture.
    """

    is_live = True

    def __init__(self, device: int = 0, *, intrinsics: Intrinsics | None = None) -> None:
        self.name = f"webcam:{device}"
        self._intrinsics = intrinsics
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"webcam {device} cannot be opened; is /dev/video{device} there and free?")
        # A driver's queue only adds age to a live picture.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def __iter__(self) -> Iterator[Frame | Exception]:
        index = 0
        while True:
            ok, image = self._capture.read()
            if not ok:
                raise SourceError(f"{self.name} stopped giving pictures after {index} frames; was it unplugged?")
            yield _make_frame(self, image, time.time_ns(), index)
            index += 1

    def close(self) -> None:
        """Let the camera go."""
        self._capture.release()

    def camera(self, width: int, height: int) -> PinholeCamera | None:
        """The calibrated camera of a frame of this size, None without calibration."""
        return None if self._intrinsics is None else self._intrinsics.camera(width, height)


def _make_frame(source: VideoSource | WebcamSource, image: Any, stamp_ns: int, index: int) -> Frame | Exception:
    try:
        height, width = image.shape[:2]
        pixels = np.asarray(image, np.uint8)
        return Frame(stamp_ns, pixels, Encoding.BGR, camera=source.camera(width, height), index=index)
    except (FrameError, CalibrationError) as error:
        return FrameError(f"frame {index}: {error}")
