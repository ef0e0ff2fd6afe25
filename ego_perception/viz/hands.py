"""Pictures and figures of hand removal: where hands were found, the view without them, and where its pixels come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandLabel, Provenance
from ego_perception.data.result import FrameRecord
from ego_perception.viz.pictures import Picture, overlay_mask

if TYPE_CHECKING:
    from ego_perception.viz.content import ResultContent

PROVENANCE_RGB: Final = {
    Provenance.OBSERVED: (47, 143, 216),
    Provenance.GENERATED: (230, 159, 0),
    Provenance.UNKNOWN: (204, 51, 63),
}
PROVENANCE_WORDS: Final = {
    Provenance.LIVE: "seen in this very image",
    Provenance.OBSERVED: "seen earlier",
    Provenance.GENERATED: "made up",
    Provenance.UNKNOWN: "left black",
}
HAND_RGB: Final = {
    HandLabel.LEFT: (64, 180, 120),
    HandLabel.RIGHT: (170, 90, 200),
    HandLabel.HELD_OBJECT: (240, 200, 60),
    HandLabel.ANY: (170, 90, 200),
}
HAND_WORDS: Final = {HandLabel.LEFT: "left hand", HandLabel.RIGHT: "right hand", HandLabel.HELD_OBJECT: "held object"}


def overlay_hands(image: Picture, mask: NDArray[np.uint8] | None) -> Picture:
    """Tint the hands in a picture: left green, right or either violet, held objects yellow."""
    if mask is None:
        return image
    codes = _fitted(mask, image)
    for label, colour in HAND_RGB.items():
        image = overlay_mask(image, codes == label, colour)
    return image


def overlay_provenance(image: Picture, provenance: NDArray[np.uint8] | None) -> Picture:
    """Tint what was not seen live, in the colours of `PROVENANCE_RGB`."""
    if provenance is None:
        return image
    codes = _fitted(provenance, image)
    for code, colour in PROVENANCE_RGB.items():
        image = overlay_mask(image, codes == code, colour, 0.55)
    return image


def shares(provenances: Iterable[NDArray[np.uint8]]) -> dict[Provenance, float]:
    """Mean share of all pixels for each code, 0..1; empty without a picture."""
    counts = [np.bincount(p.ravel(), minlength=len(Provenance))[: len(Provenance)] / p.size for p in provenances]
    return {code: float(share) for code, share in zip(Provenance, np.mean(counts, axis=0), strict=True)} if counts else {}


def removal_frames(content: ResultContent) -> list[FrameRecord]:
    """The kept frames of which hand removal said something."""
    return [frame for frame in content.frames if frame.hand_removal]


def state_counts(frames: Iterable[FrameRecord]) -> Counter[str]:
    """How many frames are clean, degraded and withheld."""
    return Counter(frame.hand_removal.get("state", "UNKNOWN").lower() for frame in frames)


def _fitted(codes: NDArray[np.uint8], image: Picture) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if codes.shape == (height, width):
        return codes
    return np.asarray(cv2.resize(codes, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
