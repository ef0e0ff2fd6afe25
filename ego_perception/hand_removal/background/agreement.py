"""Compares the memory with the live image around the hole: light that changed is adapted to, what disagrees is doubted.

The camera's exposure changes everywhere alike (`exposure`); a shadow that has moved since a place was seen does not. What the
snapshots say about a ring around the hole, against what is live there, tells how much darker or brighter the hole has become,
and how far the memory can be trusted; both are continued smoothly into the hole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.pull_push import pull_push

Index = NDArray[np.int64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

_RING = 0.1  # width of the ring as a share of the image width
_CELL = 4  # pixels over which colours are averaged
_SIGMA = 3.0  # cells over which they are averaged further
_LIMIT = 1.6  # of the gain and its inverse
_OFFSET = 8.0  # grey levels added to both sides of a ratio: dark pixels say little about the light
_OUTLIER = 20.0  # grey levels of misfit that halve a pixel's say
_FREE, _SCALE = 12.0, 20.0  # grey levels of misfit that cost nothing; beyond them, those that divide the confidence by e
_STRIDE = 2  # every second row and column of the ring says enough
_MIN_PIXELS = 15


class Ring(NamedTuple):
    """Some visible pixels around the hole: rows, columns, and flat index of the remembered pixel next to each; (N,)."""

    rows: Index
    cols: Index
    nearest: Index


@dataclass(frozen=True, eq=False)
class Agreement:
    """How memory and live image differ; (h, w) float32 each.

    Attributes:
        gain: by which remembered pixels are to be multiplied.
        trust: 0..1, by which their confidence is to be multiplied.
    """

    gain: Map
    trust: Map


def ring_around(grown: Mask, known: Mask) -> Ring:
    """Find the visible pixels near remembered ones.

    Args:
        grown: (h, w) True where the background is hidden, with a rim.
        known: (h, w) True where it is hidden and remembered; at least one pixel.
    """
    h, w = grown.shape
    reach = _RING * w
    left, top, width, height = cv2.boundingRect(known.view(np.uint8))
    x, y = (max(start - math.ceil(reach), 0) // _STRIDE * _STRIDE for start in (left, top))
    part = slice(y, min(top + height + math.ceil(reach), h)), slice(x, min(left + width + math.ceil(reach), w))
    distance, labels = cv2.distanceTransformWithLabels(
        (~known[part]).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    is_ring = ~grown[part][::_STRIDE, ::_STRIDE] & (distance[::_STRIDE, ::_STRIDE] <= reach)
    rows, cols = (axis * _STRIDE for axis in np.nonzero(is_ring))
    pixel_of = np.zeros(int(labels.max()) + 1, np.int64)
    own_rows, own_cols = np.nonzero(known[part])
    pixel_of[labels[own_rows, own_cols]] = (own_rows + y) * w + own_cols + x
    return Ring(rows + y, cols + x, pixel_of[labels[rows, cols]])


def agreement(shape: tuple[int, int], rows: Index, cols: Index, live: Map, memory: Map) -> Agreement | None:
    """Compare colours of ring pixels and continue the result into the hole.

    Args:
        shape: (h, w) of the image at working size.
        rows, cols: (N,) places in it.
        live, memory: (N, 3) colours that are seen there now, and that are remembered of there.

    Returns:
        None where too few pixels can be compared.
    """
    if len(rows) < _MIN_PIXELS:
        return None
    h, w = shape
    size = (max(w // _CELL, 4), max(h // _CELL, 4))
    cell = (rows * size[1] // h) * size[0] + cols * size[0] // w
    now, then = live.mean(axis=1), memory.mean(axis=1)
    misfit = np.abs(live - memory * _ratio(cell, now, then, np.ones_like(now), size).ravel()[cell, None]).mean(axis=1)
    say = (1 / (1 + (misfit / _OUTLIER) ** 2)).astype(np.float32)
    ratio = _ratio(cell, now, then, say, size)
    log_gain = _continued(np.log(np.clip(ratio, 1 / _LIMIT, _LIMIT)), _sums(cell, say, size), shape)
    gain = np.exp(log_gain)
    misfit = np.abs(live - memory * gain[rows, cols, None]).mean(axis=1)
    count = _sums(cell, np.ones_like(misfit), size)
    left = _continued((_sums(cell, misfit, size) / np.maximum(count, 1)).astype(np.float32), count, shape)
    return Agreement(gain, np.exp(-np.maximum(left - np.float32(_FREE), 0) / np.float32(_SCALE)))


def _ratio(cell: Index, now: Map, then: Map, say: Map, size: tuple[int, int]) -> Map:
    """Brightness now over brightness then, averaged around each cell; 1 where nothing is near."""
    offset = np.float32(_OFFSET)
    above, below = (cv2.GaussianBlur(_sums(cell, (m + offset) * say, size), (0, 0), _SIGMA) for m in (now, then))
    least = np.float32(1e-3)
    return np.asarray((above + least) / (below + least), np.float32)


def _sums(cell: Index, values: Map, size: tuple[int, int]) -> Map:
    return np.bincount(cell, values, size[0] * size[1]).reshape(size[::-1]).astype(np.float32)


def _continued(values: Map, count: Map, shape: tuple[int, int]) -> Map:
    """Values of cells, continued to where no pixel was compared, at working size."""
    weight = np.minimum(2 * count / np.float32((_CELL / _STRIDE) ** 2), 1).astype(np.float32)
    smooth = pull_push(np.where(count > 0, values, 0).astype(np.float32), weight)
    return np.asarray(cv2.resize(smooth, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
