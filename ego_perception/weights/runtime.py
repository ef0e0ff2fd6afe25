"""The networks of weight files at work: ONNX Runtime on the CPU, torch on a GPU; arrays in, arrays out.

A package describes its network once, as a `NetworkKind`; torch is imported only where it builds, exports or runs one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError
from ego_perception.weights.info import read_info
from ego_perception.weights.manifest import sha256_of, shipped_weights
from ego_perception.weights.onnx import OnnxNetwork

if TYPE_CHECKING:
    from torch import nn

SizesT = TypeVar("SizesT")
ModelT = TypeVar("ModelT", bound="nn.Module")
Array = NDArray[np.float32]


class Backend(Protocol):
    """Runs one network."""

    def run(self, *inputs: Array) -> Sequence[Array]:
        """Take contiguous float32 arrays (1, C, H, W), give the network's outputs in order."""
        ...


@dataclass(frozen=True)
class RunningNetwork(Generic[SizesT]):
    """A network ready to run: its sizes, what runs it, and its name with checksum, for diagnostics."""

    sizes: SizesT
    backend: Backend
    name: str


@dataclass(frozen=True)
class NetworkKind(Generic[SizesT, ModelT]):
    """One layout of networks, as weight files hold them.

    Attributes:
        name: of the kind, in weight files and in the manifest.
        version: of the layout.
        inputs, outputs: names, in the order of the module's arguments and results.
        read_sizes: turns what a file declares into sizes; the path is for messages.
        build: makes the module with starting weights; the one place that imports it.
        any_size: images come in many sizes, so one export serves all of them.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    read_sizes: Callable[[dict[str, Any], Path], SizesT]
    build: Callable[[SizesT], ModelT]
    any_size: bool = False

    def sizes(self, path: Path) -> SizesT:
        """Read the sizes of a weight file, without its tensors.

        Raises:
            WeightsError: missing, damaged, or made for another network.
        """
        return self.read_sizes(read_info(path, self.name, self.version).config, path)

    def module(self, path: Path) -> ModelT:
        """Build the torch module of a weight file, in evaluation mode.

        Raises:
            WeightsError: missing, damaged, or made for another network.
        """
        from ego_perception.weights.store import load_into, load_weights

        tensors, info = load_weights(path, self.name, self.version)
        module = self.build(self.read_sizes(info.config, path))
        load_into(module, tensors, path)
        module.eval()
        return module

    def start(self, path: Path | None, *, threads: int, device: str) -> RunningNetwork[SizesT]:
        """Make the network of a weight file ready to run.

        Args:
            path: weight file; None takes the shipped one, checked against the manifest.
            threads: CPU threads of one run.
            device: "cpu" or "cuda".

        Raises:
            WeightsError: missing, damaged, or made for another network.
            ConfigError: an unknown device, or no such device on this machine.
        """
        file = shipped_weights(self.name) if path is None else path
        sizes, name = self.sizes(file), f"{self.name} {sha256_of(file)[:12]}"
        if device == "cuda":
            return RunningNetwork(sizes, TorchNetwork(lambda: self.module(file), device), name)
        if device != "cpu":
            raise ConfigError(f"device is '{device}'; choose cpu or cuda")
        names = self.inputs, self.outputs
        onnx = OnnxNetwork(self.name, file, lambda: self.module(file), *names, threads, any_size=self.any_size)
        return RunningNetwork(sizes, onnx, name)


class TorchNetwork:
    """torch, with bfloat16 arithmetic on a GPU.

    Args:
        build: makes the module, in evaluation mode.
        device: where it runs.

    Raises:
        ConfigError: no such device on this machine.
    """

    def __init__(self, build: Callable[[], nn.Module], device: str) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device is 'cuda' but torch sees no GPU; choose cpu or install the CUDA build of torch")
        self.device = torch.device(device)
        layout: Any = {"memory_format": torch.channels_last}
        self.module = build().to(device=self.device, **layout)

    def run(self, *inputs: Array) -> list[Array]:
        """See `Backend`."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            given = (torch.from_numpy(a).to(self.device, memory_format=torch.channels_last) for a in inputs)
            output = self.module(*given)
            tensors = output if isinstance(output, tuple) else (output,)
            return [t.float().cpu().numpy() for t in tensors]
