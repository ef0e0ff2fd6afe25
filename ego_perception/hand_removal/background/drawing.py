"""Draws what is remembered into the hole of an image, as far as it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.agreement import Agreement, agreement, ring_around
from ego_perception.hand_removal.background.memory import Places, Snapshot
from ego_perception.hand_removal.background.sources import Sources
from ego_perception.hand_removal.background.tracker import View

Image = NDArray[np.uint8]
Index = NDArray[np.int64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_VAGUE = 0.08  # share of the image width; a standard deviation of the place like this halves the confidence
_NEIGHBOURS_PX = 5  # side of the square in which the majority says whether a pixel is known
_NEARLY = 0.5  # of the least confidence, which those have that follow the majority


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
    confidence: Map
    age_s: Map
    flow: Map | None = None
    is_cut: bool = False


class Drawn(NamedTuple):
    """The fields of `Background` of the same names."""

    rgb: Image
    observed: Mask
    confidence: Map
    age_s: Map


class Drawing:
    """One image with its hole, and the places of what is behind it.

    Args:
        now: the image, as it will be remembered.
        view: the same as the tracker knows it.
        places: where the hole's pixels were seen.
        sources: the snapshots of `places`.
    """

    def __init__(self, now: Snapshot, view: View, places: Places, sources: Sources) -> None:
        self._now, self._view, self._places, self._sources = now, view, places, sources
        (self._height, self._width), (self._h, self._w) = now.rgb.shape[:2], view.grey.shape[:2]

    def side_by_side(self, at: Index, asked: Index) -> tuple[Index, Map, Map]:
        """What is seen at flat working pixels `at` (N,), and what the snapshots of `asked` (N,) showed there.

        Returns:
            found: (M,) which of the N they showed.
            live, memory: (M, 3) colours of those.
        """
        row, col = np.divmod(at, self._w)
        sx, sy = np.float32(self._width / self._w), np.float32(self._height / self._h)
        full_x, full_y = np.rint((col + np.float32(0.5)) * sx - 0.5), np.rint((row + np.float32(0.5)) * sy - 0.5)
        traced = self._sources.trace(asked, at, _to_working(full_x, sx), _to_working(full_y, sy))
        memory, is_shown = self._sources.colours(traced, self._now.gain)
        is_shown &= ((traced.xy >= 0) & (traced.xy <= np.array([self._w - 1, self._h - 1], np.float32))).all(axis=1)
        found = traced.order[is_shown]
        live = self._now.rgb[full_y[found].astype(np.int64), full_x[found].astype(np.int64)].astype(np.float32)
        return found, live, memory[is_shown]

    def draw(self, hole: Mask, hands: Mask, covered: Mask | None, least: float) -> Drawn:
        """Put the remembered pixels into the hole, in full size.

        Args:
            hole: (H, W) to be filled; hands: (h, w) the same at working size.
            covered: (h, w) where nothing is to be put.
            least: confidence below which nothing counts as known.
        """
        agreed = self._agreement()
        is_kept, trust = self._trusted(hands, covered, agreed, np.float32(least))
        cols, rows = _axis(self._width, self._w), _axis(self._height, self._h)
        pixels = np.flatnonzero(hole)
        row, col = np.divmod(pixels, self._width)
        at = rows.cell[row] * self._w + cols.cell[col]
        chosen = np.flatnonzero(is_kept.ravel()[at])
        pixels, at = pixels[chosen], at[chosen]
        traced = self._sources.trace(at, at, cols.place[col[chosen]], rows.place[row[chosen]])
        colours, is_shown = self._sources.colours(traced, self._now.gain)
        found = traced.order[is_shown]
        pixels, at, colours = pixels[found], at[found], colours[is_shown]
        if agreed is not None:
            colours *= agreed.gain.ravel()[at, None]
        return self._canvas(hole, pixels, at, colours, trust)

    def _trusted(self, hands: Mask, covered: Mask | None, agreed: Agreement | None, least: np.float32) -> tuple[Mask, Map]:
        """Which working pixels (h, w) of the hole are known well enough, and how far each can be trusted."""
        trust = np.zeros(hands.shape, np.float32)
        at = np.flatnonzero(hands & (self._places.id != -1))
        row, col = np.divmod(at, self._w)
        doubt = self._sources.doubt_px(at, col.astype(np.float32), row.astype(np.float32))
        trust.ravel()[at] = self._places.confidence.ravel()[at] / (1 + (doubt / (_VAGUE * self._w)) ** 2)
        if agreed is not None:
            trust *= agreed.trust
        if covered is not None:
            trust[covered] = 0
        is_known = hands & (self._places.id != -1)
        is_kept = is_known & _settled(is_known & (trust >= least), hands) & (trust >= np.float32(_NEARLY) * least)
        if covered is not None:
            is_kept &= ~covered
        return is_kept, np.maximum(trust, least)

    def _agreement(self) -> Agreement | None:
        """How the snapshots that the hole is drawn from fit the image around it; None where they do not show that."""
        known = self._view.hidden & (self._places.id != -1)
        if not known.any():
            return None
        ring = ring_around(self._view.grown, known)
        found, live, memory = self.side_by_side(ring.rows * self._w + ring.cols, ring.nearest)
        return agreement((self._h, self._w), ring.rows[found], ring.cols[found], live, memory)

    def _canvas(self, hole: Mask, pixels: Index, at: Index, colours: Map, trust: Map) -> Drawn:
        """Full-size images with colours (N, 3) put at flat pixels, whose working pixels are `at`; else an empty hole."""
        rgb = np.asarray(cv2.bitwise_and(self._now.rgb, self._now.rgb, mask=(~hole).view(np.uint8)), np.uint8)
        observed, confidence = np.zeros(hole.shape, np.bool_), (~hole).astype(np.float32)
        age = np.zeros(hole.shape, np.float32)
        np.copyto(age, np.float32(np.nan), where=hole)
        rgb.reshape(-1, 3)[pixels] = np.clip(colours + np.float32(0.5), 0, 255).astype(np.uint8)
        observed.ravel()[pixels] = True
        confidence.ravel()[pixels] = trust.ravel()[at]
        age.ravel()[pixels] = (self._now.stamp_ns - self._places.stamp_ns.ravel()[at]).astype(np.float32) * np.float32(1e-9)
        return Drawn(rgb, observed, confidence, age)


class _Axis(NamedTuple):
    """Pixels of one axis of the full image: their place in working pixels, and the working pixel that has it."""

    place: Map
    cell: Index


@lru_cache(maxsize=8)
def _axis(full: int, working: int) -> _Axis:
    place = _to_working(np.arange(full, dtype=np.float32), np.float32(full / working))
    return _Axis(place, np.clip(np.rint(place), 0, working - 1).astype(np.int64))


def _to_working(place: NDArray[np.floating], scale: np.float32) -> Map:
    return np.asarray((place + np.float32(0.5)) / scale - np.float32(0.5), np.float32)


def _settled(is_sure: Mask, hands: Mask) -> Mask:
    """What most neighbours in the hole of each pixel are: no specks, no pinholes."""
    sure, voters = (
        cv2.boxFilter(
            mask.view(np.uint8), cv2.CV_16U, (_NEIGHBOURS_PX, _NEIGHBOURS_PX), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        for mask in (is_sure & hands, hands)
    )
    return np.asarray(2 * sure > voters)
