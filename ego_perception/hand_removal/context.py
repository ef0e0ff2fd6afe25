"""Which earlier frames the diffusion model sees beside the one whose hands it removes, and how the background moved since."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.registration import Registrar, sample
from ego_perception.parameters import param

if TYPE_CHECKING:
    from ego_perception.hand_removal.vidm.remover import MaskedImage

_SMALL_WIDTH_PX: Final = 160
_POINT_GAP: Final = 37  # visible pixels from one fitted point to the next; prime, so that they form no columns
_MIN_POINTS: Final = 16


@dataclass(frozen=True)
class ContextConfig:
    """Earlier frames that the diffusion model sees."""

    policy: str = param(
        "coverage",
        "uniform: frames one spacing apart; coverage: those that together show most of what the hands hide now.",
        choices=("uniform", "coverage"),
    )
    spacing_s: float = param(0.6, "Time between two of them; kept are three per spacing.", unit="s", ge=0.03, le=60.0)
    capacity: int = param(16, "Frames kept to choose from.", ge=3, le=200)
    recollect_s: float = param(
        10.0,
        "Age up to which a refined image, registered to the live one, shows there what was never seen; 0: none does.",
        unit="s",
        ge=0.0,
        le=600.0,
    )


@dataclass(frozen=True, eq=False)
class _Kept:
    image: MaskedImage
    grey: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    place: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))


class ContextMemory:
    """Earlier frames, of which some are chosen to show the model what is behind the hands.

    `uniform` takes frames one spacing apart; `coverage` those that together show most of what the hands hide now.

    Args:
        count: frames chosen at most.
    """

    def __init__(self, config: ContextConfig, count: int = 3) -> None:
        self.config, self._count = config, count
        self._kept: deque[_Kept] = deque(maxlen=config.capacity)
        self._registrar = Registrar()

    def reset(self) -> None:
        """Forget all frames."""
        self._kept.clear()

    def add(self, image: MaskedImage) -> None:
        """Keep a frame, unless the one before is nearer than a third of the spacing; start anew where time or size jump."""
        if self._kept:
            last = self._kept[-1].image
            if image.rgb.shape != last.rgb.shape or image.stamp_ns < last.stamp_ns:
                self.reset()
            elif image.stamp_ns - last.stamp_ns < self.config.spacing_s * 1e9 / 3:
                return
        small = _small(image)
        self._kept.append(replace(small, place=self._placed(small)))

    def place(self, image: MaskedImage) -> NDArray[np.float64]:
        """Where the background of an image was in the first frame: (3, 3) homography in shares of width and height.

        Without a frame that has anything in common with it, the places of the newest frame, or the image's own.
        """
        if self._kept and self._kept[-1].image is image:
            return self._kept[-1].place
        return self._placed(_small(image))

    def _placed(self, small: _Kept) -> NDArray[np.float64]:
        if not self._kept or self._kept[-1].grey.shape != small.grey.shape:
            return np.eye(3)
        before = self._kept[-1]
        match = self._registrar.register(small.grey, before.grey, small.hole, before.hole)
        step = None if match is None else homography_of(match.flow, small.hole)
        return before.place if step is None else np.asarray(before.place @ step, np.float64)

    def choose(self, target: MaskedImage) -> list[MaskedImage]:
        """Context for a frame, oldest first."""
        older = [k for k in self._kept if k.image.stamp_ns < target.stamp_ns and k.image.rgb.shape == target.rgb.shape]
        if len(older) <= self._count:
            chosen = older
        elif self.config.policy == "coverage":
            chosen = self._most_revealing(_small(target), older)
        else:
            chosen = self._evenly_spaced(target.stamp_ns, older)
        return [k.image for k in sorted(chosen, key=lambda k: k.image.stamp_ns)]

    def _evenly_spaced(self, stamp_ns: int, older: list[_Kept]) -> list[_Kept]:
        chosen: list[_Kept] = []
        for step in range(1, self._count + 1):
            wanted_ns = stamp_ns - step * self.config.spacing_s * 1e9
            left = [k for k in older if k not in chosen]
            chosen.append(min(left, key=lambda k: abs(k.image.stamp_ns - wanted_ns)))
        return chosen

    def _most_revealing(self, target: _Kept, older: list[_Kept]) -> list[_Kept]:
        """Greedy: each next frame is the one that shows most of what is still hidden; ties go to the newest."""
        shown = [self._revealed(target, k) for k in older]
        hidden, chosen = target.hole.copy(), list[int]()
        for _ in range(self._count):
            left = [i for i in range(len(older)) if i not in chosen]
            best = max(left, key=lambda i: (int((shown[i] & hidden).sum()), older[i].image.stamp_ns))
            chosen.append(best)
            hidden &= ~shown[best]
        return [older[i] for i in chosen]

    def _revealed(self, target: _Kept, kept: _Kept) -> NDArray[np.bool_]:
        """Hidden pixels of the target that the kept frame shows."""
        match = self._registrar.register(target.grey, kept.grey, target.hole, kept.hole)
        if match is None:
            return np.zeros_like(target.hole)
        # One where visible, so that what lies outside the kept frame counts as not shown.
        return target.hole & (sample((~kept.hole).astype(np.uint8), match.flow, cv2.INTER_NEAREST) > 0)


def homography_of(flow: NDArray[np.float32], hole: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """The (3, 3) homography nearest to the flow of the visible pixels, in shares of width and height."""
    size = np.array(hole.shape[::-1], np.float64)
    rows, cols = (index[::_POINT_GAP] for index in np.nonzero(~hole))
    start = np.stack([cols, rows], axis=1) + 0.5
    if len(start) < _MIN_POINTS:
        return None
    cv2.setRNGSeed(0)
    H, _ = cv2.findHomography(start / size, (start + flow[rows, cols]) / size, cv2.RANSAC, 1.0 / float(size[0]))
    return None if H is None or not np.isfinite(H).all() else np.asarray(H, np.float64)


def _small(image: MaskedImage) -> _Kept:
    height, width = image.hands.shape
    size = (_SMALL_WIDTH_PX, max(16, round(height * _SMALL_WIDTH_PX / width)))
    grey = cv2.resize(cv2.cvtColor(image.rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(image.hands.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return _Kept(image, np.asarray(grey, np.uint8), np.asarray(hole))
