"""Where windows come from: VISOR with EPIC-KITCHENS, Ego4D, and clips of EgoSim."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.clips import Clip, ClipDataset
from ego_perception.data.hdf5.ego4d import Ego4dClip
from ego_perception.data.hdf5.epic import EpicVideo
from ego_perception.data.hdf5.visor import VisorVideo
from ego_perception.data.hdf5.visor_json import DENSE_SIZE, EPIC_SIZE, hand_labels
from ego_perception.data.labels import HANDS_AND_ARMS
from ego_perception.errors import SourceError
from ego_perception.hand_removal.vidm.training.windows import (
    ego4d_hand_free,
    visor_hand_free,
    visor_with_hands,
    window_starts,
)

_IS_HAND: Final = np.isin(np.arange(256), HANDS_AND_ARMS)  # by class
_MIN_HAND: Final = 0.002  # share of a simulated image from which a hand counts as being there


class Place(NamedTuple):
    """A window: number of the video within its source, and first row."""

    video: int
    start: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Frames of a window at their own size, the target last.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        own: (T, H, W) bool, hands that the frames show themselves; what is behind them is not known.
    """

    frames: NDArray[np.uint8]
    own: NDArray[np.bool_]


class WindowSource(Protocol):
    """Videos of one kind.

    Attributes:
        names: of the videos.
        hand_free, with_hands: windows that can serve as backgrounds.
        donors: windows whose hands can be cut out of other backgrounds.
    """

    names: list[str]
    hand_free: list[Place]
    with_hands: list[Place]
    donors: list[Place]

    def background(self, place: Place, *, is_hand_free: bool) -> Scene:
        """Read a window of `hand_free` or of `with_hands`."""
        ...

    def hands(self, place: Place) -> NDArray[np.bool_]:
        """Hands of a window of `donors`, (T, H, W)."""
        ...


class VisorSource:
    """Windows of VISOR's dense annotations, with the frames of EPIC-KITCHENS.

    Args:
        videos: packed annotations.
        epic: packed frames by name of the video. A video without them gives hands only; a window of which a frame is missing
            is no background.
        spacing: rows from one frame of a window to the next.
        count: frames of a window.
    """

    def __init__(self, videos: Sequence[VisorVideo], epic: Mapping[str, EpicVideo], spacing: int, count: int) -> None:
        self.names = [video.path.name for video in videos]
        self._videos, self._epic = videos, epic
        self._offsets = spacing * np.arange(count)
        self.hand_free: list[Place] = []
        self.with_hands: list[Place] = []
        self.donors: list[Place] = []
        for k, video in enumerate(videos):
            span = int(self._offsets[-1]) + 1
            free, with_hands = (window_starts(f, span).tolist() for f in (visor_hand_free(video), visor_with_hands(video)))
            self.hand_free += [Place(k, start) for start in free if self._has_frames(k, start)]
            self.with_hands += [Place(k, start) for start in with_hands if self._has_frames(k, start)]
            self.donors += [Place(k, start) for start in with_hands]

    def _has_frames(self, video: int, start: int) -> bool:
        frames = self._epic.get(self._videos[video].name)
        return frames is not None and all(int(n) in frames for n in self._numbers(Place(video, start)))

    def _numbers(self, place: Place) -> list[int]:
        return [int(n) for n in self._videos[place.video].numbers[place.start + self._offsets]]

    def background(self, place: Place, *, is_hand_free: bool) -> Scene:
        """See `WindowSource`; hands are drawn for both kinds, hand-free windows have none."""
        del is_hand_free
        frames = np.stack(self._epic[self._videos[place.video].name].frames(self._numbers(place)))
        return Scene(frames, self._drawn(place, (frames.shape[2], frames.shape[1])))

    def hands(self, place: Place) -> NDArray[np.bool_]:
        """See `WindowSource`; at the size of EPIC-KITCHENS frames."""
        return self._drawn(place, EPIC_SIZE)

    def _drawn(self, place: Place, size: tuple[int, int]) -> NDArray[np.bool_]:
        rows = (place.start + self._offsets).tolist()
        return np.stack([hand_labels(e, DENSE_SIZE, size) > 0 for e in self._videos[place.video].annotations(rows)])


class Ego4dSource:
    """Hand-free windows of packed Ego4D clips.

    Args:
        clips: packed frames.
        spacing: rows from one frame of a window to the next.
        count: frames of a window.
    """

    def __init__(self, clips: Sequence[Ego4dClip], spacing: int, count: int) -> None:
        self.names = [clip.path.name for clip in clips]
        self._clips = clips
        self._offsets = spacing * np.arange(count)
        span = int(self._offsets[-1]) + 1
        self.hand_free = [Place(k, s) for k, c in enumerate(clips) for s in window_starts(ego4d_hand_free(c), span).tolist()]
        self.with_hands: list[Place] = []
        self.donors: list[Place] = []

    def background(self, place: Place, *, is_hand_free: bool) -> Scene:
        """See `WindowSource`."""
        del is_hand_free
        frames = np.stack(self._clips[place.video].frames((place.start + self._offsets).tolist()))
        return Scene(frames, np.zeros(frames.shape[:3], np.bool_))

    def hands(self, place: Place) -> NDArray[np.bool_]:
        """Never called: there are no donors."""
        raise SourceError(f"Ego4D clip {self.names[place.video]} has no hand masks; pack VISOR annotations beside it")


class ClipSource:
    """Windows of EgoSim clips: the pictures without hands are hand-free, the others have hands known to the pixel.

    Args:
        folder: as `ego dataset` writes it, with `--products clean` and views that follow one another.
        spacing: frames from one frame of a window to the next.
        count: frames of a window.
        seeds: of the clips to take; None takes all.

    Raises:
        SourceError: no data set, one of unrelated views, a clip without the products, or one too short.
    """

    def __init__(self, folder: Path, spacing: int, count: int, seeds: Collection[int] | None = None) -> None:
        self._clips = ClipDataset(folder, parts=("classes", "clean"))
        if self._clips.about["config"].get("views") in ("glimpses", "random"):
            raise SourceError(f"{folder} holds unrelated views; render a data set with --views hands")
        self._lock = threading.Lock()  # clips share open files
        self._kept = [k for k, e in enumerate(self._clips.entries) if seeds is None or e.seed in seeds]
        self.names = [str(self._clips.entries[k].seed) for k in self._kept]
        self._offsets = spacing * np.arange(count)
        self._span = int(self._offsets[-1]) + 1
        self.hand_free: list[Place] = []
        self.with_hands: list[Place] = []
        labelled = ClipDataset(folder, parts=("classes",))  # every frame is looked at once; clean pictures would take longest
        for video, k in enumerate(self._kept):
            self._add(video, labelled.clip(k))
        labelled.close()
        if not self.hand_free:
            raise SourceError(f"{folder} has no clip of {self._span} frames; lower clip_spacing or render longer clips")
        self.donors = self.with_hands

    def _add(self, video: int, clip: Clip) -> None:
        areas = np.array([_own(frame).mean() for frame in clip])
        self.hand_free += [Place(video, start) for start in range(len(clip) - self._span + 1)]
        self.with_hands += [Place(video, start) for start in window_starts(areas >= _MIN_HAND, self._span).tolist()]

    def background(self, place: Place, *, is_hand_free: bool) -> Scene:
        """See `WindowSource`."""
        frames = self._read(place)
        own = np.stack([_own(frame) for frame in frames])
        if is_hand_free:
            return Scene(np.stack([_clean(frame) for frame in frames]), np.zeros_like(own))
        return Scene(np.stack([frame.rgb for frame in frames]), own)

    def hands(self, place: Place) -> NDArray[np.bool_]:
        """See `WindowSource`."""
        return np.stack([_own(frame) for frame in self._read(place)])

    def _read(self, place: Place) -> list[Frame]:
        with self._lock:
            clip = self._clips.clip(self._kept[place.video])
            return [clip[row] for row in (place.start + self._offsets).tolist()]


def _own(frame: Frame) -> NDArray[np.bool_]:
    if frame.truth is None or frame.truth.classes is None:
        raise SourceError("a clip lacks classes; render it with --products clean")
    return _IS_HAND[frame.truth.classes]


def _clean(frame: Frame) -> NDArray[np.uint8]:
    if frame.truth is None or frame.truth.clean is None:
        raise SourceError("a clip lacks clean pictures; render it with --products clean")
    return frame.truth.clean
