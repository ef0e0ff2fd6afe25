"""One frame as the estimator works on it: rectified, at tracking size and at the size of dense depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Encoding, Frame, FrameTruth
from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction.config import ReconstructionConfig


@dataclass(frozen=True, eq=False)
class View:
    """A prepared frame.

    Attributes:
        frame: the frame that the outputs describe; rectified where the given lens distorts.
        grey: (H, W) uint8 at tracking size.
        small: (h, w) uint8 at the size of dense depth.
        ignore: (H, W) bool at tracking size, or None.
    """

    frame: Frame
    grey: NDArray[np.uint8]
    small: NDArray[np.uint8]
    ignore: NDArray[np.bool_] | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at tracking size."""
        return self.grey.shape[1], self.grey.shape[0]

    @property
    def small_ignore(self) -> NDArray[np.bool_] | None:
        """The ignore mask at the size of dense depth."""
        return None if self.ignore is None else _resize_mask(self.ignore, (self.small.shape[1], self.small.shape[0]))


class ViewFactory:
    """Prepares frames; keeps the rectification maps of the last camera."""

    def __init__(self, config: ReconstructionConfig) -> None:
        self._config = config
        self._camera: PinholeCamera | None = None
        self._maps: tuple[NDArray[Any], NDArray[Any]] | None = None

    def prepare(self, frame: Frame) -> View:
        """Rectify and scale one frame."""
        if frame.camera is not None and frame.camera.is_distorted:
            frame = self._rectify(frame, frame.camera)
        width, height = frame.size
        scale = min(1.0, self._config.tracking.width / width)
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        grey = frame.grey if size == frame.size else cv2.resize(frame.grey, size, interpolation=cv2.INTER_AREA)
        small_width = min(self._config.dense.width, size[0])
        small_size = (small_width, max(8, round(small_width * size[1] / size[0])))
        small = cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA)
        ignore = None if frame.ignore is None else _resize_mask(frame.ignore, size)
        return View(frame, np.asarray(grey, np.uint8), np.asarray(small, np.uint8), ignore)

    def _rectify(self, frame: Frame, camera: PinholeCamera) -> Frame:
        if camera != self._camera or self._maps is None:
            self._camera, self._maps = camera, camera.rectification_maps()
        a, b = self._maps

        def warp(image: NDArray[Any], how: int) -> NDArray[Any]:
            return np.asarray(cv2.remap(image, a, b, how))

        truth = frame.truth
        if truth is not None and truth.depth is not None:
            truth = FrameTruth(warp(truth.depth, cv2.INTER_NEAREST), truth.T_world_cam)
        ignore = frame.ignore
        if ignore is not None:
            ignore = warp(ignore.astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
        image = warp(frame.grey if frame.encoding is Encoding.MONO else frame.rgb, cv2.INTER_LINEAR)
        encoding = Encoding.MONO if frame.encoding is Encoding.MONO else Encoding.RGB
        return replace(frame, image=image, encoding=encoding, camera=camera.undistorted(), ignore=ignore, truth=truth)


def _resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Scale a mask so that any touched pixel stays masked."""
    share = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0)
