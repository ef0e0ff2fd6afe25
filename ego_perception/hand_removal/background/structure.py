"""The inverse depth of everything in view, also behind the hands: carried from image to image, refined by how it moves.

Like the depth filters of visual odometry (Engel et al., ICCV 2013), but dense, and with a coarse part that neighbours share,
because a surface is seldom alone. Depth has no unit here unless somebody gives it one; only ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.pull_push import pull_push

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FIRST_DOUBT = 0.5  # standard deviation of what is not known yet, as a share of the inverse depth
_GIVEN_DOUBT = 0.05  # the same of depth that somebody else measured
_CONTRADICTION = 0.3  # a given depth this far off replaces ours
_LEAST_DOUBT = 0.04  # below which it never falls
_LEAST_PARALLAX_PX = 0.5
_NOISE_PX = 0.7  # of the measured motion
_CONTRAST, _STRAY_PX = 10.0, 1.0  # grey levels and pixels that double the noise
_NEAREST, _FARTHEST = 50.0, 0.02  # limits of the inverse depth
_LARGEST_STEP = 0.3
_COARSE, _COARSE_SIGMA = 8, 1.5  # cells of the shared part, pixels; their reach, cells
_SHARED_GAIN, _GLOBAL_GAIN = 10.0, 20.0  # independent measurements per cell
_LEAK = 0.93
_CLOSEST = 0.05  # share of its depth by which a point may come nearer


@dataclass(frozen=True, eq=False)
class Structure:
    """(h, w) inverse depth and its information (one over the variance)."""

    inverse: Map
    information: Map


def sampled(image: NDArray[np.uint8], xy: Map, interpolation: int) -> NDArray[np.uint8]:
    """An image (h, w) or (h, w, C) at places (H, W, 2), pixels; beyond its border as at it."""
    # The second map has to be None: an empty array gives wrong pixels (OpenCV 5.0, linear).
    out = cv2.remap(image, xy, None, interpolation, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(out, np.uint8)


class Warp:
    """Where the pixels of a camera lie in another one, by their inverse depth.

    Args:
        rays: (h, w, 3) of the camera, which has no distortion; or every n-th of them.
        T: (4, 4) from the camera's frame to the other one's.
        camera: of both, at working size.

    Attributes:
        xy: (h, w, 2) float32 pixels in the other image.
    """

    def __init__(self, rays: Map, inverse: Map, T: Array, camera: PinholeCamera) -> None:
        self._t, self._camera = T[:3, 3].astype(np.float32), camera
        self._x, self._y, z = _moved(rays, inverse, T)
        self._scale = np.float32(1) / np.maximum(z, np.float32(_CLOSEST), out=z)
        self._x *= self._scale
        self._y *= self._scale
        x, y = self._x * np.float32(camera.fx), self._y * np.float32(camera.fy)
        x += np.float32(camera.cx)
        y += np.float32(camera.cy)
        self.xy = np.asarray(cv2.merge([x, y]), np.float32)

    def inside(self) -> Mask:
        """True where the place lies in the other image."""
        h, w = self.xy.shape[:2]
        return np.asarray((cv2.inRange(self.xy, (0, 0), (w - 1, h - 1)) > 0) & (self._scale < np.float32(1 / _CLOSEST)))

    def parallax(self) -> tuple[Map, Map]:
        """Derivative of the place by the inverse depth, columns and rows, (h, w) each."""
        c, t = self._camera, self._t
        x = (t[0] - self._x * t[2]) * (self._scale * np.float32(c.fx))
        y = (t[1] - self._y * t[2]) * (self._scale * np.float32(c.fy))
        return x, y


def _moved(rays: Map, inverse: Map, T: Array) -> tuple[Map, Map, Map]:
    """Points of all pixels in another camera's frame, times their inverse depth; planes are much faster than triples."""
    # Without distortion a ray's x is that of its column, and its y that of its row.
    col, row, T = rays[0, :, 0], rays[:, :1, 1], T.astype(np.float32)

    def moved(axis: int) -> Map:
        out = inverse * T[axis, 3]
        out += T[axis, 0] * col + T[axis, 2]
        out += T[axis, 1] * row
        return out

    return moved(0), moved(1), moved(2)


def unknown(shape: tuple[int, int]) -> Structure:
    """A wall at distance one."""
    inverse = np.ones(shape, np.float32)
    return Structure(inverse, _doubtful(inverse))


def _doubtful(inverse: Map) -> Map:
    return np.asarray(1 / (_FIRST_DOUBT * inverse) ** 2, np.float32)


def splat(rays: Map, inverse: Map, T_now_older: Array, camera: PinholeCamera) -> tuple[NDArray[np.int64], Map]:
    """Look at the pixels of an older camera from the newer one; what is nearer hides what is behind it.

    Returns:
        index: (h, w) flat index of the older pixel that is seen at each newer one, -1 where none is.
        inverse: (h, w) its inverse depth in the newer camera, 0 where none.
    """
    h, w = inverse.shape
    col, row, depth = (m.ravel() for m in _moved(rays, inverse, T_now_older))
    scale = np.float32(1) / np.maximum(depth, np.float32(1e-3))
    col *= scale
    col *= np.float32(camera.fx)
    col += np.float32(camera.cx)
    row *= scale
    row *= np.float32(camera.fy)
    row += np.float32(camera.cy)
    col, row = np.rint(col, out=col), np.rint(row, out=row)
    nearness = np.asarray(inverse.ravel() * scale, np.float32)
    shown = np.flatnonzero((depth > _CLOSEST) & (col >= 0) & (col < w) & (row >= 0) & (row < h))
    goal = (row * w + col)[shown].astype(np.int64)
    index = np.full(h * w, -1, np.int64)
    index[goal] = shown
    # Few pixels meet others at their place: the nearer one stays.
    late = np.flatnonzero(index[goal] != shown)
    while len(late):
        late = late[nearness[shown[late]] > nearness[index[goal[late]]]]
        index[goal[late]] = shown[late]
    return _without_cracks(index.reshape(h, w), nearness)


def _without_cracks(index: NDArray[np.int64], nearness: Map) -> tuple[NDArray[np.int64], Map]:
    """Close lines one pixel wide between neighbours, and put back surfaces through which others show."""
    h, w = index.shape
    flat = index.ravel()
    gap = np.flatnonzero(flat < 0)
    row, col = np.divmod(gap, w)
    filler = np.full(len(gap), -1, np.int64)
    # Lines between left and right count before those between above and below.
    for inner, step in (((row > 0) & (row < h - 1), w), ((col > 0) & (col < w - 1), 1)):
        at = gap[inner]
        filler[inner] = np.where((flat[at - step] >= 0) & (flat[at + step] >= 0), flat[at - step], filler[inner])
    flat[gap] = filler
    inverse = nearness[index]
    inverse.ravel()[gap[filler < 0]] = 0
    middle = np.asarray(cv2.medianBlur(inverse, 3), np.float32)
    return index, np.where((inverse > 0) & (inverse < _LEAK * middle), middle, inverse)


def carried(older: Structure, index: NDArray[np.int64], inverse: Map) -> Structure:
    """The structure of the newer camera from a `splat` of the older one, continued smoothly where nothing arrived."""
    known = index >= 0
    filled = inverse if known.all() else np.where(known, inverse, pull_push(inverse, known.astype(np.float32)))
    filled = np.clip(filled, _FARTHEST, _NEAREST).astype(np.float32)
    once = 1 / (filled * filled)
    sure = once * np.float32(_LEAST_DOUBT**-2)  # or nothing would ever change again
    information = np.where(known, np.minimum(older.information.ravel()[index], sure), once * np.float32(_FIRST_DOUBT**-2))
    return Structure(filled, information)


def refined(structure: Structure, warp: Warp, residual: Map, error: Map, visible: Mask) -> Structure:
    """Correct the inverse depth by motion that it does not explain.

    Args:
        warp: to the image in which the motion was measured.
        residual: (h, w, 2) pixels by which the place in that image is off.
        error: (h, w) grey levels that are left after it.
        visible: (h, w) where it was measured.
    """
    (px, py), (rx, ry) = warp.parallax(), cv2.split(residual)
    strength = px * px + py * py
    stray = rx * rx + ry * ry
    noise = (1 + error * error * np.float32(_CONTRAST**-2)) * (1 + stray * np.float32(_STRAY_PX**-2))
    # Where depth would hardly show, noise would be taken for it, and feed on itself through the motion.
    shows = strength * structure.inverse * structure.inverse > _LEAST_PARALLAX_PX**2
    weight = np.asarray(strength * (visible & shows) * np.float32(_NOISE_PX**-2) / noise, np.float32)
    step = np.asarray((px * rx + py * ry) / np.maximum(strength, np.float32(1e-12)), np.float32)
    shared = _shared_step(weight, step, structure.information)
    own = weight / (weight + structure.information) * (step - shared)
    limit = _LARGEST_STEP * structure.inverse
    inverse = structure.inverse + np.minimum(np.maximum(shared + own, -limit), limit)
    return Structure(np.clip(inverse, _FARTHEST, _NEAREST), structure.information + weight)


def _shared_step(weight: Map, step: Map, information: Map) -> Map:
    """The part of the correction that is common: a plane over the whole image, and what the surroundings add to it."""
    h, w = step.shape
    size = (max(w // _COARSE, 4), max(h // _COARSE, 4))
    moment, amount, known = (_shrunk(m, size) for m in (weight * step, weight, information))
    basis = _plane_basis(size)
    A = _GLOBAL_GAIN * basis.T @ (basis * amount.reshape(-1, 1))
    A += np.eye(3) * _LARGEST_STEP * float(np.median(known)) * len(basis)
    plane = (basis @ np.linalg.solve(A, _GLOBAL_GAIN * basis.T @ moment.ravel())).reshape(size[::-1]).astype(np.float32)
    moment, amount, known = (_blurred(m) for m in (moment - amount * plane, amount, known))
    local = _SHARED_GAIN * moment / (_SHARED_GAIN * amount + known)
    return np.asarray(cv2.resize(plane + local, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=4)
def _plane_basis(size: tuple[int, int]) -> Array:
    """(N, 3) values of 1, x and y in -1..1 at the cells of an image of `size` (width, height)."""
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    return np.stack([np.ones_like(x), x, y], axis=-1).reshape(-1, 3)


def _shrunk(values: Map, size: tuple[int, int]) -> Map:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(values: Map) -> Map:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _COARSE_SIGMA), np.float32)


def informed(structure: Structure, given: Map, where: Mask) -> Structure:
    """Take over inverse depth that somebody else measured, in our unit; ours stays outside `where`."""
    weight = 1 / (_GIVEN_DOUBT * np.maximum(given, _FARTHEST)) ** 2
    blend = (structure.inverse * structure.information + given * weight) / (structure.information + weight)
    is_other = np.abs(given - structure.inverse) > _CONTRADICTION * structure.inverse
    inverse = np.where(where, np.where(is_other, given, blend), structure.inverse)
    information = np.where(where, np.where(is_other, weight, structure.information + weight), structure.information)
    return Structure(np.clip(inverse, _FARTHEST, _NEAREST).astype(np.float32), information.astype(np.float32))
