"""Keeps hands that no mask covers out of the memory, by how masks behave over time.

Hands have a top speed. A mask that vanishes farther than that from what is still covered has probably lost a hand: such
places are remembered only after a while, and until then as they were before. A mask that appears far from all that was covered
has probably found a hand late: what was seen there until then is no evidence of background.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SPEED = 1.0  # image widths that a hand moves in a second at most
_LEAST = 0.03  # of the image width; nothing nearer is called far
_MIN_SHARE = 0.15  # of a piece that lies far away, from which all of the piece is strange
_RIM = 0.04  # of the image width, around it: the hand that was lost goes on moving
_WAIT_NS = 1_000_000_000  # that a place must be seen once its mask vanished strangely


class Quarantine:
    """Which places of the newest image are covered, or were covered until their mask vanished strangely a short while ago."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what was covered."""
        self._covered: Mask | None = None
        self._until_ns: NDArray[np.int64] | None = None
        self._stamp_ns = 0

    def unsure(self, covered: Mask, index: Index | None, stamp_ns: int) -> Mask:
        """Take the next image.

        Args:
            covered: (h, w) where it shows no background.
            index: (h, w) flat index of the place of each pixel in the image before, -1 where it was not in view; None where
                that is not known.

        Returns:
            (h, w) where it shows none, or none that can be trusted yet.
        """
        until = None
        if index is not None and self._covered is not None:
            if self._until_ns is not None:
                until = np.where(index >= 0, self._until_ns.ravel()[index], 0)
            uncovered = ~covered & _carried(self._covered, index)
            lost = strange_pieces(uncovered, covered, (stamp_ns - self._stamp_ns) * 1e-9)
            if lost.any():
                rim = round(_RIM * covered.shape[1])
                lost = cv2.dilate(lost.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)) > 0
                until = np.zeros(covered.shape, np.int64) if until is None else until
                until[lost] = stamp_ns + _WAIT_NS
        is_waiting = None if until is None else until > stamp_ns
        self._covered, self._until_ns, self._stamp_ns = covered, until, stamp_ns
        if is_waiting is None or not is_waiting.any():
            self._until_ns = None  # nothing is waited for any more
            return covered
        return np.asarray(covered | is_waiting)


def out_of_nowhere(hands: Mask, unsure_before: Mask, index: Index, elapsed_s: float) -> Mask:
    """Find what a mask covers for the first time and cannot have reached since the image before.

    Args:
        hands: (h, w) the mask now.
        unsure_before: (h, w) `Quarantine.unsure` of the image before, in its own pixels.
        index: (h, w) flat index of the place of each pixel in the image before, -1 where it was not in view.
        elapsed_s: time since that image.

    Returns:
        (h, w) newly covered pixels that appeared at once.
    """
    old = _carried(unsure_before, index)
    return strange_pieces(hands & ~old & (index >= 0), old, elapsed_s)


def strange_pieces(changed: Mask, covered: Mask, elapsed_s: float) -> Mask:
    """Find pieces of a mask's change that no moving hand explains.

    Args:
        changed: (h, w) what is covered in one of two images only.
        covered: (h, w) what is covered in the other one; a hand may also come from or go to the outside of the image.
        elapsed_s: time between the two.
    """
    if not changed.any():
        return changed
    free = np.pad((~covered).astype(np.uint8), 1)
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 3)[1:-1, 1:-1]
    far = changed & (distance > max(_LEAST, _SPEED * elapsed_s) * changed.shape[1])
    if not far.any():
        return np.asarray(far)
    count, pieces = cv2.connectedComponents(changed.astype(np.uint8), connectivity=8)
    labels = np.asarray(pieces, np.int64).ravel()
    size, strange = (np.bincount(labels, mask.ravel(), count) for mask in (changed, far))
    return np.asarray(changed & (strange > _MIN_SHARE * np.maximum(size, 1))[labels].reshape(changed.shape))


def _carried(mask: Mask, index: Index) -> Mask:
    """A mask of the image before in the pixels of this one."""
    return np.asarray((index >= 0) & mask.ravel()[index])
