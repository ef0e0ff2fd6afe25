"""Hand removal without trained weights: hands of a colour of their own, a segmenter for it, a grey painter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import FrameError
from ego_perception.hand_removal.background.plate import BackgroundConfig
from ego_perception.hand_removal.estimator import HandRemovalConfig, HandRemovalEstimator
from ego_perception.hand_removal.fill.network import Filler
from ego_perception.hand_removal.fill.painter import Painter, PainterConfig
from ego_perception.hand_removal.fill.sizes import FillConfig
from ego_perception.hand_removal.guard import CheckedSegmenter
from ego_perception.hand_removal.relay import Relay
from ego_perception.hand_removal.segmentation.sizes import HandClass

HAND_RGB = (255, 0, 255)
SIZE = (96, 72)
Image = NDArray[np.uint8]
_BACKGROUND = BackgroundConfig(work_width=96, capacity=8, keyframes=2)


def scene(seed: int = 0, size: tuple[int, int] = SIZE) -> Image:
    """A textured room in which green is never low, so that no pixel resembles a hand."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 250, (6, 8, 3), np.uint8)
    fine = rng.integers(0, 40, (size[1], size[0], 3), np.uint8)
    big = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    image = np.clip(big.astype(np.int64) + fine - 20, 60, 255).astype(np.uint8)
    image[..., 1] = np.maximum(image[..., 1], 100)
    return image


def hand_area(index: int, size: tuple[int, int] = SIZE) -> tuple[slice, slice]:
    """Rows and columns of the hand in a frame; it wanders."""
    width, height = size
    x = int(width * (0.25 + 0.35 * (0.5 + 0.5 * np.sin(index / 7))))
    y = int(height * (0.35 + 0.2 * np.cos(index / 5)))
    return slice(y, y + height // 4), slice(x, x + width // 5)


def frame_with_hand(index: int, stamp_ns: int, *, size: tuple[int, int] = SIZE, seed: int = 0, hand: bool = True) -> Frame:
    """A frame of a still camera."""
    image = scene(seed, size)
    if hand:
        image[hand_area(index, size)] = HAND_RGB
    return Frame(stamp_ns, image, index=index, frame_id="cam_optical")


def hand_pixels(image: Image) -> int:
    """How many pixels look like a hand, also after JPEG."""
    r, g, b = (image[..., i].astype(np.int64) for i in range(3))
    return int(((r > 170) & (b > 170) & (g < 60)).sum())


def labels_of_hand(frame: Frame, label: HandLabel = HandLabel.RIGHT) -> Image:
    """The true mask."""
    is_hand = (frame.rgb == np.array(HAND_RGB, np.uint8)).all(axis=2)
    return np.where(is_hand, label, HandLabel.NONE).astype(np.uint8)


class ColourSegmenter:
    """Finds the colour of hands; `fault` replaces its answer, or is raised."""

    name = "colour"

    def __init__(self) -> None:
        self.fault: Any = None

    def predict(self, rgb: Image) -> Any:
        if isinstance(self.fault, BaseException):
            raise self.fault
        is_hand = (rgb == np.array(HAND_RGB, np.uint8)).all(axis=2)
        found = np.zeros((len(HandClass), *is_hand.shape), np.float32)
        # Of either side: the label is LEFT then, whether the image came mirrored or not.
        found[HandClass.LEFT_HAND] = found[HandClass.RIGHT_HAND] = 0.5 * is_hand
        found[HandClass.NONE] = ~is_hand
        return found if self.fault is None else self.fault(found)


class GreyBackend:
    """A fill network that paints grey and trusts the background; `fault` as of the segmenter."""

    def __init__(self) -> None:
        self.fault: Any = None

    def run(self, *inputs: NDArray[np.float32]) -> Any:
        if isinstance(self.fault, BaseException):
            raise self.fault
        size = inputs[0].shape[2:]
        painted, gate = np.zeros((1, 3, *size), np.float32), np.ones((1, 1, *size), np.float32)
        given = (painted, gate) if self.fault is None else self.fault(painted, gate)
        return None if given is None else (painted, *given)


class FaultyEstimator(Relay):
    """The real estimator with fake networks; `fault` changes what it gives."""

    def __init__(self, mask_source: str = "builtin", *, paints: bool = True, **masks: Any) -> None:
        self.segmenter, self.backend = ColourSegmenter(), GreyBackend()
        self.fault: Any = None
        self.num_resets = 0
        config = HandRemovalConfig(mask_source, background=_BACKGROUND)
        config = replace(config, masks=replace(config.masks, **masks))
        painter = Painter(PainterConfig(), Filler(FillConfig(), self.backend, "grey")) if paints else None
        self._real = HandRemovalEstimator(config, CheckedSegmenter(self.segmenter), painter)
        super().__init__(self._real)

    def reset(self) -> None:
        self.num_resets += 1
        self._real.reset()

    def flush(self) -> Iterable[HandRemovalEstimate]:
        return self._real.flush()

    def push(self, frame: Frame) -> HandRemovalEstimate | None:
        if isinstance(self.fault, BaseException):
            raise self.fault
        estimate = self._real.push(frame)
        return estimate if self.fault is None else self.fault(estimate)

    def heal(self) -> None:
        """No fault any more."""
        self.fault = self.segmenter.fault = self.backend.fault = None


def raw(estimate: HandRemovalEstimate, **changes: Any) -> HandRemovalEstimate:
    """The worst lie: the camera's image as a clean one."""
    height, width = estimate.frame.rgb.shape[:2]
    lie = HandRemovalEstimate(
        estimate.frame,
        RemovalState.CLEAN,
        image=estimate.frame.rgb.copy(),
        hand_mask=labels_of_hand(estimate.frame),
        provenance=np.full((height, width), Provenance.LIVE, np.uint8),
        confidence=np.ones((height, width), np.float32),
        age_s=np.zeros((height, width), np.float32),
    )
    return replace(lie, **changes)


def nan_in(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """One number that is not finite."""
    spoilt = values.copy()
    spoilt.flat[values.size // 2] = np.nan
    return spoilt


SEGMENTER_FAULTS: dict[str, Any] = {
    "segmenter raises a package error": FrameError("no session"),
    "segmenter raises a runtime error": RuntimeError("CUDA error: device-side assert"),
    "segmenter raises an unexpected error": KeyError("scores"),
    "segmenter is out of memory": MemoryError(),
    "segmenter gives NaN": nan_in,
    "segmenter gives only NaN": lambda p: np.full_like(p, np.nan),
    "segmenter gives infinity": lambda p: np.full_like(p, np.inf),
    "segmenter gives zeros": np.zeros_like,
    "segmenter gives scores in place of probabilities": lambda p: 7 * p - 3,
    "segmenter gives fewer classes": lambda p: p[:4],
    "segmenter gives one class": lambda p: p[0],
    "segmenter gives another shape": lambda p: p[:, :, : p.shape[2] // 2],
    "segmenter gives nothing": lambda p: p[:, :0],
    "segmenter gives None": lambda p: None,
}
PAINTER_FAULTS: dict[str, Any] = {
    "painter raises": RuntimeError("dead"),
    "painter raises an unexpected error": IndexError("list index out of range"),
    "painter gives NaN": lambda painted, gate: (nan_in(painted), gate),
    "painter gives a gate of NaN": lambda painted, gate: (painted, np.full_like(gate, np.nan)),
    "painter gives infinity": lambda painted, gate: (np.full_like(painted, np.inf), gate),
    "painter gives None": lambda painted, gate: None,
    "painter gives one channel": lambda painted, gate: (painted[:, :1, :, :0], gate),
}
ESTIMATOR_FAULTS: dict[str, Any] = {
    "estimator is dead": SystemError("worker is gone"),
    "estimator gives nothing": lambda e: None,
    "estimator gives the camera's image as live": raw,
    "estimator gives the camera's image as generated": lambda e: raw(
        e, provenance=np.where(labels_of_hand(e.frame) > 0, np.uint8(2), np.uint8(0)).astype(np.uint8)
    ),
    "estimator gives the camera's image without a mask": lambda e: raw(e, hand_mask=None),
    "estimator gives a mask of another size": lambda e: raw(e, hand_mask=np.zeros((9, 9), np.uint8)),
    "estimator gives an image of another size": lambda e: replace(e, image=e.frame.rgb[::2, ::2]),
    "estimator gives an image of floats": lambda e: replace(e, image=e.frame.rgb.astype(np.float32)),
    "estimator gives no image and calls it clean": lambda e: replace(e, image=None),
    "estimator gives no provenance": lambda e: raw(e, provenance=None),
    "estimator gives an unknown provenance": lambda e: replace(e, provenance=np.full_like(e.provenance, 9)),
    "estimator gives a confidence of NaN": lambda e: replace(e, confidence=nan_in(e.confidence)),
    "estimator gives another frame": lambda e: raw(replace(e, frame=replace(e.frame, stamp_ns=e.frame.stamp_ns - 1))),
    "estimator withholds and gives the image all the same": lambda e: raw(e, state=RemovalState.WITHHELD, reason="told so"),
}
