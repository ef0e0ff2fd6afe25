"""The depth network at work: weights in, `PriorPrediction` out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction.prior import PriorPrediction
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig, focal_ratio, network_size
from ego_perception.weights.runtime import Backend, NetworkKind

if TYPE_CHECKING:
    from ego_perception.reconstruction.model import DepthNetwork

_LAPLACE_STD: Final = math.sqrt(2.0)  # standard deviation of a Laplace distribution of scale one
# A lens guessed from one picture stays within what cameras have: vertical fields of view of about 20 to 130 degrees.
_LOG_FOCAL_LIMITS: Final = (math.log(0.2), math.log(2.5))


def _build(config: NetworkConfig) -> DepthNetwork:
    from ego_perception.reconstruction.model import DepthNetwork

    return DepthNetwork(config)


DEPTH_NETWORK: Final[NetworkKind[NetworkConfig, DepthNetwork]] = NetworkKind(
    KIND,
    VERSION,
    inputs=("image",),
    outputs=("log_depth", "log_depth_scale", "log_focal", "log_focal_scale"),
    read_sizes=NetworkConfig.from_dict,
    build=_build,
)


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
        log_depth, log_scale, log_focals, log_focal_scales = self.backend.run(image)
        log_focal = min(max(float(log_focals[0]), _LOG_FOCAL_LIMITS[0]), _LOG_FOCAL_LIMITS[1])
        ratio = focal_ratio(camera.fx, camera.fy, camera.width, camera.height) if camera else math.exp(log_focal)
        focal_px = math.exp(log_focal) * math.sqrt(width * height)
        full = cv2.resize(np.stack([log_depth[0], log_scale[0]], axis=-1), size, interpolation=cv2.INTER_LINEAR)
        return PriorPrediction(
            depth=np.exp(full[..., 0]) * np.float32(ratio),
            sigma=np.exp(full[..., 1]) * np.float32(_LAPLACE_STD),
            fov_y_rad=2 * math.atan(0.5 * height / focal_px),
            fov_sigma=_LAPLACE_STD * math.exp(float(log_focal_scales[0])),
        )


def load_prior(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> DepthNetworkPrior:
    """Load the network; see `NetworkKind.start`."""
    network = DEPTH_NETWORK.start(path, threads=threads, device=device)
    return DepthNetworkPrior(network.sizes, network.backend, network.name)
