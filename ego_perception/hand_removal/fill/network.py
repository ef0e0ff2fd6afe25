"""The fill network at work: weights in, filled holes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.fill.sizes import KIND, VERSION, FillConfig
from ego_perception.weights.runtime import Backend, NetworkKind

if TYPE_CHECKING:
    from ego_perception.hand_removal.fill.model import FillNetwork

Array = NDArray[np.float32]


def _build(config: FillConfig) -> FillNetwork:
    from ego_perception.hand_removal.fill.model import FillNetwork

    return FillNetwork(config)


FILL_NETWORK: Final[NetworkKind[FillConfig, FillNetwork]] = NetworkKind(
    KIND,
    VERSION,
    inputs=("planes",),
    outputs=("filled", "painted", "gate"),
    read_sizes=FillConfig.from_dict,
    build=_build,
    any_size=True,  # windows around holes come in many sizes, and an export takes seconds
)


@dataclass(frozen=True)
class Filler:
    """A loaded network: `name` is the model's name and checksum, for diagnostics."""

    config: FillConfig
    backend: Backend
    name: str

    def paint(self, planes: Array) -> tuple[Array, Array]:
        """Run the network on planes (14, h, w), see `sizes.PLANES`.

        Returns:
            What was painted, (3, h, w) in -1..1, and the trust in the remembered background, (h, w) in 0..1.
        """
        _, painted, gate = self.backend.run(planes[None])
        return painted[0], gate[0, 0]


def load_filler(path: Path | None = None, *, threads: int = 1, device: str = "cpu") -> Filler:
    """Load the network; see `NetworkKind.start`."""
    network = FILL_NETWORK.start(path, threads=threads, device=device)
    return Filler(network.sizes, network.backend, network.name)
