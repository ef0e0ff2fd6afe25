"""The camera's motion from frame to frame: a prediction for the next, and what no head can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ego_perception.geometry import so3_exp, so3_log
from ego_perception.reconstruction.config import TrackingConfig
from ego_perception.reconstruction.pnp import Pose

_MAX_EXTRAPOLATION = 2.0  # times the last interval
_MAX_GAP_S = 0.6  # after a longer pause nothing is known of the velocity
_MIN_STEP_S = 1.0 / 30.0


@dataclass
class MotionModel:
    """Constant velocity in the camera's own axes. Poses are camera-from-world."""

    config: TrackingConfig

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget where the camera was."""
        self._last: Pose | None = None
        self._last_ns = 0
        self._step: tuple[np.ndarray, np.ndarray, float] | None = None

    @property
    def last(self) -> Pose | None:
        """The newest pose, None before the first."""
        return self._last

    def stop(self) -> None:
        """Forget the velocity, keep the pose."""
        self._step = None

    def predict(self, stamp_ns: int) -> Pose:
        """Where the camera would be if it kept its velocity."""
        assert self._last is not None
        interval = (stamp_ns - self._last_ns) * 1e-9
        if self._step is None or not 0 < interval < _MAX_GAP_S:
            return self._last
        turn, shift, duration = self._step
        factor = min(interval / duration, _MAX_EXTRAPOLATION)
        R = so3_exp(turn * factor)
        return R @ self._last[0], R @ self._last[1] + shift * factor

    def is_plausible(self, pose: Pose, stamp_ns: int) -> bool:
        """False for a step that is faster than a head moves or turns."""
        if self._last is None:
            return True
        interval = max((stamp_ns - self._last_ns) * 1e-9, _MIN_STEP_S)
        turn, shift = _difference(self._last, pose)
        rotation = float(np.degrees(np.linalg.norm(turn)))
        speed_ok = float(np.linalg.norm(shift)) <= self.config.max_speed_m_s * interval
        return speed_ok and rotation <= min(self.config.max_rotation_deg_s * interval, 180.0)

    def update(self, pose: Pose, stamp_ns: int, *, keep_velocity: bool = True) -> None:
        """Take a new pose; `keep_velocity` False after a jump such as a relocalisation."""
        interval = (stamp_ns - self._last_ns) * 1e-9
        if self._last is not None and keep_velocity and 0 < interval < _MAX_GAP_S:
            turn, shift = _difference(self._last, pose)
            self._step = (turn, shift, interval)
        else:
            self._step = None
        self._last, self._last_ns = pose, stamp_ns


def _difference(before: Pose, after: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Rotation vector and translation of `after` relative to `before`, camera axes."""
    R = after[0] @ before[0].T
    return so3_log(R), after[1] - R @ before[1]
