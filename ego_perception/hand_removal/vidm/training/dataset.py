"""All windows of a folder as one data set: backgrounds by number, each with hands of another video."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor

from ego_perception.data.clips.store import ABOUT_NAME
from ego_perception.data.hdf5.ego4d import Ego4dClip
from ego_perception.data.hdf5.epic import EpicVideo
from ego_perception.data.hdf5.visor import VisorVideo
from ego_perception.engine.seeding import derived_seed
from ego_perception.errors import SourceError
from ego_perception.hand_removal.vidm.training.samples import Batch, HoleConfig, Sample, make_sample, stack
from ego_perception.hand_removal.vidm.training.sources import (
    ClipSource,
    Ego4dSource,
    Place,
    VisorSource,
    WindowSource,
)

_log = logging.getLogger(__name__)

VISOR, EPIC, EGO4D = "visor", "epic", "ego4d"
_TRIES: Final = 16  # draws of a donor before the background's own video is accepted as well


@dataclass(frozen=True)
class WindowConfig:
    """Which frames form a window, and how often windows are seen.

    Attributes:
        count: frames of a window.
        visor_spacing: annotations from one frame to the next.
        ego4d_spacing: packed frames (every tenth of the video) from one to the next.
        clip_spacing: frames of a simulated clip from one to the next.
        repeats: times that hand-free windows are seen for each time that the others are.
    """

    count: int = 4
    visor_spacing: int = 36
    ego4d_spacing: int = 1
    clip_spacing: int = 7
    repeats: int = 8


class WindowDataset:
    """Samples by number of their background.

    Args:
        folder: with any of these: a data set of clips, `visor/` with `<video>_interpolations.hdf5` and `epic/` with
            `<video>.hdf5` (which may also lie beside the folder), `ego4d/` with `<clip>.hdf5`.
        windows: what a window is.
        holes: how holes are made.
        names: of the videos to take (a resumed run); None takes all.
        threads: that read and decode samples.

    Attributes:
        names: of the videos. num_hand_free, num_with_hands, num_donors: windows of each kind, without repeats.

    Raises:
        SourceError: nothing to learn from, no hands to cut out, a named video is missing, or a damaged file.
    """

    def __init__(
        self, folder: Path, windows: WindowConfig, holes: HoleConfig, names: Collection[str] | None = None, threads: int = 1
    ) -> None:
        self.folder, self.holes = folder, holes
        kinds = _open(folder, windows, names)
        self._sources: list[WindowSource] = list(kinds.values())
        self.names = [f"{kind}/{name}" for kind, source in kinds.items() for name in source.names]
        if names is not None and (missing := sorted(set(names) - set(self.names))):
            raise SourceError(f"{folder} lacks {missing[0]}, from which this run has learnt; put it back or start anew")
        hand_free, with_hands, self._donors = (
            [(k, place) for k, source in enumerate(self._sources) for place in getattr(source, kind)]
            for kind in ("hand_free", "with_hands", "donors")
        )
        self.num_hand_free, self.num_with_hands, self.num_donors = len(hand_free), len(with_hands), len(self._donors)
        self._items = [(*window, True) for window in hand_free] * windows.repeats + [(*window, False) for window in with_hands]
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="samples") if threads > 1 else None
        self._check()

    def _check(self) -> None:
        found = f"{self.num_hand_free} hand-free windows, {self.num_with_hands} with hands, {self.num_donors} givers of holes"
        _log.info("%s: %d videos, %s", self.folder, len(self.names), found)
        if not self._items or not self._donors:
            raise SourceError(f"{self.folder} gives {found}; add videos with hands throughout, and frames to cut holes into")

    def __len__(self) -> int:
        return len(self._items)

    def rescan(self) -> None:
        """Do nothing: what is there at the start is what a run learns from."""

    def sample(self, index: int, seed: int) -> Sample:
        """Make the sample of one background; everything drawn depends on `seed` alone."""
        rng = np.random.default_rng(seed)
        source, place, is_hand_free = self._items[index]
        donor_source, donor = self._draw_donor(source, place, rng)
        hands = self._sources[donor_source].hands(donor)
        scene = self._sources[source].background(place, is_hand_free=is_hand_free)
        return make_sample(scene, hands, self.holes, rng)

    def gather(self, indices: Tensor, *seed: int | str) -> Batch:
        """Make samples; each depends on `seed` and its number among the backgrounds."""
        pairs = [(index, derived_seed(*seed, index)) for index in indices.tolist()]
        if self._threads is None:
            return stack([self.sample(*pair) for pair in pairs])
        return stack(list(self._threads.map(lambda pair: self.sample(*pair), pairs)))

    def _draw_donor(self, source: int, place: Place, rng: np.random.Generator) -> tuple[int, Place]:
        """A window with hands, of another video where there is one."""
        for _ in range(_TRIES):
            donor = self._donors[int(rng.integers(len(self._donors)))]
            if (donor[0], donor[1].video) != (source, place.video):
                break
        return donor


def _open(folder: Path, windows: WindowConfig, names: Collection[str] | None) -> dict[str, WindowSource]:
    sources: dict[str, WindowSource] = {}
    if (folder / VISOR).is_dir():
        videos = [VisorVideo(path) for path in _packed(folder / VISOR, VISOR, names)]
        frames = folder / EPIC if (folder / EPIC).is_dir() else folder.parent / EPIC
        paths = {video.name: frames / f"{video.name}.hdf5" for video in videos}
        epic = {name: EpicVideo(path) for name, path in paths.items() if path.is_file()}
        if len(epic) < len(videos):
            _log.warning("%d of %d VISOR videos have no frames in %s", len(videos) - len(epic), len(videos), frames)
        sources[VISOR] = VisorSource(videos, epic, windows.visor_spacing, windows.count)
    if (folder / EGO4D).is_dir():
        clips = [Ego4dClip(path) for path in _packed(folder / EGO4D, EGO4D, names)]
        sources[EGO4D] = Ego4dSource(clips, windows.ego4d_spacing, windows.count)
    if (folder / ABOUT_NAME).is_file():
        seeds = None if names is None else {int(n.partition("/")[2]) for n in names if n.startswith("clips/")}
        sources["clips"] = ClipSource(folder, windows.clip_spacing, windows.count, seeds)
    if not sources:
        raise SourceError(
            f"{folder} holds neither a data set of clips nor {VISOR}/ or {EGO4D}/; see `ego dataset` and `ego pack`"
        )
    return sources


def _packed(folder: Path, kind: str, names: Collection[str] | None) -> Sequence[Path]:
    paths = sorted(folder.glob("*.hdf5"))
    return [path for path in paths if names is None or f"{kind}/{path.name}" in names]
