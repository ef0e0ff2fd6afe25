"""EgoSim as a source of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator

from ego_perception.data import Frame
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.sim import EgoSim


class SimSource:
    """Frames of a simulated clip with camera and truth; implements `runtime.Source`.

    The simulator is made by the thread that iterates and freed when that ends, because a GL context belongs to one thread.
    """

    is_live = False

    def __init__(self, config: EgoSimConfig) -> None:
        self.config = config
        self.name = f"sim:{config.seed}"
        self._is_closed = False

    def __len__(self) -> int:
        return self.config.num_frames

    def __iter__(self) -> Iterator[Frame | Exception]:
        with EgoSim(self.config) as sim:
            for index in range(len(sim)):
                if self._is_closed:
                    return
                yield sim.frame(index)

    def close(self) -> None:
        """End the iteration before its next frame."""
        self._is_closed = True
