"""The grammar of task scripts: what a person is asked to do, one task after the other.

Places are floor points (x, y) and headings about z (0 along +x, metres and radians); hands are 0 left, 1 right. A script knows
no rooms: whoever writes it chooses places that are free.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import EgoPerceptionError

Array = NDArray[np.float64]


class MotionError(EgoPerceptionError):
    """A script that no body can carry out."""


class Grip(enum.Enum):
    """How a hand takes an object."""

    SIDE = "side"
    """Thumb up, palm against the side: bottles, mugs."""
    TOP = "top"
    """Palm down on the upper face: flat things."""
    BOTH = "both"
    """A palm against either side: large things."""


@dataclass(frozen=True, eq=False)
class Gaze:
    """Where to look: a world point, a point that moves with time, or (both None) the way ahead.

    Attributes:
        pitch_rad: of the way ahead; positive is up.
        is_idle: nothing depends on it; whoever stages a scene may put something more interesting there.
    """

    point: tuple[float, float, float] | None = None
    follow: Callable[[Array], Array] | None = None
    pitch_rad: float = -0.18
    is_idle: bool = False


AHEAD = Gaze()


@dataclass(frozen=True, eq=False)
class WalkTo:
    """Walk along a way of floor points, (N, 2) from where the person stands; `heading` None keeps the last direction."""

    way: Array
    speed: float = 0.75
    heading: float | None = None
    gaze: Sequence[Gaze] = (AHEAD,)


@dataclass(frozen=True, eq=False)
class StepTo:
    """Reach a place nearby by side or back steps, and turn to a heading meanwhile; the same place is a turn in place."""

    place: tuple[float, float]
    heading: float
    gaze: Sequence[Gaze] = (AHEAD,)


@dataclass(frozen=True, eq=False)
class TurnTo:
    """Turn in place."""

    heading: float
    gaze: Sequence[Gaze] = (AHEAD,)


@dataclass(frozen=True, eq=False)
class Stand:
    """Stay where one is (also when seated) and look at things in turn.

    Attributes:
        still: hardly move the head.
    """

    seconds: float
    gaze: Sequence[Gaze] = ()
    still: bool = False


@dataclass(frozen=True, eq=False)
class Reach:
    """Touch a point with the finger tips' base and come back."""

    hand: int
    point: tuple[float, float, float]
    hold_s: float = 0.4


@dataclass(frozen=True, eq=False)
class PickUp:
    """Take an object and bring it before the chest.

    Attributes:
        T_world_object: (4, 4) where it stands, origin at the middle of its foot; size: its full extent.
    """

    object_id: str
    T_world_object: Array
    size: tuple[float, float, float]
    hand: int
    grip: Grip = Grip.SIDE


@dataclass(frozen=True, eq=False)
class PutDown:
    """Put what a hand holds on a point, upright."""

    point: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Inspect:
    """Hold what is carried nearer to the eyes, turn it, and look at it."""

    seconds: float


@dataclass(frozen=True, eq=False)
class SitDown:
    """Sit down on the seat behind; the pelvis comes to rest above `place`, at a seat of this height."""

    place: tuple[float, float]
    height: float


@dataclass(frozen=True, eq=False)
class StandUp:
    """Rise from the seat over the feet."""


@dataclass(frozen=True, eq=False)
class Wave:
    """Wave a hand beside the head."""

    hand: int
    seconds: float = 2.0
    gaze: Sequence[Gaze] = ()


@dataclass(frozen=True, eq=False)
class Gesture:
    """Talk with both hands."""

    seconds: float
    gaze: Sequence[Gaze] = ()


@dataclass(frozen=True, eq=False)
class Offer:
    """Hold out what is carried to a point, and let go of it at a set time of the clip.

    Attributes:
        until_s: when the other one has taken it.
    """

    point: tuple[float, float, float]
    until_s: float
    gaze: Sequence[Gaze] = ()


@dataclass(frozen=True, eq=False)
class Take:
    """Take an object out of somebody's hand, at a set time of the clip.

    Attributes:
        T_world_object: (4, 4) where it is held out; size: its full extent; at_s: when the hand closes.
    """

    object_id: str
    T_world_object: Array
    size: tuple[float, float, float]
    hand: int
    at_s: float


Task = WalkTo | StepTo | TurnTo | Stand | Reach | PickUp | PutDown | Inspect | SitDown | StandUp | Wave | Gesture | Offer | Take


@dataclass(frozen=True, eq=False)
class Carrying:
    """What a person has in a hand when a clip begins."""

    object_id: str
    size: tuple[float, float, float]
    hand: int


@dataclass(frozen=True, eq=False)
class Start:
    """Where and how a person is when the clip begins.

    Attributes:
        place: floor point under the pelvis; heading: faced direction, radians.
        seat_height: a seated start; the feet stand before the seat as after `SitDown`. None: standing.
        carrying: an object in the hand from the beginning.
    """

    place: tuple[float, float]
    heading: float
    seat_height: float | None = None
    carrying: Carrying | None = None


@dataclass(frozen=True, eq=False)
class Manner:
    """How a person moves.

    Attributes:
        seed: of the unrest; step_s: duration of a step; step_m: its length at the mean leg length.
        eyes_down_rad: how far below the nose the person looks by the eyes alone; head-mounted cameras have such a pitch too.
        lean_rad: posture; arm_swing: 1 is usual; reach_s: duration of a reach.
    """

    seed: int = 0
    step_s: float = 0.62
    step_m: float = 0.48
    eyes_down_rad: float = 0.2
    lean_rad: float = 0.03
    arm_swing: float = 1.0
    reach_s: float = 1.1


@dataclass(frozen=True, eq=False)
class Script:
    """A start and what follows."""

    start: Start
    tasks: Sequence[Task]
    manner: Manner = field(default_factory=Manner)
