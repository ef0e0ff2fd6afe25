"""The fill network at work: weights in, filled holes out; ONNX Runtime on the CPU, torch on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError
from ego_perception.hand_removal.fill.sizes import KIND, VERSION, FillConfig
from ego_perception.weights import read_info, sha256_of, shipped_weights
from ego_perception.weights.onnx import OnnxNetwork

if TYPE_CHECKING:
    from ego_perception.hand_removal.fill.model import FillNetwork

INPUTS: Final = ("planes",)
OUTPUTS: Final = ("filled", "painted", "gate")

Array = NDArray[np.float32]


class Backend(Protocol):
    """Runs the network on planes (1, 14, h, w), see `sizes.PLANES`."""

    def run(self, planes: Array) -> tuple[Array, Array]:
        """Return what was painted, (3, h, w) in -1..1, and the trust in the remembered background, (h, w) in 0..1."""
        ...


@dataclass(frozen=True)
class Filler:
    """A loaded network: `name` is the model's name and checksum, for diagnostics."""

    config: FillConfig
    backend: Backend
    name: str


def load_filler(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> Filler:
    """Load the network.

    Args:
        path: weight file; None takes the shipped one, checked against the manifest.
        threads: CPU threads of one run.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: missing, damaged, or made for another network.
        ConfigError: an unknown device, or no such device on this machine.
    """
    path = shipped_weights(KIND) if path is None else path
    info = read_info(path, KIND, VERSION)
    config = FillConfig.from_dict(info.config, path)
    name = f"{KIND} {sha256_of(path)[:12]}"
    if device == "cuda":
        return Filler(config, TorchBackend(path, device), name)
    if device != "cpu":
        raise ConfigError(f"device is '{device}'; choose cpu or cuda")
    return Filler(config, OnnxBackend(path, threads), name)


class OnnxBackend:
    """ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = OnnxNetwork(KIND, path, lambda: load_network(path), INPUTS, OUTPUTS, threads)

    def run(self, planes: Array) -> tuple[Array, Array]:
        """See `Backend`."""
        _, painted, gate = self._network.run(planes)
        return painted[0], gate[0, 0]


class TorchBackend:
    """torch with bfloat16 arithmetic, for GPUs."""

    def __init__(self, path: Path, device: str) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device is 'cuda' but torch sees no GPU; choose cpu or install the CUDA build of torch")
        self.device = torch.device(device)
        layout: Any = {"memory_format": torch.channels_last}
        self.model = load_network(path).to(device=self.device, **layout)

    def run(self, planes: Array) -> tuple[Array, Array]:
        """See `Backend`."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            output = self.model(torch.from_numpy(planes).to(self.device, memory_format=torch.channels_last))
            painted, gate = (t.float().cpu().numpy() for t in (output.painted, output.gate))
            return painted[0], gate[0, 0]


def load_network(path: Path) -> FillNetwork:
    """Build the torch network from a weight file, in evaluation mode.

    Raises:
        WeightsError: as `load_filler`.
    """
    from ego_perception.hand_removal.fill.model import FillNetwork
    from ego_perception.weights.store import load_into, load_weights

    tensors, info = load_weights(path, KIND, VERSION)
    model = FillNetwork(FillConfig.from_dict(info.config, path))
    load_into(model, tensors, path)
    return model.eval()
