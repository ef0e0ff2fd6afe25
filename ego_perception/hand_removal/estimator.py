"""Hand removal as a streaming estimator: one frame in, the view without hands out, causal, and never a frame with hands.

Find the hands (`segmentation`, or a mask from elsewhere), put back what was seen behind them (`background`), paint what nobody
saw (`fill`). Whatever goes wrong on the way withholds the image; the reason says what it was.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import EgoPerceptionError
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.fill.painter import Painter, PainterConfig
from ego_perception.hand_removal.finder import FoundHands, HandFinder, Segmenter
from ego_perception.hand_removal.masks import Doubt, MaskConfig, hole_of
from ego_perception.hand_removal.relay import GeometryGiver, MaskListener
from ego_perception.parameters import group, param

_log = logging.getLogger(__name__)

_MASK_SOURCES: Final = ("builtin", "frame", "auto")
_MAX_HOLE: Final = 0.9


@dataclass(frozen=True)
class HandRemovalConfig:
    """Parameters of hand removal."""

    mask_source: str = param(
        "builtin",
        "builtin: the own segmenter; frame: the mask that comes with the frame; auto: that one where it comes, else the own.",
        choices=_MASK_SOURCES,
    )
    masks: MaskConfig = group(MaskConfig)
    background: BackgroundConfig = group(BackgroundConfig)
    painter: PainterConfig = group(PainterConfig)


class HandRemovalEstimator:
    """Implements `runtime.Estimator[HandRemovalEstimate]`.

    Args:
        segmenter: None where masks always come with the frames.
        painter: None leaves what nobody saw unfilled.
    """

    def __init__(self, config: HandRemovalConfig, segmenter: Segmenter | None, painter: Painter | None) -> None:
        self.config = config
        self._finder = None if segmenter is None else HandFinder(segmenter, config.masks)
        self._painter = painter
        self._plate = BackgroundPlate(config.background)
        self.on_mask: MaskListener | None = None
        """Told the full-size hand mask of each frame as soon as it is found, long before the rest is done."""
        self.geometry_of: GeometryGiver | None = None
        """Asked, once the mask was told, for depth and pose of the very frame."""
        self.reset()

    def reset(self) -> None:
        """Forget everything that was seen; weights stay loaded."""
        self._plate.reset()
        if self._finder is not None:
            self._finder.reset()
        if self._painter is not None:
            self._painter.reset()

    def flush(self) -> Iterable[HandRemovalEstimate]:
        """Nothing is held back."""
        return ()

    def push(self, frame: Frame, geometry: SceneGeometry | None = None) -> HandRemovalEstimate:
        """Remove the hands from one frame.

        Args:
            geometry: depth and pose of this frame, where somebody knows them; the memory is warped by them then.
        """
        try:
            found = self._found(frame)
        except (EgoPerceptionError, RuntimeError, ValueError) as error:
            _log.warning("no hand mask for the frame at %d: %s", frame.stamp_ns, error)
            return self._withhold(frame, f"no hand mask: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        hole = found.hole
        full_labels = np.asarray(cv2.resize(found.labels, frame.size, interpolation=cv2.INTER_NEAREST), np.uint8)
        if self.on_mask is not None:
            self.on_mask(frame, full_labels)
        if hole.mean() > _MAX_HOLE:
            return self._withhold(frame, f"hands cover {hole.mean():.0%} of the image", full_labels)
        movers = (full_labels == HandLabel.HELD_OBJECT) & ~hole
        # Who is asked for geometry may wait for it: the memory does so once it can do no more without.
        given = partial(self.geometry_of, frame) if geometry is None and self.geometry_of is not None else geometry
        background = self._plate.push(
            frame.rgb, hole, frame.stamp_ns, camera=frame.camera, movers=movers, doubtful=found.doubt.where, geometry=given
        )
        return replace(self._compose(frame, full_labels, hole, background), expected_miss=found.doubt.miss)

    def _found(self, frame: Frame) -> FoundHands:
        """The hands of a frame; those of a mask from elsewhere are not doubted.

        Raises:
            EgoPerceptionError: there is no mask, or it cannot be trusted.
        """
        source = self.config.mask_source
        if source != "builtin" and frame.hands is not None:
            return self._given(frame, frame.hands)
        if source != "builtin" and frame.ignore is not None:
            return self._given(frame, np.where(frame.ignore, HandLabel.ANY, HandLabel.NONE).astype(np.uint8))
        if source == "frame":
            raise _NoMaskError("no mask came with the frame")
        if self._finder is None:
            raise _NoMaskError("the segmenter is not loaded")
        return self._finder.find(frame.rgb, frame.stamp_ns)

    def _given(self, frame: Frame, labels: NDArray[np.uint8]) -> FoundHands:
        hole = hole_of(labels, frame.size, self.config.masks)
        return FoundHands(labels, hole, Doubt(0.0, np.zeros_like(hole)))

    def _withhold(self, frame: Frame, reason: str, labels: NDArray[np.uint8] | None = None) -> HandRemovalEstimate:
        return HandRemovalEstimate(frame, RemovalState.WITHHELD, reason, hand_mask=labels)

    def _compose(
        self, frame: Frame, labels: NDArray[np.uint8], hole: NDArray[np.bool_], background: Background
    ) -> HandRemovalEstimate:
        if self._painter is None:
            provenance = np.where(background.observed, np.uint8(Provenance.OBSERVED), np.uint8(Provenance.UNKNOWN)) * hole
            image, confidence, age = background.rgb, background.confidence, background.age_s
        else:
            painted = self._painter.paint(frame.rgb, hole, background)
            if painted is None:
                return self._withhold(frame, "the fill network gave numbers that are not finite", labels)
            image, provenance, confidence, age = painted
        unknown = provenance == Provenance.UNKNOWN
        state, reason = RemovalState.CLEAN, ""
        if unknown.any():
            image[unknown] = 0
            state, reason = RemovalState.DEGRADED, "parts of the background were never seen and are left black"
        if background.is_cut:
            state, reason = RemovalState.DEGRADED, "the scene changed; what was behind the hands is forgotten"
        model = self._painter.name if self._painter is not None and (provenance == Provenance.GENERATED).any() else ""
        return HandRemovalEstimate(frame, state, reason, image, labels, provenance, confidence, age, model)


class _NoMaskError(EgoPerceptionError):
    """There is no mask to be trusted."""
