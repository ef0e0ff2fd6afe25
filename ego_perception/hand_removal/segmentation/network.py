"""The segmenter at work: weights in, class probabilities out.

On request an image is looked at a second time, mirrored: a small network seldom errs in the same way twice. The mean of both
is right more often than either, and where they differ there is doubt (`masks.doubt_of`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry.resizing import resized
from ego_perception.hand_removal.segmentation.sizes import KIND, MIRRORED, VERSION, SegmenterConfig, input_size
from ego_perception.weights.runtime import Backend, NetworkKind

if TYPE_CHECKING:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

Array = NDArray[np.float32]


def _build(config: SegmenterConfig) -> HandSegmenter:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

    return HandSegmenter(config)


HAND_SEGMENTER: Final[NetworkKind[SegmenterConfig, HandSegmenter]] = NetworkKind(
    KIND, VERSION, inputs=("images",), outputs=("scores",), read_sizes=SegmenterConfig.from_dict, build=_build
)


class HandSegmenterNetwork:
    """Finds hands in images of any size.

    Args:
        config: sizes of the network.
        backend: runs it.
        name: model name and checksum, for diagnostics.
        looks: 1 or 2 at each image; two are taken side by side, in two threads.
    """

    def __init__(self, config: SegmenterConfig, backend: Backend, name: str, looks: int = 1) -> None:
        self.config, self.backend, self.name = config, backend, name
        self._second = ThreadPoolExecutor(1, "second-look") if looks == 2 else None

    def predict(self, rgb: NDArray[np.uint8]) -> Array:
        """Look at an (H, W, 3) RGB image.

        Returns:
            Probabilities (6, h, w) of the classes in `HandClass`, half as large as what the network sees.
        """
        image = resized(rgb, input_size(rgb.shape[1], rgb.shape[0], self.config.width))
        if self._second is None:
            return self._look(image)
        mirrored = self._second.submit(self._look, image[:, ::-1])
        mean, second = self._look(image), mirrored.result()
        for k, other in enumerate(MIRRORED):
            cv2.addWeighted(mean[k], 0.5, second[other, :, ::-1], 0.5, 0.0, dst=mean[k])
        return mean

    def _look(self, rgb: NDArray[np.generic]) -> Array:
        """Probabilities (6, h/2, w/2) of an (h, w, 3) image of the network's size."""
        image = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)
        image *= np.float32(1 / 255)
        scores = self.backend.run(image)[0][0]
        scores = np.exp(scores - scores.max(axis=0))
        scores /= scores.sum(axis=0)
        return np.asarray(scores, np.float32)


def load_segmenter(path: Path | None = None, *, threads: int = 1, device: str = "cpu", looks: int = 1) -> HandSegmenterNetwork:
    """Load the network; see `NetworkKind.start` and `HandSegmenterNetwork`."""
    network = HAND_SEGMENTER.start(path, threads=threads, device=device)
    return HandSegmenterNetwork(network.sizes, network.backend, network.name, looks)
