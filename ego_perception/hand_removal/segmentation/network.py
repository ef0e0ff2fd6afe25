"""The segmenter at work: weights in, class probabilities out.

A small network seldom errs in the same way twice. So an image is looked at a second time, half as large again and mirrored:
the mean of both finds more hands than either, and where they differ there is doubt (`masks.expected_miss`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.segmentation.sizes import KIND, MIRRORED, VERSION, SegmenterConfig, input_size
from ego_perception.weights.runtime import Backend, NetworkKind

if TYPE_CHECKING:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

Array = NDArray[np.float32]

_SECOND_LOOK: Final = 1.5  # width of the image for the second look, relative to the first


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
        looks: 1 or 2 at each image; the second takes more than twice the time of the first.
    """

    def __init__(self, config: SegmenterConfig, backend: Backend, name: str, looks: int = 2) -> None:
        self.config, self.backend, self.name, self.looks = config, backend, name, looks

    def predict(self, rgb: NDArray[np.uint8], before: Array | None = None) -> Array:
        """Look at an (H, W, 3) RGB image.

        Args:
            before: (h, w) how likely a hand was in the frame before, 0..1, any size; None where there is none.

        Returns:
            Probabilities (6, h, w) of the classes in `HandClass`, at the size of the larger look.
        """
        wide = self.config.width if self.looks == 1 else round(self.config.width * _SECOND_LOOK)
        image = _shrunk(rgb, input_size(rgb.shape[1], rgb.shape[0], wide))
        if self.looks == 1:
            return self._look(image, before)
        first = self._look(_shrunk(image, input_size(rgb.shape[1], rgb.shape[0], self.config.width)), before)
        second = self._look(image[:, ::-1], None if before is None else np.ascontiguousarray(before[:, ::-1]))
        mean = np.empty_like(second)
        for k, other in enumerate(MIRRORED):
            plane = cv2.resize(first[k], (mean.shape[2], mean.shape[1]), interpolation=cv2.INTER_LINEAR)
            cv2.addWeighted(plane, 0.5, second[other, :, ::-1], 0.5, 0.0, dst=mean[k])
        return mean

    def _look(self, rgb: NDArray[np.uint8], before: Array | None) -> Array:
        image = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32) * np.float32(1 / 255)
        mask = np.zeros(rgb.shape[:2], np.float32)
        if before is not None:
            mask = np.asarray(cv2.resize(before, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        scores = self.backend.run(image, mask[None, None])[0][0]
        scores = np.exp(scores - scores.max(axis=0))
        return np.asarray(scores / scores.sum(axis=0), np.float32)


def _shrunk(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    is_smaller = size[0] < rgb.shape[1]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR), np.uint8)


def load_segmenter(path: Path | None = None, *, threads: int = 1, device: str = "cpu", looks: int = 2) -> HandSegmenterNetwork:
    """Load the network; see `NetworkKind.start` and `HandSegmenterNetwork`."""
    network = HAND_SEGMENTER.start(path, threads=threads, device=device)
    return HandSegmenterNetwork(network.sizes, network.backend, network.name, looks)
