"""The segmenter at work: weights in, class probabilities out; ONNX Runtime on the CPU, torch on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError
from ego_perception.hand_removal.segmentation.sizes import KIND, VERSION, SegmenterConfig, input_size
from ego_perception.weights import read_info, sha256_of, shipped_weights
from ego_perception.weights.onnx import OnnxNetwork

if TYPE_CHECKING:
    from ego_perception.hand_removal.segmentation.model import HandSegmenter

INPUTS: Final = ("images", "before")
OUTPUTS: Final = ("scores",)

Array = NDArray[np.float32]


class Backend(Protocol):
    """Runs the network on an image (1, 3, h, w) in 0..1 and a mask before (1, 1, h, w)."""

    def run(self, image: Array, before: Array) -> Array:
        """Return scores (6, h, w)."""
        ...


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
            before: (h, w) mask of the frame before in 0..1, carried to this frame, any size; None where there is none.

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
        scores = self.backend.run(image, mask[None, None])
        scores = np.exp(scores - scores.max(axis=0))
        return np.asarray(scores / scores.sum(axis=0), np.float32)


def load_segmenter(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> HandSegmenterNetwork:
    """Load the network.

    Args:
        path: weight file; None takes the shipped one, checked against the manifest.
        threads: CPU threads of one prediction.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: missing, damaged, or made for another network.
        ConfigError: an unknown device, or no such device on this machine.
    """
    path = shipped_weights(KIND) if path is None else path
    info = read_info(path, KIND, VERSION)
    config = SegmenterConfig.from_dict(info.config, path)
    name = f"{KIND} {sha256_of(path)[:12]}"
    if device == "cuda":
        return HandSegmenterNetwork(config, TorchBackend(path, device), name)
    if device != "cpu":
        raise ConfigError(f"device is '{device}'; choose cpu or cuda")
    return HandSegmenterNetwork(config, OnnxBackend(path, threads), name)


class OnnxBackend:
    """ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = OnnxNetwork(KIND, path, lambda: load_network(path), INPUTS, OUTPUTS, threads)

    def run(self, image: Array, before: Array) -> Array:
        """See `Backend`."""
        return self._network.run(image, before)[0][0]


class TorchBackend:
    """torch with bfloat16 arithmetic, for GPUs."""

    def __init__(self, path: Path, device: str) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device is 'cuda' but torch sees no GPU; choose cpu or install the CUDA build of torch")
        self.device = torch.device(device)
        layout: Any = {"memory_format": torch.channels_last}
        self.model = load_network(path).to(device=self.device, **layout)

    def run(self, image: Array, before: Array) -> Array:
        """See `Backend`."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            inputs = (torch.from_numpy(a).to(self.device, memory_format=torch.channels_last) for a in (image, before))
            return np.asarray(self.model(*inputs)[0].float().cpu().numpy(), np.float32)


def load_network(path: Path) -> HandSegmenter:
    """Build the torch network from a weight file, in evaluation mode.

    Raises:
        WeightsError: as `load_segmenter`.
    """
    from ego_perception.hand_removal.segmentation.model import HandSegmenter
    from ego_perception.weights.store import load_into, load_weights

    tensors, info = load_weights(path, KIND, VERSION)
    model = HandSegmenter(SegmenterConfig.from_dict(info.config, path))
    load_into(model, tensors, path)
    return model.eval()
