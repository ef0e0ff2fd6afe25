"""The depth network at work: weights in, `PriorPrediction` out; ONNX Runtime on the CPU, torch on a GPU.

On the CPU torch is imported only when the network must be exported, see `weights.onnx`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction.prior import PriorPrediction
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig, focal_ratio, network_size
from ego_perception.weights import read_info, sha256_of, shipped_weights
from ego_perception.weights.onnx import OnnxNetwork

if TYPE_CHECKING:
    from ego_perception.reconstruction.model import DepthNetwork

INPUTS: Final = ("image",)
OUTPUTS: Final = ("log_depth", "log_depth_scale", "log_focal", "log_focal_scale")
_LAPLACE_STD: Final = math.sqrt(2.0)  # standard deviation of a Laplace distribution of scale one
# A lens guessed from one picture stays within what cameras have: vertical fields of view of about 20 to 130 degrees.
_LOG_FOCAL_LIMITS: Final = (math.log(0.2), math.log(2.5))

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], float, float]


class Backend(Protocol):
    """Runs the network on one (1, 3, h, w) float32 image in 0..1."""

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """Return log depth (h/2, w/2), logarithm of its scale, log focal ratio and logarithm of its scale."""
        ...


class DepthNetworkPrior:
    """Implements `DepthPrior` with the compact network.

    Args:
        config: sizes of the network.
        backend: runs it.
        name: model name and checksum, for diagnostics.
    """

    def __init__(self, config: NetworkConfig, backend: Backend, name: str) -> None:
        self.config, self.backend, self.name = config, backend, name

    def predict(self, rgb: NDArray[np.uint8], camera: PinholeCamera | None) -> PriorPrediction:
        """Look at an (H, W, 3) RGB image.

        With a camera, depth is metric for its focal length. Without, it is metric for the network's own guess.
        """
        height, width = rgb.shape[:2]
        size = network_size(width, height, self.config.area)
        resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)
        image = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], dtype=np.float32) * np.float32(1 / 255)
        log_depth, log_scale, log_focal, log_focal_scale = self.backend.run(image)
        log_focal = min(max(log_focal, _LOG_FOCAL_LIMITS[0]), _LOG_FOCAL_LIMITS[1])
        ratio = focal_ratio(camera.fx, camera.fy, camera.width, camera.height) if camera else math.exp(log_focal)
        focal_px = math.exp(log_focal) * math.sqrt(width * height)
        full = cv2.resize(np.stack([log_depth, log_scale], axis=-1), size, interpolation=cv2.INTER_LINEAR)
        return PriorPrediction(
            depth=np.exp(full[..., 0]) * np.float32(ratio),
            sigma=np.exp(full[..., 1]) * np.float32(_LAPLACE_STD),
            fov_y_rad=2 * math.atan(0.5 * height / focal_px),
            fov_sigma=_LAPLACE_STD * math.exp(log_focal_scale),
        )


def load_prior(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> DepthNetworkPrior:
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
    config = NetworkConfig.from_dict(info.config, path)
    name = f"{KIND} {sha256_of(path)[:12]}"
    if device == "cuda":
        return DepthNetworkPrior(config, TorchBackend(path, device), name)
    if device != "cpu":
        raise ConfigError(f"device is '{device}'; choose cpu or cuda")
    return DepthNetworkPrior(config, OnnxBackend(path, threads), name)


class OnnxBackend:
    """ONNX Runtime on the CPU, one session per image shape."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = OnnxNetwork(KIND, path, lambda: load_network(path), INPUTS, OUTPUTS, threads)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `Backend`."""
        depth, scale, focal, focal_scale = self._network.run(image)
        return depth[0], scale[0], float(focal[0]), float(focal_scale[0])

    def cached(self, width: int, height: int) -> Path:
        """The ONNX file for one image shape, exported on first use."""
        return self._network.cached((1, 3, height, width))


class TorchBackend:
    """torch with bfloat16 arithmetic, for GPUs."""

    def __init__(self, path: Path, device: str) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device is 'cuda' but torch sees no GPU; choose cpu or install the CUDA build of torch")
        self.device = torch.device(device)
        layout: Any = {"memory_format": torch.channels_last}
        self.model = load_network(path).to(device=self.device, **layout)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `Backend`."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            x = torch.from_numpy(image).to(self.device, memory_format=torch.channels_last)
            depth, scale, focal, focal_scale = (t.float().cpu().numpy() for t in self.model(x))
        return depth[0], scale[0], float(focal[0]), float(focal_scale[0])


def load_network(path: Path) -> DepthNetwork:
    """Build the torch network from a weight file, in evaluation mode.

    Raises:
        WeightsError: as `load_prior`.
    """
    from ego_perception.reconstruction.model import DepthNetwork
    from ego_perception.weights.store import load_into, load_weights

    tensors, info = load_weights(path, KIND, VERSION)
    model = DepthNetwork(NetworkConfig.from_dict(info.config, path))
    load_into(model, tensors, path)
    return model.eval()
