"""What the fill network learns from: holes in simulated clips, filled as far as the memory goes, and the truth.

The background is followed through each clip exactly as in use, with its true errors; every few frames the window around the
hole is kept, together with the frame before in the same window, so that training can feed the network its own last output.
The frame's truth is the picture without the wearer's hands and arms but with their shadow, which is what can be known.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.data.clips import Clip, ClipDataset, write_whole
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate
from ego_perception.hand_removal.fill.crop import Window, scene_planes, window_around
from ego_perception.hand_removal.fill.holes import foreign_holes
from ego_perception.hand_removal.fill.sizes import LAST_PLANES, PLANES
from ego_perception.hand_removal.true_masks import true_hole, true_labels

_log = logging.getLogger(__name__)

SIDE: Final = 160
SCENE_PLANES: Final = PLANES - LAST_PLANES
_FORMAT: Final = 5  # raise when `samples_of` or the background's memory changes what windows hold
_MIN_HOLE: Final = 0.005  # of the image; smaller ones teach nothing
_FLOW_STEP: Final = 64.0  # flow is stored in this part of a pixel of the window
_NOWHERE: Final = 32767  # stored flow that leads out of every window

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Sample(NamedTuple):
    """One window as it is stored.

    Attributes:
        planes: (20, S, S) uint8, see `to_bytes`: scene planes of the frame, then those of the frame before.
        flow: (2, S, S) int16: what is at p was at p + flow[:, p] / 64 in the frame before; `_NOWHERE` where that is not known.
        target: (3, S, S) uint8, the truth.
    """

    planes: NDArray[np.uint8]
    flow: NDArray[np.int16]
    target: NDArray[np.uint8]


class Batch(NamedTuple):
    """Windows as numbers; flow (B, 2, S, S) in pixels of the window.

    Attributes:
        scene, before: (B, 10, S, S) scene planes of the frames and of those before; target: (B, 3, S, S) the truth.
    """

    scene: Tensor
    before: Tensor
    flow: Tensor
    target: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(part.to(device) for part in self))


class _Step(NamedTuple):
    """What one frame of a clip showed and what was known of its background."""

    rgb: Image
    hole: Mask
    background: Background


def windows_name(stride: int) -> str:
    """End of the name of a folder of windows: what they depend on beside the clips."""
    return f"windows_v{_FORMAT}_every{stride}"


def samples_of(clip: Clip, stride: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Windows of one clip, once with its hands, once with other holes over frames without them, see `foreign_holes`.

    Raises:
        SourceError: the clip lacks `classes` or `clean_shadowed`.
    """
    frames = list(clip)
    known = [frame.truth for frame in frames if frame.truth is not None]
    truths = [truth.clean_shadowed for truth in known]
    if len(known) != len(frames) or any(clean is None for clean in truths):
        raise SourceError(f"clip {clip.seed} lacks clean_shadowed; render it with --products clean")
    holes = [true_hole(truth, frame.size) for truth, frame in zip(known, frames, strict=True)]
    held = [true_labels(truth) == HandLabel.HELD_OBJECT for truth in known]
    for images, covers in (([frame.rgb for frame in frames], holes), (truths, foreign_holes(holes, rng))):
        plate, before = BackgroundPlate(BackgroundConfig()), None
        for k, (rgb, hole) in enumerate(zip(images, covers, strict=True)):
            truth = truths[k]
            assert rgb is not None and truth is not None
            background = plate.push(rgb, hole, frames[k].stamp_ns, camera=frames[k].camera, movers=held[k] & ~hole)
            step = _Step(rgb, hole, background)
            if (k % stride == stride - 1 or k == len(frames) - 1) and hole.mean() >= _MIN_HOLE:
                yield _sample(step, before, truth)
            before = step


def _sample(step: _Step, before: _Step | None, truth: Image) -> Sample:
    """Keep the window around the holes of a frame and of the one before."""
    flow = step.background.flow
    if before is None or flow is None:
        before, flow = step, None
    found = window_around(step.hole | before.hole if flow is not None else step.hole, SIDE)
    assert found is not None
    window = Window(found.x, found.y, found.width, found.height, (SIDE, SIDE))
    planes = np.concatenate([scene_planes(*s, window) for s in (step, before)])
    return Sample(
        to_bytes(planes),
        _stored(flow, step.hole.shape, window),
        to_bytes(window.take(truth).transpose(2, 0, 1) / 127.5 - 1),
    )


def _stored(flow: NDArray[np.float32] | None, shape: tuple[int, ...], window: Window) -> NDArray[np.int16]:
    """The background's flow in pixels of the window."""
    if flow is None:
        return np.full((2, SIDE, SIDE), _NOWHERE, np.int16)
    full = cv2.resize(flow, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    scale = np.array([SIDE / window.width * shape[1] / flow.shape[1], SIDE / window.height * shape[0] / flow.shape[0]])
    inside = window.take(full).transpose(2, 0, 1) * scale[:, None, None] * _FLOW_STEP
    return np.clip(np.nan_to_num(inside, nan=_NOWHERE), -_NOWHERE, _NOWHERE).astype(np.int16)


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
        self._samples: list[Sample] = []
        self._append(self._found() if names is None else names)
        if not self._samples:
            raise SourceError(f"{folder} holds no windows to learn from; pack a data set of clips first")

    def __len__(self) -> int:
        return len(self._samples)

    def rescan(self) -> None:
        """Append files that were written since."""
        if self._refresh is not None:
            self._refresh()
        self._append([name for name in self._found() if name not in set(self.names)])

    def gather(self, indices: Tensor) -> Batch:
        """Stack windows."""
        chosen = [self._samples[i] for i in indices.tolist()]
        planes = from_bytes(torch.from_numpy(np.stack([sample.planes for sample in chosen])))
        flow = torch.from_numpy(np.stack([sample.flow for sample in chosen])).float() / _FLOW_STEP
        target = from_bytes(torch.from_numpy(np.stack([sample.target for sample in chosen])))
        return Batch(planes[:, :SCENE_PLANES], planes[:, SCENE_PLANES:], flow, target)

    def _found(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.npz"))

    def _append(self, names: list[str]) -> None:
        for name in names:
            try:
                with np.load(self.folder / name, allow_pickle=False) as content:
                    stored = [content[part] for part in Sample._fields]
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise SourceError(f"{self.folder / name} cannot be read ({error}); delete it and pack again") from error
            shapes = tuple((len(stored[0]), planes, SIDE, SIDE) for planes in (2 * SCENE_PLANES, 2, 3))
            if tuple(part.shape for part in stored) != shapes:
                raise SourceError(f"{self.folder / name} holds planes of shape {stored[0].shape}; delete it and pack again")
            self._samples.extend(Sample(*parts) for parts in zip(*stored, strict=True))
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
        buffer = io.BytesIO()
        planes, flow, target = _stacked(samples)
        np.savez_compressed(buffer, planes=planes, flow=flow, target=target)
        write_whole(path, buffer.getvalue())
        if number % 20 == 19 or number == len(missing) - 1:
            _log.info("%s: %d of %d clips packed", out, number + 1, len(missing))
    clips.close()
    return len(missing)


def _stacked(samples: list[Sample]) -> Sample:
    """All samples as arrays with one more axis, also for none."""
    count = len(samples)
    planes, flow = np.zeros((count, 2 * SCENE_PLANES, SIDE, SIDE), np.uint8), np.zeros((count, 2, SIDE, SIDE), np.int16)
    target = np.zeros((count, 3, SIDE, SIDE), np.uint8)
    for k, sample in enumerate(samples):
        planes[k], flow[k], target[k] = sample
    return Sample(planes, flow, target)
