"""Scene nodes that the pages of finished and of live results share: clouds, paths and camera frusta, in ROS axes."""

from __future__ import annotations

from typing import Final

import numpy as np
import viser
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, quat_xyzw_from_matrix
from ego_perception.viz.pictures import Picture, checker, fit_width

PATH_RGB: Final = (47, 143, 216)
TRUTH_RGB: Final = (150, 155, 163)
CURRENT_RGB: Final = (230, 159, 0)
PANEL_WIDTH_PX: Final = 360
_FRUSTUM_IMAGE_PX: Final = 240
_BEHIND_M: Final = 0.9
_ABOVE_M: Final = 0.35
_NO_POINTS: Final = np.zeros((0, 3), np.float32)


def add_cloud(
    server: viser.ViserServer,
    name: str,
    size_m: float,
    points: NDArray[np.float32] = _NO_POINTS,
    colours: Picture | None = None,
) -> viser.PointCloudHandle:
    """Add a coloured cloud, (N, 3) world metres and (N, 3) RGB, drawn with points of `size_m`; empty by default."""
    tint = np.zeros((len(points), 3), np.uint8) if colours is None else colours
    return server.scene.add_point_cloud(
        name, points, tint, point_size=size_m, point_shape="rounded", point_shading="flat", precision="float32"
    )


def add_path(
    server: viser.ViserServer, name: str, positions: NDArray[np.floating], rgb: tuple[int, int, int]
) -> viser.LineSegmentsHandle:
    """Add the line through (N, 3) positions."""
    return server.scene.add_line_segments(name, segments(positions), rgb, thickness=3.0, thickness_units="screen")


def segments(positions: NDArray[np.floating]) -> NDArray[np.float32]:
    """The (N - 1, 2, 3) pieces of a line through (N, 3) positions."""
    return np.stack([positions[:-1], positions[1:]], axis=1).astype(np.float32)


def add_frustum(
    server: viser.ViserServer, name: str, camera: PinholeCamera, *, scale: float, rgb: tuple[int, int, int]
) -> viser.CameraFrustumHandle:
    """Add a camera's field of view, drawn `scale` metres deep, at the origin."""
    aspect = camera.width * camera.fy / (camera.height * camera.fx)
    return server.scene.add_camera_frustum(
        name,
        camera.fov_rad[1],
        aspect,
        scale=scale,
        color=rgb,
        thickness=2.0,
        thickness_units="screen",
        format="jpeg",
        cast_shadow=False,
        receive_shadow=False,
    )


def place(frustum: viser.CameraFrustumHandle, T_world_cam: NDArray[np.float64], image: Picture | None = None) -> None:
    """Move a frustum to a (4, 4) camera-to-world pose and show it, with an RGB picture on it where one is given."""
    x, y, z, w = quat_xyzw_from_matrix(T_world_cam[:3, :3])
    frustum.wxyz = np.array([w, x, y, z])
    frustum.position = T_world_cam[:3, 3]
    if image is not None:
        frustum.image = fit_width(image, _FRUSTUM_IMAGE_PX)
    frustum.visible = True


def look_over_shoulder(server: viser.ViserServer, T_world_cam: NDArray[np.float64], up: NDArray[np.float64]) -> None:
    """Put every visitor's viewpoint behind and above a camera, looking its way."""
    level = T_world_cam[:3, 2] - (T_world_cam[:3, 2] @ up) * up
    eye = T_world_cam[:3, 3] - _BEHIND_M * level + _ABOVE_M * up
    for client in server.get_clients().values():
        with client.atomic():
            client.camera.position = eye
            client.camera.look_at = T_world_cam[:3, 3] + 1.2 * T_world_cam[:3, 2]


def aim_visitors(server: viser.ViserServer, T_world_cam: NDArray[np.float64], up: NDArray[np.float64]) -> None:
    """Let every new visitor start well behind a camera, level, with its view in sight."""
    level = T_world_cam[:3, 2] - (T_world_cam[:3, 2] @ up) * up
    view = server.initial_camera
    view.position = T_world_cam[:3, 3] - 1.1 * level + 0.6 * up
    view.look_at = T_world_cam[:3, 3] + 1.5 * T_world_cam[:3, 2]
    view.up = up


def panel_picture(picture: Picture | None, width: int = PANEL_WIDTH_PX) -> Picture:
    """A picture at panel width; the "no value" pattern for None."""
    return checker(width, width * 3 // 4) if picture is None else fit_width(picture, width)


def side_by_side(left: Picture | None, right: Picture | None) -> Picture:
    """Two pictures next to one another at panel width, on the same height."""
    half = (PANEL_WIDTH_PX - 8) // 2
    a, b = panel_picture(left, half), panel_picture(right, half)
    out = np.full((max(len(a), len(b)), 2 * half + 8, 3), 30, np.uint8)
    out[: len(a), :half] = a
    out[: len(b), half + 8 :] = b
    return out
