"""The segmenter at work: weights in, class probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.segmentation.sizes import KIND, VERSION, SegmenterConfig, input_size
from ego_perception.weights.runtime import Backend, NetworkKind

if TYPE_CHECKING:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

Array = NDArray[np.float32]


def _build(config: SegmenterConfig) -> HandSegmenter:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

    return HandSegmenter(config)


HAND_SEGMENTER: Final[NetworkKind[SegmenterConfig, HandSegmenter]] = NetworkKind(
    KIND, VERSION, inputs=("images", "before"), outputs=("scores",), read_sizes=SegmenterConfig.from_dict, build=_build
)


class HandSegmenterNetwork:
    """Finds hands in images of any size.

    Args:
        config: sizes of the network.
        backend: runs it.
        name: model name and checksum, for diagnostics.
    """

    def __init__(self, config: SegmenterConfig, backend: Backend, name: str) -> None:
        self.config, self.backend, self.name = config, backend, name

    def predict(self, rgb: NDArray[np.uint8], before: Array | None = None) -> Array:
        """Look at an (H, W, 3) RGB image.

        Args:
            before: (h, w) how likely a hand was in the frame before, 0..1, any size; None where there is none.

        Returns:
            Probabilities (6, h, w) of the classes in `HandClass`, at the network's size.
        """
        height, width = rgb.shape[:2]
        size = input_size(width, height, self.config.width)
        resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)
        image = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], dtype=np.float32) * np.float32(1 / 255)
        mask = np.zeros((size[1], size[0]), np.float32)
        if before is not None:
            mask = np.asarray(cv2.resize(before, size, interpolation=cv2.INTER_LINEAR), np.float32)
        scores = self.backend.run(image, mask[None, None])[0][0]
        scores = np.exp(scores - scores.max(axis=0))
        return np.asarray(scores / scores.sum(axis=0), np.float32)


def load_segmenter(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> HandSegmenterNetwork:
    """Load the network; see `NetworkKind.start`."""
    network = HAND_SEGMENTER.start(path, threads=threads, device=device)
    return HandSegmenterNetwork(network.sizes, network.backend, network.name)
