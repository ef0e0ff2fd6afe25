"""The way back: messages of reconstruction's topics, put together by stamp to the estimates they were made of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.errors import CalibrationError, EgoPerceptionError
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform
from ego_perception.messages.camera_info import camera_from_info
from ego_perception.messages.image import decode_confidence, decode_depth, frame_from_image
from ego_perception.messages.point_cloud import unpack_cloud
from ego_perception.messages.poses import covariance_from_field, matrix_from_pose, shift_covariance
from ego_perception.messages.scene import SceneTopic
from ego_perception.messages.stamp import stamp_ns_of

Array = NDArray[np.float64]

_PARTS = (SceneTopic.DEPTH, SceneTopic.DEPTH_INFO, SceneTopic.CONFIDENCE, SceneTopic.ODOM)


@dataclass
class _Pending:
    """What has arrived for one stamp."""

    image: Any | None = None
    parts: dict[SceneTopic, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Status:
    stamp_ns: int
    state: TrackingState
    reason: str
    camera_is_estimated: bool
    map_id: int


class SceneAssembler:
    """Collects messages by stamp and gives estimates in the order of their stamps.

    An estimate is given when a newer stamp is complete, or, with what has come, when `capacity` newer stamps wait.
    Stamps without an image, or with an image alone (which the node dropped), are given up and counted in `num_incomplete`.

    Args:
        T_head_camera: as of `SceneMessages`.
        capacity: largest number of stamps that wait.
    """

    def __init__(self, *, T_head_camera: Array | None = None, capacity: int = 60) -> None:
        mount = np.eye(4) if T_head_camera is None else T_head_camera
        self._T_head_optical = mount @ make_transform(R_FLU_OPTICAL, np.zeros(3))
        self._capacity = max(1, capacity)
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._statuses: list[_Status] = []
        self._landmarks: tuple[int, NDArray[np.float32]] = (0, np.zeros((0, 3), np.float32))
        self._map_stamps: set[int] = set()
        self._newest_given_ns: int | None = None
        self._index = 0
        self._camera: PinholeCamera | None = None
        self.num_incomplete = 0

    def set_camera_info(self, info: Any) -> None:
        """Take the input camera's `camera_info`; frames that follow carry its camera."""
        self._camera = camera_from_info(info)

    def add_image(self, msg: Any) -> list[SceneEstimate]:
        """Take an input image, raw or compressed; return the estimates that are complete now."""
        pending = self._slot(stamp_ns_of(msg))
        if pending is not None:
            pending.image = msg
        return self._harvest()

    def add(self, topic: SceneTopic, msg: Any) -> list[SceneEstimate]:
        """Take one output message of the node; return the estimates that are complete now."""
        stamp_ns = stamp_ns_of(msg)
        if topic is SceneTopic.STATUS:
            self._take_status(msg, stamp_ns)
        elif topic is SceneTopic.MAP_POINTS:
            self._landmarks = (stamp_ns, unpack_cloud(msg)[0].reshape(-1, 3))
            self._map_stamps.add(stamp_ns)
        elif topic in _PARTS and (pending := self._slot(stamp_ns)) is not None:
            pending.parts[topic] = msg
        return self._harvest()

    def flush(self) -> list[SceneEstimate]:
        """Give what waits, complete or not."""
        return self._give(len(self._pending))

    def _slot(self, stamp_ns: int) -> _Pending | None:
        """The place of a stamp; None for one that was given already."""
        if self._newest_given_ns is not None and stamp_ns <= self._newest_given_ns:
            return None
        return self._pending.setdefault(stamp_ns, _Pending())

    def _take_status(self, msg: Any, stamp_ns: int) -> None:
        # A node in the error state has no output to trust: LOST to whoever reads estimates.
        state = TrackingState(msg.state) if msg.state <= max(TrackingState) else TrackingState.LOST
        estimated = msg.intrinsics_source == 3
        self._statuses.append(_Status(stamp_ns, state, str(msg.reason), estimated, int(msg.map_id)))
        self._statuses = self._statuses[-4 * self._capacity :]

    def _harvest(self) -> list[SceneEstimate]:
        """Give the stamps before the newest complete one, and those beyond the capacity.

        Topics keep their order, so nothing more comes for a stamp older than a complete one; the complete one itself waits for
        its map points and status, which may come last.
        """
        order = sorted(self._pending)
        newest = max((i for i, stamp in enumerate(order) if self._is_complete(self._pending[stamp])), default=0)
        return self._give(max(newest, len(order) - self._capacity))

    @staticmethod
    def _is_complete(pending: _Pending) -> bool:
        return pending.image is not None and all(part in pending.parts for part in _PARTS)

    def _give(self, count: int) -> list[SceneEstimate]:
        estimates = []
        for stamp_ns in sorted(self._pending)[:count]:
            pending = self._pending.pop(stamp_ns)
            self._newest_given_ns = stamp_ns
            if pending.image is None or not pending.parts:
                self.num_incomplete += 1
                continue
            try:
                estimates.append(self._assemble(stamp_ns, pending))
            except EgoPerceptionError:
                # One undecodable message costs its frame, not the recording.
                self.num_incomplete += 1
        self._map_stamps = {s for s in self._map_stamps if self._newest_given_ns is None or s > self._newest_given_ns}
        return estimates

    def _assemble(self, stamp_ns: int, pending: _Pending) -> SceneEstimate:
        frame = frame_from_image(pending.image, self._camera, self._index)
        depth, info = pending.parts.get(SceneTopic.DEPTH), pending.parts.get(SceneTopic.DEPTH_INFO)
        confidence, odom = pending.parts.get(SceneTopic.CONFIDENCE), pending.parts.get(SceneTopic.ODOM)
        status = self._status_at(stamp_ns)
        T, covariance = (None, None) if odom is None else self._camera_pose(odom)
        state = self._state(status, T is not None)
        self._index += 1
        return SceneEstimate(
            frame=frame,
            state=state,
            camera=self._scene_camera(frame, info),
            reason="" if state is TrackingState.TRACKING else status.reason,
            camera_is_estimated=status.camera_is_estimated,
            T_world_cam=T,
            covariance=covariance,
            depth=None if depth is None else decode_depth(depth),
            confidence=None if depth is None or confidence is None else decode_confidence(confidence),
            landmarks=self._landmarks[1],
            is_keyframe=stamp_ns in self._map_stamps,
            map_id=status.map_id,
        )

    def _status_at(self, stamp_ns: int) -> _Status:
        """The newest status that is not newer than the frame."""
        known = [s for s in self._statuses if s.stamp_ns <= stamp_ns]
        return known[-1] if known else _Status(stamp_ns, TrackingState.UNKNOWN, "", False, 0)

    @staticmethod
    def _state(status: _Status, has_pose: bool) -> TrackingState:
        """The state that fits what came: a status once a second may be older than the frame, a pose is not."""
        if not has_pose:
            return TrackingState.LOST
        return TrackingState.TRACKING if status.state in (TrackingState.UNKNOWN, TrackingState.LOST) else status.state

    def _camera_pose(self, odom: Any) -> tuple[Array, Array | None]:
        T_odom_head = matrix_from_pose(odom)
        T = T_odom_head @ self._T_head_optical
        covariance = covariance_from_field(odom.pose.covariance)
        if covariance is not None:
            covariance = shift_covariance(covariance, T[:3, 3] - T_odom_head[:3, 3])
        return T, covariance

    def _scene_camera(self, frame: Frame, info: Any | None) -> PinholeCamera:
        """Intrinsics of the image in use: those of the depth image scaled up, else the input's."""
        width, height = frame.size
        if info is not None:
            return camera_from_info(info).resized(width, height)
        if frame.camera is not None:
            return frame.camera
        raise CalibrationError(
            f"nothing told the intrinsics of the frame at {frame.stamp_ns} ns; record camera_info with the image"
        )
