"""What a held object does to the memory: it hides background behind the hand as well, and was background before it was taken.

Objects stay in the picture, so the part of one that the hand covers is missing there, and what was once seen at that place is
not what belongs into the hole. And what an object looks like at its old place must be forgotten when a hand takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Colours = NDArray[np.floating] | NDArray[np.uint8]
Mask = NDArray[np.bool_]

_REACH = 0.25  # of an object's radius, beyond its convex hull
_SLICE = 0.22  # of the square of its width, the area below which a piece is a thin slice of something
_BRIDGE = 0.04  # of the image width, half the gap across which two pieces are one object
_MIN_PIXELS = 8  # of an object and of a comparison
_TOUCH_PX = 2  # from the hole, within which an object lies in the hand
_ALIKE = 15.0  # grey levels within which a remembered place shows the object itself
_NEIGHBOURS_PX = 3  # that are asked besides
_RIM_PX = 3  # around an object in which it may be remembered too


@dataclass(frozen=True, eq=False)
class Held:
    """Held objects of an image; (h, w) each.

    Attributes:
        piece: number of the object that is seen at a pixel, 0 where none is.
        behind: number of the object that probably lies there behind the hand, 0 where none does.
    """

    piece: NDArray[np.int32]
    behind: NDArray[np.int32]

    def remembered(self, rows: Index, cols: Index, live: Colours, memory: Colours) -> Mask:
        """Where the memory shows the object itself, (h, w), from colours seen and remembered (N, 3) at its pixels.

        Where an object looks like what is remembered of its place it has not moved since, and what is remembered next to it
        behind the hand is the rest of it.
        """
        compared = np.zeros(self.piece.shape, np.float32)
        alike = np.zeros(self.piece.shape, np.float32)
        compared[rows, cols] = 1
        alike[rows, cols] = np.abs(np.asarray(live, np.float32) - memory).mean(axis=1) < _ALIKE
        is_same = (compared > 0) & (_summed(alike) > 0.5 * _summed(compared))
        out = _grown(is_same, _RIM_PX) & (self.behind == 0)
        for number in np.unique(self.behind[self.behind > 0]):
            asked = (self.piece == number) & (compared > 0)
            if asked.sum() >= _MIN_PIXELS and is_same[asked].mean() > 0.5:
                out |= self.behind == number
        return np.asarray(out)


def held_objects(movers: Mask, hole: Mask) -> Held:
    """Find objects and how far they probably go on behind the hand: their convex hull, and some more.

    Args:
        movers: (h, w) True on held objects that are seen.
        hole: (h, w) True on hands; no pixel of an object is in it.
    """
    # Fingers divide what they hold: pieces that are close to each other are one object.
    bridged = _grown(movers, round(_BRIDGE * movers.shape[1]))
    count, labels = cv2.connectedComponents(bridged.astype(np.uint8), connectivity=8)
    pieces = np.asarray(np.where(movers, labels, 0), np.int32)
    behind, near = np.zeros(movers.shape, np.int32), _grown(hole, _TOUCH_PX)
    for number in range(1, count):
        piece = pieces == number
        area = int(piece.sum())
        touching = near & piece
        if area >= _MIN_PIXELS and touching.any():
            # Of most things as much lies beyond where they touch the hand as a thin slice lacks to be as deep as it is wide.
            wide = max(cv2.boundingRect(touching.view(np.uint8))[2:])
            missing = wide - area / wide if area < _SLICE * wide * wide else 0.0
            reach = max(_REACH * float(np.sqrt(area / np.pi)), missing)
            behind[_grown(_hull(piece), round(reach)) & hole] = number
    return Held(pieces, behind)


def _hull(piece: Mask) -> Mask:
    filled = piece.astype(np.uint8)
    outlines, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(outlines)), 1)
    return np.asarray(filled > 0)


def _grown(mask: Mask, radius: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _summed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _NEIGHBOURS_PX + 1
    return np.asarray(cv2.boxFilter(values, -1, (side, side), normalize=False), np.float32)
