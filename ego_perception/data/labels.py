"""What a pixel shows: the class ids of every segmentation in the product."""

from __future__ import annotations

import enum
from typing import Final


class SceneLabel(enum.IntEnum):
    """Class ids of a segmentation image."""

    NONE = 0
    ROOM = 1
    FURNITURE = 2
    OBJECT = 3
    PERSON = 4
    """Somebody else."""
    WEARER = 5
    """The wearer's trunk, legs and head; hands and arms have labels of their own."""
    LEFT_HAND = 6
    RIGHT_HAND = 7
    LEFT_ARM = 8
    RIGHT_ARM = 9
    HELD_OBJECT = 10
    """An object in a hand, the wearer's or somebody else's."""


HANDS_AND_ARMS: Final = (SceneLabel.LEFT_HAND, SceneLabel.RIGHT_HAND, SceneLabel.LEFT_ARM, SceneLabel.RIGHT_ARM)
WEARER_LABELS: Final = (SceneLabel.WEARER, *HANDS_AND_ARMS)
MOVER_LABELS: Final = (*WEARER_LABELS, SceneLabel.PERSON, SceneLabel.HELD_OBJECT)
"""Everything that may move by itself or is being moved."""
