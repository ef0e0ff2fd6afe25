"""The background plate: for every hidden pixel of the newest image, where and when it was seen last, carried along."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera, invert
from ego_perception.hand_removal.background.agreement import Agreement, agreement, ring_around
from ego_perception.hand_removal.background.exposure import gain_between
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.held import held_objects
from ego_perception.hand_removal.background.memory import Places, Snapshot, SnapshotStore, nowhere
from ego_perception.hand_removal.background.pull_push import pull_push
from ego_perception.hand_removal.background.quarantine import Quarantine, out_of_nowhere
from ego_perception.hand_removal.background.recall import Recall
from ego_perception.hand_removal.background.structure import unknown
from ego_perception.hand_removal.background.tracker import Step, Tracker, View
from ego_perception.parameters import param

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_ERROR_SCALE = 20.0  # grey levels of photometric error that divide the confidence by e
_RIM_PX = 2  # full-size pixels that a cubic sample reads beyond its own
_STEP_CONFIDENCE = 0.998  # every frame through which a place is carried costs this much
_RECALLED_CONFIDENCE = 0.8
_VAGUE = 0.08  # share of the image width; a standard deviation of the place like this halves the confidence
_ALL_HIDDEN = 0.8  # of the image; then a lost camera says nothing about the scene
_NEIGHBOURS_PX = 5  # side of the square in which the majority says whether a pixel is known
_NEARLY = 0.5  # of the least confidence, which those have that follow the majority
_USUAL_FOV_Y_DEG = 55.0


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


@dataclass(frozen=True, eq=False)
class Background:
    """What is known of the background of one image, in full size.

    Attributes:
        rgb: (H, W, 3) uint8, the image itself outside the hole and 0 where nothing is known.
        observed: (H, W) bool, True in the hole where the background was seen before.
        confidence: (H, W) float32 in 0..1; 1 outside the hole, 0 where nothing is known.
        age_s: (H, W) float32 seconds; 0 outside the hole, NaN where nothing is known.
        flow: (h, w, 2) float32 at working size: the background at p was at p + flow[p] in the image before; None where that is
            not known.
        is_cut: True where the image had nothing in common with the one before, so that the memory was emptied.
    """

    rgb: Image
    observed: Mask
    confidence: NDArray[np.float32]
    age_s: NDArray[np.float32]
    flow: NDArray[np.float32] | None = None
    is_cut: bool = False


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
        self._world, self._world_age = 0, 0

    def push(
        self,
        rgb: Image,
        hole: Mask,
        stamp_ns: int,
        *,
        camera: PinholeCamera | None = None,
        movers: Mask | None = None,
        geometry: SceneGeometry | None = None,
    ) -> Background:
        """Take the next image.

        Args:
            rgb: (H, W, 3) uint8.
            hole: (H, W) bool, True where something hides the background; generous margins keep hands out of the memory.
            camera: of the image; without it a usual field of view is assumed. A lens model is left out of account.
            movers: (H, W) bool, True on what moves with the hands and stays in the picture: a held object. Were it taken for
                background, the memory would put it where it was before.
            geometry: depth and pose of this image, where they are known.
        """
        if self._newest is not None and self._newest.rgb.shape != rgb.shape:
            self.reset()
        if geometry is not None and geometry.stamp_ns != stamp_ns:
            geometry = None
        view = self._look(rgb, hole, movers, camera, geometry)
        before, step, source, is_cut = self._newest, None, None, False
        if before is not None and 0 < stamp_ns - before.stamp_ns <= self.config.max_gap_s * 1e9:
            step, source = self._tracker.follow(view), before
            is_cut = step is None and not view.hidden.mean() > _ALL_HIDDEN
        if is_cut:
            self.reset()
        found = self._relocated(view, step)
        if found is not None:
            source, step = found
        if step is None or source is None:
            step = source = None
            view = self._begin(view)
        gain = np.ones(3, np.float32) if before is None else before.gain
        if step is not None and source is not None:
            view = step.view
            gain = source.gain * gain_between(rgb, source.rgb, step.flow, view.hidden | source.hole)
        view = replace(view, brightness=float(gain.mean()))
        is_next = step is not None and found is None
        unsure = self._quarantine.unsure(view.grown, step.index if step is not None and is_next else None, stamp_ns)
        places = self._carry(view, unsure, step, source, stamp_ns, is_known=is_next)
        if step is not None and is_next and source is not None:
            hands = _any_in(hole, (view.grey.shape[1], view.grey.shape[0]))
            strange = out_of_nowhere(hands, source.grown, step.index, (stamp_ns - source.stamp_ns) * 1e-9)
            places.id[strange], places.stamp_ns[strange] = -1, stamp_ns
        view = self._fill_gaps(view, places, stamp_ns)
        number = 0 if before is None else before.id + 1
        now = Snapshot(number, stamp_ns, rgb, view.grey, view.hidden, unsure, gain, view.T_world_cam, self._world)
        covered = self._covered(now, view, hole, movers, places)
        background = self._compose(now, view, hole, covered, places, None if step is None else step.flow, is_cut=is_cut)
        self._remember(now, view, places, background)
        return background

    def _look(
        self, rgb: Image, hole: Mask, movers: Mask | None, camera: PinholeCamera | None, geometry: SceneGeometry | None
    ) -> View:
        """The image at working size, with nothing known about it yet."""
        height, width = hole.shape
        size = (min(self.config.work_width, width), max(16, round(height * min(self.config.work_width, width) / width)))
        grey = np.asarray(cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA), np.uint8)
        hidden = _any_in(hole, size)
        if movers is not None and movers.any():
            hidden |= _grown(_any_in(movers, size), self.config.mover_margin * size[0])
        grown = _grown(hidden, _RIM_PX * size[0] / width)
        known = geometry.camera if geometry is not None else camera
        known = known or PinholeCamera.from_fov(width, height, math.radians(_USUAL_FOV_Y_DEG))
        small = known.undistorted().resized(*size)
        if self._rays is None or self._rays[0] != small:
            self._rays = small, small.rays()
        structure = unknown((size[1], size[0]))
        return View(grey, grey, hidden, grown, small, self._rays[1], structure, np.eye(4), geometry=geometry)

    def _relocated(self, view: View, step: Step | None) -> tuple[Snapshot, Step] | None:
        """The camera in the world of a keyframe, where it got lost a short while ago."""
        if step is not None and (self._world == 0 or self._world_age > 2 * self.config.keyframes):
            return None
        found = self._recall.relocate(view, [k for k in self._store.keyframes if k.world != self._world or step is None])
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
        rows, cols = np.nonzero(unsure & (step.index >= 0))
        at, error = step.index[rows, cols], step.error[rows, cols]
        was_seen = ~source.grown.ravel()[at]
        old = self._places if is_known and self._places is not None else nowhere(view.hidden.shape)
        places.id[rows, cols] = np.where(was_seen, source.id, old.id.ravel()[at])
        places.stamp_ns[rows, cols] = np.where(was_seen, source.stamp_ns, old.stamp_ns.ravel()[at])
        kept = old.confidence.ravel()[at] * _STEP_CONFIDENCE * np.exp(-error / _ERROR_SCALE / 10)
        places.confidence[rows, cols] = np.where(was_seen, np.exp(-error / _ERROR_SCALE), kept)
        self._drop_doubtful(places, stamp_ns)
        return places

    def _drop_doubtful(self, places: Places, stamp_ns: int) -> None:
        too_old = stamp_ns - places.stamp_ns > self.config.max_age_s * 1e9
        is_doubtful = (places.id != -1) & ((places.confidence < self.config.min_confidence) | too_old)
        places.id[is_doubtful], places.stamp_ns[is_doubtful] = -1, 0

    def _fill_gaps(self, view: View, places: Places, stamp_ns: int) -> View:
        """Look for hidden pixels of unknown origin in one of the keyframes."""
        gap = view.hidden & (places.id < 0)
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

    def _covered(self, now: Snapshot, view: View, hole: Mask, movers: Mask | None, places: Places) -> Mask | None:
        """Where held objects go on behind the hands, (h, w); forgets what is remembered of the objects themselves."""
        if movers is None or not movers.any():
            return None
        size = (view.grey.shape[1], view.grey.shape[0])
        small = _any_in(hole, size)
        held = held_objects(_any_in(movers, size) & ~small, small)
        rows, cols = np.nonzero((held.piece > 0) & (places.id != -1))
        found, live, memory = self._side_by_side(now, view, places.id[rows, cols], rows, cols)
        gone = view.hidden & held.remembered(rows[found], cols[found], live, memory)
        places.id[gone], places.stamp_ns[gone] = -1, now.stamp_ns
        return held.behind > 0

    def _compose(
        self,
        now: Snapshot,
        view: View,
        hole: Mask,
        covered: Mask | None,
        places: Places,
        flow: NDArray[np.float32] | None,
        *,
        is_cut: bool,
    ) -> Background:
        """Draw the remembered pixels into the hole, in full size; nothing where it is `covered`."""
        rgb, observed = now.rgb.copy(), np.zeros(hole.shape, np.bool_)
        confidence, age = np.ones(hole.shape, np.float32), np.zeros(hole.shape, np.float32)
        rows, cols = np.nonzero(hole)
        sx, sy = now.rgb.shape[1] / now.grey.shape[1], now.rgb.shape[0] / now.grey.shape[0]
        x, y = ((cols + 0.5) / sx - 0.5).astype(np.float32), ((rows + 0.5) / sy - 0.5).astype(np.float32)
        h, w = places.id.shape
        c, r = np.clip(np.rint(x), 0, w - 1).astype(np.int64), np.clip(np.rint(y), 0, h - 1).astype(np.int64)
        ids = places.id[r, c]
        xy, doubt_px = self._origins(view, ids, np.stack([x, y], axis=1), (r, c))
        trust = places.confidence[r, c] / (1 + (doubt_px / (_VAGUE * w)) ** 2)
        agreed = self._agreement(now, view, places)
        if agreed is not None:
            trust = trust * agreed.trust[r, c]
        if covered is not None:
            trust = np.where(covered[r, c], 0, trust)
        least = np.float32(self.config.min_confidence)
        ids = np.where(_settled((ids != -1) & (trust >= least), (r, c), (h, w)) & (trust >= _NEARLY * least), ids, -1)
        trust = np.maximum(trust, least)
        colours, found = self._store.colours(ids, (xy + 0.5) * np.array([sx, sy], np.float32) - 0.5, now.gain)
        if agreed is not None:
            colours = np.clip(colours * agreed.gain[r, c, None] + 0.5, 0, 255).astype(np.uint8)
        rgb[rows, cols], observed[rows, cols] = colours, found
        confidence[rows, cols] = np.where(found, trust, 0)
        seconds = (now.stamp_ns - places.stamp_ns[r, c]).astype(np.float32) * np.float32(1e-9)
        age[rows, cols] = np.where(found, seconds, np.nan)
        return Background(rgb, observed, confidence, age, flow, is_cut)

    def _agreement(self, now: Snapshot, view: View, places: Places) -> Agreement | None:
        """How the snapshots that the hole is drawn from fit the image around it; None where they do not show that."""
        known = view.hidden & (places.id != -1)
        if not known.any():
            return None
        rows, cols, nearest = ring_around(view.grown, known)
        found, live, memory = self._side_by_side(now, view, places.id.ravel()[nearest], rows, cols)
        return agreement(view.grey.shape[:2], rows[found], cols[found], live, memory)

    def _side_by_side(
        self, now: Snapshot, view: View, ids: NDArray[np.int32], rows: NDArray[np.int64], cols: NDArray[np.int64]
    ) -> tuple[Mask, NDArray[np.float32], NDArray[np.float32]]:
        """What is seen at working pixels (N,) of this view, and what the snapshots of `ids` showed there.

        Returns:
            found: (N,) whether they showed anything.
            live, memory: (M, 3) colours where they did.
        """
        (h, w), here = view.grey.shape, np.stack([cols, rows], axis=1).astype(np.float32)
        scale = np.array([now.rgb.shape[1] / w, now.rgb.shape[0] / h], np.float32)
        at = np.rint((here + 0.5) * scale - 0.5)
        xy, _ = self._origins(view, ids, (at + 0.5) / scale - 0.5, (rows, cols))
        memory, found = self._store.colours(ids, (xy + 0.5) * scale - 0.5, now.gain)
        found &= ((xy >= 0) & (xy <= np.array([w - 1, h - 1], np.float32))).all(axis=1)
        at = at[found].astype(np.int64)
        return found, now.rgb[at[:, 1], at[:, 0]].astype(np.float32), memory[found].astype(np.float32)

    def _origins(
        self, view: View, ids: NDArray[np.int32], xy: NDArray[np.float32], at: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What is behind pixels `xy` of this view, whose working pixels are `at` (rows, columns), in the snapshots of `ids`.

        Returns:
            Place (N, 2) in working pixels, and its standard deviation (N,) by what is not known of the depth.
        """
        c, inverse = view.camera, view.structure.inverse[at]
        x, y = (xy[:, 0] - np.float32(c.cx)) / np.float32(c.fx), (xy[:, 1] - np.float32(c.cy)) / np.float32(c.fy)
        out, doubt = np.zeros((len(ids), 2), np.float32), np.zeros(len(ids), np.float32)
        for number in np.unique(ids):
            if number not in self._store:
                continue
            snapshot, where = self._store[int(number)], np.flatnonzero(ids == number)
            T = (invert(snapshot.T_world_cam) @ view.T_world_cam).astype(np.float32)
            a, b, near = x[where], y[where], inverse[where]
            scale = 1 / np.maximum(T[2, 0] * a + T[2, 1] * b + T[2, 2] + T[2, 3] * near, np.float32(1e-3))
            u = (T[0, 0] * a + T[0, 1] * b + T[0, 2] + T[0, 3] * near) * scale
            v = (T[1, 0] * a + T[1, 1] * b + T[1, 2] + T[1, 3] * near) * scale
            out[where, 0], out[where, 1] = u * np.float32(c.fx) + np.float32(c.cx), v * np.float32(c.fy) + np.float32(c.cy)
            doubt[where] = np.hypot((T[0, 3] - u * T[2, 3]) * scale * c.fx, (T[1, 3] - v * T[2, 3]) * scale * c.fy)
        return out, np.asarray(doubt / np.sqrt(view.structure.information[at]), np.float32)

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


def _settled(is_sure: Mask, at: tuple[NDArray[np.int64], NDArray[np.int64]], shape: tuple[int, ...]) -> Mask:
    """What most neighbours of each of (N,) pixels of the hole are, by working pixels: no specks, no pinholes."""
    votes = np.full(shape, 255, np.uint8)
    votes[at] = np.where(is_sure, 255, 0)
    return np.asarray(cv2.medianBlur(votes, _NEIGHBOURS_PX)[at] > 0)


def _any_in(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at working size: any hidden pixel hides the whole working pixel, or a thin finger would enter the memory."""
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.01)


def _grown(mask: Mask, radius_px: float) -> Mask:
    radius = max(1, math.ceil(radius_px))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0)


def _filled(view: View, background: Background) -> Image:
    """The grey image with the remembered background in its hole, continued smoothly where nothing is known."""
    if not view.hidden.any():
        return view.grey
    height, width = view.grey.shape
    drawn = cv2.resize(cv2.cvtColor(background.rgb, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    known = cv2.resize((background.confidence > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.99
    smooth = pull_push(np.where(known, drawn, 0).astype(np.float32), known.astype(np.float32))
    return np.asarray(np.where(known, drawn, np.clip(smooth, 0, 255)), np.uint8)
