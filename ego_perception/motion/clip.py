"""A motion of one person: body states at a fixed rate, foot contacts, and what the hands hold when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ego_perception.body.state import BodyState

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hold:
    """An object that is rigid to a hand for a while.

    Attributes:
        hand: 0 left, 1 right.
        T_hand_object: (4, 4) object to the hand joint's frame (`left_hand` or `right_hand`).
        T_world_end: (4, 4) where the object stays when it is let go.
    """

    object_id: str
    hand: int
    start_s: float
    end_s: float
    T_hand_object: Array
    T_world_end: Array


@dataclass(frozen=True, eq=False)
class MotionClip:
    """What one person does.

    Attributes:
        times: (T,) seconds from 0, evenly spaced.
        rotations: (T, 24, 3, 3); transl: (T, 3); finger_curl: (T, 2, 5); as in `BodyState`.
        foot_contact: (T, 2) bool: the foot carries weight and does not move.
        activity: name of what is done at each sample, such as "walk".
        holds: objects carried, in the order of time.
    """

    betas: Array
    times: Array
    rotations: Array
    transl: Array
    finger_curl: Array
    foot_contact: NDArray[np.bool_]
    activity: tuple[str, ...]
    holds: tuple[Hold, ...] = ()

    @property
    def duration_s(self) -> float:
        """Time of the last sample."""
        return float(self.times[-1])

    def at(self, t: float) -> BodyState:
        """The state at any time; clamped to the clip, rotations interpolated on the sphere."""
        i, fraction = self._locate(t)
        pair = Rotation.from_matrix(self.rotations[i : i + 2].reshape(-1, 3, 3)).as_rotvec().reshape(2, 24, 3)
        start = Rotation.from_rotvec(pair[0])
        step = start.inv() * Rotation.from_rotvec(pair[1])
        rotations = (start * Rotation.from_rotvec(fraction * step.as_rotvec())).as_matrix()
        transl = (1 - fraction) * self.transl[i] + fraction * self.transl[i + 1]
        curl = (1 - fraction) * self.finger_curl[i] + fraction * self.finger_curl[i + 1]
        return BodyState(rotations, transl, self.betas, curl)

    def contact_at(self, t: float) -> NDArray[np.bool_]:
        """(2,) contacts of left and right foot."""
        i, fraction = self._locate(t)
        return self.foot_contact[i + round(fraction)]

    def activity_at(self, t: float) -> str:
        """What the person does."""
        i, fraction = self._locate(t)
        return self.activity[i + round(fraction)]

    def held_at(self, t: float) -> tuple[str, str]:
        """Ids of the objects in the left and right hand, empty where none."""
        held = ["", ""]
        for hold in self.holds:
            if hold.start_s <= t < hold.end_s:
                held[hold.hand] = hold.object_id
        return held[0], held[1]

    def _locate(self, t: float) -> tuple[int, float]:
        """Index of the sample before `t` and the fraction of the way to the next."""
        x = min(max(t, 0.0), self.duration_s) / (self.times[1] - self.times[0])
        i = min(int(x), len(self.times) - 2)
        return i, min(x - i, 1.0)
