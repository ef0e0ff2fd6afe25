"""Optical flow and scene flow between two instants, from depth, poses and the motion of what each pixel shows.

Every pixel becomes a point of the world, the point moves with the thing it belongs to, and the next camera looks at it: nothing
is estimated, so the flow is as exact as the depth. It is computed in the final image, with its lens distortion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert, make_transform, transform_points
from ego_perception.simulation.lens import pixel_rays, project

Array = NDArray[np.float64]
Image = NDArray[np.float32]

ON_SURFACE_M: Final = 0.03
"""A pixel further than this from the mesh it should belong to has no flow."""

BACK_M: Final = 0.01
"""The inside of a mesh is taken for what a pixel shows only where its outside is this much further from the pixel's point: the
two sides of a thin part lie close together, but one can look into a sleeve."""

_NEAREST_M, _FLAT = 0.01, 1e-15


@dataclass(frozen=True, eq=False)
class RigidMotion:
    """Poses (4, 4) of a rigid thing at both instants, thing to world."""

    now: Array
    next: Array


@dataclass(frozen=True, eq=False)
class SkinMotion:
    """Vertices (V, 3) of a deforming mesh at both instants, world, metres, and its triangles (F, 3), seen from outside
    counter-clockwise."""

    now: Array
    next: Array
    faces: NDArray[np.integer]


def optical_flow(
    depth: NDArray[np.float32],
    camera: PinholeCamera,
    T_world_cam: Array,
    T_world_cam_next: Array,
    instances: NDArray[np.uint16] | None = None,
    motions: Mapping[int, RigidMotion] | None = None,
    skins: Mapping[int, SkinMotion] | None = None,
) -> tuple[Image, Image]:
    """Compute where every visible surface point goes.

    Args:
        depth: (H, W) metres along the optical axis, 0 where there is nothing.
        camera: of this image and of the next; lens distortion is honoured.
        T_world_cam, T_world_cam_next: (4, 4) camera-to-world at both instants.
        instances: (H, W) number of the thing in each pixel; None where everything is static.
        motions, skins: by instance, how things move; what is in neither is static.

    Returns:
        Optical flow (H, W, 2) float32, pixels, and scene flow (H, W, 3) float32, metres along the world's axes. Both are NaN
        where there is no depth; the first also where the point goes behind the next camera.
    """
    has_depth = depth > 0
    points = pixel_rays(camera) * depth[..., None]
    points[~has_depth] = np.nan
    scene_flow = np.zeros_like(points)
    scene_flow[~np.isfinite(points[..., 2])] = np.nan
    after = transform_points(invert(T_world_cam_next) @ T_world_cam, points)
    if instances is not None:
        for instance, motion in (motions or {}).items():
            mask = (instances == instance) & has_depth
            T = motion.next @ invert(motion.now)
            if mask.any() and not np.array_equal(T, np.eye(4)):
                world = transform_points(T_world_cam, points[mask].astype(np.float64))
                scene_flow[mask] = transform_points(T, world) - world
        for instance, skin in (skins or {}).items():
            mask = (instances == instance) & has_depth
            if mask.any():
                pixels, displacement = _skin_displacement(skin, mask, points, camera, T_world_cam)
                scene_flow[mask] = np.nan
                scene_flow.reshape(-1, 3)[pixels] = displacement
        after += transform_points(make_transform(T_world_cam_next[:3, :3].T, np.zeros(3)), scene_flow)
    return project(camera, after) - _pixel_grid(camera), scene_flow


def visible_next(
    flow: Image,
    scene_flow: Image,
    depth: NDArray[np.float32],
    depth_next: NDArray[np.float32],
    camera: PinholeCamera,
    T_world_cam: Array,
    T_world_cam_next: Array,
    *,
    tolerance_m: float = 0.01,
    tolerance_share: float = 0.02,
) -> NDArray[np.bool_]:
    """Mark pixels whose surface point is seen in the next image: (H, W) bool.

    A point is seen where all four pixels around its new place have its new depth, within `tolerance_m` plus
    `tolerance_share` of that depth; so points at the rim of something else are out, where interpolation would mix surfaces.
    """
    T = (invert(T_world_cam_next) @ T_world_cam).astype(np.float32)
    expected = (pixel_rays(camera) @ T[2, :3]) * depth + T[2, 3] + scene_flow @ T_world_cam_next[:3, 2].astype(np.float32)
    target = flow + _pixel_grid(camera)
    u, v = target[..., 0], target[..., 1]
    inside = (u >= 0) & (v >= 0) & (u <= camera.width - 1) & (v <= camera.height - 1)
    x, y = (np.where(inside, np.floor(target[..., k]), 0).astype(np.intp) for k in (0, 1))
    right, below = np.minimum(x + 1, camera.width - 1), np.minimum(y + 1, camera.height - 1)
    seen = inside & (depth > 0)
    for row, col in ((y, x), (y, right), (below, x), (below, right)):
        found = depth_next[row, col]
        seen &= (np.abs(found - expected) <= tolerance_m + tolerance_share * expected) & (found > 0)
    return seen


def warp_backward(image_next: NDArray[np.uint8], flow: Image) -> NDArray[np.uint8]:
    """Fetch for each pixel what the next (H, W, 3) image shows at its new place, bilinear; black outside."""
    height, width = flow.shape[:2]
    x = np.nan_to_num(flow[..., 0] + np.arange(width, dtype=np.float32), nan=-9.0)
    y = np.nan_to_num(flow[..., 1] + np.arange(height, dtype=np.float32)[:, None], nan=-9.0)
    return np.asarray(cv2.remap(image_next, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8)


def _skin_displacement(
    skin: SkinMotion, mask: NDArray[np.bool_], points: Image, camera: PinholeCamera, T_world_cam: Array
) -> tuple[NDArray[np.intp], Array]:
    """Find what the pixels of a mesh show by casting their rays on the triangles around.

    The ray r of a pixel meets the plane of the triangle (a, b, c), in camera axes, where r z = [a b c] w / (w1 + w2 + w3) with
    w = [a b c]^-1 r; the shares of w are the barycentric weights, cut at 0 for a pixel just beside the mesh.

    Returns:
        Flat indices (N,) of the pixels of `mask` whose triangle is known, and their motion (N, 3) in the world.
    """
    now = np.asarray(transform_points(invert(T_world_cam), skin.now), np.float64)
    faces, inverse, is_back = _in_front(now, skin.faces)
    face, pixel = _candidates(project(camera, now)[faces], mask)
    w = np.einsum("nij,nj->in", inverse[face], pixel_rays(camera).reshape(-1, 3)[pixel].astype(np.float64))
    keep = _likely(w, points[..., 2].ravel()[pixel], pixel, mask.size)
    face, pixel = face[keep], pixel[keep]
    w = np.maximum(w[:, keep], 0)
    w /= np.maximum(w.sum(axis=0), 1e-12)
    gap = np.einsum("in,nid->dn", w, now[faces[face]]) - points.reshape(-1, 3)[pixel].T
    squared = np.square(gap).sum(axis=0) + is_back[face] * BACK_M**2
    # The last one written stays: the closest of each pixel's candidates.
    order = np.argsort(-squared, kind="stable")
    best = np.full(mask.size, -1, np.intp)
    best[pixel[order]] = order
    found = np.flatnonzero(best >= 0)
    found = found[squared[best[found]] <= ON_SURFACE_M**2]
    chosen = best[found]
    corners = faces[face[chosen]]
    return found, np.einsum("in,nid->nd", w[:, chosen], (skin.next - skin.now)[corners])


def _likely(w: Array, depth: NDArray[np.float32], pixel: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Candidates that their pixel's ray hits at its depth, and all candidates of pixels that have no such one."""
    inverse_depth = w.sum(axis=0)
    hits = (w.min(axis=0) > -0.01 * inverse_depth) & (np.abs(inverse_depth * depth - 1) < ON_SURFACE_M * inverse_depth)
    is_settled = np.zeros(size, np.bool_)
    is_settled[pixel[hits]] = True
    return np.flatnonzero(hits | ~is_settled[pixel])


def _in_front(points: Array, faces: NDArray[np.integer]) -> tuple[NDArray[np.integer], Array, NDArray[np.bool_]]:
    """Triangles (G, 3) in front of the camera, the inverses (G, 3, 3) of their corner matrices, and which show their inside."""
    faces = faces[(points[:, 2] > _NEAREST_M)[faces].all(axis=1)]
    a, b, c = (points[faces[:, k]] for k in range(3))
    rows = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    determinant = np.einsum("nd,nd->n", a, rows[:, 0])
    is_flat = np.abs(determinant) < _FLAT
    rows, determinant = rows[~is_flat], determinant[~is_flat]
    return faces[~is_flat], rows / determinant[:, None, None], determinant > 0


def _candidates(corners: Array, mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs (triangle, flat pixel index) for all pixels of `mask` in the rectangle around each projected triangle (G, 3, 2)."""
    height, width = mask.shape
    # Ids may come from the nearest pixel of a render, so a pixel up to half a pixel beside a triangle may show it.
    low, high = corners.min(axis=1) - 0.5, corners.max(axis=1) + 0.5
    limit = np.array([width - 1, height - 1])
    with np.errstate(invalid="ignore"):
        in_image = ((high >= 0) & (low <= limit)).all(axis=1)
    known = np.flatnonzero(in_image)
    first = np.maximum(np.ceil(low[known]), 0).astype(np.intp)
    size = np.maximum(np.minimum(np.floor(high[known]), limit).astype(np.intp) - first + 1, 0)
    count = size.prod(axis=1)
    face = np.repeat(np.arange(len(known)), count)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    row, col = np.divmod(within, size[face, 0])
    pixel = (first[face, 1] + row) * width + first[face, 0] + col
    of_mesh = mask.ravel()[pixel]
    return known[face[of_mesh]], pixel[of_mesh]


def _pixel_grid(camera: PinholeCamera) -> Image:
    x, y = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), axis=-1)
