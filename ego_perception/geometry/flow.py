"""Dense optical flow between grey images of any size."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]

_LEAST: Final = 32


class DenseFlow:
    """Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016), as OpenCV has it.

    OpenCV's reads beyond images with a side of less than 32 pixels, and the process ends; those are continued to that side.
    Buffers are kept from call to call, so one object serves one thread.

    Args:
        preset: of OpenCV, such as `cv2.DISOPTICAL_FLOW_PRESET_FAST`.
        spatial_propagation: whether patches start from their neighbours' flow; None leaves it to the preset.
    """

    def __init__(self, preset: int = cv2.DISOPTICAL_FLOW_PRESET_FAST, *, spatial_propagation: bool | None = None) -> None:
        self._dis = cv2.DISOpticalFlow.create(preset)
        if spatial_propagation is not None:
            self._dis.setUseSpatialPropagation(spatial_propagation)

    def between(self, now: Grey, before: Grey) -> Flow:
        """(h, w, 2) pixels: what is at p in `now` is at p + flow[p] in `before`; both are (h, w), of one size."""
        height, width = now.shape
        below, right = max(0, _LEAST - height), max(0, _LEAST - width)
        if below or right:
            now, before = (
                np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
                for image in (now, before)
            )
        flow = self._dis.calc(now, before, np.zeros((*now.shape, 2), np.float32))
        return np.asarray(flow[:height, :width], np.float32)
