"""The depth network at work: weights in, `PriorPrediction` out; ONNX Runtime on the CPU, torch on a GPU.

On the CPU torch is imported only when the network must be exported, which happens once per weight file and image shape; the
result is kept in the user's cache folder. A spoilt cache entry is replaced.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError, WeightsError
from ego_perception.geometry import PinholeCamera
from ego_perception.reconstruction.prior import PriorPrediction
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig, focal_ratio, network_size
from ego_perception.weights import read_info, sha256_of, shipped_weights

if TYPE_CHECKING:
    import torch

    from ego_perception.reconstruction.model import DepthNetwork

_log = logging.getLogger(__name__)

_EXPORT_FORMAT: Final = "1"  # part of the cache key: raise when `export_onnx` changes
_OPSET: Final = 17
_OUTPUTS: Final = ("log_depth", "log_depth_scale", "log_focal", "log_focal_scale")
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
        self.path, self.threads = path, threads
        self._sessions: dict[tuple[int, int], Any] = {}

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `Backend`."""
        height, width = image.shape[2:]
        session = self._sessions.get((width, height))
        if session is None:
            session = self._sessions[width, height] = self._open(width, height)
        depth, scale, focal, focal_scale = session.run(_OUTPUTS, {"image": image})
        return depth[0], scale[0], float(focal[0]), float(focal_scale[0])

    def _open(self, width: int, height: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        # Idle threads of a pool must sleep, not spin: the node shares its cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        def session(file: Path) -> Any:
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        file = cached_onnx(self.path, width, height)
        try:
            return session(file)
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            _log.warning("%s is spoilt (%s); exporting again", file, str(error).splitlines()[0])
            file.unlink(missing_ok=True)
            return session(cached_onnx(self.path, width, height))


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


def cached_onnx(path: Path, width: int, height: int) -> Path:
    """The network of a weight file as ONNX for one image shape, exported on first use."""
    key = hashlib.sha256(f"{_EXPORT_FORMAT} {sha256_of(path)} {width}x{height}".encode()).hexdigest()[:24]
    file = cache_folder() / f"{KIND}-{width}x{height}-{key}.onnx"
    if not file.is_file():
        _log.info("exporting %s for %dx%d images to %s", path.name, width, height, file)
        export_onnx(load_network(path), file, width, height)
    return file


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/ego_perception`, or `~/.cache/ego_perception`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ego_perception"


def export_onnx(model: torch.nn.Module, file: Path, width: int, height: int) -> None:
    """Write an ONNX file atomically: input `image` (1, 3, height, width) in 0..1, outputs as in `DepthOutput`.

    Raises:
        WeightsError: the file cannot be written.
    """
    import torch

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=file.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            torch.onnx.export(
                model,
                (torch.zeros(1, 3, height, width),),
                str(temporary),
                input_names=["image"],
                output_names=list(_OUTPUTS),
                opset_version=_OPSET,
                dynamo=False,
            )
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{file} cannot be written ({error.strerror or error}); set XDG_CACHE_HOME to a writable folder"
        ) from error
