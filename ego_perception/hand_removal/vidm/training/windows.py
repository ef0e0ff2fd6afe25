"""Which stretches of a video can be learnt from: hand-free ones as backgrounds, ones with hands throughout as givers of holes.

The published search inverts flags stored as integers, which makes 0 into -1 and 1 into -2: its sums are never zero, so that it
finds no window of VISOR at all. Here flags are Boolean, and a window counts where all of its rows do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hdf5.ego4d import Ego4dClip
from ego_perception.data.hdf5.visor import VisorVideo

Flags = NDArray[np.bool_]

_DARK: Final = 10.0  # mean of all channels, of 255: lens covered or camera starting
_NEAR_HAND: Final = 1  # frames before and after a detected hand that are not trusted either


def window_starts(is_usable: Flags, span: int) -> NDArray[np.int64]:
    """First rows of all windows of `span` neighbouring rows that are usable throughout; (K,) rising.

    Args:
        is_usable: (N,); numbers other than 0 count as true.
    """
    usable = np.asarray(is_usable, np.bool_)
    if span > len(usable):
        return np.zeros(0, np.int64)
    unusable_before = np.concatenate([[0], np.cumsum(~usable)])
    return np.flatnonzero(unusable_before[span:] == unusable_before[:-span])


def visor_hand_free(video: VisorVideo) -> Flags:
    """(N,) rows of which the ground truth around them says that no hand shows up."""
    return video.gt_no_hands & video.is_consistent


def visor_with_hands(video: VisorVideo) -> Flags:
    """(N,) rows with a hand, as the ground truth around them confirms."""
    return video.hands.any(axis=1) & video.is_consistent


def ego4d_hand_free(clip: Ego4dClip) -> Flags:
    """(N,) rows that are neither dark, nor show a hand, nor are next to one that does."""
    near = np.convolve(clip.has_hand, np.ones(2 * _NEAR_HAND + 1, np.int64), "same") > 0
    return ~near & (clip.mean_pixel.mean(axis=1) > _DARK)
