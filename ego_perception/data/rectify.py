"""A pipeline stage that takes lens distortion out of frames, so that everything after it sees a pinhole camera."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.frame import Frame
from ego_perception.geometry import PinholeCamera

Maps = tuple[NDArray[Any], NDArray[Any]]


class RectifyStage:
    """Remaps distorted frames with their masks and true depth; others pass as they are. Maps are kept per camera."""

    name = "rectify"

    def __init__(self) -> None:
        self._camera: PinholeCamera | None = None
        self._maps: Maps | None = None

    def process(self, item: Frame) -> Frame:
        """Return the frame as its undistorted camera would have seen it."""
        camera = item.camera
        if camera is None or not camera.is_distorted:
            return item
        if self._maps is None or camera != self._camera:
            self._camera, self._maps = camera, camera.rectification_maps()
        image = np.asarray(cv2.remap(np.ascontiguousarray(item.image), *self._maps, cv2.INTER_LINEAR), np.uint8)
        ignore, hands, truth = item.ignore, item.hands, item.truth
        if hands is not None:
            hands = _nearest(cv2.resize(hands, item.size, interpolation=cv2.INTER_NEAREST), self._maps)
        if ignore is not None:
            ignore = _nearest(ignore.astype(np.uint8), self._maps).astype(bool)
        if truth is not None and truth.depth is not None:
            # Depth is not interpolated: a mean across an edge is a point in mid-air.
            truth = replace(truth, depth=_nearest(truth.depth, self._maps))
        return replace(item, image=image, camera=camera.undistorted(), ignore=ignore, hands=hands, truth=truth)

    def reset(self) -> None:
        """Nothing is remembered but the maps, which stay true."""

    def flush(self) -> Iterable[Frame]:
        """Nothing is held back."""
        return ()


def _nearest(image: NDArray[Any], maps: Maps) -> NDArray[Any]:
    return np.asarray(cv2.remap(image, *maps, cv2.INTER_NEAREST))
