"""Shows scene estimates in the browser while they are made; an end of a pipeline that never slows it down.

`write` only notes the newest estimate and, of keyframes, a thinned depth image; pages are updated by a thread of their own, at
most `max_rate_hz` times a second and only while somebody looks. Memory is bounded: keyframes sit in a ring, and the path is
thinned to every second position when it grows too long.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import viser
from numpy.typing import NDArray

from ego_perception.data import SceneEstimate, TrackingState
from ego_perception.geometry import PinholeCamera, transform_points
from ego_perception.viz import nodes
from ego_perception.viz.hands import overlay_hands, overlay_provenance
from ego_perception.viz.pictures import Picture, colour_confidence, colour_depth, depth_range
from ego_perception.viz.result_view import status_line
from ego_perception.viz.server import address, start_server, stop_server

_UP: Final = np.array([0.0, 0.0, 1.0])
_POINT_SIZE_M: Final = 0.012
_MIN_CONFIDENCE: Final = 0.3
_KEYFRAME_WIDTH_PX: Final = 80


@dataclass(frozen=True, eq=False)
class _Keyframe:
    """A thinned depth image with colours, kept until somebody wants to see its points."""

    depth: NDArray[np.float32]
    image: Picture
    camera: PinholeCamera
    T_world_cam: NDArray[np.float64]

    def cloud(self) -> tuple[NDArray[np.float32], Picture]:
        """World points and colours."""
        valid = np.isfinite(self.depth)
        points = (self.camera.rays() * self.depth[..., None])[valid]
        return np.asarray(transform_points(self.T_world_cam, points), np.float32), self.image[valid]


class LiveViewer:
    """A `runtime.Sink` of `SceneEstimate`s with a web page.

    Args:
        port: first port to try; 0 lets the system choose.
        host: address to listen on.
        max_rate_hz: upper bound of page updates per second.
        max_keyframes: clouds kept; the oldest makes room.
        max_path: positions kept.

    Raises:
        OutputError: no free port, or an address that is not this machine's.
    """

    name = "viewer"

    def __init__(
        self,
        *,
        port: int = 8080,
        host: str = "127.0.0.1",
        max_rate_hz: float = 10.0,
        max_keyframes: int = 60,
        max_path: int = 4000,
    ) -> None:
        self._max_path = max(4, max_path)
        self._lock = threading.Lock()
        self._newest: SceneEstimate | None = None
        self._keyframes: deque[tuple[int, _Keyframe]] = deque(maxlen=max_keyframes)
        self._num_keyframes = 0
        self._map_id: int | None = None
        self._path: list[NDArray[np.float64]] = []
        self._path_stride = 1
        self._num_poses = 0
        self._server = start_server(host, port, "live")
        self._page = _LivePage(self._server, max_keyframes)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(1.0 / max_rate_hz,), name="live-viewer", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address to open."""
        return address(self._server)

    @property
    def is_watched(self) -> bool:
        """True while a browser is connected."""
        return bool(self._server.get_clients())

    @property
    def num_stored(self) -> tuple[int, int]:
        """Keyframes and path positions held now."""
        with self._lock:
            return len(self._keyframes), len(self._path)

    def write(self, item: SceneEstimate) -> None:
        """Take the newest estimate; returns at once."""
        keyframe = _thin(item) if item.is_keyframe else None
        with self._lock:
            if item.map_id != self._map_id:
                self._forget(item.map_id)
            self._newest = item
            if item.T_world_cam is not None:
                self._extend_path(item.T_world_cam[:3, 3])
            if keyframe is not None:
                self._keyframes.append((self._num_keyframes, keyframe))
                self._num_keyframes += 1

    def update(self) -> bool:
        """Bring the page up to date; False when there is nothing new."""
        with self._lock:
            estimate, self._newest = self._newest, None
            keyframes, path = list(self._keyframes), np.array(self._path).reshape(-1, 3)
        if estimate is None:
            return False
        with self._server.atomic():
            self._page.show(estimate, keyframes, path)
        return True

    def close(self) -> None:
        """Stop serving; safe to repeat."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join(2.0)
            stop_server(self._server)

    def _work(self, period_s: float) -> None:
        while not self._stopped.wait(period_s):
            if self.is_watched:
                self.update()

    def _extend_path(self, position: NDArray[np.float64]) -> None:
        if self._num_poses % self._path_stride == 0:
            self._path.append(position.copy())
        self._num_poses += 1
        if len(self._path) > self._max_path:
            self._path = self._path[::2]
            self._path_stride *= 2

    def _forget(self, map_id: int) -> None:
        """A new map shares no world with the old one."""
        self._map_id = map_id
        self._keyframes.clear()
        self._path.clear()
        self._path_stride, self._num_poses = 1, 0


class _LivePage:
    """The nodes and controls; used by one thread at a time."""

    def __init__(self, server: viser.ViserServer, max_keyframes: int) -> None:
        self._server = server
        self._max_keyframes = max_keyframes
        self._drawn: dict[int, int] = {}
        self._clouds: dict[int, viser.PointCloudHandle] = {}
        self._frustum: viser.CameraFrustumHandle | None = None
        self._path: viser.LineSegmentsHandle | None = None
        self._limits: tuple[float, float] | None = None
        server.scene.set_up_direction("+z")
        server.scene.configure_default_lights(cast_shadow=False)
        server.initial_camera.position = (-1.5, 0.0, 0.8)
        server.initial_camera.look_at = (1.5, 0.0, 0.0)
        self._status = server.gui.add_html("<div style='padding:4px 12px'>waiting for the first frame</div>")
        self._follow = server.gui.add_checkbox("Follow camera", True)
        self._image = server.gui.add_image(nodes.panel_picture(None), format="jpeg")
        self._depth = server.gui.add_image(nodes.side_by_side(None, None), label="Depth, confidence", format="jpeg")
        self._hands: viser.GuiImageHandle | None = None
        self._hands_status: viser.GuiHtmlHandle | None = None

    def show(self, estimate: SceneEstimate, keyframes: list[tuple[int, _Keyframe]], path: NDArray[np.float64]) -> None:
        self._status.content = status_line(estimate.state, estimate.reason, f"frame {estimate.frame.index}")
        self._image.image = nodes.panel_picture(estimate.frame.rgb)
        self._show_depth(estimate)
        self._show_hands(estimate)
        self._show_clouds(keyframes)
        self._show_path(path)
        T = estimate.T_world_cam
        if T is None:
            if self._frustum is not None:
                self._frustum.visible = False
            return
        if self._frustum is None:
            self._frustum = nodes.add_frustum(self._server, "/camera", estimate.camera, scale=0.22, rgb=nodes.CURRENT_RGB)
        nodes.place(self._frustum, T, estimate.frame.rgb)
        if self._follow.value:
            nodes.look_over_shoulder(self._server, T, _UP)

    def _show_depth(self, estimate: SceneEstimate) -> None:
        depth, confidence = estimate.depth, estimate.confidence
        if depth is not None and self._limits is None and np.isfinite(depth).any():
            self._limits = depth_range([depth])
        self._depth.image = nodes.side_by_side(
            None if depth is None else colour_depth(depth, *(self._limits or (0.5, 5.0))),
            None if confidence is None else colour_confidence(confidence, depth),
        )

    def _show_hands(self, estimate: SceneEstimate) -> None:
        """Hands marked beside the view without them, from the first frame on that has either."""
        removed = estimate.hand_removal
        if removed is None:
            return
        if self._hands is None or self._hands_status is None:
            self._hands_status = self._server.gui.add_html("")
            label = "Hands marked, without hands (blue seen earlier, orange made up)"
            self._hands = self._server.gui.add_image(nodes.side_by_side(None, None), label=label, format="jpeg")
        age_s = (estimate.frame.stamp_ns - removed.frame.stamp_ns) * 1e-9
        late = f", {age_s:.1f} s earlier" if age_s > 0 else ""
        self._hands_status.content = status_line(TrackingState(int(removed.state)), removed.reason, f"hand removal{late}")
        self._hands.image = nodes.side_by_side(
            overlay_hands(removed.frame.rgb, removed.hand_mask),
            None if removed.image is None else overlay_provenance(removed.image, removed.provenance),
        )

    def _show_clouds(self, keyframes: list[tuple[int, _Keyframe]]) -> None:
        """Draw new keyframes into the slots of a ring, so that the browser's memory is bounded as well."""
        wanted = {number % self._max_keyframes: (number, keyframe) for number, keyframe in keyframes}
        for slot in set(self._clouds) - set(wanted):
            self._clouds.pop(slot).remove()
            self._drawn.pop(slot, None)
        for slot, (number, keyframe) in wanted.items():
            if self._drawn.get(slot) == number:
                continue
            if slot not in self._clouds:
                self._clouds[slot] = nodes.add_cloud(self._server, f"/map/{slot}", _POINT_SIZE_M)
            self._clouds[slot].points, self._clouds[slot].colors = keyframe.cloud()
            self._drawn[slot] = number

    def _show_path(self, path: NDArray[np.float64]) -> None:
        if len(path) < 2:
            return
        if self._path is None:
            self._path = nodes.add_path(self._server, "/path", path, nodes.PATH_RGB)
        else:
            self._path.points = nodes.segments(path)


def _thin(estimate: SceneEstimate) -> _Keyframe | None:
    """A small copy of a keyframe's confident depth; None where pose or depth is missing."""
    if estimate.depth is None or estimate.T_world_cam is None:
        return None
    depth = estimate.depth
    if estimate.confidence is not None:
        depth = np.where(estimate.confidence >= _MIN_CONFIDENCE, depth, np.float32(np.nan))
    width = min(_KEYFRAME_WIDTH_PX, depth.shape[1])
    size = (width, max(1, round(depth.shape[0] * width / depth.shape[1])))
    small = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
    image = np.asarray(cv2.resize(estimate.frame.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _Keyframe(small, image, estimate.camera.resized(*size), estimate.T_world_cam.copy())
