"""A dataset of clips for reading: frames by number, clips by number, checksums. Needs neither the simulator nor torch.

It serves as a map-style data set of `torch.utils.data.DataLoader`: it can be pickled and forked, and opens clips when asked.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from ego_perception.data.clips.store import CLIPS_NAME, ClipEntry, clip_path, read_about, read_index
from ego_perception.data.clips.tar import PARTS, ClipFile
from ego_perception.data.frame import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import ConfigError, SourceError

_OPEN_CLIPS: Final = 16


class Clip:
    """Consecutive frames of one room, or, where the dataset says `views: random`, unrelated views of it."""

    def __init__(self, file: ClipFile, seed: int, parts: Collection[str]) -> None:
        self.seed = seed
        self._file = file
        self._parts = parts

    @property
    def about(self) -> dict[str, Any]:
        """What the clip was made with: configuration, number of frames, truth it holds."""
        return self._file.about

    @property
    def scene(self) -> SceneTruth | None:
        """Truth that belongs to the whole clip."""
        return self._file.scene

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, row: int) -> Frame:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._file.frame(row, self._parts)

    def __iter__(self) -> Iterator[Frame]:
        return (self[row] for row in range(len(self)))


class ClipDataset:
    """Finished clips of a folder, in the order of their seeds.

    Args:
        folder: as `ego dataset` writes it; it may still be growing.
        parts: names of `FrameTruth` fields to decode; None takes all there are.

    Attributes:
        about: content of `dataset.json`. entries: the finished clips.

    Raises:
        SourceError: on construction, for no dataset, or one without a finished clip; on reading, for a damaged clip.
        ConfigError: a part that no truth has.
    """

    def __init__(self, folder: Path | str, parts: Collection[str] | None = None) -> None:
        self.folder = Path(folder)
        self._parts = frozenset(PARTS if parts is None else parts)
        if unknown := self._parts - set(PARTS):
            raise ConfigError(f"no truth is called '{min(unknown)}'; choose among {', '.join(PARTS)}")
        self.about = read_about(self.folder)
        self.entries: tuple[ClipEntry, ...] = ()
        self._open: OrderedDict[int, ClipFile] = OrderedDict()
        self.reload()
        if not self.entries:
            raise SourceError(f"{self.folder} holds no finished clip; run `ego dataset` again")

    def reload(self) -> None:
        """See clips that were finished since."""
        lines, _ = read_index(self.folder)
        self.entries = tuple(sorted((e for e in lines if not e.skipped), key=lambda e: e.seed))
        self._ends = list(accumulate(e.frames for e in self.entries))

    def __len__(self) -> int:
        """Number of frames."""
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> Frame:
        if not 0 <= number < len(self):
            raise IndexError(number)
        k = bisect_right(self._ends, number)
        return self.clip(k)[number - self._ends[k] + self.entries[k].frames]

    @property
    def num_clips(self) -> int:
        """Number of finished clips."""
        return len(self.entries)

    def clip(self, k: int) -> Clip:
        """The k-th clip.

        Raises:
            IndexError: there is none.
            SourceError: its file is missing or damaged.
        """
        if not 0 <= k < len(self.entries):
            raise IndexError(k)
        seed = self.entries[k].seed
        file = self._open.pop(seed, None) or ClipFile(clip_path(self.folder, seed))
        self._open[seed] = file
        while len(self._open) > _OPEN_CLIPS:
            self._open.popitem(last=False)[1].close()
        return Clip(file, seed, self._parts)

    def clips(self) -> Iterator[Clip]:
        """All clips."""
        return (self.clip(k) for k in range(self.num_clips))

    def verify(self) -> Iterator[tuple[ClipEntry, str]]:
        """Compare every clip with its checksum and decode it; yields each with what is wrong, empty where nothing is."""
        for k, entry in enumerate(self.entries):
            yield entry, self._fault(k, entry)

    def strangers(self) -> list[str]:
        """Names of clips without a line in the index, which a next run of `ego dataset` takes up."""
        known = {clip_path(self.folder, e.seed).name for e in self.entries}
        return sorted(p.name for p in (self.folder / CLIPS_NAME).glob("*.tar") if p.name not in known)

    def close(self) -> None:
        """Close all files; reading opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def _fault(self, k: int, entry: ClipEntry) -> str:
        path = clip_path(self.folder, entry.seed)
        try:
            data = path.read_bytes()
        except OSError as error:
            return f"{path.name}: {error.strerror or error}"
        if len(data) != entry.bytes:
            return f"{path.name} has {len(data)} bytes, not {entry.bytes}"
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return f"{path.name} does not have its checksum; its content was changed"
        try:
            frames = sum(1 for _ in self.clip(k))
        except SourceError as error:
            return str(error)
        return "" if frames == entry.frames else f"{path.name} has {frames} frames, not {entry.frames}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}
