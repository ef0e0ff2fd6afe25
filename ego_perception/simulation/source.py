"""EgoSim as a source of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ego_perception.data import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.parameters import to_dict
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.sim import EgoSim

Wanted = Callable[[], frozenset[str]]
"""Tells before each frame which products somebody waits for, by their names in `ProductsConfig`."""


class SimSource:
    """Frames of a simulated clip with camera and truth; implements `runtime.Source`.

    The simulator is made by the thread that iterates and freed when that ends, because a GL context belongs to one thread.

    Args:
        wanted: products to compute beside those of the configuration, asked before each frame.

    Attributes:
        scene_truth: what belongs to the whole clip; known from the first frame on.
    """

    is_live = False

    def __init__(self, config: EgoSimConfig, wanted: Wanted | None = None) -> None:
        self.config = config
        self.name = f"sim:{config.seed}"
        self.scene_truth: SceneTruth | None = None
        self._wanted = wanted
        self._is_closed = False

    def __len__(self) -> int:
        return self.config.num_frames

    def __iter__(self) -> Iterator[Frame | Exception]:
        with EgoSim(self.config) as sim:
            self.scene_truth = sim.scene_truth()
            for index in range(len(sim)):
                if self._is_closed:
                    return
                yield sim.frame(index, self._products())

    def close(self) -> None:
        """End the iteration before its next frame."""
        self._is_closed = True

    def _products(self) -> frozenset[str] | None:
        """What to compute now; None leaves it to the configuration."""
        if self._wanted is None:
            return None
        configured = {name for name, value in to_dict(self.config.products).items() if value}
        return self._wanted() | configured
