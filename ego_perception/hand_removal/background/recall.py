"""Finds places again that were seen long ago: where the camera is known by projection, else by features."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import invert
from ego_perception.hand_removal.background.memory import Places, Snapshot
from ego_perception.hand_removal.background.motion import solve_motion
from ego_perception.hand_removal.background.structure import Warp, splat
from ego_perception.hand_removal.background.tracker import Step, Tracker, View

Features = tuple[NDArray[np.float32], NDArray[np.uint8]]

_NUM_FEATURES = 400
_RATIO = 0.75
_MIN_MATCHES = 15
_MIN_INLIERS_PX = 3.0
_MIN_GAP_SHARE = 0.05  # of the hole; a smaller gap is not worth the search
_COARSE = 8  # grid on which keyframes are compared, pixels
_PAUSE = 2  # images between two looks into the keyframes
_MAX_ERROR = 25.0
_CHECK_STRIDE = 4


class Revisit(NamedTuple):
    """A keyframe seen from the camera of now: (h, w) flat index into it, -1 where nothing of it is, and inverse depth."""

    keyframe: Snapshot
    places: Places
    shown: NDArray[np.int64]
    inverse: NDArray[np.float32]


class Recall:
    """Keeps what the tracker knew about each keyframe; one is tried at a time, in turn, so that the cost stays small."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._orb = cv2.ORB.create(_NUM_FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self.clear()

    def clear(self) -> None:
        """Forget the keyframes."""
        self._views: dict[int, View] = {}
        self._places: dict[int, Places] = {}
        self._features: dict[int, Features | None] = {}
        self._turn = 0

    def keep(self, view: View, places: Places, newest: Snapshot, keyframes: list[Snapshot]) -> None:
        """Remember the newest view if it became a keyframe, and forget those that are none any more."""
        ids = {k.id for k in keyframes}
        if newest.id in ids:
            self._views[newest.id], self._places[newest.id] = view, places
        self._views = {k: v for k, v in self._views.items() if k in ids}
        self._places = {k: v for k, v in self._places.items() if k in ids}
        self._features = {k: v for k, v in self._features.items() if k in ids}

    def revisit(self, now: View, gap: NDArray[np.bool_], world: int, keyframes: list[Snapshot]) -> Revisit | None:
        """Look from here at a keyframe of the same world; None where it does not help, or hardly anything is missing."""
        candidates = [k for k in keyframes if k.world == world and k.id in self._views]
        if not candidates or not gap.any() or gap.sum() < _MIN_GAP_SHARE * now.hidden.sum():
            return None
        self._turn += 1
        if self._turn % _PAUSE:
            return None
        hits = [_hits(now, gap, self._views[k.id], self._places[k.id]) for k in candidates]
        if max(hits) < _MIN_GAP_SHARE * gap[::_COARSE, ::_COARSE].sum():
            return None
        keyframe = candidates[int(np.argmax(hits))]
        view = self._views[keyframe.id]
        index, inverse = splat(view.rays, view.structure.inverse, invert(now.T_world_cam) @ view.T_world_cam, now.camera)
        both = (index >= 0) & ~now.hidden & ~view.hidden.ravel()[index]
        both[np.arange(len(both)) % _CHECK_STRIDE != 0] = False
        if both.sum() < _MIN_MATCHES:
            return None
        gain = now.brightness / view.brightness
        error = np.abs(now.grey[both] - gain * view.grey.ravel()[index[both]].astype(np.float32))
        return (
            Revisit(keyframe, self._places[keyframe.id], index, inverse) if float(np.median(error)) <= _MAX_ERROR / 2 else None
        )

    def relocate(self, now: View, keyframes: list[Snapshot]) -> tuple[Snapshot, Step] | None:
        """Find the camera in the world of a keyframe by features; None where the next one in turn does not show this place."""
        candidates = [k for k in keyframes if k.id in self._views]
        if not candidates:
            return None
        self._turn += 1
        keyframe = candidates[self._turn % len(candidates)]
        view = self._views[keyframe.id]
        T = self._motion(now, view, keyframe.id)
        if T is None:
            return None
        step = self._tracker.step(now, view, T)
        seen = ~now.hidden
        if not seen.any() or float(step.error[seen].mean()) > _MAX_ERROR:
            return None
        return keyframe, step

    def _motion(self, now: View, view: View, keyframe_id: int) -> NDArray[np.float64] | None:
        """(4, 4) from the keyframe's camera to the one of now."""
        mine = self._detect(now)
        if keyframe_id not in self._features:
            self._features[keyframe_id] = self._detect(view)
        theirs = self._features[keyframe_id]
        if mine is None or theirs is None:
            return None
        pairs = [pair for pair in self._matcher.knnMatch(mine[1], theirs[1], k=2) if len(pair) == 2]
        good = [a for a, b in pairs if a.distance < _RATIO * b.distance]
        if len(good) < _MIN_MATCHES:
            return None
        goal = mine[0][[m.queryIdx for m in good]].astype(np.float64)
        start = theirs[0][[m.trainIdx for m in good]].astype(np.float64)
        cv2.setRNGSeed(0)
        H, kept = cv2.findHomography(start, goal, cv2.USAC_MAGSAC, _MIN_INLIERS_PX, maxIters=500, confidence=0.99)
        if H is None or kept.sum() < _MIN_MATCHES:
            return None
        # The homography only sorts out wrong pairs; the motion is that of points at their depths.
        start, goal = start[kept.ravel() > 0], goal[kept.ravel() > 0]
        rays = np.concatenate([view.camera.normalise(start), np.ones((len(start), 1))], axis=1)
        at = np.round(start).astype(np.int64)
        inverse = view.structure.inverse[at[:, 1], at[:, 0]].astype(np.float64)
        motion = solve_motion(rays, inverse, goal, np.ones(len(start)), now.camera, np.eye(4), num_steps=15)
        return motion.T_now_older if motion.is_sound else None

    def _detect(self, view: View) -> Features | None:
        points, descriptors = self._orb.detectAndCompute(view.grey, (~view.hidden).astype(np.uint8) * 255)
        if descriptors is None or len(points) < _MIN_MATCHES:
            return None
        return np.array([point.pt for point in points], np.float32), np.asarray(descriptors, np.uint8)


def _hits(now: View, gap: NDArray[np.bool_], view: View, places: Places) -> int:
    """How much of the gap a keyframe shows, roughly: places of a coarse grid that fall into it."""
    rays, inverse = (np.ascontiguousarray(m[::_COARSE, ::_COARSE]) for m in (view.rays, view.structure.inverse))
    known = (~view.grown | (places.id != -1))[::_COARSE, ::_COARSE]
    xy = np.rint(Warp(rays, inverse, invert(now.T_world_cam) @ view.T_world_cam, now.camera).xy[known])
    h, w = gap.shape
    inside = ((xy >= 0) & (xy <= np.array([w - 1, h - 1], np.float32))).all(axis=1)
    at = xy[inside].astype(np.int64)
    return int(gap[at[:, 1], at[:, 0]].sum())
