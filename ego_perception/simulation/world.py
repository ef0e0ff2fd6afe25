"""What moves in a room, at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.state import BodyState


@dataclass(frozen=True, eq=False)
class WorldState:
    """Poses of everything that is not fixed.

    Attributes:
        bodies: state by the name of the actor ("wearer", "person_0", ...); an actor that is not named is not drawn.
        objects: (4, 4) pose by `Movable.instance`; what is not named stands where the room put it.
        held: instances of the movables that are in a hand now.
    """

    bodies: Mapping[str, BodyState] = field(default_factory=dict)
    objects: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    held: frozenset[int] = frozenset()
