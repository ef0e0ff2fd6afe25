"""The background plate: for every hidden pixel of the newest image, where and when it was seen last, carried along."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.exposure import gain_between
from ego_perception.hand_removal.background.memory import Snapshot, SnapshotStore
from ego_perception.hand_removal.background.pull_push import pull_push
from ego_perception.hand_removal.background.recall import Recall
from ego_perception.hand_removal.background.registration import Registrar, Registration
from ego_perception.parameters import param

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_ERROR_SCALE = 20.0  # grey levels of photometric error that divide the confidence by e
_RIM_PX = 3  # full-size pixels that a cubic sample reads beyond its own, and one for drift
_STEP_CONFIDENCE = 0.998  # every frame through which a place is carried costs this much


@dataclass(frozen=True)
class BackgroundConfig:
    """How what was behind the hands is remembered."""

    work_width: int = param(320, "Images are registered at this width.", unit="px", ge=64, le=1920)
    capacity: int = param(90, "Full images kept to take pixels from.", ge=4, le=1000)
    keyframes: int = param(8, "Images kept longer, for places that come back into view.", ge=0, le=64)
    keyframe_gap_s: float = param(1.0, "Least time between two of them.", unit="s", ge=0.0, le=60.0)
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


@dataclass(eq=False)
class _Places:
    """Where the pixels of a working-size image were seen; (h, w) each. `id` is -1 where never."""

    id: NDArray[np.int32]
    xy: NDArray[np.float32]
    stamp_ns: NDArray[np.int64]
    confidence: NDArray[np.float32]


class BackgroundPlate:
    """Follows the background of one camera; causal, one image after the other."""

    def __init__(self, config: BackgroundConfig) -> None:
        self.config = config
        self._registrar = Registrar()
        self._store = SnapshotStore(config.capacity, config.keyframes, int(config.keyframe_gap_s * 1e9))
        self._recall = Recall(self._registrar)
        self.reset()

    def reset(self) -> None:
        """Forget everything that was seen."""
        self._store.clear()
        self._recall.clear()
        self._places: _Places | None = None
        self._newest: Snapshot | None = None
        self._filled: Image | None = None  # the newest image at working size, with the remembered background in its hole

    def push(self, rgb: Image, hole: Mask, stamp_ns: int) -> Background:
        """Take the next image.

        Args:
            rgb: (H, W, 3) uint8.
            hole: (H, W) bool, True where something hides the background; generous margins keep hands out of the memory.
        """
        if self._newest is not None and self._newest.rgb.shape != rgb.shape:
            self.reset()
        small, small_hole = self._shrink(rgb, hole)
        before, is_cut = self._newest, False
        match = None
        if before is not None and self._filled is not None and 0 < stamp_ns - before.stamp_ns <= self.config.max_gap_s * 1e9:
            match = self._registrar.register(small, self._filled, small_hole, before.hole)
            is_cut = match is None and not small_hole.mean() > 0.8
        if is_cut:
            self.reset()
        gain = np.ones(3, np.float32)
        if match is not None and before is not None:
            gain = before.gain * gain_between(rgb, before.rgb, match.flow, small_hole | before.hole)
        elif before is not None:
            gain = before.gain
        grown = self._grow(small_hole, rgb.shape[1])
        now = Snapshot(0 if before is None else before.id + 1, stamp_ns, rgb, small, small_hole, grown, gain)
        places = self._carry(now, match)
        self._fill_gaps(now, places)
        background = self._compose(now, hole, places, None if match is None else match.flow, is_cut=is_cut)
        self._remember(now, places, background)
        return background

    def _shrink(self, rgb: Image, hole: Mask) -> tuple[Image, Mask]:
        height, width = hole.shape
        size = (self.config.work_width, max(16, round(height * self.config.work_width / width)))
        grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        # Any hidden pixel hides the whole working pixel, or a thin finger would enter the memory.
        coarse = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.asarray(grey, np.uint8), np.asarray(coarse > 0.01)

    def _grow(self, hole: Mask, full_width: int) -> Mask:
        """The hole with its rim: what lies there is remembered too, for it is often hidden next and then cannot be sampled."""
        radius = max(1, math.ceil(_RIM_PX * hole.shape[1] / full_width))
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        return np.asarray(cv2.dilate(hole.astype(np.uint8), kernel) > 0)

    def _carry(self, now: Snapshot, match: Registration | None) -> _Places:
        """Places of the hidden pixels and the rim, taken over from the image before."""
        places = _nowhere(now.hole.shape)
        if match is None or self._places is None or self._newest is None:
            return places
        rows, cols = np.nonzero(now.grown)
        at = np.stack([cols, rows], axis=1) + match.flow[rows, cols]
        h, w = now.hole.shape
        inside = (at[:, 0] >= 0) & (at[:, 0] <= w - 1) & (at[:, 1] >= 0) & (at[:, 1] <= h - 1)
        rows, cols, at = rows[inside], cols[inside], at[inside]
        near = np.round(at).astype(np.int64)
        r, c = near[:, 1], near[:, 0]
        was_seen = ~self._newest.grown[r, c]
        old, step = self._places, _STEP_CONFIDENCE * np.exp(-match.error[rows, cols] / _ERROR_SCALE / 10)
        scale = np.array(self._scale(now), np.float32)
        direct = (at + 0.5) * scale - 0.5
        carried = old.xy[r, c] + (at - near) * scale
        places.id[rows, cols] = np.where(was_seen, self._newest.id, old.id[r, c])
        places.xy[rows, cols] = np.where(was_seen[:, None], direct, carried)
        places.stamp_ns[rows, cols] = np.where(was_seen, self._newest.stamp_ns, old.stamp_ns[r, c])
        trust = np.where(was_seen, np.exp(-match.error[rows, cols] / _ERROR_SCALE), old.confidence[r, c] * step)
        places.confidence[rows, cols] = trust
        self._drop_doubtful(places, now)
        return places

    def _scale(self, now: Snapshot) -> tuple[float, float]:
        """Full-size pixels per working pixel, along x and y."""
        return now.rgb.shape[1] / now.grey.shape[1], now.rgb.shape[0] / now.grey.shape[0]

    def _drop_doubtful(self, places: _Places, now: Snapshot) -> None:
        too_old = now.stamp_ns - places.stamp_ns > self.config.max_age_s * 1e9
        places.id[(places.confidence < self.config.min_confidence) | too_old] = -1

    def _fill_gaps(self, now: Snapshot, places: _Places) -> None:
        """Look for hidden pixels of unknown origin in one of the keyframes."""
        gap = now.hole & (places.id < 0)
        found = self._recall.find(now, gap, self._store.keyframes)
        if found is None:
            return
        keyframe, match = found
        rows, cols = np.nonzero(gap)
        at = np.stack([cols, rows], axis=1) + match.flow[rows, cols]
        h, w = gap.shape
        near = np.round(at).astype(np.int64)
        good = (near[:, 0] >= 0) & (near[:, 0] < w) & (near[:, 1] >= 0) & (near[:, 1] < h)
        good[good] = ~keyframe.grown[near[good, 1], near[good, 0]]
        rows, cols, at = rows[good], cols[good], at[good]
        places.id[rows, cols] = keyframe.id
        places.xy[rows, cols] = (at + 0.5) * np.array(self._scale(now), np.float32) - 0.5
        places.stamp_ns[rows, cols] = keyframe.stamp_ns
        places.confidence[rows, cols] = np.exp(-match.error[rows, cols] / _ERROR_SCALE)
        self._drop_doubtful(places, now)

    def _compose(
        self, now: Snapshot, hole: Mask, places: _Places, flow: NDArray[np.float32] | None, *, is_cut: bool
    ) -> Background:
        """Draw the remembered pixels into the hole, in full size."""
        rgb, observed = now.rgb.copy(), np.zeros(hole.shape, np.bool_)
        confidence, age = np.ones(hole.shape, np.float32), np.zeros(hole.shape, np.float32)
        rows, cols = np.nonzero(hole)
        sx, sy = self._scale(now)
        x, y = (cols + 0.5) / sx - 0.5, (rows + 0.5) / sy - 0.5
        h, w = places.id.shape
        c, r = np.clip(np.round(x), 0, w - 1).astype(np.int64), np.clip(np.round(y), 0, h - 1).astype(np.int64)
        ids = places.id[r, c]
        offset = np.stack([(x - c) * sx, (y - r) * sy], axis=1).astype(np.float32)
        colours, found = self._store.colours(ids, places.xy[r, c] + offset, now.gain)
        rgb[rows, cols], observed[rows, cols] = colours, found
        confidence[rows, cols] = np.where(found, places.confidence[r, c], 0)
        seconds = (now.stamp_ns - places.stamp_ns[r, c]).astype(np.float32) * np.float32(1e-9)
        age[rows, cols] = np.where(found, seconds, np.nan)
        return Background(rgb, observed, confidence, age, flow, is_cut)

    def _remember(self, now: Snapshot, places: _Places, background: Background) -> None:
        """Keep the image; when the memory is full, draw what it still gives into one new snapshot first."""
        if self._store.is_full and self._newest is not None:
            self._bake(now, places, background)
        self._store.add(now)
        self._store.offer_keyframe(now)
        self._places, self._newest = places, now
        self._filled = _filled(now, background)

    def _bake(self, now: Snapshot, places: _Places, background: Background) -> None:
        """Let the oldest places point into the plate as drawn now, so that their snapshots may go."""
        places.id[~self._store.known(places.id)] = -1
        unknown = now.hole & (places.id == -1)
        baked = Snapshot(-2 - now.id, now.stamp_ns, background.rgb, now.grey, unknown, unknown, now.gain)
        rows, cols = np.nonzero(now.grown & (places.id != -1))
        self._store.replace_all(baked)
        places.id[rows, cols] = baked.id
        scale = np.array(self._scale(now), np.float32)
        places.xy[rows, cols] = (np.stack([cols, rows], axis=1) + 0.5) * scale - 0.5


def _filled(now: Snapshot, background: Background) -> Image:
    """The grey image with the remembered background in its hole, continued smoothly where nothing is known."""
    if not now.hole.any():
        return now.grey
    height, width = now.grey.shape
    drawn = cv2.resize(cv2.cvtColor(background.rgb, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    known = cv2.resize((background.confidence > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.99
    smooth = pull_push(np.where(known, drawn, 0).astype(np.float32), known.astype(np.float32))
    return np.asarray(np.where(known, drawn, np.clip(smooth, 0, 255)), np.uint8)


def _nowhere(shape: tuple[int, ...]) -> _Places:
    return _Places(
        np.full(shape, -1, np.int32), np.zeros((*shape, 2), np.float32), np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    )
