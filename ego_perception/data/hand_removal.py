"""What hand removal says about one frame: the view without hands, and for every pixel where it comes from."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.frame import Frame


class Provenance(enum.IntEnum):
    """Where a pixel comes from. Values equal those of `ego_msgs/msg/Provenance`."""

    LIVE = 0
    OBSERVED = 1
    GENERATED = 2
    UNKNOWN = 3


class HandLabel(enum.IntEnum):
    """Values of a hand mask. A hand includes its forearm and sleeve."""

    NONE = 0
    LEFT = 1
    RIGHT = 2
    HELD_OBJECT = 3
    ANY = 255
    """A hand of which nobody said the side."""


class RemovalState(enum.IntEnum):
    """Whether the hand-free image can be trusted. Values equal those of `ego_msgs/msg/NodeStatus`."""

    UNKNOWN = 0
    CLEAN = 1
    DEGRADED = 2
    WITHHELD = 3
    """There is no image that is known to be free of hands, so none is given."""


@dataclass(frozen=True, eq=False)
class HandRemovalEstimate:
    """One frame without the wearer's hands. Without a trusted mask there is no image: it is WITHHELD, and `reason` says why.

    Attributes:
        frame: the image described; `frame.stamp_ns` is the stamp of every output.
        reason: why the state is not CLEAN, one line for the user; empty otherwise.
        image: (H, W, 3) uint8 RGB without hands; None while WITHHELD.
        hand_mask: (H, W) uint8 `HandLabel` values as segmented; None where there is no mask.
        provenance: (H, W) uint8 `Provenance` values; None while WITHHELD.
        confidence: (H, W) float32 in 0..1, 1 where LIVE; None while WITHHELD.
        age_s: (H, W) float32 seconds since a pixel was seen, 0 where LIVE, NaN where it never was; None while WITHHELD.
        model_id: name and version of what made the GENERATED pixels; empty where there are none.
        expected_miss: share of the image in which hands are to be expected that are not in `hand_mask`, 0..1.
    """

    frame: Frame
    state: RemovalState
    reason: str = ""
    image: NDArray[np.uint8] | None = field(default=None, repr=False)
    hand_mask: NDArray[np.uint8] | None = field(default=None, repr=False)
    provenance: NDArray[np.uint8] | None = field(default=None, repr=False)
    confidence: NDArray[np.float32] | None = field(default=None, repr=False)
    age_s: NDArray[np.float32] | None = field(default=None, repr=False)
    model_id: str = ""
    expected_miss: float = 0.0
