"""What reconstruction says about one frame; the shared currency between it, the nodes, sinks and later capabilities."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.frame import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.geometry import PinholeCamera


class TrackingState(enum.IntEnum):
    """How far a pose can be trusted. Values equal those of `ego_msgs/msg/NodeStatus`."""

    UNKNOWN = 0
    TRACKING = 1
    DEGRADED = 2
    LOST = 3


@dataclass(frozen=True, eq=False)
class SceneEstimate:
    """Pose, depth and map of one frame.

    The world has its origin in the first camera and REP-103 body axes of that camera (x forward, y left, z up), metres by the
    network's prior. Invalid depth is NaN (REP-118).

    Attributes:
        frame: the image described; `frame.stamp_ns` is the stamp of every output.
        state: TRACKING, DEGRADED or LOST.
        reason: why the state is not TRACKING, one line for the user; empty otherwise.
        camera: intrinsics in use for `frame.image` (given, refined or estimated), undistorted.
        camera_is_estimated: True when no intrinsics were given.
        T_world_cam: (4, 4) camera-to-world; None while LOST.
        covariance: (6, 6) of (x, y, z, rot x, rot y, rot z) in world axes, m^2 and rad^2; None while LOST.
        depth: (h, w) float32 metres, NaN where invalid; smaller than the image, same field of view. None when not computed.
        confidence: (h, w) float32 in 0..1, the probability that depth is within 25 % of the truth; None with depth.
        landmarks: (N, 3) float32 world points of the sparse map, metres.
        is_keyframe: True when the frame was kept as a keyframe.
        map_id: increases when a lost map had to be abandoned; poses of different ids share no frame.
        hand_removal: what hand removal says about the same frame, where it ran beside the reconstruction.
    """

    frame: Frame
    state: TrackingState
    camera: PinholeCamera
    reason: str = ""
    camera_is_estimated: bool = False
    T_world_cam: NDArray[np.float64] | None = None
    covariance: NDArray[np.float64] | None = None
    depth: NDArray[np.float32] | None = field(default=None, repr=False)
    confidence: NDArray[np.float32] | None = field(default=None, repr=False)
    landmarks: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32), repr=False)
    is_keyframe: bool = False
    map_id: int = 0
    hand_removal: HandRemovalEstimate | None = field(default=None, repr=False)

    @property
    def depth_camera(self) -> PinholeCamera | None:
        """Intrinsics of the depth image, or None without depth."""
        if self.depth is None:
            return None
        return self.camera.resized(self.depth.shape[1], self.depth.shape[0])

    @cached_property
    def points(self) -> NDArray[np.float32] | None:
        """(h, w, 3) float32 points in the camera's optical frame, metres, NaN where invalid; None without depth."""
        camera = self.depth_camera
        if camera is None or self.depth is None:
            return None
        return camera.rays() * self.depth[..., None]
