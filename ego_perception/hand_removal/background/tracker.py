"""Follows camera and structure from image to image, so that every pixel of an image can be found in any image before.

The motion comes from corners whose inverse depth is known so far; what dense flow to an image some frames older finds beyond it
corrects first the motion, then the inverse depth. Depth and pose from elsewhere replace both as far as the image agrees.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert
from ego_perception.geometry.flow import DenseFlow
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.motion import (
    MIN_POINTS,
    Motion,
    composed,
    follow,
    is_still,
    reprojection_error,
    solve_motion,
)
from ego_perception.hand_removal.background.pull_push import pull_push
from ego_perception.hand_removal.background.structure import (
    Structure,
    Warp,
    carried,
    informed,
    refined,
    sampled,
    splat,
    unknown,
)

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BASELINE_FRAMES = 6  # the older image in which motion is measured: far enough for parallax, near enough to overlap
_MIN_OVERLAP = 0.7
_ROUNDS_AT_FIRST = 2
_YOUNG = 30.0  # information times squared inverse depth
_GRID = 10  # pixels between the places from which the motion is found anew
_KNOWN_WELL = 50.0  # information times squared inverse depth from which a corner has its full say
_MAX_ERROR = 20.0
_AGREES = 1.2, 0.5  # a given pose may err this much more than ours, and this many pixels


@dataclass(frozen=True, eq=False)
class View:
    """One image as the tracker knows it; all at working size.

    Attributes:
        grey: (h, w) uint8; `filled` the same with the remembered background in its hole.
        hidden: (h, w) bool, True where the background is hidden; `grown` the same with a rim.
        camera: without distortion.
        rays: (h, w, 3) of the camera.
        T_world_cam: (4, 4), in the unit of the structure.
        brightness: of the camera, relative to the first image.
        geometry: what was given with the image.
    """

    grey: Grey
    filled: Grey
    hidden: Mask
    grown: Mask
    camera: PinholeCamera
    rays: Map
    structure: Structure
    T_world_cam: Array
    brightness: float = 1.0
    geometry: SceneGeometry | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """How an image follows from an older one.

    Attributes:
        index: (h, w) flat index of the older image's pixel that shows the same place, -1 where it was not in view or covered.
        flow: (h, w, 2) the background at p was at p + flow[p].
        error: (h, w) photometric error in grey levels, continued smoothly behind the hands.
    """

    view: View
    index: NDArray[np.int64]
    flow: Map
    error: Map


class Tracks(NamedTuple):
    """Corners of the visible background: (N, 2) places in an image and (N, 2) in the view before it, pixels."""

    now_xy: Array
    then_xy: Array


class Tracker:
    """Keeps the newest view and a few before it."""

    def __init__(self) -> None:
        self._flow = DenseFlow(spatial_propagation=True)
        self._views: deque[View] = deque(maxlen=_BASELINE_FRAMES)

    def clear(self) -> None:
        """Forget all views."""
        self._views.clear()

    def add(self, view: View) -> None:
        """Make a finished view the newest."""
        self._views.append(view)

    def first(self, view: View) -> View:
        """Begin with an image of which nothing is known but what is given."""
        structure = unknown((view.grey.shape[0], view.grey.shape[1]))
        given = _given_inverse(view)
        seen = np.zeros_like(view.hidden) if given is None else (given > 0) & ~view.hidden
        if given is not None and seen.any():
            structure = informed(structure, np.where(seen, given, np.median(given[seen])), np.ones_like(view.hidden))
        return replace(view, structure=structure, T_world_cam=np.eye(4))

    def track(self, grey: Grey, hidden: Mask) -> Tracks:
        """Follow corners of an image into the newest view."""
        last = self._views[-1]
        return Tracks(*follow(grey, last.filled, hidden, last.hidden))

    def follow(self, view: View, tracks: Tracks) -> Step | None:
        """Find the newest view again in an image; None where too little background is seen in both."""
        last = self._views[-1]
        motion = self._motion(view, last, tracks)
        if motion is None:
            return None
        return (
            self._stay(view, last)
            if np.array_equal(motion.T_now_older, np.eye(4))
            else self.step(view, last, motion.T_now_older)
        )

    def _stay(self, view: View, last: View) -> Step:
        """The step of a camera that stands still: nothing is learnt, and nothing drifts."""
        now = _with_given(replace(view, structure=last.structure, T_world_cam=last.T_world_cam))
        error = cv2.absdiff(view.grey, last.filled).astype(np.float32)
        index = np.arange(view.grey.size).reshape(view.grey.shape)
        return Step(now, index, np.zeros((*view.grey.shape, 2), np.float32), _continued(error, ~view.hidden & ~last.hidden))

    def step(self, view: View, last: View, T_now_last: Array) -> Step:
        """Carry structure over from `last`, whose motion to the image is known, and refine both."""
        index, inverse = splat(last.rays, last.structure.inverse, T_now_last, view.camera)
        structure = carried(last.structure, index, inverse)
        now = replace(view, structure=structure, T_world_cam=composed(last.T_world_cam, invert(T_now_last)))
        reference = self._reference(now, last)
        for _ in range(_ROUNDS_AT_FIRST if _is_young(structure) else 1):
            # Motion and structure are found in turn; the same measurement must not count more than once.
            now, error = self._refine(
                replace(now, structure=replace(now.structure, information=structure.information)), reference
            )
        now = _with_given(now)
        back = Warp(now.rays, now.structure.inverse, invert(last.T_world_cam) @ now.T_world_cam, now.camera)
        here = Warp(now.rays, now.structure.inverse, np.eye(4), now.camera)
        return Step(now, index, back.xy - here.xy, error)

    def _motion(self, view: View, last: View, tracks: Tracks) -> Motion | None:
        now_xy, then_xy = tracks
        if len(now_xy) < MIN_POINTS:
            return None
        if is_still(now_xy, then_xy):
            return Motion(np.eye(4), np.abs(now_xy - then_xy).max(axis=1))
        given = _given_motion(view, last)
        rays = _rays_at(last.camera, then_xy)
        at = np.clip(np.round(then_xy).astype(np.int64), 0, [view.grey.shape[1] - 1, view.grey.shape[0] - 1])
        inverse = last.structure.inverse[at[:, 1], at[:, 0]].astype(np.float64)
        weight = _say(last.structure, at)
        motion = solve_motion(rays, inverse, now_xy, weight, view.camera, np.eye(4))
        if given is not None:
            error = reprojection_error(given, rays, inverse, now_xy, view.camera)
            share, slack = _AGREES
            if np.median(error) <= share * np.median(motion.error_px) + slack:
                motion = Motion(given, error)
        return motion if motion.is_sound else None

    def _reference(self, now: View, last: View) -> View:
        """The oldest view that still shows most of what is seen now."""
        rays, inverse = (np.ascontiguousarray(m[::16, ::16]) for m in (now.rays, now.structure.inverse))
        h, w = now.grey.shape
        for view in self._views:
            xy = Warp(rays, inverse, invert(view.T_world_cam) @ now.T_world_cam, now.camera).xy
            if ((xy >= 0) & (xy <= [w - 1, h - 1])).all(axis=-1).mean() > _MIN_OVERLAP:
                return view
        return last

    def _refine(self, now: View, older: View) -> tuple[View, Map]:
        """Correct motion and structure by dense flow to an older view; also the error that is left, (h, w) grey levels."""
        T_older_now = composed(invert(older.T_world_cam), now.T_world_cam)
        warp = Warp(now.rays, now.structure.inverse, T_older_now, now.camera)
        gain = now.brightness / older.brightness
        both = _fetch(np.asarray(cv2.merge([older.filled, older.grown.view(np.uint8)]), np.uint8), warp.xy)
        aligned, was_hidden = (np.asarray(plane, np.uint8) for plane in cv2.split(both))
        aligned = _scaled(aligned, gain)
        residual = self._flow.between(np.where(now.hidden, aligned, now.grey), aligned)
        reached = warp.xy + residual
        error = cv2.absdiff(_scaled(_fetch(older.filled, reached), gain), now.grey).astype(np.float32)
        visible = ~(now.hidden | was_hidden.view(np.bool_)) & warp.inside()
        usable = visible & (error < _MAX_ERROR)
        T = T_older_now if now.geometry is not None else self._corrected(now, reached, usable, T_older_now)
        if T is not T_older_now:
            now = replace(now, T_world_cam=composed(older.T_world_cam, T))
            warp = Warp(now.rays, now.structure.inverse, T, now.camera)
        structure = refined(now.structure, warp, reached - warp.xy, error, visible)
        return replace(now, structure=structure), _continued(error, visible)

    def _corrected(self, now: View, reached: Map, usable: Mask, start: Array) -> Array:
        rows, cols = np.nonzero(usable[_GRID // 2 :: _GRID, _GRID // 2 :: _GRID])
        if len(rows) < 4 * MIN_POINTS:
            return start
        rows, cols = rows * _GRID + _GRID // 2, cols * _GRID + _GRID // 2
        inverse = now.structure.inverse[rows, cols].astype(np.float64)
        weight = _say(now.structure, np.stack([cols, rows], axis=1))
        rays, goal = now.rays[rows, cols].astype(np.float64), reached[rows, cols].astype(np.float64)
        motion = solve_motion(rays, inverse, goal, weight, now.camera, start, num_steps=4)
        return motion.T_now_older if motion.is_sound else start


def _is_young(structure: Structure) -> bool:
    """True while hardly anything is known of the inverse depth."""
    return float(np.median(structure.information[::4, ::4] * structure.inverse[::4, ::4] ** 2)) < _YOUNG


def _say(structure: Structure, at: NDArray[np.int64]) -> Array:
    """(N,) weight of places in the motion: what is hardly known says little."""
    rows, cols = at[:, 1], at[:, 0]
    sure = structure.information[rows, cols] * structure.inverse[rows, cols] ** 2
    return np.asarray(np.clip(sure / _KNOWN_WELL, 0.1, 1), np.float64)


def _rays_at(camera: PinholeCamera, xy: Array) -> Array:
    return np.concatenate([camera.normalise(xy), np.ones((len(xy), 1))], axis=1)


def _fetch(image: Grey, xy: Map) -> Grey:
    return sampled(image, xy, cv2.INTER_LINEAR)


def _scaled(image: Grey, gain: float) -> Grey:
    return image if abs(gain - 1) < 0.01 else np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8)


def _continued(error: Map, visible: Mask) -> Map:
    """The error averaged over cells, continued behind the hands."""
    h, w = error.shape
    size = (max(w // 4, 4), max(h // 4, 4))
    weight = cv2.resize(visible.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    amount = cv2.resize(np.where(visible, error, 0), size, interpolation=cv2.INTER_AREA)
    smooth = pull_push((amount / np.maximum(weight, np.float32(1e-3))).astype(np.float32), np.asarray(weight, np.float32))
    return np.asarray(cv2.resize(smooth, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def _given_inverse(view: View) -> Map | None:
    """(h, w) one over the given depth, 0 where it is unknown; None where hardly any is given."""
    if view.geometry is None:
        return None
    h, w = view.grey.shape
    depth = cv2.resize(np.asarray(view.geometry.depth, np.float32), (w, h), interpolation=cv2.INTER_NEAREST)
    good = np.isfinite(depth) & (depth > 0)
    return None if good.mean() < 0.2 else np.where(good, 1 / np.where(good, depth, 1), 0).astype(np.float32)


def _with_given(now: View) -> View:
    """Take over the given depth of what is visible, brought to our unit."""
    given = _given_inverse(now)
    where = np.zeros_like(now.hidden) if given is None else (given > 0) & ~now.hidden
    if given is None or where.sum() < MIN_POINTS:
        return now
    unit = float(np.median(now.structure.inverse[where] / given[where]))
    return replace(now, structure=informed(now.structure, given * np.float32(unit), where))


def _given_motion(view: View, last: View) -> Array | None:
    """(4, 4) from the last camera to this one as given with both, in our unit; None where it is not given with both."""
    inverse = _given_inverse(last)
    if view.geometry is None or last.geometry is None or inverse is None or view.geometry.world_id != last.geometry.world_id:
        return None
    where = (inverse > 0) & ~last.hidden
    if where.sum() < MIN_POINTS:
        return None
    T = invert(np.asarray(view.geometry.T_world_cam, np.float64)) @ np.asarray(last.geometry.T_world_cam, np.float64)
    T[:3, 3] *= float(np.median(inverse[where] / last.structure.inverse[where]))
    return T
