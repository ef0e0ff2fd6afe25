"""Fills holes: the network's picture where nobody looked, the remembered background where it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import Provenance
from ego_perception.hand_removal.background.plate import Background
from ego_perception.hand_removal.fill.crop import Window, input_planes, window_around
from ego_perception.hand_removal.fill.joining import calmed, seamless, softness
from ego_perception.hand_removal.fill.network import Filler
from ego_perception.parameters import param

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_PAINTED_CONFIDENCE = 0.1


@dataclass(frozen=True)
class PainterConfig:
    """How the fill network is used."""

    longest_px: int = param(
        160, "Longer side of the window around the hole at most, as the network sees it.", unit="px", ge=64, le=1024
    )
    min_trust: float = param(0.5, "The network's trust from which a remembered pixel counts as seen.", ge=0.0, le=1.0)
    persistence: float = param(
        0.85,
        "Share of the last image in what is made up at a place, where both are alike; more is calmer and follows later.",
        ge=0.0,
        le=0.95,
    )


class Painted(NamedTuple):
    """The finished image (H, W, 3), provenance (H, W), confidence (H, W) and age in seconds (H, W)."""

    image: Image
    provenance: Image
    confidence: NDArray[np.float32]
    age_s: NDArray[np.float32]


class _Carried(NamedTuple):
    """The last image in a window, moved with the background, where that is inside it, and where it was filled."""

    image: Image
    inside: Mask
    filled: Mask


class Painter:
    """Paints one stream of images; remembers the last one, so that what was made up stays the same."""

    def __init__(self, config: PainterConfig, filler: Filler) -> None:
        self.config, self._filler = config, filler
        self.reset()

    @property
    def name(self) -> str:
        """Name and version of the weights."""
        return self._filler.name

    def reset(self) -> None:
        """Forget the last image."""
        self._last: Image | None = None
        self._last_hole: Mask | None = None

    def paint(self, rgb: Image, hole: Mask, background: Background) -> Painted | None:
        """Finish an image; None where the network's numbers are not finite."""
        provenance = hole.astype(np.uint8) * np.uint8(Provenance.GENERATED)
        confidence, age, image = background.confidence.copy(), background.age_s.copy(), background.rgb.copy()
        window = window_around(hole, self.config.longest_px)
        if window is not None:
            last = self._carried(background, hole.shape, window)
            before, valid = (None, None) if last is None else (last.image, last.inside)
            planes = input_planes(rgb, hole, background, before, valid, window)
            painted, gate = self._filler.paint(planes)
            if not (np.isfinite(painted).all() and np.isfinite(gate).all()):
                return None
            picture = seamless(painted, planes[3:6], _say(planes, gate))
            self._blend(image, hole, background, window, picture, gate, (provenance, confidence, age))
            self._calm(window.cut(image), window.cut(provenance), last)
        self._last, self._last_hole = image, hole.copy()
        return Painted(image, provenance, confidence, age)

    def _blend(
        self,
        image: Image,
        hole: Mask,
        background: Background,
        window: Window,
        picture: NDArray[np.float32],
        gate: NDArray[np.float32],
        maps: tuple[Image, NDArray[np.float32], NDArray[np.float32]],
    ) -> None:
        """Write the hole of the window in full size; remembered pixels keep their sharpness."""
        size, inside, observed = (window.width, window.height), window.cut(hole), window.cut(background.observed)
        colour = cv2.resize(picture * 127.5 + 127.5, size, interpolation=cv2.INTER_LINEAR)
        trust = cv2.resize(gate, size, interpolation=cv2.INTER_LINEAR) * observed * softness(observed | ~inside)
        change = cv2.subtract(window.cut(background.rgb), colour, dtype=cv2.CV_32F)
        mixed = cv2.add(colour, cv2.multiply(change, cv2.merge([trust] * 3)), dtype=cv2.CV_8U)
        cv2.copyTo(mixed, inside.view(np.uint8), window.cut(image))
        provenance, confidence, age = window.cut(maps[0]), window.cut(maps[1]), window.cut(maps[2])
        is_seen = inside & (trust >= self.config.min_trust)
        is_made = inside & ~is_seen
        provenance[is_seen] = Provenance.OBSERVED
        cv2.copyTo(confidence * trust, is_seen.view(np.uint8), confidence)
        np.copyto(confidence, np.float32(_PAINTED_CONFIDENCE), where=is_made)
        np.copyto(age, np.float32(np.nan), where=is_made)

    def _calm(self, part: Image, provenance: Image, last: _Carried | None) -> None:
        """Hold on to what filled the hole before where a picture is made up now, in the window.

        What was live then is left out: it may have been a hand that was not found.
        """
        if last is None or self.config.persistence == 0:
            return
        again = (provenance == Provenance.GENERATED) & last.filled & last.inside
        cv2.copyTo(calmed(part, last.image, self.config.persistence), again.view(np.uint8), part)

    def _carried(self, background: Background, shape: tuple[int, ...], window: Window) -> _Carried | None:
        """The last image where its background is now; None where there is none or nobody knows."""
        if self._last is None or self._last_hole is None or background.flow is None or self._last.shape[:2] != shape:
            return None
        height, width = shape[:2]
        full = cv2.resize(background.flow, (width, height), interpolation=cv2.INTER_LINEAR)
        flow = window.cut(np.asarray(full, np.float32))
        x = flow[..., 0] * np.float32(width / background.flow.shape[1])
        y = flow[..., 1] * np.float32(height / background.flow.shape[0])
        x += np.arange(window.x, window.x + window.width, dtype=np.float32)
        y += np.arange(window.y, window.y + window.height, dtype=np.float32)[:, None]
        moved = cv2.remap(self._last, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        filled = cv2.remap(self._last_hole.view(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return _Carried(np.asarray(moved, np.uint8), inside, np.asarray(filled, np.uint8).view(np.bool_))


def _say(planes: NDArray[np.float32], gate: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the remembered background among the network's planes is right, (h, w): for sure where live, else by the gate."""
    live, is_known = 1 - planes[7], planes[8] < 0.5
    return np.asarray(np.where(live > 0.5, live, gate) * is_known, np.float32)
