"""The background plate: for every hidden pixel of the newest image, where and when it was seen last, carried along."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.drawing import Background, Drawing
from ego_perception.hand_removal.background.exposure import gain_between
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.held import held_objects
from ego_perception.hand_removal.background.memory import Places, Snapshot, SnapshotStore, close_pinholes, nowhere
from ego_perception.hand_removal.background.pull_push import pull_push
from ego_perception.hand_removal.background.quarantine import Quarantine, out_of_nowhere
from ego_perception.hand_removal.background.recall import Recall
from ego_perception.hand_removal.background.sources import Sources
from ego_perception.hand_removal.background.structure import unknown
from ego_perception.hand_removal.background.tracker import Step, Tracker, View
from ego_perception.parameters import param

__all__ = ["Background", "BackgroundConfig", "BackgroundPlate", "GivenGeometry"]

GivenGeometry = SceneGeometry | Callable[[], SceneGeometry | None] | None
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_ERROR_SCALE = 20.0  # grey levels of photometric error that divide the confidence by e
_RIM_PX = 2  # full-size pixels that a cubic sample reads beyond its own
_STEP_CONFIDENCE = 0.998  # every frame through which a place is carried costs this much
_RECALLED_CONFIDENCE = 0.8
_ALL_HIDDEN = 0.8  # of the image; then a lost camera says nothing about the scene
_USUAL_FOV_Y_DEG = 55.0
_ROUNDED_AWAY = 400  # pixels in a working pixel from which one of them is nothing in 255 levels
_SURROUND_PX = 16  # working pixels around what is hidden, from which it is continued


@dataclass(frozen=True)
class BackgroundConfig:
    """How what was behind the hands is remembered."""

    work_width: int = param(320, "Images are registered at this width.", unit="px", ge=64, le=1920)
    mover_margin: float = param(
        0.01, "Margin around held objects, which are no background, as a share of the image width.", ge=0.0, le=0.2
    )
    capacity: int = param(90, "Full images kept to take pixels from.", ge=4, le=1000)
    keyframes: int = param(12, "Images kept longer, for places that come back into view.", ge=0, le=64)
    keyframe_gap_s: float = param(0.3, "Least time between two of them.", unit="s", ge=0.0, le=60.0)
    max_gap_s: float = param(0.5, "After a longer gap nothing is carried over, only found again.", unit="s", ge=0.0, le=60.0)
    min_confidence: float = param(0.3, "What is less certain counts as never seen.", ge=0.0, le=1.0)
    max_age_s: float = param(60.0, "What was seen longer ago counts as never seen.", unit="s", ge=0.0, le=3600.0)


class _Masks(NamedTuple):
    """What is hidden in an image: the hole (H, W), and at working size (h, w) hands, what they hold and what may be a hand."""

    hole: Mask
    hands: Mask
    held: Mask | None
    doubtful: Mask | None


class BackgroundPlate:
    """Follows the background of one camera; causal, one image after the other."""

    def __init__(self, config: BackgroundConfig) -> None:
        self.config = config
        self._tracker = Tracker()
        self._store = SnapshotStore(config.capacity, config.keyframes, int(config.keyframe_gap_s * 1e9))
        self._recall = Recall(self._tracker)
        self._quarantine = Quarantine()
        self._rays: tuple[PinholeCamera, NDArray[np.float32]] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything that was seen."""
        self._store.clear()
        self._recall.clear()
        self._tracker.clear()
        self._quarantine.clear()
        self._places: Places | None = None
        self._newest: Snapshot | None = None
        self._small: Image | None = None
        self._world, self._world_age = 0, 0

    def push(
        self,
        rgb: Image,
        hole: Mask,
        stamp_ns: int,
        *,
        camera: PinholeCamera | None = None,
        movers: Mask | None = None,
        doubtful: Mask | None = None,
        geometry: GivenGeometry = None,
    ) -> Background:
        """Take the next image.

        Args:
            rgb: (H, W, 3) uint8.
            hole: (H, W) bool, True where something hides the background; generous margins keep hands out of the memory.
            camera: of the image; without it a usual field of view is assumed. A lens model is left out of account.
            movers: (H, W) bool, True on what moves with the hands and stays in the picture: a held object. Were it taken for
                background, the memory would put it where it was before.
            doubtful: (H, W) bool, True on what may be a hand that was not found: shown, but not remembered.
            geometry: depth and pose of this image, where they are known. A function is called for it as late as possible.
        """
        if self._newest is not None and self._newest.rgb.shape != rgb.shape:
            self.reset()
        small, masks = self._shrunk(rgb, hole, movers, doubtful)
        view, before = self._look(small, masks, rgb.shape, camera), self._newest
        if before is not None:
            view = replace(view, brightness=float(before.gain.mean()))  # a first guess, until it can be measured
        follows = before is not None and 0 < stamp_ns - before.stamp_ns <= self.config.max_gap_s * 1e9
        tracks = self._tracker.track(view.grey, view.hidden) if follows else None
        given = geometry() if callable(geometry) else geometry
        if given is not None and given.stamp_ns == stamp_ns:
            view = self._seen_by(given.camera, replace(view, geometry=given))
        step, source, is_cut = None, None, False
        if tracks is not None:
            step, source = self._tracker.follow(view, tracks), before
            is_cut = step is None and not view.hidden.mean() > _ALL_HIDDEN
        if is_cut:
            self.reset()
        found = self._relocated(view, step, stamp_ns)
        if found is not None:
            source, step = found
        if step is None or source is None:
            step = source = None
            view = self._begin(view)
        gain = np.ones(3, np.float32) if before is None else before.gain
        if step is not None and source is not None:
            view = step.view
            older = self._small if source is before and self._small is not None else source.rgb
            gain = source.gain * gain_between(small, older, step.flow, view.hidden | source.hole)
        view = replace(view, brightness=float(gain.mean()))
        is_next = step is not None and found is None
        unsure = self._quarantine.unsure(view.grown, step.index if step is not None and is_next else None, stamp_ns)
        places = self._carry(view, unsure, step, source, stamp_ns, is_known=is_next)
        if step is not None and is_next and source is not None:
            strange = out_of_nowhere(masks.hands, source.grown, step.index, (stamp_ns - source.stamp_ns) * 1e-9)
            places.id[strange], places.stamp_ns[strange] = -1, stamp_ns
        view = self._fill_gaps(view, places, stamp_ns)
        close_pinholes(places, view.hidden)
        number = 0 if before is None else before.id + 1
        now = Snapshot(number, stamp_ns, rgb, view.grey, view.hidden, unsure, gain, view.T_world_cam, self._world)
        drawing = Drawing(now, view, places, Sources(self._store, view, places.id))
        covered = self._covered(drawing, view, masks, places, stamp_ns)
        drawn = drawing.draw(hole, masks.hands, covered, self.config.min_confidence)
        background = Background(*drawn, None if step is None else step.flow, is_cut)
        self._remember(now, view, places, background)
        self._small = small
        return background

    def _shrunk(self, rgb: Image, hole: Mask, movers: Mask | None, doubtful: Mask | None) -> tuple[Image, _Masks]:
        """The image and what is hidden in it at working size."""
        height, width = hole.shape
        size = (min(self.config.work_width, width), max(16, round(height * min(self.config.work_width, width) / width)))
        small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        held, unclear = (None if mask is None or not mask.any() else _any_in(mask, size) for mask in (movers, doubtful))
        return small, _Masks(hole, _any_in(hole, size), held, unclear)

    def _look(self, small: Image, masks: _Masks, shape: tuple[int, ...], camera: PinholeCamera | None) -> View:
        """The image at working size, with nothing known about it yet."""
        (height, width), (h, w) = shape[:2], small.shape[:2]
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        hidden = masks.hands
        for mask in (masks.held, masks.doubtful):
            hidden = hidden if mask is None else hidden | _grown(mask, self.config.mover_margin * w)
        grown = _grown(hidden, _RIM_PX * w / width)
        known = camera or PinholeCamera.from_fov(width, height, math.radians(_USUAL_FOV_Y_DEG))
        blank = View(grey, grey, hidden, grown, known, np.zeros((h, w, 0), np.float32), unknown((h, w)), np.eye(4))
        return self._seen_by(known, blank)

    def _seen_by(self, camera: PinholeCamera, view: View) -> View:
        """The view of a camera of which intrinsics are given for any size of the image."""
        small = camera.undistorted().resized(view.grey.shape[1], view.grey.shape[0])
        if self._rays is None or self._rays[0] != small:
            self._rays = small, small.rays()
        return replace(view, camera=small, rays=self._rays[1])

    def _relocated(self, view: View, step: Step | None, stamp_ns: int) -> tuple[Snapshot, Step] | None:
        """The camera in the world of a keyframe, where it got lost a short while ago."""
        if step is not None and (self._world == 0 or self._world_age > 2 * self.config.keyframes):
            return None
        known = [k for k in self._store.keyframes if k.stamp_ns < stamp_ns and (k.world != self._world or step is None)]
        found = self._recall.relocate(view, known)
        if found is not None:
            self._world, self._world_age = found[0].world, 0
            self._tracker.clear()
        return found

    def _begin(self, view: View) -> View:
        """Start a new world at an image that cannot be brought together with any before."""
        self._tracker.clear()
        self._world, self._world_age = self._world + (self._newest is not None), 0
        return self._tracker.first(view)

    def _carry(
        self, view: View, unsure: Mask, step: Step | None, source: Snapshot | None, stamp_ns: int, *, is_known: bool
    ) -> Places:
        """Places of the pixels that show nothing for sure: the image before where it did, else what was known there."""
        places = nowhere(view.hidden.shape)
        if step is None or source is None:
            return places
        here = np.flatnonzero(unsure & (step.index >= 0))
        at, error = step.index.ravel()[here], step.error.ravel()[here]
        was_seen = ~source.grown.ravel()[at]
        old = self._places if is_known and self._places is not None else nowhere(view.hidden.shape)
        places.id.ravel()[here] = np.where(was_seen, source.id, old.id.ravel()[at])
        places.stamp_ns.ravel()[here] = np.where(was_seen, source.stamp_ns, old.stamp_ns.ravel()[at])
        kept = old.confidence.ravel()[at] * _STEP_CONFIDENCE * np.exp(-error / _ERROR_SCALE / 10)
        places.confidence.ravel()[here] = np.where(was_seen, np.exp(-error / _ERROR_SCALE), kept)
        self._drop_doubtful(places, stamp_ns)
        return places

    def _drop_doubtful(self, places: Places, stamp_ns: int) -> None:
        too_old = stamp_ns - places.stamp_ns > self.config.max_age_s * 1e9
        is_doubtful = (places.id != -1) & ((places.confidence < self.config.min_confidence) | too_old)
        places.id[is_doubtful], places.stamp_ns[is_doubtful] = -1, 0

    def _fill_gaps(self, view: View, places: Places, stamp_ns: int) -> View:
        """Look for hidden pixels of unknown origin in one of the keyframes."""
        gap = view.hidden & (places.id == -1)
        found = self._recall.revisit(view, gap, self._world, self._store.keyframes)
        if found is None:
            return view
        rows, cols = np.nonzero(gap & (found.shown >= 0))
        at = found.shown[rows, cols]
        was_seen, old = ~found.keyframe.grown.ravel()[at], found.places
        stamps = np.where(was_seen, found.keyframe.stamp_ns, old.stamp_ns.ravel()[at])
        is_valid = stamps > places.stamp_ns[rows, cols]  # or something was taken away from there since
        rows, cols, at, was_seen, stamps = rows[is_valid], cols[is_valid], at[is_valid], was_seen[is_valid], stamps[is_valid]
        places.id[rows, cols] = np.where(was_seen, found.keyframe.id, old.id.ravel()[at])
        places.stamp_ns[rows, cols] = stamps
        places.confidence[rows, cols] = _RECALLED_CONFIDENCE * np.where(was_seen, 1, old.confidence.ravel()[at])
        self._drop_doubtful(places, stamp_ns)
        inverse = view.structure.inverse.copy()
        inverse[rows, cols] = found.inverse[rows, cols]
        return replace(view, structure=replace(view.structure, inverse=inverse))

    def _covered(self, drawing: Drawing, view: View, masks: _Masks, places: Places, stamp_ns: int) -> Mask | None:
        """Where held objects go on behind the hands, (h, w); forgets what is remembered of the objects themselves."""
        if masks.held is None:
            return None
        held = held_objects(masks.held & ~masks.hands, masks.hands)
        at = np.flatnonzero((held.piece > 0) & (places.id != -1))
        found, live, memory = drawing.side_by_side(at, at)
        rows, cols = np.divmod(at[found], view.grey.shape[1])
        gone = view.hidden & held.remembered(rows, cols, live, memory)
        places.id[gone], places.stamp_ns[gone] = -1, stamp_ns
        return held.behind > 0

    def _remember(self, now: Snapshot, view: View, places: Places, background: Background) -> None:
        """Keep the image; when the memory is full, draw what it still gives into one new snapshot first."""
        if self._store.is_full and self._newest is not None:
            self._bake(now, view.grown, places, background)
        self._store.add(now)
        self._store.offer_keyframe(now)
        view = replace(view, filled=_filled(view, background))
        self._recall.keep(view, places, now, self._store.keyframes)
        self._tracker.add(view)
        self._places, self._newest = places, now
        self._world_age += 1

    def _bake(self, now: Snapshot, grown: Mask, places: Places, background: Background) -> None:
        """Let the oldest places point into the plate as drawn now, so that their snapshots may go."""
        places.id[~self._store.known(places.id)] = -1
        nowhere = now.hole & (places.id == -1)
        baked = replace(now, id=-2 - now.id, rgb=background.rgb, hole=nowhere, grown=nowhere)
        self._store.replace_all(baked)
        places.id[~grown] = -1  # what was known of places that a hand has just left goes: the plate shows what is there now
        places.id[places.id != -1] = baked.id


def _any_in(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at working size: any hidden pixel hides the whole working pixel, or a thin finger would enter the memory."""
    levels = mask.view(np.uint8) * np.uint8(255)
    if mask.size > _ROUNDED_AWAY * size[0] * size[1]:
        return np.asarray(cv2.resize(levels.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0)
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA) > 0)


def _grown(mask: Mask, radius_px: float) -> Mask:
    radius = max(1, math.ceil(radius_px))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0)


def _filled(view: View, background: Background) -> Image:
    """The grey image with the remembered background in its hole, continued smoothly where nothing is known."""
    if not view.hidden.any():
        return view.grey
    h, w = view.grey.shape
    height, width = background.observed.shape
    left, top, across, down = cv2.boundingRect(view.hidden.view(np.uint8))
    y, rows = _part(top, down, h, height)
    x, cols = _part(left, across, w, width)
    inside, size = view.hidden[y, x], (x.stop - x.start, y.stop - y.start)
    drawn = cv2.resize(cv2.cvtColor(background.rgb[rows, cols], cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    sure = (background.confidence[rows, cols] > 0).view(np.uint8) * np.uint8(255)
    known = cv2.resize(sure, size, interpolation=cv2.INTER_AREA) > 252
    smooth = pull_push(np.where(known, drawn, 0).astype(np.float32), known.astype(np.float32))
    out = view.grey.copy()
    out[y, x] = np.where(known | ~inside, drawn, np.clip(smooth, 0, 255))
    return out


def _part(start: int, length: int, working: int, full: int) -> tuple[slice, slice]:
    """What holds a span of an axis and some surroundings, in working and in full-size pixels that it shares a grid with."""
    grid = working // math.gcd(working, full)
    low = max(start - _SURROUND_PX, 0) // grid * grid
    high = min(-(-(start + length + _SURROUND_PX) // grid) * grid, working)
    return slice(low, high), slice(low * full // working, high * full // working)
