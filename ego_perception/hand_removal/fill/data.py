"""What the fill network learns from: holes of real hands in simulated clips, filled as far as the memory goes, and the truth.

The background is followed through each clip exactly as in use, with its true errors; every few frames the window around the
hole is kept. The frame's truth is the picture without the wearer but with the shadow, which is what can be known.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.data import Frame
from ego_perception.data.clips import Clip, ClipDataset, write_whole
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.hand_removal.background.plate import BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.fill.crop import Window, input_planes, window_around
from ego_perception.hand_removal.fill.sizes import PLANES
from ego_perception.hand_removal.masks import MaskConfig, hole_of
from ego_perception.hand_removal.segmentation.data import hand_classes
from ego_perception.hand_removal.segmentation.sizes import HandClass

_log = logging.getLogger(__name__)

SIDE: Final = 160
_FORMAT: Final = 2  # raise when `samples_of` or the background's memory changes what windows hold
_MIN_HOLE: Final = 0.005  # of the image; smaller ones teach nothing
_LAST_NOISE: Final = 0.05


def windows_name(stride: int) -> str:
    """End of the name of a folder of windows: what they depend on beside the clips."""
    return f"windows_v{_FORMAT}_every{stride}"


def samples_of(clip: Clip, stride: int, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Windows of one clip: input planes (14, S, S) and target (3, S, S), both as bytes (see `to_bytes`).

    Half of the clips keep their hands; in the others the masks are those of the clip played backwards, laid over frames without
    the wearer, so that the holes' insides are ordinary pictures.

    Raises:
        SourceError: the clip lacks `classes` or `clean_shadowed`.
    """
    frames = list(clip)
    holes = [_hole(frame, clip) for frame in frames]
    is_foreign = rng.random() < 0.5
    plate, last, last_valid = BackgroundPlate(BackgroundConfig()), None, None
    for k, frame in enumerate(frames):
        assert frame.truth is not None and frame.truth.clean_shadowed is not None
        truth = frame.truth.clean_shadowed
        rgb, hole = (truth, holes[-1 - k]) if is_foreign else (frame.rgb, holes[k])
        background = plate.push(rgb, hole, frame.stamp_ns)
        window = window_around(hole, SIDE)
        if window is None or hole.mean() < _MIN_HOLE:
            last = last_valid = None
            continue
        if k % stride == stride - 1 or k == len(frames) - 1:
            window = Window(window.x, window.y, window.width, window.height, (SIDE, SIDE))
            planes = input_planes(rgb, hole, background, last, last_valid, window)
            yield to_bytes(planes), to_bytes(window.take(truth).transpose(2, 0, 1) / 127.5 - 1)
        last, last_valid = _made_up(truth, rng), np.ones(hole.shape, np.bool_)


def _hole(frame: Frame, clip: Clip) -> NDArray[np.bool_]:
    if frame.truth is None or frame.truth.classes is None or frame.truth.clean_shadowed is None:
        raise SourceError(f"clip {clip.seed} lacks classes or clean_shadowed; render it with --products clean")
    classes = hand_classes(frame.truth.classes)
    labels = np.where((classes >= HandClass.LEFT_HAND) & (classes <= HandClass.RIGHT_ARM), HandLabel.ANY, HandLabel.NONE)
    return hole_of(labels.astype(np.uint8), frame.size, MaskConfig())


def _made_up(truth: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the last output may have looked like: right on the whole, softer, and off in colour."""
    soft = cv2.GaussianBlur(truth, (0, 0), float(rng.uniform(0.5, 4)))
    return np.clip(soft * rng.uniform(0.9, 1.1, 3), 0, 255).astype(np.uint8)


def to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Store numbers of -1..1 in a byte each."""
    return np.clip(np.round(values * 127) + 128, 0, 255).astype(np.uint8)


def from_bytes(values: Tensor) -> Tensor:
    """The numbers that `to_bytes` stored, to 0.004; 0 and 1 exactly."""
    return ((values.float() - 128) / 127).clamp(-1, 1)


class FillDataset:
    """All windows of a folder of packed clips in memory; new ones are appended by `rescan`.

    Args:
        folder: as `pack` writes it.
        names: files to start with, in this order (a resumed run); None takes all there are.
        refresh: called before each `rescan`, to pack clips that were finished since.

    Raises:
        SourceError: nothing there, a named file is missing, or one is damaged.
    """

    def __init__(self, folder: Path, names: list[str] | None = None, refresh: Callable[[], object] | None = None) -> None:
        self.folder, self._refresh = folder, refresh
        self.names: list[str] = []
        self._planes: list[NDArray[np.uint8]] = []
        self._targets: list[NDArray[np.uint8]] = []
        self._append(self._found() if names is None else names)
        if not self._planes:
            raise SourceError(f"{folder} holds no windows to learn from; pack a data set of clips first")

    def __len__(self) -> int:
        return len(self._planes)

    def rescan(self) -> None:
        """Append files that were written since."""
        if self._refresh is not None:
            self._refresh()
        self._append([name for name in self._found() if name not in set(self.names)])

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Stack windows: planes (B, 14, S, S) and targets (B, 3, S, S)."""
        planes = torch.from_numpy(np.stack([self._planes[i] for i in indices.tolist()]))
        targets = torch.from_numpy(np.stack([self._targets[i] for i in indices.tolist()]))
        return from_bytes(planes), from_bytes(targets)

    def _found(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.npz"))

    def _append(self, names: list[str]) -> None:
        for name in names:
            try:
                with np.load(self.folder / name, allow_pickle=False) as content:
                    planes, targets = content["planes"], content["targets"]
            except (OSError, ValueError, KeyError, EOFError) as error:
                raise SourceError(f"{self.folder / name} cannot be read ({error}); delete it and pack again") from error
            if planes.shape[1:] != (PLANES, SIDE, SIDE) or targets.shape != (len(planes), 3, SIDE, SIDE):
                raise SourceError(f"{self.folder / name} holds planes of shape {planes.shape}; delete it and pack again")
            self._planes.extend(planes)
            self._targets.extend(targets)
            self.names.append(name)


def pack(clips: ClipDataset, out: Path, stride: int = 4, seed: int = 0) -> int:
    """Write one file of windows per finished clip into `out`, also for a clip without any.

    Files that are there already are kept, so that an interrupted run goes on and a growing data set is followed.

    Returns:
        Number of files written.
    """
    out.mkdir(parents=True, exist_ok=True)
    clips.reload()
    paths = [out / f"{entry.seed:06d}.npz" for entry in clips.entries]
    missing = [(k, path) for k, path in enumerate(paths) if not path.exists()]
    for number, (k, path) in enumerate(missing):
        clip = clips.clip(k)
        samples = list(samples_of(clip, stride, np.random.default_rng([seed, clip.seed])))
        planes = np.zeros((len(samples), PLANES, SIDE, SIDE), np.uint8)
        targets = np.zeros((len(samples), 3, SIDE, SIDE), np.uint8)
        for i, (plane, target) in enumerate(samples):
            planes[i], targets[i] = plane, target
        buffer = io.BytesIO()
        np.savez_compressed(buffer, planes=planes, targets=targets)
        write_whole(path, buffer.getvalue())
        if number % 20 == 19 or number == len(missing) - 1:
            _log.info("%s: %d of %d clips packed", out, number + 1, len(missing))
    clips.close()
    return len(missing)


def vary(planes: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, and repaint image, memory, last output and truth alike."""
    if float(torch.rand(1, generator=generator)) < 0.5:
        planes, targets = planes.flip(3), targets.flip(3)
    visible, remembered, last, truth = recolour((planes[:, :3], planes[:, 3:6], planes[:, 10:13], targets), generator)
    planes = planes.clone()
    seen = (planes[:, 6:7] > 0).float()
    planes[:, :3] = visible * (planes[:, 7:8] < 0.5)
    planes[:, 3:6] = remembered * seen
    planes[:, 10:13] = last * (planes[:, 13:14] > 0.5)
    forget = torch.rand(len(planes), 1, 1, 1, generator=generator) < 0.4  # the start of a stream has no last output
    planes[:, 10:14] = planes[:, 10:14] * ~forget
    return planes, truth.contiguous()


def recolour(pictures: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Change colours, contrast and brightness of several pictures (B, 3, H, W) in -1..1 in the same way."""
    count = len(pictures[0])

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *(shape or (1, 1, 1)), generator=generator)

    order = torch.randperm(3, generator=generator) if float(torch.rand(1, generator=generator)) < 0.25 else torch.arange(3)
    gamma, colourfulness, gain = uniform(0.6, 1.6), uniform(0.2, 1.4), uniform(0.75, 1.3, 3, 1, 1)
    changed = []
    for picture in pictures:
        light = ((picture[:, order] + 1) / 2).clamp(0, 1) ** gamma
        grey = light.mean(1, keepdim=True)
        changed.append(((grey + (light - grey) * colourfulness) * gain).clamp(0, 1) * 2 - 1)
    return tuple(changed)
