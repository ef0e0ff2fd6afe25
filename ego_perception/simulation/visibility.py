"""What of a person the camera sees: joints, vertices, boxes and the share that the image border cuts off."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, transform_points
from ego_perception.simulation.lens import project

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1: the outer borders of a rectangle of pixels; a single pixel (u, v) is (u - 0.5, v - 0.5, u + 0.5, v + 0.5)."""

BODY_DEPTH_M: Final = 0.12
"""A joint lies at most this deep below the skin in front of it (pelvis and spine are deepest)."""
SKIN_TOLERANCE_M: Final = 0.01
"""A vertex may lie this much behind the rendered surface and still be seen: clothes, and the size of a pixel."""


def joint_visibility(
    joints: Array,
    camera: PinholeCamera,
    T_world_cam: Array,
    depth: NDArray[np.float32],
    instances: NDArray[np.uint16],
    own_instance: int,
    tolerance: float = BODY_DEPTH_M,
) -> Flags:
    """Mark the joints that project into the image and that no other thing hides: (J,) bool.

    A joint whose pixel shows its own person is visible, also through another part of that person. Where the pixel shows
    something else, the joint is visible unless that lies in front of it by more than `tolerance` metres: a joint at the rim of
    a thin limb may project beside it.

    Args:
        joints: (J, 3), world, metres.
        depth, instances: (H, W) of the rendered image; metres along the optical axis, 0 where there is nothing.
    """
    at, inside, z = _pixels_of(joints, camera, T_world_cam)
    found = depth[at]
    is_own = instances[at] == own_instance
    is_behind = (found > 0) & (found < z - tolerance)
    return np.asarray(inside & (is_own | ~is_behind), np.bool_)


def vertex_visibility(
    vertices: Array,
    faces: NDArray[np.integer],
    camera: PinholeCamera,
    T_world_cam: Array,
    depth: NDArray[np.float32],
    tolerance: float = SKIN_TOLERANCE_M,
) -> Flags:
    """Mark the vertices that face the camera and are what it sees at their pixel: (V,) bool.

    Args:
        vertices: (V, 3), world, metres; faces (F, 3), counter-clockwise seen from outside.
        depth: (H, W) of the rendered image, with everything in it.
        tolerance: how far a vertex may lie behind the depth of the pixels around it, metres.
    """
    at, inside, z = _pixels_of(vertices, camera, T_world_cam)
    # The farthest of the nine pixels around: on a slanted surface the nearest pixel's centre may be closer than the vertex.
    farthest = cv2.dilate(np.where(depth > 0, depth, np.float32(np.inf)), np.ones((3, 3), np.uint8))
    is_front = z <= np.minimum(np.asarray(farthest)[at], depth[at] * (1 + _slope_share(camera))) + tolerance
    facing = np.einsum("vd,vd->v", vertex_normals(vertices, faces), T_world_cam[:3, 3] - vertices) > 0
    return np.asarray(inside & facing & is_front & (depth[at] > 0), np.bool_)


def vertex_normals(vertices: Array, faces: NDArray[np.integer]) -> Array:
    """Area-weighted outward normals (V, 3), not of unit length."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    corners = faces.ravel()
    each = np.repeat(normal, 3, axis=0)
    return np.stack([np.bincount(corners, each[:, k], len(vertices)) for k in range(3)], axis=1)


def visible_box(instances: NDArray[np.uint16], own_instance: int) -> Box | None:
    """The box around all pixels of an instance, or None where there are none."""
    mask = instances == own_instance
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    return float(cols[0]) - 0.5, float(rows[0]) - 0.5, float(cols[-1]) + 0.5, float(rows[-1]) + 0.5


def projected_box(points: Array, camera: PinholeCamera, T_world_cam: Array) -> Box | None:
    """The amodal box around the projections of points (N, 3): not cut at the border, whatever hides them.

    Points behind the camera cannot be projected and do not count; None where no point is in front.
    """
    pixels = project(camera, transform_points(invert(T_world_cam), points))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if len(pixels) == 0:
        return None
    (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def truncated_share(points: Array, camera: PinholeCamera, T_world_cam: Array) -> float:
    """Share of points (N, 3) of a body that lie outside the image, behind the camera included; 0 to 1."""
    _, inside, _ = _pixels_of(points, camera, T_world_cam)
    return 1.0 - float(inside.mean())


def _pixels_of(
    points: Array, camera: PinholeCamera, T_world_cam: Array
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Flags, Array]:
    """Nearest pixels (row, column) of world points, which of them lie in the image, and their depth."""
    local = transform_points(invert(T_world_cam), np.asarray(points, np.float64))
    pixels = project(camera, local)
    # A pixel reaches half a pixel around its integer centre.
    with np.errstate(invalid="ignore"):
        inside = (pixels >= -0.5).all(axis=1) & (pixels[:, 0] < camera.width - 0.5) & (pixels[:, 1] < camera.height - 0.5)
    col, row = (np.rint(np.where(inside, pixels[:, k], 0.0)).astype(np.intp) for k in (0, 1))
    return (np.clip(row, 0, camera.height - 1), np.clip(col, 0, camera.width - 1)), inside, np.asarray(local[:, 2], np.float64)


def _slope_share(camera: PinholeCamera) -> float:
    """Change of depth from one pixel to the next on a surface seen at 80 degrees to its normal, as a share."""
    return 5.7 / camera.fx
