"""Ground truth that belongs to a whole clip: the surfaces that never move, and what the instance numbers mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def _no_points() -> NDArray[np.float32]:
    return np.zeros((0, 3), np.float32)


@dataclass(frozen=True, eq=False)
class SceneTruth:
    """What does not change while a clip runs.

    Attributes:
        points: (N, 3) float32 points on room and furniture, world axes (z up), metres.
        normals: (N, 3) float32 unit normals of the surfaces there.
        instance_names: name of each number in `FrameTruth.instances`, "" for 0; movable things and people by their ids, so that
            `instance_names[thing.instance] == thing.id`.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    instance_names: tuple[str, ...] = ()

    def thinned(self, most: int) -> SceneTruth:
        """The same with at most `most` points, evenly left out."""
        step = max(1, -(-len(self.points) // most))
        return SceneTruth(self.points[::step], self.normals[::step], self.instance_names)

    @classmethod
    def named(cls, instance_names: tuple[str, ...]) -> SceneTruth:
        """A scene whose names are known and whose surfaces are not."""
        return cls(_no_points(), _no_points(), instance_names)


def scene_truth_of(source: object) -> SceneTruth | None:
    """The scene of a source of frames that knows one, as a simulator or a recording of one does."""
    scene = getattr(source, "scene_truth", None)
    return scene if isinstance(scene, SceneTruth) else None
