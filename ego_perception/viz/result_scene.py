"""The three-dimensional side of a result's page: fused cloud, points of the current frame, cameras and paths, in layers."""

from __future__ import annotations

from typing import Final

import numpy as np
import viser
from numpy.typing import NDArray

from ego_perception.data.result import FrameRecord
from ego_perception.geometry import transform_points
from ego_perception.viz import nodes
from ego_perception.viz.content import ResultContent
from ego_perception.viz.pictures import Picture
from ego_perception.viz.renderings import point_size, thinned

Node = viser.PointCloudHandle | viser.CameraFrustumHandle | viser.LineSegmentsHandle

_NUM_FRUSTA: Final = 16


class ResultScene:
    """Fills a server's scene from a result.

    Args:
        server: a fresh server.
        content: the result.
        max_points: limit of the fused cloud.

    Attributes:
        point_size_m: side of the points of the fused cloud.
        layers: the nodes of each layer that can be switched, by the layer's name.
    """

    def __init__(self, server: viser.ViserServer, content: ResultContent, max_points: int) -> None:
        self._server = server
        self._content = content
        self.point_size_m = 0.01
        self.layers: dict[str, list[Node]] = {}
        server.scene.set_up_direction(content.up)
        server.scene.configure_default_lights(cast_shadow=False)
        self._add_cloud(max_points)
        self._frame_cloud = nodes.add_cloud(server, "/frame/points", 1.3 * self.point_size_m)
        self.layers["Frame cloud"] = [self._frame_cloud]
        self._current: viser.CameraFrustumHandle | None = None
        self._add_frusta()
        self._add_paths()
        first = next((f.T_world_cam for f in content.frames if f.T_world_cam is not None), None)
        if first is not None:
            nodes.aim_visitors(server, first, content.up)

    def set_layer(self, name: str, on: bool) -> None:
        """Show or hide one layer."""
        for node in self.layers[name]:
            node.visible = on

    def set_point_size(self, size_m: float) -> None:
        """Change the size of all points, metres."""
        self.point_size_m = size_m
        self._frame_cloud.point_size = 1.3 * size_m
        for cloud in self.layers.get("Fused cloud", []):
            if isinstance(cloud, viser.PointCloudHandle):
                cloud.point_size = size_m

    def show(self, frame: FrameRecord, min_confidence: float) -> None:
        """Place the current camera and its own points; a lost frame has neither."""
        self._frame_cloud.points, self._frame_cloud.colors = frame_points(self._content, frame, min_confidence)
        if frame.T_world_cam is None:
            if self._current is not None:
                self._current.visible = False
            return
        if self._current is None:
            self._current = nodes.add_frustum(self._server, "/frame/camera", frame.camera, scale=0.22, rgb=nodes.CURRENT_RGB)
        nodes.place(self._current, frame.T_world_cam, self._content.image(frame))

    def _add_cloud(self, max_points: int) -> None:
        if len(self._content.cloud[0]) == 0:
            return
        points, colours = thinned(*self._content.cloud, max_points)
        self.point_size_m = point_size(points) / 1.5
        self.layers["Fused cloud"] = [nodes.add_cloud(self._server, "/cloud", self.point_size_m, points, colours)]

    def _add_frusta(self) -> None:
        frusta: list[Node] = []
        for frame in self._content.sampled(_NUM_FRUSTA):
            if frame.T_world_cam is not None:
                name = f"/cameras/{frame.index:06d}"
                frustum = nodes.add_frustum(self._server, name, frame.camera, scale=0.06, rgb=nodes.PATH_RGB)
                nodes.place(frustum, frame.T_world_cam)
                frusta.append(frustum)
        if frusta:
            self.layers["Cameras"] = frusta

    def _add_paths(self) -> None:
        estimate, truth = self._content.reader.trajectory, self._content.truth_in_world()
        if estimate is not None and len(estimate) > 1:
            self.layers["Camera path"] = [nodes.add_path(self._server, "/path", estimate.positions, nodes.PATH_RGB)]
        if truth is not None:
            self.layers["True path"] = [nodes.add_path(self._server, "/true_path", truth, nodes.TRUTH_RGB)]


def frame_points(content: ResultContent, frame: FrameRecord, min_confidence: float) -> tuple[NDArray[np.float32], Picture]:
    """World points and colours of one frame from `min_confidence` up; empty where its pose or depth is missing."""
    depth, image = content.depth(frame), content.image(frame)
    if depth is None or image is None or frame.T_world_cam is None:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
    camera = frame.camera.resized(depth.shape[1], depth.shape[0])
    kept = np.isfinite(depth)
    confidence = content.confidence(frame)
    if confidence is not None and confidence.shape == depth.shape:
        kept &= confidence >= min_confidence
    points = (camera.rays() * depth[..., None])[kept]
    rows = (np.arange(depth.shape[0]) * image.shape[0]) // depth.shape[0]
    columns = (np.arange(depth.shape[1]) * image.shape[1]) // depth.shape[1]
    colours = image[rows[:, None], columns][kept]
    return np.asarray(transform_points(frame.T_world_cam, points), np.float32), colours
